// What doctor knows of this machine: plain values, gathered once (gather.h) and judged by pure
// rules (rules.h). What could not be found out is absent and says why.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "hardware/machine.h"
#include "ollama/types.h"

namespace trimma {

// Of a file of settings, in bytes; a longer one is not read.
inline constexpr uint64_t kMostText = uint64_t{1} << 20;

// A value, or the reason why it isn't known.
template <typename T>
class Fact {
 public:
  Fact() = default;
  Fact(T value) : value_(std::move(value)) {}  // NOLINT(google-explicit-constructor)
  static Fact Unknown(std::string why) {
    Fact fact;
    fact.why_ = std::move(why);
    return fact;
  }

  explicit operator bool() const { return value_.has_value(); }
  const T& operator*() const { return *value_; }
  const T* operator->() const { return &*value_; }
  T* operator->() { return &*value_; }
  const std::string& why() const { return why_; }

 private:
  std::optional<T> value_;
  std::string why_ = "it was not looked at";
};

enum class Place {
  kServer,      // the environment of a running server
  kUnit,        // a systemd unit, drop-in or its EnvironmentFile
  kShell,       // this process's environment: the shell that trimma was started from
  kProfile,     // a file that the user's shells or session read
  kSystemWide,  // a file of the system that every login reads
  kCompose,     // a docker compose file, or an env file beside it
};

// An assignment of an environment variable, and where it stands.
struct Variable {
  std::string name;
  std::string value;
  Place place = Place::kShell;
  std::string where;           // as shown: "~/.bashrc:12", "this shell"
  std::string path;            // the file; "" for a process
  int line = 0;                // in the file, from 1
  std::string text;            // that line
  bool stands_alone = false;   // nothing else is said there: the line can be commented out
  std::string owner;           // the unit, the compose service, the process: "ollama.service"
  bool serves_ollama = false;  // whether `owner` is an Ollama
  bool in_container = false;   // a server's, with a network of its own
  int siblings = 0;  // in a compose file: entries of that environment; the last one has to stay
};

struct ServerProcess {
  int pid = 0;
  std::string program;  // "ollama" or "llama-server"
  std::vector<std::string> arguments;
  std::string unit;           // the system's systemd service that it runs in; "": none
  bool in_container = false;  // with a network of its own
  Fact<std::map<std::string, std::string>> environment;
  std::optional<uint64_t> swapped_bytes;
  std::vector<std::string> cpu_libraries;  // ggml's variants beside the program: "haswell"
  std::string Name() const;                // "process 812 (ollama serve)"
};

struct OllamaFacts {
  std::string host;
  std::string version;  // as it says
  // It runs on this machine: at a loopback address, or where a process here says it listens.
  bool is_local = true;
  Fact<std::vector<OllamaLoaded>> loaded;
};

struct DoctorModel {
  std::string name;  // "ollama:gemma3:4b"
  std::string path;  // "" where only the API knows it
  bool in_ollama = false;
  std::string architecture;
  std::string type;  // "Q4_K_M"
  uint64_t layers = 0;
  uint64_t trained_context = 0;
  uint64_t file_bytes = 0;
  bool quantised = false;
  bool has_projector = false;
  std::string sha256;      // where the store's name of the file says so
  std::string quick_hash;  // where another file has the same size
  uint64_t device = 0, inode = 0;
  std::string source_sha256;  // what it was made from, where our own metadata says so
  // PARAMETER lines of an Ollama model.
  Fact<std::map<std::string, std::string>> parameters;
};

struct PowerFacts {
  std::string driver;      // "acpi-cpufreq", "intel_pstate"
  std::string governor;    // "performance", "powersave"
  std::string preference;  // energy_performance_preference; "" without one
  uint64_t allowed_khz = 0, possible_khz = 0;
  std::string profile;  // the firmware's: "balanced"; "" without one
  bool on_battery = false;
};

struct SwapFacts {
  uint64_t total_bytes = 0, used_bytes = 0;
  double stalled_percent = 0;  // of the last minute, some process waiting for memory
};

struct DiskFacts {
  std::string path;
  uint64_t free_bytes = 0, total_bytes = 0;
  uint64_t largest_model_bytes = 0;  // among the models there
};

struct StaleTuning {
  std::string model_path;
  std::string command;  // "tune", "optimize"
  std::string time;
  std::string why;
};

struct CardFacts {
  std::string name;
  bool integrated = false;
};

struct Listener {
  std::string address;  // "0.0.0.0", "::", "192.168.1.5"
  int port = 0;
};

struct PublishedPort {  // by a compose file
  std::string where;
  std::string text;  // "11434:11434"
};

struct DoctorFacts {
  std::vector<Variable> variables;
  std::vector<std::string>
      unread;  // files that exist and can't be read: "/etc/x: Permission denied"
  Fact<std::vector<ServerProcess>> servers;
  Fact<OllamaFacts> ollama;
  Fact<std::vector<Listener>> listeners;  // to more than this machine, on a server's port
  std::vector<PublishedPort> published;
  Fact<std::vector<DoctorModel>> models;
  std::vector<std::string> model_notes;  // what could not be read of them
  Machine machine;
  Fact<std::vector<Gpu>> gpus;         // as the engine sees them, with their memory
  Fact<std::vector<CardFacts>> cards;  // as the kernel lists them
  Fact<std::string> nvidia_driver;     // "550.54.14"; "" without an NVIDIA card
  Fact<PowerFacts> power;
  Fact<SwapFacts> swap;
  Fact<std::vector<DiskFacts>> disks;
  Fact<std::vector<StaleTuning>> stale;
};

// Why what is known of this machine and its processes says nothing of the Ollama that was asked:
// it runs on another machine. nullopt where it doesn't, or none answered.
std::optional<std::string> Elsewhere(const DoctorFacts& facts);

// Whether anything here has to do with Ollama; without, rules about it have nothing to judge.
bool HasOllama(const DoctorFacts& facts);

}  // namespace trimma
