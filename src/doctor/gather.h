// Finding out the facts. Only reads; whatever can't be read is a fact that is unknown.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "doctor/assignments.h"
#include "doctor/facts.h"
#include "history/provenance.h"
#include "models/models.h"
#include "ollama/client.h"

namespace trimma {

// Where to look; tests give a tree of their own.
struct Surroundings {
  std::string root;                        // stands before every absolute path: "" or a fake "/"
  std::string home;                        // "" without one
  std::string working_directory;           // for compose files
  std::vector<EnvAssignment> environment;  // of this process
  ModelRoots models;
  std::optional<LocalModel> only_model;  // instead of all
  // As the engine sees the cards; Unknown where it has no backend for them.
  Fact<std::vector<Gpu>> gpus;
  std::string history_path;  // "" leaves the history out
  std::function<Provenance(const std::string& model_path)> provenance_now;
  std::optional<OllamaAddress> ollama;  // nullopt: nobody is asked
  double timeout_s = 0.3;               // for each question to it
};

// This machine, this user, the folder that trimma was started in.
Surroundings RealSurroundings();

DoctorFacts GatherFacts(const Surroundings& around);

// The parts, in files of their own.
void GatherVariables(const Surroundings& around, DoctorFacts& facts);
void GatherCompose(const Surroundings& around, DoctorFacts& facts);
void GatherServers(const Surroundings& around, DoctorFacts& facts);
void GatherOllama(const Surroundings& around, DoctorFacts& facts);
void GatherModels(const Surroundings& around, DoctorFacts& facts);
void GatherMachine(const Surroundings& around, DoctorFacts& facts);
void GatherStale(const Surroundings& around, DoctorFacts& facts);

// A path as people write it: below "~", without the fake root.
std::string ShownPath(const Surroundings& around, const std::string& path);

// The names in a folder that end so, sorted, as whole paths. A folder that can't be listed is
// noted.
std::vector<std::string> FilesIn(const std::string& folder, const std::string& ending,
                                 DoctorFacts& facts);

// The text of a file; nullopt where it is absent, or can't be read, which is noted.
std::optional<std::string> TextOf(const std::string& path, DoctorFacts& facts);

}  // namespace trimma
