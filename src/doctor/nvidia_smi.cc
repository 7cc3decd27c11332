#include "doctor/nvidia_smi.h"

#include <optional>
#include <string>

#include "base/program.h"
#include "base/text.h"
#include "hardware/pseudo.h"

namespace trimma {
namespace {

constexpr double kMostSeconds = 2;

Fact<std::vector<Gpu>> Silent(const char* why) { return Fact<std::vector<Gpu>>::Unknown(why); }

}  // namespace

Fact<std::vector<Gpu>> ParseNvidiaSmi(std::string_view text) {
  std::vector<Gpu> gpus;
  for (const std::string& line : Split(Trim(text), '\n')) {
    const std::vector<std::string> fields = Split(line, ',');
    if (fields.size() != 3) return Silent("nvidia-smi answers in another form");
    const auto total = LeadingNumber(fields[1]);
    const auto free = LeadingNumber(fields[2]);
    if (!total || !free || *free > *total || *total >> 30 != 0)
      return Silent("nvidia-smi doesn't say how much memory the cards have");
    gpus.push_back({SafeText(Trim(fields[0]), 100), "CUDA", *total << 20, *free << 20});
  }
  return gpus;
}

Fact<std::vector<Gpu>> AskNvidiaSmi() {
  const std::string program = FindProgram("nvidia-smi");
  if (program.empty())
    return Silent("trimma's engine has no backend for the cards, and there is no nvidia-smi");
  ProgramLimits limits;
  limits.seconds = kMostSeconds;
  const auto said = RunProgram(
      {program, "--query-gpu=name,memory.total,memory.free", "--format=csv,noheader,nounits"},
      limits);
  if (!said.ok()) return Silent("nvidia-smi did not answer in time");
  if (said->status != 0) return Silent("nvidia-smi failed");
  return ParseNvidiaSmi(said->text);
}

}  // namespace trimma
