// Tuning a model that a card doesn't hold whole, on a card in the computer: times and loads are
// those of an H100 with 3.75 GiB free (Gemma 3 4B's shape, 32768 tokens; docs/measuring.md), its
// clock is ours.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <optional>
#include <random>
#include <utility>
#include <vector>

#include "hardware/temp_tree.h"
#include "measure/speed_order.h"
#include "measure/speed_race.h"
#include "support/tiny_model.h"
#include "tune/tune.h"

namespace trimma::tune_card_test {
namespace {

// Seconds.
constexpr double kStart = 1.8;  // of a process
constexpr double kLoad = 1.3;
constexpr double kContext = 0.15;
constexpr double kAround = 0.05;  // what a visit has besides its phases
constexpr double kCrash = 2;      // until a card without memory left has ended the process
constexpr size_t kAnchorEvery = 4;
constexpr double kNoise = 0.08;  // of the logarithm

const std::vector<Placed> kPlacements = {{"feed-forward of 2 layers on the host", 35, {"2"}},
                                         {"feed-forward of 3 layers on the host", 35, {"3"}},
                                         {"GPU layers 33", 33, {}},
                                         {"GPU layers 34", 34, {}}};

struct Times {
  double prefill = 0;
  double decode = 0;
};

class Card {
 public:
  // `helps`: other placements than the plan's are faster, as there; else they are slower.
  Card(uint32_t seed, bool helps) : random_(seed), helps_(helps) {}
  double now() const { return now_; }

  // As MeasureSpeed(), of candidates that take turns on the card.
  Result<std::vector<SpeedTrial>> Measure(const std::vector<SpeedSubject>& candidates,
                                          const SpeedOptions& options) {
    const double begun = now_;
    trials_.assign(candidates.size(), {});
    samples_.assign(candidates.size(), {});
    measuring_ = 0;
    const std::vector<int> rounds = DividedRounds(options.rounds, options.processes);
    for (size_t process = 0; process < rounds.size(); ++process) {
      const double spent = now_ - begun;
      SpeedOptions each = options;
      each.rounds = rounds[process];
      each.budget_seconds /= static_cast<double>(rounds.size());
      if (options.most_seconds) *each.most_seconds -= spent;
      if (process > 0 && options.most_seconds &&
          spent / static_cast<double>(process) > *each.most_seconds)
        break;
      Process(candidates, each, rounds.size() > 1);
    }
    for (size_t i = 0; i < candidates.size(); ++i) Summarise(candidates[i], options, i);
    return trials_;
  }

 private:
  Times Truth(const RuntimeSettings& s) const {
    Times times = {0.0716, 0.0071};
    if (s.gpu_layers == 33) times = {0.064, 0.0056};
    if (s.gpu_layers == 35)
      times = s.host_tensors.front() == "2" ? Times{0.0566, 0.0051} : Times{0.061, 0.0063};
    if (s.gpu_layers != 32 && !helps_) times = {0.084, 0.0083};
    times.prefill *= s.ubatch == 64 ? 5 : s.ubatch == 128 ? 2.8 : s.ubatch == 256 ? 1.5 : 1;
    times.decode *= s.threads == 4 ? 1.6 : s.threads == 8 ? 1.2 : s.threads == 12 ? 1.1 : 1;
    return times;
  }

  void Get(const SpeedSubject& subject) {
    if (!loaded_ || !SamePlacement(*loaded_, subject)) now_ += kLoad;
    if (!loaded_ || !SameContext(*loaded_, subject)) now_ += kContext;
    loaded_ = subject;
  }

  Times Visit(const SpeedSubject& subject, const SpeedOptions& options) {
    Get(subject);
    Times times = Truth(subject.settings);
    times.prefill *= std::exp(kNoise * normal_(random_));
    times.decode *= options.decode_tokens * std::exp(kNoise * normal_(random_));
    now_ += kAround;
    if (subject.phases != Phases::kDecode) now_ += times.prefill;
    if (subject.phases != Phases::kPrefill) now_ += times.decode;
    return times;
  }

