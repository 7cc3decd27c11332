#include "cli/overheads.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/build_info.h"
#include "base/file.h"
#include "base/text.h"
#include "base/units.h"
#include "engine/learn.h"
#include "hardware/cards.h"
#include "plan/placement.h"
#include "plan/plan.h"
#include "plan/pricing.h"

namespace trimma {
namespace {

std::string KeptPath() { return StateDirectory() + "/overhead.json"; }

std::string KeyOf(const Gpu& gpu) {
  return fmt::format("{} | {} | driver {} | {}", gpu.name, gpu.backend, DriverVersion(),
                     std::string(build_info::kEngineCommit).substr(0, 12));
}

Json Kept() {
  const auto text = ReadSmallFile(KeptPath(), 1 << 20);
  Json json = text.ok() ? Json::parse(*text, nullptr, false) : Json::object();
  return json.is_object() ? json : Json::object();
}

// Two contexts and two physical batches with as much on the card as surely fits, and one load with
// a third less: a split model takes more.
std::vector<RuntimeSettings> Loads(const GgufFile& file, const RuntimeSettings& placed) {
  const uint32_t trained = TrainedContext(file);
  std::vector<RuntimeSettings> loads;
  for (const uint32_t context : {2048U, 16384U}) {
    for (const uint32_t ubatch : {512U, 2048U}) {
      RuntimeSettings settings = placed;
      settings.context = trained > 0 ? std::min(context, trained) : context;
      settings.ubatch = ubatch;
      if (std::find(loads.begin(), loads.end(), settings) == loads.end()) loads.push_back(settings);
    }
  }
  const int layers = placed.gpu_layers.value_or(0);
  if (layers > 2) {
    loads.push_back(loads.front());
    loads.back().gpu_layers = layers - layers / 3;
  }
  return loads;
}

}  // namespace

std::optional<std::string> MemoryGone(const Machine& before, const Machine& now) {
  for (size_t i = 0; i < std::min(before.gpus.size(), now.gpus.size()); ++i) {
    const uint64_t was = before.gpus[i].free_bytes;
    const uint64_t is = now.gpus[i].free_bytes;
    if (was > is && was - is > kLearnedMargin / 2) {
      return fmt::format("{} has {} less free memory than when the plan was made",
                         SafeText(now.gpus[i].name), FormatBytes(was - is));
    }
  }
  const uint64_t was = before.memory.available_bytes;
  const uint64_t is = now.memory.available_bytes;
  if (is < was / 2)
    return fmt::format("only {} of host memory are available, of {} when the plan was made",
                       FormatBytes(is), FormatBytes(was));
  return std::nullopt;
}

std::string DriverVersion() {
  const auto version = ReadPseudoFile("/sys/module/nvidia/version");
  if (version.ok()) return std::string(Trim(*version));
  // Containers may lack /sys/module: "NVRM version: NVIDIA UNIX ... Kernel Module  580.159.04 ..."
  const auto text = ReadPseudoFile("/proc/driver/nvidia/version");
  if (!text.ok()) return "";
  for (const std::string& word : Split(text->substr(0, text->find('\n')), ' ')) {
    const bool is_version = word.find('.') != std::string::npos &&
                            word.find_first_not_of("0123456789.") == std::string::npos;
    if (is_version) return word;
  }
  return "";
}

std::vector<Overhead> KnownOverheads(const std::vector<Gpu>& gpus) {
  const Json kept = Kept();
  std::vector<Overhead> overheads;
  for (const Gpu& gpu : gpus) {
    const auto found = kept.find(KeyOf(gpu));
    const auto card = FindCard(gpu.name);
    Overhead overhead = EstimatedOverhead(card.ok() ? ContextStackBytes(*card) : 0);
    if (found != kept.end()) {
      try {
        overhead = OverheadFromJson(*found);
      } catch (const Json::exception&) {  // another version's, or a hand's: learn again
      }
    }
    overheads.push_back(overhead);
  }
  return overheads;
}

Result<std::vector<Overhead>> LearnAndKeepOverheads(const GgufFile& file,
                                                    const std::vector<Gpu>& gpus,
                                                    const std::function<void(double)>& progress) {
  PricingRequest most;
  most.contexts = {16384};
  most.kv = {{}};
  most.base.ubatch = 2048;
  most.target.overheads = KnownOverheads(gpus);
  if (const uint32_t trained = TrainedContext(file); trained > 0)
    most.contexts = {std::min(16384U, trained)};
  TRY(const Pricing pricing, PriceMixes(file, most));
  const RuntimeSettings& placed = pricing.cells.at(0).settings;
  const LearnRequest request{file.paths[0], WidestRow(file), pricing.layers, Loads(file, placed)};
  TRY(const std::vector<OverheadSample> samples, LearnOverhead(request, progress));

  Json kept = Kept();
  std::vector<Overhead> overheads = KnownOverheads(gpus);
  for (size_t i = 0; i < gpus.size(); ++i) {
    std::vector<OverheadSample> of_gpu;
    std::copy_if(samples.begin(), samples.end(), std::back_inserter(of_gpu),
                 [&](const OverheadSample& s) { return s.gpu == i; });
    if (of_gpu.empty()) continue;
    overheads[i] = FitOverhead(of_gpu);
    kept[KeyOf(gpus[i])] = ToJson(overheads[i]);
  }
  TRY_STATUS(MakeDirectories(StateDirectory()));
  TRY_STATUS(WriteFileAtomically(KeptPath(), kept.dump(2) + "\n"));
  return overheads;
}

Status LearnNewCards(const GgufFile& file, const std::vector<Gpu>& gpus,
                     const std::function<void(double)>& progress) {
  const std::vector<Overhead> known = KnownOverheads(gpus);
  if (std::all_of(known.begin(), known.end(), [](const Overhead& o) { return o.learned; }))
    return {};
  TRY_STATUS(LearnAndKeepOverheads(file, gpus, progress));
  return {};
}

}  // namespace trimma
