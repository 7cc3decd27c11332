// Variables in this process, profiles, the system's files, and systemd units.
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <map>

#include "base/file.h"
#include "base/text.h"
#include "doctor/gather.h"

namespace trimma {
namespace {

namespace fs = std::filesystem;
using Parser = std::vector<EnvAssignment> (*)(std::string_view);

// Turns what a file says into facts.
class Collector {
 public:
  Collector(const Surroundings& around, DoctorFacts& facts) : around_(around), facts_(facts) {}

  void File(const std::string& path, Parser parse, Place place) {
    if (const auto text = TextOf(path, facts_)) Add(parse(*text), path, place, {});
  }

  struct Owner {
    std::string name;
    bool is_ollama = false;
  };
  void Add(const std::vector<EnvAssignment>& assignments, const std::string& path, Place place,
           const Owner& owner) {
    for (const EnvAssignment& one : assignments) {
      Variable variable;
      variable.name = one.name;
      variable.value = one.value;
      variable.place = place;
      variable.where = fmt::format("{}:{}", SafeText(ShownPath(around_, path), 120), one.line);
      variable.path = path;
      variable.line = one.line;
      variable.text = one.text;
      variable.stands_alone = one.stands_alone;
      variable.owner = owner.name;
      variable.serves_ollama = owner.is_ollama;
      facts_.variables.push_back(std::move(variable));
    }
  }

