// Assignments of environment variables in the texts where people write them. Pure; only variables
// that a model server could mean are returned (IsOfInterest). Lines count from 1.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace trimma {

struct EnvAssignment {
  std::string name;
  std::string value;
  int line = 0;
  std::string text;           // the whole line
  bool stands_alone = false;  // the line says nothing else, so it can be commented out
  std::string service;        // in a compose file: the service that it is for
  int siblings = 0;  // in a compose file: entries of that service's environment, it included
};

// OLLAMA_*, LLAMA_ARG_* and those that hide cards (CUDA_VISIBLE_DEVICES, ...).
bool IsOfInterest(std::string_view name);

// ~/.bashrc and its like: "export A=1", "A=1 B=2 command". Comments are left out.
std::vector<EnvAssignment> ShellAssignments(std::string_view text);
// fish: "set -gx A 1".
std::vector<EnvAssignment> FishAssignments(std::string_view text);
// /etc/environment, systemd's EnvironmentFile, docker's env_file: "A=1", one a line.
std::vector<EnvAssignment> EnvFileAssignments(std::string_view text);
// "A=1\0B=2\0", as /proc/<pid>/environ has it: every variable.
std::vector<EnvAssignment> ProcessAssignments(std::string_view block);

struct UnitFile {
  std::string exec_start;
  std::vector<EnvAssignment> environment;      // Environment=, in order
  bool resets = false;                         // an empty Environment= forgets what came before
  std::vector<std::string> environment_files;  // without the "-" of those that may be absent
};
// A systemd unit or drop-in.
UnitFile ParseUnit(std::string_view text);

struct ComposeFile {
  struct Service {
    std::string name;
    std::string image;
    std::vector<std::string> env_files;
    std::vector<EnvAssignment> ports;  // `value`: "11434:11434"
  };
  std::vector<Service> services;
  std::vector<EnvAssignment> environment;  // `service` says whose
  const Service* Find(std::string_view name) const;
};
// A docker compose file, by its indentation, with lists in brackets on one line. Never an
// error: what isn't understood is left out.
ComposeFile ParseCompose(std::string_view text);

// "${BIND:-127.0.0.1}:80" is "127.0.0.1:80": what stands where nobody sets the variable.
std::string WithDefaults(std::string_view text);

// A port mapping that other computers reach, for the container's port 11434: "11434:11434",
// "0.0.0.0:80:11434", "11434" (at a free port); not "127.0.0.1:11434:11434".
bool PublishesOllama(std::string_view mapping);

}  // namespace trimma
