#include "doctor/gather.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <ctime>
#include <filesystem>

#include "base/file.h"
#include "base/text.h"
#include "history/history.h"

namespace trimma {

namespace fs = std::filesystem;

namespace {
// The address that a running server says it has, before the one of this shell.
std::optional<OllamaAddress> AddressOf(const Surroundings& around, const DoctorFacts& facts) {
  if (!around.ollama) return std::nullopt;
  for (const EnvAssignment& one : around.environment)
    if (one.name == "OLLAMA_HOST") return around.ollama;
  if (!facts.servers) return around.ollama;
  for (const ServerProcess& server : *facts.servers) {
    if (server.program != "ollama" || !server.environment) continue;
    const auto host = server.environment->find("OLLAMA_HOST");
    if (host == server.environment->end()) continue;
    if (const auto address = ParseOllamaHost(host->second)) return address;
  }
  return around.ollama;
}
}  // namespace

std::string ShownPath(const Surroundings& around, const std::string& path) {
  if (!around.home.empty() && path.starts_with(around.home + "/"))
    return "~" + path.substr(around.home.size());
  if (!around.root.empty() && path.starts_with(around.root)) return path.substr(around.root.size());
  return path;
}

std::vector<std::string> FilesIn(const std::string& folder, const std::string& ending,
                                 DoctorFacts& facts) {
  std::vector<std::string> files;
  std::error_code error;
  for (fs::directory_iterator entry(folder, error), end; !error && entry != end;
       entry.increment(error)) {
    const std::string path = entry->path().string();
    if (path.ends_with(ending)) files.push_back(path);
  }
  if (error && error != std::errc::no_such_file_or_directory && error != std::errc::not_a_directory)
    facts.unread.push_back(fmt::format("{}: {}", folder, error.message()));
  std::sort(files.begin(), files.end());
  return files;
}

std::optional<std::string> TextOf(const std::string& path, DoctorFacts& facts) {
  auto text = ReadSmallFile(path, kMostText);
  if (text.ok()) return *std::move(text);
  if (text.error().code != Code::kNotFound)
    facts.unread.push_back(SafeText(text.error().what, 300));
  return std::nullopt;
}

Surroundings RealSurroundings() {
  Surroundings around;
  around.home = HomeDirectory();
  std::error_code error;
  around.working_directory = fs::current_path(error).string();
  for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry) {
    const auto one = ProcessAssignments(*entry);
    around.environment.insert(around.environment.end(), one.begin(), one.end());
  }
  around.models = DefaultModelRoots();
  around.history_path = History::DefaultPath();
  const char* host = std::getenv("OLLAMA_HOST");
  around.ollama = ParseOllamaHost(host == nullptr ? "" : host);
  return around;
}

DoctorFacts GatherFacts(const Surroundings& around) {
  DoctorFacts facts;
  GatherServers(around, facts);
  GatherVariables(around, facts);
  GatherCompose(around, facts);
  Surroundings known = around;
  known.ollama = AddressOf(around, facts);
  GatherOllama(known, facts);
  GatherModels(known, facts);
  GatherMachine(around, facts);
  GatherStale(around, facts);
  return facts;
}

void GatherStale(const Surroundings& around, DoctorFacts& facts) {
  std::error_code ignored;
  std::vector<StaleTuning> stale;
  if (around.history_path.empty() || !around.provenance_now ||
      !fs::exists(around.history_path, ignored)) {
    facts.stale = stale;  // nothing was tuned
    return;
  }
  auto history = History::OpenToRead(around.history_path);
  if (!history.ok()) {
    facts.stale = Fact<std::vector<StaleTuning>>::Unknown(history.error().what);
    return;
  }
  std::vector<HistoryEntry> newest;  // of both commands: either may have set what is in use
  for (const char* command : {"tune", "optimize"}) {
    HistoryFilter filter;
    filter.command = command;
    filter.limit = 200;
    const auto entries = history->List(filter);
    if (!entries.ok()) {
      facts.stale = Fact<std::vector<StaleTuning>>::Unknown(entries.error().what);
      return;
    }
    newest.insert(newest.end(), entries->begin(), entries->end());
  }
  std::sort(newest.begin(), newest.end(),
            [](const HistoryEntry& a, const HistoryEntry& b) { return a.id > b.id; });
  std::vector<std::string> seen;
  for (const HistoryEntry& entry : newest) {
    // The newest of a model counts; one whose file is gone is no setting in use.
    const bool known = std::find(seen.begin(), seen.end(), entry.model_path) != seen.end();
    if (known || !fs::exists(entry.model_path, ignored)) continue;
    if (around.only_model && around.only_model->path != entry.model_path) continue;
    seen.push_back(entry.model_path);
    const Staleness staleness = Compare(entry.provenance, around.provenance_now(entry.model_path));
    if (staleness.stale())
      stale.push_back({entry.model_path, entry.command, entry.time, staleness.Text()});
  }
  facts.stale = stale;
}

}  // namespace trimma
