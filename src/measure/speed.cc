#include "measure/speed.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <numeric>

#include "base/clock.h"

namespace trimma {
namespace {

// What a child did when it was lost: the candidate it worked on. Only then is another tried
// without it; what the job itself refuses is final.
bool WasLost(const Error& error) {
  return error.code == Code::kInternal || error.code == Code::kNoFit ||
         error.code == Code::kFailure;
}

// In one child process.
Result<std::vector<SpeedTrial>> MeasureTogether(const std::vector<SpeedSubject>& candidates,
                                                const SpeedOptions& options,
                                                const std::function<void(double)>& progress) {
  std::vector<SpeedTrial> trials(candidates.size());
  std::vector<size_t> left(candidates.size());
  std::iota(left.begin(), left.end(), size_t{0});
  double furthest = 0;
  const auto start = std::chrono::steady_clock::now();
  while (true) {
    SpeedOptions rest = options;
    if (rest.most_seconds) *rest.most_seconds -= SecondsSince(start);
    Json subjects = Json::array();
    for (const size_t i : left) subjects.push_back(ToJson(candidates[i]));
    size_t at = 0;
    const auto listen = [&](const Json& event) {
      at = event.value("at", at);
      furthest = std::max(furthest, event.value("progress", 0.0));
      if (progress && event.contains("progress")) progress(furthest);
    };
    ChildLimits limits;
    limits.stall_seconds = options.trial_seconds;
    const auto result =
        RunChild("speed", {{"candidates", subjects}, {"options", ToJson(rest)}}, listen, limits);
    if (result.ok()) {
      for (size_t i = 0; i < left.size(); ++i) {
        TRY(trials[left[i]], SpeedTrialFromJson(result->at("trials").at(i)));
      }
      return trials;
    }
    // Without the anchor there is nothing to compare with.
    if (!WasLost(result.error()) || at == 0 || at >= left.size()) return result.error();
    trials[left[at]].subject = candidates[left[at]];
    trials[left[at]].error = result.error();
    left.erase(left.begin() + static_cast<std::ptrdiff_t>(at));
  }
}

}  // namespace

bool SamePlacement(const SpeedSubject& a, const SpeedSubject& b) {
  const RuntimeSettings& s = a.settings;
  const RuntimeSettings& t = b.settings;
  return a.path == b.path && s.gpu_layers == t.gpu_layers && s.use_gpu == t.use_gpu &&
         s.host_tensors == t.host_tensors && s.load_mode == t.load_mode && s.repack == t.repack;
}

bool SameContext(const SpeedSubject& a, const SpeedSubject& b) {
  const RuntimeSettings& s = a.settings;
  const RuntimeSettings& t = b.settings;
  return SamePlacement(a, b) && s.batch == t.batch && s.ubatch == t.ubatch &&
         s.flash_attention == t.flash_attention && s.kv_k == t.kv_k && s.kv_v == t.kv_v &&
         s.parallel == t.parallel;
}

std::vector<int> DividedRounds(int rounds, int processes) {
  const int count = std::max(1, std::min(rounds, processes));
  std::vector<int> divided(static_cast<size_t>(count), rounds / count);
  for (int i = 0; i < rounds % count; ++i) ++divided[static_cast<size_t>(i)];
  return divided;
}

SpeedTrial MergeTrials(const std::vector<SpeedTrial>& runs) {
  SpeedTrial merged = runs.front();
  if (runs.size() == 1) return merged;
  merged.log_gains.clear();
  merged.speed.prefill_samples.clear();
  merged.speed.decode_samples.clear();
  merged.speed.sample_seconds.clear();
  merged.speed.conditions = {};
  merged.speed.prefill_energy = merged.speed.decode_energy = std::nullopt;
  std::vector<double> prefill;
  std::vector<double> decode;
  std::vector<double> ttft;
  std::vector<double> load;
  const auto add = [](std::vector<double>& figures, const Spread& spread) {
    if (spread.n > 0) figures.push_back(spread.median);
  };
  const auto append = [](std::vector<double>& to, const std::vector<double>& from, double shift) {
    for (const double value : from) to.push_back(value + shift);
  };
  const auto addup = [](std::optional<EnergyUse>& to, const std::optional<EnergyUse>& from) {
    if (!from) return;
    if (!to) to.emplace();
    to->Add(*from);
  };
  SpeedConditions& all = merged.speed.conditions;
  double others_seconds = 0;
  for (const SpeedTrial& run : runs) {
    if (run.error) {
      merged.error = run.error;
      merged.speed = {};
      merged.log_gains.clear();
      return merged;
    }
    add(prefill, run.speed.prefill_tps);
    add(decode, run.speed.decode_tps);
    add(ttft, run.speed.ttft_ms);
    add(load, run.speed.load_ms);
    append(merged.speed.prefill_samples, run.speed.prefill_samples, 0);
    append(merged.speed.decode_samples, run.speed.decode_samples, 0);
    append(merged.speed.sample_seconds, run.speed.sample_seconds, all.seconds);
    addup(merged.speed.prefill_energy, run.speed.prefill_energy);
    addup(merged.speed.decode_energy, run.speed.decode_energy);
    if (!run.log_gains.empty()) merged.log_gains.push_back(MedianSpread(run.log_gains).median);
    const SpeedConditions& its = run.speed.conditions;
    all.warm_ups += its.warm_ups;
    all.segments += its.segments;
    all.discarded += its.discarded;
    all.unsteady = all.unsteady || its.unsteady;
    all.stolen_seconds += its.stolen_seconds;
    if (its.stalled_seconds)
      all.stalled_seconds = all.stalled_seconds.value_or(0) + *its.stalled_seconds;
    others_seconds += its.others_share.value_or(0) * its.seconds;
    all.seconds += its.seconds;
    if (its.others_share && all.seconds > 0) all.others_share = others_seconds / all.seconds;
  }
  merged.speed.prefill_tps = MedianSpread(prefill);
  merged.speed.decode_tps = MedianSpread(decode);
  merged.speed.ttft_ms = MedianSpread(ttft);
  merged.speed.load_ms = MedianSpread(load);
  return merged;
}

int ExpectedProcesses(const SpeedOptions& options, int processes, double seconds_each) {
  const double fit = std::ceil(options.budget_seconds / seconds_each);
  const int least = std::min(options.min_rounds, processes);
  return static_cast<int>(std::clamp(fit, 1.0 * least, 1.0 * processes));
}

Result<std::vector<SpeedTrial>> MeasureSpeed(const std::vector<SpeedSubject>& candidates,
                                             const SpeedOptions& options,
                                             const std::function<void(double)>& progress) {
  if (options.processes <= 1) return MeasureTogether(candidates, options, progress);
  const auto start = std::chrono::steady_clock::now();
  const std::vector<int> rounds = DividedRounds(options.rounds, options.processes);
  const auto processes = static_cast<int>(rounds.size());
  SpeedOptions each = options;
  each.budget_seconds = options.budget_seconds / processes;
  each.load_repeats = std::min(options.load_repeats, 1);
  std::vector<std::vector<SpeedTrial>> runs(candidates.size());
  double furthest = 0;
  for (int process = 0; process < processes; ++process) {
    const double spent = SecondsSince(start);
    const int expected =
        process == 0 ? processes : ExpectedProcesses(options, processes, spent / process);
    // As with rounds: without time, three are done.
    if (process >= options.min_rounds && spent > options.budget_seconds) break;
    if (process > 0 && options.most_seconds) {
      if (spent + spent / process > *options.most_seconds) break;
      each.most_seconds = *options.most_seconds - spent;
    }
    each.rounds = rounds[static_cast<size_t>(process)];
    each.min_rounds = std::min(options.min_rounds, each.rounds);
    each.seed = options.seed + static_cast<uint32_t>(process);
    // Whoever failed once has its result.
    std::vector<size_t> left;
    std::vector<SpeedSubject> subjects;
    for (size_t i = 0; i < candidates.size(); ++i) {
      if (!runs[i].empty() && runs[i].back().error) continue;
      left.push_back(i);
      subjects.push_back(candidates[i]);
    }
    TRY(const auto trials, MeasureTogether(subjects, each, [&](double share) {
          furthest = std::max(furthest, std::min(1.0, (process + share) / expected));
          if (progress) progress(furthest);
        }));
    for (size_t i = 0; i < trials.size(); ++i) runs[left[i]].push_back(trials[i]);
  }
  std::vector<SpeedTrial> merged;
  for (const auto& of_candidate : runs) merged.push_back(MergeTrials(of_candidate));
  return merged;
}

std::vector<double> ExchangeSeconds(const Speed& speed, int answer_tokens) {
  std::vector<double> seconds;
  const size_t n = std::min(speed.prefill_samples.size(), speed.decode_samples.size());
  for (size_t i = 0; i < n; ++i) {
    seconds.push_back(speed.prompt_tokens / speed.prefill_samples[i] +
                      answer_tokens / speed.decode_samples[i]);
  }
  return seconds;
}

double ExchangeTime(const Exchange& exchange, int decode_tokens, int parallel, double prefill,
                    double decode) {
  const int turns = (exchange.users + parallel - 1) / parallel;
  return exchange.users * prefill + turns * decode * exchange.answer_tokens / decode_tokens;
}

}  // namespace trimma
