// What is to be written into settings files.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "engine/runtime.h"

namespace trimma {

struct Applied {
  std::string name;            // what the application calls the model: "gemma3:4b", "m.gguf"
  std::string model_path;      // absolute path of the GGUF
  std::string projector_path;  // of its vision or audio projector; "" if none is to be loaded
  RuntimeSettings settings;
  Sampling sampling;
  std::string trimma_version;
  std::string engine_version;  // "llama.cpp v0.5.0 (de3ff815ea7d)"
  std::string ollama_path;     // absolute; where Ollama reads another file than model_path, else ""
  std::string ollama_original;  // Ollama's name of the model that all began with; "" if it was none
};

}  // namespace trimma
