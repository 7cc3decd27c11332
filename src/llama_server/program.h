// An installed llama-server: where it is, and what this version of it can be asked.
//
// Versions differ in their options, and one that a server doesn't know keeps it from starting. So
// its own --help is read first, and nothing is passed that isn't described there.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace trimma {

// What --help says of one name: "--flash-attn".
struct ServerOption {
  std::string value;  // "[on|off|auto]", "N"; "" for a switch
  bool operator==(const ServerOption&) const = default;
};

// A card that it can use.
struct ServerDevice {
  std::string name;         // "CUDA0", as --device takes it
  std::string description;  // "NVIDIA GeForce RTX 2060"
  bool operator==(const ServerDevice&) const = default;
};

struct LlamaServerProgram {
  std::string path;
  std::string version;                          // "b4567 (3e0ba0e6)"; "" where it doesn't say
  std::map<std::string, ServerOption> options;  // each under all of its names
  std::vector<std::string> speculation_types;   // that --spec-type takes
  std::vector<ServerDevice> devices;            // none: it computes on the processors alone

  bool Knows(const std::string& option) const { return options.contains(option); }
};

// The one named, or the first on PATH. kNotFound where there is none; kInvalid where what is there
// is no llama-server.
Result<LlamaServerProgram> FindLlamaServer(const std::string& named);

// The parts, from what it prints (pure).
// Options that are described as removed are left out.
std::map<std::string, ServerOption> ParseServerHelp(std::string_view text);
std::string ParseServerVersion(std::string_view text);
std::vector<ServerDevice> ParseServerDevices(std::string_view text);
// "[none|draft-simple|ngram-mod]" or "none,draft-simple,..." without "none".
std::vector<std::string> ParseSpeculationTypes(std::string_view value);

}  // namespace trimma
