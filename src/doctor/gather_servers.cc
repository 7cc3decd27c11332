// Running servers, and who listens where.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <filesystem>
#include <set>

#include "base/file.h"
#include "base/text.h"
#include "doctor/gather.h"
#include "hardware/pseudo.h"

namespace trimma {
namespace {

namespace fs = std::filesystem;

std::optional<uint64_t> SwappedBytes(const std::string& process) {
  const auto status = ReadPseudoFile(process + "/status");
  if (!status.ok()) return std::nullopt;
  const auto kib = LeadingNumber(ValueOf(*status, "VmSwap").value_or(""));
  if (!kib) return std::nullopt;
  return *kib << 10;
}

// "0::/system.slice/ollama.service" is "ollama.service".
std::string SystemUnit(const std::string& process) {
  const auto groups = ReadPseudoFile(process + "/cgroup");
  if (!groups.ok()) return "";
  for (const std::string& line : Split(*groups, '\n')) {
    const size_t slice = line.find(":/system.slice/");
    if (slice == std::string::npos) continue;
    const std::string name = Split(line.substr(slice + 15), '/').front();
    // A container's scope, or the session of a person, starts no server by a unit.
    if (name.ends_with(".service") && name.find("llama") != std::string::npos) return name;
  }
  return "";
}

// What listens on every address of a container is not what others reach.
bool InContainer(const Surroundings& around, const std::string& process) {
  std::error_code theirs;
  std::error_code ours;
  const fs::path network = fs::read_symlink(process + "/ns/net", theirs);
  const fs::path own = fs::read_symlink(around.root + "/proc/self/ns/net", ours);
  if (!theirs && !ours) return network != own;
  const auto groups = ReadPseudoFile(process + "/cgroup");
  if (!groups.ok()) return false;
  for (const char* word : {"docker", "libpod", "containerd", "kubepods", "lxc"})
    if (groups->find(word) != std::string::npos) return true;
  return false;
}

std::vector<std::string> CpuLibraries(const Surroundings& around, const std::string& process) {
  std::error_code error;
  const fs::path program = fs::read_symlink(process + "/exe", error);
  if (error) return {};
  std::set<std::string> variants;
  const fs::path folder = program.parent_path();
  for (const fs::path& place : {folder, folder / "../lib/ollama", folder / "lib/ollama"}) {
    for (fs::directory_iterator entry(around.root + place.string(), error), end;
         !error && entry != end; entry.increment(error)) {
      std::string name = entry->path().filename().string();
      constexpr std::string_view kStart = "libggml-cpu-";
      if (!name.starts_with(kStart) || !name.ends_with(".so")) continue;
      variants.insert(name.substr(kStart.size(), name.size() - kStart.size() - 3));
    }
  }
  return {variants.begin(), variants.end()};
}

std::vector<std::string> Arguments(const std::string& process) {
  const auto line = ReadPseudoFile(process + "/cmdline");
  if (!line.ok() || line->empty()) return {};
  std::string text = *line;
  if (text.back() == '\0') text.pop_back();
  return Split(text, '\0');
}

ServerProcess Describe(const Surroundings& around, const std::string& process,
                       const std::string& program) {
  ServerProcess server;
  server.program = program;
  server.unit = SystemUnit(process);
  server.in_container = InContainer(around, process);
  server.swapped_bytes = SwappedBytes(process);
  server.cpu_libraries = CpuLibraries(around, process);
  const auto block = ReadPseudoFile(process + "/environ");
  if (!block.ok()) {
    server.environment = Fact<std::map<std::string, std::string>>::Unknown(
        "its environment can't be read (it is another user's: run with sudo to see it)");
    return server;
  }
  std::map<std::string, std::string> environment;
  for (const EnvAssignment& one : ProcessAssignments(*block)) environment[one.name] = one.value;
  server.environment = environment;
  return server;
}

constexpr const char* kThisMachine = "this machine";

// The port of a socket that listens, and for whom: from a line of /proc/net/tcp[6].
std::optional<Listener> ListenerIn(const std::string& line) {
  std::vector<std::string> words;
  for (const std::string& word : Split(line, ' '))
    if (!word.empty()) words.push_back(word);
  if (words.size() < 4 || words[3] != "0A") return std::nullopt;
  const size_t colon = words[1].find(':');
  if (colon == std::string::npos) return std::nullopt;
  const std::string address = words[1].substr(0, colon);
  Listener listener;
  const char* end = words[1].data() + words[1].size();
  if (std::from_chars(words[1].data() + colon + 1, end, listener.port, 16).ec != std::errc())
    return std::nullopt;
  const bool every = address.find_first_not_of('0') == std::string::npos;
  if (address.size() == 8) {
    uint32_t number = 0;  // in this machine's order of bytes
    std::from_chars(address.data(), address.data() + 8, number, 16);
    listener.address = (number & 0xff) == 127
                           ? kThisMachine
                           : fmt::format("{}.{}.{}.{}", number & 0xff, (number >> 8) & 0xff,
                                         (number >> 16) & 0xff, number >> 24);
    return listener;
  }
  // ::1, and 127.0.0.1 as IPv6 writes it.
  const bool loopback =
      address == "00000000000000000000000001000000" ||
      (address.starts_with("0000000000000000FFFF0000") && address.ends_with("7F"));
  listener.address = loopback ? kThisMachine : every ? "::" : "an IPv6 address";
  return listener;
}

// The ports that Ollama's servers have, as far as is known; `hidden` where one doesn't say.
std::set<int> OllamaPorts(const Surroundings& around, const std::vector<ServerProcess>& servers,
                          bool& hidden) {
  std::set<int> ports;
  for (const ServerProcess& server : servers) {
    // What a container's server listens at isn't in this network; its published ports are said.
    if (server.program != "ollama" || server.in_container) continue;
    std::string host;
    if (server.environment) {
      const auto found = server.environment->find("OLLAMA_HOST");
      if (found != server.environment->end()) host = found->second;
    } else {
      hidden = true;  // its default, or the one that this shell asks
      const bool here = around.ollama && (around.ollama->host.starts_with("127.") ||
                                          around.ollama->host == "localhost");
      if (here) ports.insert(around.ollama->port);
    }
    if (const auto address = ParseOllamaHost(host)) ports.insert(address->port);
  }
  return ports;
}

void Listeners(const Surroundings& around, DoctorFacts& facts) {
  using Answer = Fact<std::vector<Listener>>;
  bool hidden = false;
  const std::set<int> ports = OllamaPorts(around, *facts.servers, hidden);
  std::vector<Listener> open;
  std::set<int> heard;
  bool read = false;
  for (const char* name : {"/proc/net/tcp", "/proc/net/tcp6"}) {
    const auto table = ReadPseudoFile(around.root + name);
    read |= table.ok();
    if (!table.ok()) continue;
    for (const std::string& line : Split(*table, '\n')) {
      const auto listener = ListenerIn(line);
      if (!listener || !ports.contains(listener->port)) continue;
      heard.insert(listener->port);
      const bool known = std::any_of(open.begin(), open.end(), [&](const Listener& l) {
        return l.port == listener->port;  // IPv4 and IPv6 of one server
      });
      if (!known && listener->address != kThisMachine) open.push_back(*listener);
    }
  }
  if (!read)
    facts.listeners = Answer::Unknown("/proc/net/tcp can't be read");
  else if (hidden && heard.empty())
    facts.listeners =
        Answer::Unknown("another user's Ollama listens at a port that isn't known here");
  else
    facts.listeners = open;
}

}  // namespace

void GatherServers(const Surroundings& around, DoctorFacts& facts) {
  std::error_code error;
  std::vector<ServerProcess> servers;
  uint64_t of_runners = 0;
  fs::directory_iterator entry(around.root + "/proc", error);
  if (error) {
    facts.servers = Fact<std::vector<ServerProcess>>::Unknown("/proc can't be read");
    facts.listeners = Fact<std::vector<Listener>>::Unknown("/proc can't be read");
    return;
  }
  for (const fs::directory_iterator end; !error && entry != end; entry.increment(error)) {
    const std::string path = entry->path().string();
    const std::string number = entry->path().filename().string();
    int pid = 0;
    const char* last = number.data() + number.size();
    const auto parsed = std::from_chars(number.data(), last, pid);
    if (parsed.ec != std::errc() || parsed.ptr != last) continue;
    const std::vector<std::string> arguments = Arguments(path);
    if (arguments.empty()) continue;
    const std::string program = fs::path(arguments[0]).filename().string();
    const std::string first = arguments.size() > 1 ? arguments[1] : "";
    // The runner of Ollama before 0.30 holds the model; its memory is the server's.
    if (program == "ollama" && first == "runner") of_runners += SwappedBytes(path).value_or(0);
    const bool is_server = (program == "ollama" && (first == "serve" || first == "start")) ||
                           program == "llama-server";
    if (!is_server) continue;
    ServerProcess server = Describe(around, path, program);
    server.pid = pid;
    server.arguments = arguments;
    servers.push_back(std::move(server));
  }
  for (ServerProcess& server : servers) {
    if (server.program != "ollama" || !server.swapped_bytes) continue;
    *server.swapped_bytes += of_runners;
    break;
  }
  std::sort(servers.begin(), servers.end(),
            [](const ServerProcess& a, const ServerProcess& b) { return a.pid < b.pid; });
  facts.servers = servers;
  Listeners(around, facts);
}

}  // namespace trimma