 private:
  const Surroundings& around_;
  DoctorFacts& facts_;
};

void Profiles(const Surroundings& around, DoctorFacts& facts) {
  Collector collector(around, facts);
  const std::string etc = around.root + "/etc";
  if (!around.home.empty()) {
    for (const char* name : {".bashrc", ".bash_profile", ".bash_login", ".profile", ".bash_aliases",
                             ".zshrc", ".zprofile", ".zshenv"})
      collector.File(around.home + "/" + name, ShellAssignments, Place::kProfile);
    collector.File(around.home + "/.config/fish/config.fish", FishAssignments, Place::kProfile);
    for (const std::string& path : FilesIn(around.home + "/.config/fish/conf.d", ".fish", facts))
      collector.File(path, FishAssignments, Place::kProfile);
    for (const std::string& path : FilesIn(around.home + "/.config/environment.d", ".conf", facts))
      collector.File(path, EnvFileAssignments, Place::kProfile);
  }
  collector.File(etc + "/environment", EnvFileAssignments, Place::kSystemWide);
  for (const char* name :
       {"/profile", "/bash.bashrc", "/zsh/zshrc", "/zsh/zprofile", "/zsh/zshenv"})
    collector.File(etc + name, ShellAssignments, Place::kSystemWide);
  for (const std::string& path : FilesIn(etc + "/profile.d", ".sh", facts))
    collector.File(path, ShellAssignments, Place::kSystemWide);
}

struct Unit {
  std::string name;
  std::string path;
  bool is_ollama = false;
};

// Units that start a model server; of those with one name the last folder's counts.
std::vector<Unit> ServerUnits(const std::vector<std::string>& folders, DoctorFacts& facts) {
  std::map<std::string, Unit> units;
  for (const std::string& folder : folders) {
    const bool packages = folder.ends_with("/lib/systemd/system");
    for (const std::string& path : FilesIn(folder, ".service", facts)) {
      const std::string name = fs::path(path).filename().string();
      // A distribution's folder holds hundreds; there the name has to say it.
      if (packages && name.find("llama") == std::string::npos) continue;
      // Links to the packages' own are read there, and "masked" units are /dev/null.
      std::error_code error;
      if (!fs::is_regular_file(path, error)) continue;
      const auto text = TextOf(path, facts);
      if (!text) continue;
      const std::string start = ParseUnit(*text).exec_start;
      const bool is_ollama = start.find("ollama serve") != std::string::npos;
      if (is_ollama || start.find("llama-server") != std::string::npos)
        units[name] = {name, path, is_ollama};
    }
  }
  std::vector<Unit> list;
  for (const auto& [name, unit] : units) list.push_back(unit);
  return list;
}

// A unit's own text or a drop-in; what it names as EnvironmentFile is added to `files`.
void AddUnitFile(const Surroundings& around, const std::string& path, const Unit& unit,
                 std::vector<std::string>& files, DoctorFacts& facts) {
  const auto text = TextOf(path, facts);
  if (!text) return;
  const UnitFile file = ParseUnit(*text);
  if (file.resets) {
    std::erase_if(facts.variables, [&](const Variable& v) {
      return v.place == Place::kUnit && v.owner == unit.name;
    });
  }
  Collector collector(around, facts);
  collector.Add(file.environment, path, Place::kUnit, {unit.name, unit.is_ollama});
  files.insert(files.end(), file.environment_files.begin(), file.environment_files.end());
}

void Units(const Surroundings& around, DoctorFacts& facts) {
  std::vector<std::string> system;
  for (const char* folder :
       {"/lib/systemd/system", "/usr/lib/systemd/system", "/usr/local/lib/systemd/system",
        "/run/systemd/system", "/etc/systemd/system"}) {
    const std::string path = around.root + folder;
    const bool seen = std::any_of(system.begin(), system.end(),
                                  [&](const std::string& s) { return SameFile(s, path); });
    if (!seen) system.push_back(path);
  }
  std::vector<std::vector<std::string>> managers = {system};
  if (!around.home.empty())
    managers.push_back({around.root + "/etc/systemd/user", around.home + "/.config/systemd/user"});
  for (const std::vector<std::string>& folders : managers) {
    for (const Unit& unit : ServerUnits(folders, facts)) {
      std::vector<std::string> files;
      AddUnitFile(around, unit.path, unit, files, facts);
      std::map<std::string, std::string> drop_ins;  // by name, which is their order
      for (const std::string& folder : folders)
        for (const std::string& path : FilesIn(folder + "/" + unit.name + ".d", ".conf", facts))
          drop_ins[fs::path(path).filename().string()] = path;
      for (const auto& [name, path] : drop_ins) AddUnitFile(around, path, unit, files, facts);
      // systemd reads these last, whatever Environment= says and wherever it stands.
      Collector collector(around, facts);
      for (const std::string& file : files) {
        const std::string whole = around.root + file;
        if (!file.starts_with('/')) continue;
        if (const auto lines = TextOf(whole, facts))
          collector.Add(EnvFileAssignments(*lines), whole, Place::kUnit,
                        {unit.name, unit.is_ollama});
      }
    }
  }
}

// The llama-server that an Ollama starts has what that one has.
bool IsInherited(const ServerProcess& server, const std::string& name, const std::string& value,
                 const std::vector<ServerProcess>& all) {
  if (server.program == "ollama") return false;
  return std::any_of(all.begin(), all.end(), [&](const ServerProcess& other) {
    if (other.program != "ollama" || !other.environment) return false;
    const auto found = other.environment->find(name);
    return found != other.environment->end() && found->second == value;
  });
}

}  // namespace

void GatherVariables(const Surroundings& around, DoctorFacts& facts) {
  for (const EnvAssignment& one : around.environment) {
    if (!IsOfInterest(one.name)) continue;
    Variable variable;
    variable.name = one.name;
    variable.value = one.value;
    variable.where = "this shell";
    facts.variables.push_back(std::move(variable));
  }
  if (facts.servers) {
    for (const ServerProcess& server : *facts.servers) {
      if (!server.environment) {
        facts.unread.push_back(fmt::format("{}: {}", server.Name(), server.environment.why()));
        continue;
      }
      for (const auto& [name, value] : *server.environment) {
        if (!IsOfInterest(name) || IsInherited(server, name, value, *facts.servers)) continue;
        Variable variable;
        variable.name = name;
        variable.value = value;
        variable.place = Place::kServer;
        variable.in_container = server.in_container;
        variable.where = server.Name();
        variable.owner = server.Name();
        variable.serves_ollama = server.program == "ollama";
        facts.variables.push_back(std::move(variable));
      }
    }
  }
  Profiles(around, facts);
  Units(around, facts);
}

void GatherCompose(const Surroundings& around, DoctorFacts& facts) {
  std::vector<std::string> folders = {around.working_directory};
  if (!SameFile(around.home, around.working_directory)) folders.push_back(around.home);
  Collector collector(around, facts);
  for (const std::string& folder : folders) {
    if (folder.empty()) continue;
    for (const char* name : {"compose.yaml", "compose.yml", "docker-compose.yaml",
                             "docker-compose.yml", "docker-compose.override.yml"}) {
      const std::string path = folder + "/" + name;
      const auto text = TextOf(path, facts);
      if (!text) continue;
      const ComposeFile compose = ParseCompose(*text);
      const auto is_ollama = [&](const ComposeFile::Service& service) {
        return service.image.find("ollama/ollama") != std::string::npos ||
               (service.image.empty() && service.name.find("ollama") != std::string::npos);
      };
      for (const EnvAssignment& one : compose.environment) {
        const ComposeFile::Service* service = compose.Find(one.service);
        collector.Add({one}, path, Place::kCompose,
                      {one.service, service != nullptr && is_ollama(*service)});
        facts.variables.back().siblings = one.siblings;
      }
      for (const ComposeFile::Service& service : compose.services) {
        for (const std::string& file : service.env_files) {
          const std::string whole =
              file.starts_with('/') ? around.root + file : folder + "/" + file;
          if (const auto lines = TextOf(whole, facts))
            collector.Add(EnvFileAssignments(*lines), whole, Place::kCompose,
                          {service.name, is_ollama(service)});
        }
        for (const EnvAssignment& port : service.ports)
          if (is_ollama(service) && PublishesOllama(port.value))
            facts.published.push_back(
                {fmt::format("{}:{}", ShownPath(around, path), port.line), port.value});
      }
    }
  }
}

}  // namespace trimma