  // Whoever takes the process down has failed, and the others begin anew.
  void Prepare(const std::vector<SpeedSubject>& candidates) {
    const auto dies = [&](size_t i) {
      return !trials_[i].error && candidates[i].settings.gpu_layers == 34;
    };
    for (size_t i = 0; i < candidates.size(); ++i) {
      if (i == 0) {
        loaded_.reset();
        now_ += kStart;
      }
      if (dies(i)) {
        now_ += kCrash;
        trials_[i].error = Error{Code::kNoFit, "out of memory", ""};
        return Prepare(candidates);
      }
      if (!trials_[i].error) Get(candidates[i]);
    }
  }

  void Process(const std::vector<SpeedSubject>& candidates, const SpeedOptions& options,
               bool one_figure) {
    const double begun = now_;
    Prepare(candidates);
    const double start = now_;
    std::vector<std::vector<double>> gains(candidates.size());
    std::map<Phases, std::pair<std::vector<size_t>, Race>> heats;
    for (const Phases phases : {Phases::kPrefill, Phases::kDecode, Phases::kBoth}) {
      std::vector<size_t> runners = {0};
      for (size_t i = 1; i < candidates.size(); ++i)
        if (candidates[i].phases == phases && !trials_[i].error) runners.push_back(i);
      const Race race(runners.size(), {options.race_error / 3, 0.01});
      if (options.race && runners.size() > 1) heats.insert({phases, {runners, race}});
    }
    const auto place_of = [&](size_t i) {
      const std::vector<size_t>& runners = heats.at(candidates[i].phases).first;
      return static_cast<size_t>(std::find(runners.begin(), runners.end(), i) - runners.begin());
    };
    const auto is_left = [&](size_t i) {
      if (trials_[i].error || heats.empty()) return !trials_[i].error;
      const Race& race = heats.at(candidates[i].phases).second;
      return race.IsLeft(place_of(i)) && !race.Decided();
    };
    Times before = Visit(candidates[0], options);
    size_t visits = 0;
    for (int round = 0; round < options.rounds; ++round) {
      std::vector<size_t> order;
      for (size_t i = 1; i < candidates.size(); ++i)
        if (is_left(i)) order.push_back(i);
      if (order.empty() && candidates.size() > 1) break;
      const size_t count = std::max<size_t>(1, order.size());
      const double end = now_ + (now_ - start) * static_cast<double>(count) /
                                    static_cast<double>(std::max<size_t>(1, visits));
      const bool late = options.most_seconds && end - begun > *options.most_seconds;
      const bool spent = round >= options.min_rounds && end - start > options.budget_seconds;
      if (round > 0 && (late || spent)) break;
      visits += count;
      order = RoundOrder(candidates, order, options.resident.has_value(), random_);
      for (size_t from = 0; from < count; from += kAnchorEvery) {
        std::vector<std::pair<size_t, Times>> seen;
        for (size_t k = from; k < std::min(order.size(), from + kAnchorEvery); ++k)
          seen.emplace_back(order[k], Visit(candidates[order[k]], options));
        const Times after = Visit(candidates[0], options);
        samples_[0].push_back(after);
        for (const auto& [i, times] : seen) {
          const double gain = std::log(SecondsOf(candidates[i].phases, options,
                                                 {std::sqrt(before.prefill * after.prefill),
                                                  std::sqrt(before.decode * after.decode)}) /
                                       SecondsOf(candidates[i].phases, options, times));
          samples_[i].push_back(times);
          gains[i].push_back(gain);
          if (!heats.empty()) heats.at(candidates[i].phases).second.Record(place_of(i), gain);
        }
        before = after;
      }
      for (auto& [phases, heat] : heats) heat.second.EndRound();
    }
    measuring_ += now_ - start;
    for (size_t i = 1; i < candidates.size(); ++i) {
      std::vector<double>& figures = trials_[i].log_gains;
      if (gains[i].empty()) continue;
      if (one_figure) gains[i] = {MedianSpread(gains[i]).median};
      figures.insert(figures.end(), gains[i].begin(), gains[i].end());
      if (!heats.empty())
        trials_[i].left = heats.at(candidates[i].phases).second.IsLeft(place_of(i));
    }
  }

