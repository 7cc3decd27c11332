// The memory of NVIDIA's cards, asked of the driver's own program: for an engine that has no
// backend for them, as on a machine with a driver and Ollama but no CUDA toolkit.
#pragma once

#include <string_view>
#include <vector>

#include "doctor/facts.h"

namespace trimma {

// Runs nvidia-smi from PATH; unknown where it is absent, fails or takes longer than two seconds.
Fact<std::vector<Gpu>> AskNvidiaSmi();

// "NVIDIA GeForce RTX 2060, 6144, 5800" lines: name, total and free MiB.
Fact<std::vector<Gpu>> ParseNvidiaSmi(std::string_view text);

}  // namespace trimma
