// The pure part of tuning: what to try, how to judge it, what to combine.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "tune/tune.h"

namespace trimma {
namespace {

constexpr double kFeltDifference = 0.01;

int Threads(const RuntimeSettings& settings, int cores) { return settings.threads.value_or(cores); }

}  // namespace

const char* NameOf(TrialOutcome outcome) {
  switch (outcome) {
    case TrialOutcome::kFaster:
      return "faster";
    case TrialOutcome::kSlower:
      return "slower";
    case TrialOutcome::kFailed:
      return "failed";
    case TrialOutcome::kNoDifference:
      break;
  }
  return "no difference";
}

std::vector<Variation> Variations(const TuneOptions& options) {
  std::vector<Variation> variations;
  const RuntimeSettings& base = options.defaults;
  // Halves, one less than all (the system needs a core too), all logical processors.
  std::set<int> thread_counts = {std::max(1, options.cores / 2), std::max(1, options.cores - 1),
                                 options.cores, options.threads};
  for (const int threads : thread_counts) {
    if (threads == Threads(base, options.cores)) continue;
    RuntimeSettings settings = base;
    settings.threads = threads;
    variations.push_back({fmt::format("threads {}", threads), settings});
  }
  for (const uint32_t ubatch : {64U, 128U, 256U, 1024U, 2048U}) {
    // A physical batch beyond the prompt changes nothing that is measured here.
    if (ubatch == base.ubatch || ubatch > base.batch ||
        ubatch > static_cast<uint32_t>(options.prompt_tokens))
      continue;
    RuntimeSettings settings = base;
    settings.ubatch = ubatch;
    variations.push_back({fmt::format("ubatch {}", ubatch), settings});
  }
  // "auto" is "on" wherever the engine can; only "off" is another program.
  if (base.flash_attention != FlashAttention::kOff && base.kv_v == "f16") {
    RuntimeSettings settings = base;
    settings.flash_attention = FlashAttention::kOff;
    variations.push_back({"flash attention off", settings});
  }
  if (base.kv_k == "f16" && base.flash_attention != FlashAttention::kOff) {
    RuntimeSettings settings = base;
    settings.kv_k = settings.kv_v = "q8_0";
    variations.push_back({"KV cache q8_0", settings});
  }
  return variations;
}

TrialOutcome Compare(const MeanInterval& gain) {
  if (gain.low > 1 + kFeltDifference) return TrialOutcome::kFaster;
  if (gain.high < 1 - kFeltDifference) return TrialOutcome::kSlower;
  return TrialOutcome::kNoDifference;
}

RuntimeSettings Combine(const RuntimeSettings& defaults,
                        const std::vector<TuneTrialResult>& trials) {
  RuntimeSettings combined = defaults;
  double threads_gain = 1;
  double ubatch_gain = 1;
  double flash_gain = 1;
  double kv_gain = 1;
  for (const TuneTrialResult& trial : trials) {
    if (trial.outcome != TrialOutcome::kFaster) continue;
    const RuntimeSettings& s = trial.variation.settings;
    const double gain = trial.gain.mean;
    if (s.threads != defaults.threads && gain > threads_gain)
      combined.threads = s.threads, threads_gain = gain;
    if (s.ubatch != defaults.ubatch && gain > ubatch_gain)
      combined.ubatch = s.ubatch, ubatch_gain = gain;
    if (s.flash_attention != defaults.flash_attention && gain > flash_gain) {
      combined.flash_attention = s.flash_attention, flash_gain = gain;
    }
    if (s.kv_k != defaults.kv_k && gain > kv_gain)
      combined.kv_k = s.kv_k, combined.kv_v = s.kv_v, kv_gain = gain;
  }
  // A quantised V cache needs flash attention.
  if (combined.kv_v != defaults.kv_v && combined.flash_attention == FlashAttention::kOff)
    combined.flash_attention = FlashAttention::kAuto;
  return combined;
}

}  // namespace trimma