  static double SecondsOf(Phases phases, const SpeedOptions& options, const Times& times) {
    if (phases == Phases::kPrefill) return times.prefill;
    if (phases == Phases::kDecode) return times.decode;
    return ExchangeTime(options.exchange, options.decode_tokens, 1, times.prefill, times.decode);
  }

  void Summarise(const SpeedSubject& candidate, const SpeedOptions& options, size_t i) {
    trials_[i].subject = candidate;
    Speed& speed = trials_[i].speed;
    speed.prompt_tokens = options.prompt_tokens;
    speed.decode_tokens = options.decode_tokens;
    for (const Times& times : samples_[i]) {
      speed.prefill_samples.push_back(options.prompt_tokens / times.prefill);
      speed.decode_samples.push_back(options.decode_tokens / times.decode);
    }
    speed.prefill_tps = MedianSpread(speed.prefill_samples);
    speed.decode_tps = MedianSpread(speed.decode_samples);
    speed.load_ms = MedianSpread({1000 * kLoad, 1000 * kLoad});
    speed.conditions.seconds = measuring_;
  }

  std::mt19937 random_;
  bool helps_;
  std::normal_distribution<double> normal_{0, 1};
  double now_ = 0;
  double measuring_ = 0;
  std::optional<SpeedSubject> loaded_;
  std::vector<SpeedTrial> trials_;
  std::vector<std::vector<Times>> samples_;
};

Result<TuneResult> TuneOn(Card& card, double budget) {
  const TempTree tree;
  TuneOptions options;
  options.budget_seconds = budget;
  options.cores = options.threads = 16;
  options.has_gpu = true;
  options.defaults.context = 32768;
  options.defaults.gpu_layers = 32;
  options.other.placed = kPlacements;
  options.why_no_kv = "not here";
  options.clock = [&] { return card.now(); };
  options.meter = [&](const std::vector<SpeedSubject>& candidates, const SpeedOptions& speed,
                      const std::function<void(double)>&) {
    return card.Measure(candidates, speed);
  };
  return Tune(WriteTinyModel(tree / "tiny.gguf"), options);
}

TEST(TuneOnACardTest, ThePlacementThatIsAThirdFasterIsFoundAndProvenWithinTheBudget) {
  for (const double budget : {120.0, 180.0}) {
    int best = 0;
    for (uint32_t seed = 1; seed <= 10; ++seed) {
      Card card(seed, true);
      const auto result = TuneOn(card, budget);
      ASSERT_TRUE(result.ok()) << result.error().what;
      EXPECT_LE(card.now(), budget) << "seed " << seed;
      EXPECT_GT(result->gain.low, 1) << "seed " << seed;
      best += result->best_settings.host_tensors == kPlacements[0].host_tensors ? 1 : 0;
    }
    EXPECT_GE(best, 9) << "budget " << budget;
  }
}

TEST(TuneOnACardTest, WhereNothingIsFasterTheDefaultStays) {
  for (uint32_t seed = 1; seed <= 10; ++seed) {
    Card card(seed, false);
    const auto result = TuneOn(card, 120);
    ASSERT_TRUE(result.ok()) << result.error().what;
    EXPECT_EQ(result->verdict.find("the default is already best"), 0U) << result->verdict;
    EXPECT_LE(card.now(), 120) << "seed " << seed;
  }
}

}  // namespace
}  // namespace trimma::tune_card_test
