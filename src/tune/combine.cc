#include "tune/combine.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>
#include <span>

namespace trimma {
namespace {

constexpr double kFelt = 0.01;  // as RaceOptions::felt
constexpr double kError = 0.05;
constexpr size_t kValuesOfKnob = 2;

constexpr std::array kPrefillKnobs = {Knob::kUbatch, Knob::kPrefillThreads, Knob::kBatch};
constexpr std::array kSharedKnobs = {Knob::kFlashAttention, Knob::kKv,        Knob::kRepack,
                                     Knob::kLoading,        Knob::kPlacement, Knob::kParallel};

// Values of a knob that look better than the default, the best first.
std::vector<const TuneTrialResult*> Promising(const std::vector<TuneTrialResult>& alone,
                                              Knob knob) {
  std::vector<const TuneTrialResult*> values;
  for (const TuneTrialResult& trial : alone) {
    const bool better =
        trial.outcome == TrialOutcome::kFaster ||
        (trial.left && trial.outcome == TrialOutcome::kNoDifference && trial.gain.mean > 1 + kFelt);
    if (trial.variation.knob == knob && better) values.push_back(&trial);
  }
  std::sort(values.begin(), values.end(),
            [](const auto* a, const auto* b) { return a->gain.mean > b->gain.mean; });
  if (values.size() > kValuesOfKnob) values.resize(kValuesOfKnob);
  return values;
}

// Every choice of one value, or none, for each of these knobs, on top of `base`.
std::vector<Combination> Product(const Combination& base, const std::vector<TuneTrialResult>& alone,
                                 std::span<const Knob> knobs) {
  std::vector<Combination> product = {base};
  for (const Knob knob : knobs) {
    const size_t before = product.size();
    for (const TuneTrialResult* value : Promising(alone, knob)) {
      for (size_t i = 0; i < before; ++i) {
        Combination more = product[i];
        Apply(knob, value->variation.settings, more.variation.settings);
        more.variation.what +=
            fmt::format("{}{}", more.variation.what.empty() ? "" : ", ", value->variation.what);
        more.promise += std::log(value->gain.mean);
        product.push_back(std::move(more));
      }
    }
  }
  return product;
}

bool IsNone(const Variation& variation) { return variation.what.empty(); }

// Of settings tried (alone or together) on one base and in one phase, the largest mean gain.
struct Best {
  RuntimeSettings settings;
  double log_gain = 0;
};

void Offer(Best& best, const TuneTrialResult& trial) {
  if (trial.error || !trial.left) return;
  const double log_gain = std::log(trial.gain.mean);
  if (log_gain > best.log_gain) best = {trial.variation.settings, log_gain};
}

// Whether the winners that touch both phases were tried together in this one.
bool WasTried(Phases phase, const std::vector<Combination>& combinations,
              const std::vector<TuneTrialResult>& together) {
  for (size_t i = 0; i < together.size(); ++i)
    if (combinations[i].shared && together[i].variation.phases == phase) return true;
  return false;
}

RuntimeSettings Join(const RuntimeSettings& prefill, const RuntimeSettings& decode) {
  RuntimeSettings joined = prefill;
  joined.threads = decode.threads;
  // Without a value, prefill's threads follow those of decoding.
  if (!joined.threads_batch && prefill.threads != decode.threads)
    joined.threads_batch = prefill.threads ? prefill.threads : decode.threads_batch;
  return joined;
}

MeanInterval Ratio(const Spread& logs) {
  return {std::exp(logs.median), std::exp(logs.low), std::exp(logs.high)};
}

constexpr double kUnknown = 1e9;

std::optional<Spread> Within(const std::vector<double>& logs, double error) {
  return MedianSpreadWithin(logs, error);
}

// Gain of the whole exchange from the phases' logarithms.
double Whole(const PhaseSeconds& seconds, double prefill_log, double decode_log) {
  return (seconds.prefill + seconds.decode) /
         (seconds.prefill * std::exp(-prefill_log) + seconds.decode * std::exp(-decode_log));
}

bool SameShared(const RuntimeSettings& a, const RuntimeSettings& b) {
  RuntimeSettings c = a;
  for (const Knob knob : kSharedKnobs) Apply(knob, b, c);
  return c == a;
}

// Of the quantised caches only that of `judged` may be taken.
bool HasJudgedCache(const RuntimeSettings& settings, const RuntimeSettings& defaults,
                    const RuntimeSettings& judged) {
  return SameCache(settings, defaults) || SameCache(settings, judged);
}

// Of what touches both phases, the best that looked better than the defaults and isn't in `first`.
Best RunnerUp(const std::vector<TuneTrialResult>& alone, const RuntimeSettings& first,
              const RuntimeSettings& defaults) {
  Best best = {defaults, 0};
  for (const Knob knob : kSharedKnobs) {
    for (const TuneTrialResult* trial : Promising(alone, knob)) {
      const RuntimeSettings& its = trial->variation.settings;
      RuntimeSettings with = first;
      Apply(knob, its, with);
      if (!(with == first) && HasJudgedCache(its, defaults, first)) Offer(best, *trial);
    }
  }
  return best;
}

}  // namespace

bool Changes(const RuntimeSettings& settings, const RuntimeSettings& defaults, Phases phases) {
  if (phases == Phases::kBoth) return !SameShared(settings, defaults);
  if (phases == Phases::kDecode) return settings.threads != defaults.threads;
  RuntimeSettings without = settings;
  for (const Knob knob : kPrefillKnobs) Apply(knob, defaults, without);
  return !(without == settings);
}

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

void Hidden::Add(Phases phases, double log_gain) {
  double& most = phases == Phases::kPrefill ? prefill : phases == Phases::kDecode ? decode : whole;
  most = std::max(most, log_gain);
}

double Hidden::largest() const { return std::max({prefill, decode, whole}); }

double MaySave(const Hidden& hidden, const PhaseSeconds& seconds) {
  const double apart = Whole(seconds, hidden.prefill, hidden.decode);
  return 1 - std::min(1 / apart, std::exp(-hidden.whole));
}

TrialOutcome Compare(const MeanInterval& gain) {
  if (gain.low > 1 + kFelt) return TrialOutcome::kFaster;
  if (gain.high < 1 - kFelt) return TrialOutcome::kSlower;
  return TrialOutcome::kNoDifference;
}

TuneTrialResult JudgeTrial(const Variation& variation, const SpeedTrial& trial) {
  TuneTrialResult result;
  result.variation = variation;
  result.error = trial.error;
  result.speed = trial.speed;
  result.left = trial.left && !trial.error;
  if (trial.error) {
    result.outcome = TrialOutcome::kFailed;
    return result;
  }
  result.log_gains = trial.log_gains;
  const MeanInterval logs = TrimmedInterval(trial.log_gains, kError / 2);
  result.gain = {std::exp(logs.mean), std::exp(logs.low), std::exp(logs.high)};
  result.outcome = Compare(result.gain);
  return result;
}

RuntimeSettings SharedWinners(const RuntimeSettings& defaults,
                              const std::vector<TuneTrialResult>& alone) {
  RuntimeSettings shared = defaults;
  for (const Knob knob : kSharedKnobs) {
    const auto values = Promising(alone, knob);
    if (!values.empty()) Apply(knob, values[0]->variation.settings, shared);
  }
  // A quantised V cache needs flash attention.
  if (shared.kv_v != defaults.kv_v && shared.flash_attention == FlashAttention::kOff)
    shared.flash_attention = FlashAttention::kAuto;
  return shared;
}

bool SameCache(const RuntimeSettings& a, const RuntimeSettings& b) {
  return a.kv_k == b.kv_k && a.kv_v == b.kv_v;
}

void LeaveOutCache(const RuntimeSettings& settings, std::vector<TuneTrialResult>& trials) {
  std::erase_if(trials, [&](const TuneTrialResult& trial) {
    return trial.variation.knob == Knob::kKv && SameCache(trial.variation.settings, settings);
  });
}

std::vector<Combination> Combinations(const RuntimeSettings& defaults,
                                      const std::vector<TuneTrialResult>& alone) {
  std::vector<Combination> combinations;
  const std::array decode_knobs = {Knob::kThreads};
  const auto add = [&](const std::vector<Combination>& product, size_t least) {
    for (const Combination& combination : product) {
      const std::string& what = combination.variation.what;
      const auto changes = static_cast<size_t>(std::count(what.begin(), what.end(), ',') +
                                               (IsNone(combination.variation) ? 0 : 1));
      if (changes >= least) combinations.push_back(combination);
    }
  };
  const auto base = [](const RuntimeSettings& settings, const std::string& what, Phases phases) {
    Combination plain;
    plain.variation = {what, settings, phases, kPrefillKnobs[0]};
    return plain;
  };
  // Alone they are known already.
  add(Product(base(defaults, "", Phases::kPrefill), alone, kPrefillKnobs), 2);
  const RuntimeSettings shared = SharedWinners(defaults, alone);
  if (!(shared == defaults)) {
    std::string what;
    double promise = 0;
    for (const Knob knob : kSharedKnobs) {
      for (const TuneTrialResult* value : Promising(alone, knob)) {
        RuntimeSettings applied = shared;
        Apply(knob, value->variation.settings, applied);
        if (applied == shared) {
          what += fmt::format("{}{}", what.empty() ? "" : " and ", value->variation.what);
          promise += std::log(value->gain.mean);
          break;
        }
      }
    }
    for (const Phases phases : {Phases::kPrefill, Phases::kDecode}) {
      Combination under = base(shared, what, phases);
      under.shared = true;
      under.promise = promise;
      const bool prefill = phases == Phases::kPrefill;
      add(Product(under, alone, prefill ? std::span<const Knob>(kPrefillKnobs) : decode_knobs), 1);
    }
  }
  // Those that promise alike stay in their order.
  std::vector<size_t> order(combinations.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::sort(order.begin(), order.end(), [&](size_t a, size_t b) {
    if (combinations[a].promise != combinations[b].promise)
      return combinations[a].promise > combinations[b].promise;
    return a < b;
  });
  std::vector<Combination> sorted;
  for (const size_t i : order) sorted.push_back(combinations[i]);
  return sorted;
}

std::vector<RuntimeSettings> Finalists(const RuntimeSettings& defaults,
                                       const std::vector<TuneTrialResult>& alone,
                                       const std::vector<Combination>& combinations,
                                       const std::vector<TuneTrialResult>& together,
                                       const PhaseSeconds& seconds) {
  Best prefill = {defaults, 0};
  Best decode = {defaults, 0};
  for (const TuneTrialResult& trial : alone) {
    if (trial.variation.phases == Phases::kPrefill) Offer(prefill, trial);
    if (trial.variation.phases == Phases::kDecode) Offer(decode, trial);
  }
  const RuntimeSettings shared = SharedWinners(defaults, alone);
  Best shared_prefill = {shared, -kUnknown};
  Best shared_decode = {shared, -kUnknown};
  // What was tried under others than these, before more was known, says nothing of them.
  std::vector<Combination> of_these;
  std::vector<TuneTrialResult> results;
  for (size_t i = 0; i < together.size(); ++i) {
    if (combinations[i].shared && !SameShared(combinations[i].variation.settings, shared)) continue;
    of_these.push_back(combinations[i]);
    results.push_back(together[i]);
  }
  for (size_t i = 0; i < results.size(); ++i) {
    const bool is_prefill = results[i].variation.phases == Phases::kPrefill;
    if (of_these[i].shared) {
      Offer(is_prefill ? shared_prefill : shared_decode, results[i]);
    } else {
      Offer(prefill, results[i]);
    }
  }
  std::vector<RuntimeSettings> finalists;
  const RuntimeSettings plain = Join(prefill.settings, decode.settings);
  const double plain_gain = Whole(seconds, prefill.log_gain, decode.log_gain);
  if (!(shared == defaults)) {
    // A phase in which nobody was left has no gain that is known: the default's time is assumed.
    const double shared_gain =
        Whole(seconds, shared_prefill.log_gain > -kUnknown ? shared_prefill.log_gain : 0,
              shared_decode.log_gain > -kUnknown ? shared_decode.log_gain : 0);
    RuntimeSettings settings = Join(shared_prefill.settings, shared_decode.settings);
    double gain = shared_gain;
    // Where no time was left to try them together in both phases, what won alone has the gain it
    // had alone, of the whole exchange.
    Best by_itself = {defaults, 0};
    for (const TuneTrialResult& trial : alone) {
      if (trial.variation.phases == Phases::kBoth &&
          HasJudgedCache(trial.variation.settings, defaults, shared))
        Offer(by_itself, trial);
    }
    const bool both_tried = WasTried(Phases::kPrefill, of_these, results) &&
                            WasTried(Phases::kDecode, of_these, results);
    if (!both_tried && std::exp(by_itself.log_gain) > gain) {
      settings = by_itself.settings;
      gain = std::exp(by_itself.log_gain);
    }
    if (gain > plain_gain) finalists.push_back(settings);
    if (!finalists.empty()) {
      const Best second = RunnerUp(alone, settings, defaults);
      if (std::exp(second.log_gain) > plain_gain) {
        finalists.push_back(second.settings);
        return finalists;
      }
    }
  }
  if (!(plain == defaults)) finalists.push_back(plain);
  return finalists;
}

Choice Decide(const RuntimeSettings& defaults, const std::vector<Confirmation>& finalists,
              const PhaseSeconds& seconds) {
  Choice decision;
  decision.settings = defaults;
  const double error = kError / (2 * std::max<double>(1, static_cast<double>(finalists.size())));
  for (size_t i = 0; i < finalists.size(); ++i) {
    const Confirmation& finalist = finalists[i];
    const auto prefill = Within(finalist.prefill_log_gains, error);
    const auto decode = Within(finalist.decode_log_gains, error);
    const auto high = [](const std::optional<Spread>& s) { return s ? s->high : kUnknown; };
    const auto hide = [&](Phases phases, double log) { decision.may_hide.Add(phases, log); };
    Choice found;
    found.settings = finalist.settings;
    found.finalist = i;
    if (SameShared(finalist.settings, defaults)) {
      // Each phase by itself: what isn't proven goes back to the default. A phase that the settings
      // don't touch can't gain, whatever chance says.
      RuntimeSettings without_prefill = found.settings;
      for (const Knob knob : kPrefillKnobs) Apply(knob, defaults, without_prefill);
      const RuntimeSettings without_decode = Join(found.settings, defaults);
      if (!(without_prefill == finalist.settings)) {
        if (prefill && prefill->low > kFelt) {
          found.prefill = Ratio(*prefill);
        } else {
          for (const Knob knob : kPrefillKnobs) Apply(knob, defaults, found.settings);
          hide(Phases::kPrefill, high(prefill));
        }
      }
      if (!(without_decode == finalist.settings)) {
        if (decode && decode->low > kFelt) {
          found.decode = Ratio(*decode);
        } else {
          found.settings = Join(found.settings, defaults);
          hide(Phases::kDecode, high(decode));
        }
      }
      if (found.decode.mean == 1 && found.prefill.mean == 1) continue;
    } else {
      if (!prefill || !decode) {
        hide(Phases::kBoth, kUnknown);
        continue;
      }
      found.prefill = Ratio(*prefill);
      found.decode = Ratio(*decode);
    }
    const auto log = [](double x) { return std::log(x); };
    found.gain = {Whole(seconds, log(found.prefill.mean), log(found.decode.mean)),
                  Whole(seconds, log(found.prefill.low), log(found.decode.low)),
                  Whole(seconds, log(found.prefill.high), log(found.decode.high))};
    const bool proven = SameShared(finalist.settings, defaults) || found.gain.low > 1 + kFelt;
    if (!proven) {
      hide(Phases::kBoth, log(found.gain.high));
    } else if (found.gain.mean > decision.gain.mean) {
      found.may_hide = decision.may_hide;
      decision = found;
    }
  }
  return decision;
}

}  // namespace trimma
