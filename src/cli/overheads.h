// What was learned of this machine's cards: kept per card, driver and engine commit.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "gguf/reader.h"
#include "hardware/machine.h"
#include "hardware/overhead.h"

namespace trimma {

// The driver of this machine's NVIDIA cards ("580.159.04"); "" where there is none.
std::string DriverVersion();

// One per GPU: as learned, else EstimatedOverhead().
std::vector<Overhead> KnownOverheads(const std::vector<Gpu>& gpus);

// Learns by real loads of `file` on this machine's GPUs and keeps the result, one per GPU.
Result<std::vector<Overhead>> LearnAndKeepOverheads(const GgufFile& file,
                                                    const std::vector<Gpu>& gpus,
                                                    const std::function<void(double)>& progress);

// The same where one of them isn't known yet: a plan that knows it leaves less of the card unused.
Status LearnNewCards(const GgufFile& file, const std::vector<Gpu>& gpus,
                     const std::function<void(double)>& progress);

// One sentence where a GPU has clearly less free memory than before (more than a load's wobble),
// or the host less than half of what it had: a plan made then may no longer fit.
std::optional<std::string> MemoryGone(const Machine& before, const Machine& now);

}  // namespace trimma
