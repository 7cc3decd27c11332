// The engine: libllama and ggml, loaded once per process. Only a child process (base/child.h)
// or a test calls this; the program's own process never touches ggml.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "hardware/machine.h"

namespace trimma {

// Loads the backends and silences the engine's log (its last errors are kept). Call first; cheap
// when repeated.
Status StartEngine();

// Whether there are backends besides the CPU's: looks for their files, loads nothing.
bool HasGpuBackends();

// The GPUs its backends see, in the engine's order.
std::vector<Gpu> EngineGpus();

// Names of the loaded backends: "CPU", "CUDA", "Vulkan".
std::vector<std::string> EngineBackends();

// What the engine wrote to its log since the last call.
struct EngineWords {
  std::string said;      // the first error, or the last warning where there is none, cleaned
  bool no_room = false;  // its loader found no room for the weights
};
EngineWords TakeEngineWords();

}  // namespace trimma
