// For tests: the facts of a sound machine, to plant one fault each in.
#pragma once

#include <string>

#include "doctor/facts.h"

namespace trimma {

inline Variable VariableAt(Place place, const std::string& name, const std::string& value) {
  Variable variable;
  variable.name = name;
  variable.value = value;
  variable.place = place;
  variable.where = place == Place::kShell ? "this shell" : "~/file:3";
  variable.path = place == Place::kShell ? "" : "/home/u/file";
  variable.line = 3;
  variable.text = "export " + name + "=" + value;
  variable.stands_alone = true;
  variable.serves_ollama = place == Place::kUnit || place == Place::kCompose;
  return variable;
}

inline DoctorModel SoundModel() {
  DoctorModel model;
  model.name = "ollama:gemma3:4b";
  model.path = "/models/blobs/sha256-aa";
  model.in_ollama = true;
  model.architecture = "gemma3";
  model.type = "Q4_K_M";
  model.layers = 34;
  model.trained_context = 131072;
  model.file_bytes = 3ULL << 30;
  model.quantised = true;
  model.sha256 = "aa";
  model.inode = 1;
  model.source_sha256 = "ff";
  model.parameters = std::map<std::string, std::string>{
      {"num_ctx", "8192"}, {"num_gpu", "35"}, {"num_thread", "4"}};
  return model;
}

// The unquantised file that SoundModel() was made from.
inline DoctorModel SoundSource() {
  DoctorModel model = SoundModel();
  model.name = "hf:me/gemma3:F16";
  model.path = "/hub/blobs/ff";
  model.in_ollama = false;
  model.type = "F16";
  model.quantised = false;
  model.file_bytes = 8ULL << 30;
  model.sha256 = "ff";
  model.inode = 2;
  model.source_sha256 = "";
  model.parameters = {};
  return model;
}

inline ServerProcess SoundServer() {
  ServerProcess server;
  server.pid = 812;
  server.program = "ollama";
  server.arguments = {"/usr/local/bin/ollama", "serve"};
  server.environment = std::map<std::string, std::string>{{"OLLAMA_CONTEXT_LENGTH", "8192"}};
  server.swapped_bytes = 0;
  server.cpu_libraries = {"haswell", "sse42", "x64"};
  return server;
}

// One card, one loaded model that is wholly on it, nothing short.
inline DoctorFacts SoundFacts() {
  DoctorFacts facts;
  facts.servers = std::vector<ServerProcess>{SoundServer()};
  OllamaFacts ollama;
  ollama.host = "127.0.0.1:11434";
  ollama.version = "0.35.1";
  ollama.loaded = std::vector<OllamaLoaded>{{"gemma3:4b", "", 4ULL << 30, 4ULL << 30, 8192}};
  facts.ollama = ollama;
  facts.listeners = std::vector<Listener>{};
  facts.models = std::vector<DoctorModel>{SoundModel(), SoundSource()};
  facts.machine.cpu.cores = 4;
  facts.machine.cpu.threads = 8;
  facts.machine.cpu.isa = {"avx", "avx2", "fma"};
  facts.machine.memory.total_bytes = 16ULL << 30;
  facts.machine.memory.available_bytes = 8ULL << 30;
  facts.gpus = std::vector<Gpu>{{"NVIDIA GeForce RTX 3060", "CUDA", 12ULL << 30, 7ULL << 30}};
  facts.cards = std::vector<CardFacts>{{"an NVIDIA card", false}};
  facts.nvidia_driver = std::string("550.54.14");
  facts.power = PowerFacts{"intel_pstate", "powersave", "balance_performance", 4000000, 4000000,
                           "balanced",     false};
  facts.swap = SwapFacts{8ULL << 30, 0, 0};
  facts.disks =
      std::vector<DiskFacts>{{"~/.ollama/models", 100ULL << 30, 500ULL << 30, 8ULL << 30}};
  facts.stale = std::vector<StaleTuning>{};
  return facts;
}

}  // namespace trimma
