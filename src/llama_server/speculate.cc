#include "llama_server/speculate.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <numeric>

#include "base/clock.h"
#include "base/interrupt.h"
#include "base/units.h"
#include "llama_server/meter.h"
#include "measure/served.h"
#include "measure/speed_race.h"
#include "tune/combine.h"

namespace trimma {
namespace {

constexpr double kRaceShare = 0.55;
constexpr int kFewestRounds = 2;
constexpr int kFewestTurns = 3;  // of a confirmation
constexpr int kWarmUpTokens = 4;
// The least: a race of one beside the plain server, and a confirmation.
constexpr int kFewestStarts = 2 * kFewestRounds + 2 * kFewestTurns;

// What one start answered.
struct Answers {
  double tokens_per_s = 0;
  int64_t drafted = 0;
  int64_t accepted = 0;
  std::vector<ServedAnswer> of;  // the prompts
};

bool SameAnswer(const ServedAnswer& a, const ServedAnswer& b) {
  return a.tokens.empty() || b.tokens.empty() ? a.text == b.text : a.tokens == b.tokens;
}

// 0 where there are no tokens.
double TokensPerSecond(const std::vector<ServedAnswer>& answers) {
  double seconds = 0;
  int64_t tokens = 0;
  for (const ServedAnswer& answer : answers) {
    seconds += answer.total_s;
    tokens += answer.answer_tokens;
  }
  return seconds > 0 ? static_cast<double>(tokens) / seconds : 0;
}

int CountSame(const Answers& a, const Answers& b) {
  int same = 0;
  for (size_t i = 0; i < a.of.size(); ++i) same += SameAnswer(a.of[i], b.of[i]) ? 1 : 0;
  return same;
}

class Speculating {
 public:
  Speculating(const LlamaServerProgram& program, const SpeculationWish& wish,
              const std::function<void(double)>& progress)
      : program_(program), wish_(wish), progress_(progress), asked_(wish.prompts) {}

  Result<SpeculationResult> Run() {
    Speculations speculations = SpeculationsToTry(program_, wish_.draft);
    result_.not_tried = std::move(speculations.not_tried);
    result_.prompts = static_cast<int>(asked_.size());
    if (speculations.tried.empty()) {
      result_.verdict = "no speculation was tried: this llama-server offers none";
    } else if (Left() <= 0) {
      result_.verdict = "no speculation was tried: no time was left";
      result_.too_short = true;
    } else if (TakePromptsThatFit()) {
      const Status tried = Try(std::move(speculations.tried));
      if (!tried.ok() && IsInterrupt(tried.error())) return tried.error();
      if (!tried.ok())
        result_.verdict = "speculation was broken off, none is chosen: " + tried.error().what;
    }
    result_.seconds = Elapsed();
    return std::move(result_);
  }

 private:
  double Elapsed() const { return SecondsSince(start_); }
  double Left() const { return wish_.budget_seconds - Elapsed(); }
  void Tell() const {
    if (progress_) progress_(std::clamp(Elapsed() / wish_.budget_seconds, 0.0, 1.0));
  }

  Status Try(std::vector<Speculation> speculations) {
    TRY(Answers plain, Plain());
    DropPromptsForTime(plain);
    if (asked_.size() < wish_.prompts.size()) {
      result_.notes.push_back(fmt::format("{} of {} prompts were taken: for more no time was left",
                                          asked_.size(), wish_.prompts.size()));
    }
    TakeWhatFits(std::move(speculations));
    if (result_.trials.empty()) return {};
    TRY(const size_t winner, RaceAll(plain));
    return Conclude(winner);
  }

  // Before anything is started, by what was measured of the settings.
  bool TakePromptsThatFit() {
    const size_t fit = PromptsThatFit(
        wish_.plain, {wish_.prompts, wish_.most_tokens, kFewestStarts, wish_.budget_seconds});
    if (fit == 0) {
      result_.too_short = true;
      result_.verdict = fmt::format(
          "no speculation was tried: one start with an answer takes about {}, and there was no "
          "time for {} of them",
          FormatSeconds(wish_.plain.start_seconds +
                        AnswerSeconds(wish_.plain, wish_.prompts[0], wish_.most_tokens)),
          kFewestStarts);
      return false;
    }
    asked_.resize(fit);
    result_.prompts = static_cast<int>(fit);
    return true;
  }

  // Where starts take longer than was expected, so that no way of guessing could be tried.
  void DropPromptsForTime(Answers& plain) {
    std::vector<double> seconds;
    for (const ServedAnswer& answer : plain.of) seconds.push_back(answer.total_s);
    const size_t fit = AnswersThatFit(MeanVisitSeconds(), seconds,
                                      [&](double visit) { return WaysThatFit(visit) > 0; });
    const std::vector<ServedAnswer> kept(plain.of.begin(),
                                         plain.of.begin() + static_cast<std::ptrdiff_t>(fit));
    if (fit == plain.of.size() || TokensPerSecond(kept) <= 0) return;
    visit_seconds_ -=
        std::accumulate(seconds.begin() + static_cast<std::ptrdiff_t>(fit), seconds.end(), 0.0);
    plain.of = kept;
    plain.tokens_per_s = TokensPerSecond(kept);
    first_plain_ = plain;
    asked_.resize(fit);
    prompts_.resize(fit);
    result_.prompts = static_cast<int>(fit);
  }

  // One start of it; nullptr: the plain server.
  Result<Answers> Visit(const Speculation* speculation) {
    const auto begun = Clock::now();
    const auto words = speculation == nullptr ? std::vector<std::string>()
                                              : SpeculationWords(program_, *speculation);
    TRY(LlamaServer server, StartServer(program_, wish_.subject, words, wish_.most_start_seconds));
    TRY_STATUS(ReadyPrompts(server));
    ServedRequest request;
    request.most_seconds = MostAnswerSeconds(wish_.plain, asked_, wish_.most_tokens);
    request.text = "1, 2, 3,";
    request.most_tokens = kWarmUpTokens;
    TRY_STATUS(server.Complete(request));
    request.most_tokens = wish_.most_tokens;
    Answers answers;
    for (const std::string& prompt : prompts_) {
      request.text = prompt;
      TRY(ServedAnswer answer, server.Complete(request));
      answers.drafted += answer.drafted;
      answers.accepted += answer.accepted;
      answers.of.push_back(std::move(answer));
      Tell();
    }
    answers.tokens_per_s = TokensPerSecond(answers.of);
    if (answers.tokens_per_s <= 0) {
      return Error{Code::kFailure, "the model ends each answer with its first token",
                   "give other --prompts"};
    }
    visit_seconds_ += SecondsSince(begun);
    ++visits_;
    return answers;
  }

  // The prompts as the model wants them; of the first start.
  Status ReadyPrompts(LlamaServer& server) {
    if (!prompts_.empty()) return {};
    for (const std::string& prompt : asked_) {
      if (!wish_.templated) {
        prompts_.push_back(prompt);
        continue;
      }
      TRY(const auto templated, server.ApplyTemplate(prompt));
      if (!templated && prompts_.empty()) {
        result_.notes.emplace_back(
            "this llama-server applies no chat template by itself: the prompts went in as they "
            "are");
      }
      prompts_.push_back(templated.value_or(prompt));
    }
    return {};
  }

  // The plain server of a round, which is compared with the first one's answers.
  Result<Answers> Plain() {
    TRY(Answers plain, Visit(nullptr));
    if (!first_plain_) first_plain_ = plain;
    result_.plain_repeats =
        result_.plain_repeats && CountSame(plain, *first_plain_) == result_.prompts;
    return plain;
  }

  // How many ways of guessing two rounds of all leave time for, where a start takes so long.
  size_t WaysThatFit(double visit) const {
    const double confirming = 2 * kFewestTurns * visit;
    const double raced = std::max(0.0, std::min(Left() - confirming, kRaceShare * Left()));
    // The first plain visit is there.
    const auto visits = static_cast<size_t>(raced / visit) + 1;
    return std::max<size_t>(1, visits / kFewestRounds) - 1;
  }

  // The rest is named.
  void TakeWhatFits(std::vector<Speculation> speculations) {
    const double visit = MeanVisitSeconds();
    const size_t fit = WaysThatFit(visit);
    for (size_t i = fit; i < speculations.size(); ++i)
      result_.not_tried.emplace_back(speculations[i].what, "no time was left for it");
    speculations.resize(std::min(fit, speculations.size()));
    for (Speculation& speculation : speculations) {
      result_.trials.emplace_back();
      result_.trials.back().speculation = std::move(speculation);
    }
    if (result_.trials.empty()) {
      result_.too_short = true;
      result_.verdict = fmt::format(
          "no speculation was tried: one start with its answers takes {}, and there "
          "was no time for a dozen",
          FormatSeconds(visit));
    }
  }

  // The trial that looks best and is faster by what is felt; their number where none is.
  Result<size_t> RaceAll(const Answers& first) {
    std::vector<SpeculationTrial>& trials = result_.trials;
    Race race(trials.size() + 1, {});
    for (int round = 0; round < wish_.most_rounds && !race.Decided(); ++round) {
      // None is begun that would end too late.
      const double end = Elapsed() + RoundSeconds(race);
      if (round >= kFewestRounds && end > kRaceShare * wish_.budget_seconds) break;
      TRY_STATUS(Round(round, first, race));
    }
    for (size_t i = 0; i < trials.size(); ++i) trials[i].left = race.IsLeft(i + 1);
    const size_t leader = race.Leader();
    if (leader == 0) return trials.size();
    const auto gain = GainOf(trials[leader - 1]);
    return gain && gain->mean > 1 + RaceOptions().felt ? leader - 1 : trials.size();
  }

  // Of all that are left, with the plain server.
  double RoundSeconds(const Race& race) const {
    int starts = 1;
    for (size_t i = 0; i < result_.trials.size(); ++i)
      starts += !result_.trials[i].error && race.IsLeft(i + 1) ? 1 : 0;
    return starts * MeanVisitSeconds();
  }

  // The plain server first or last, in turns.
  Status Round(int round, const Answers& first, Race& race) {
    std::vector<SpeculationTrial>& trials = result_.trials;
    std::optional<Answers> plain;
    if (round == 0) plain = first;
    if (round > 0 && round % 2 == 0) {
      TRY(plain, Plain());
    }
    std::vector<std::optional<Answers>> said(trials.size());
    for (size_t i = 0; i < trials.size(); ++i) {
      if (trials[i].error || !race.IsLeft(i + 1)) continue;
      auto answers = Visit(&trials[i].speculation);
      if (answers.ok()) {
        said[i] = *std::move(answers);
      } else if (IsInterrupt(answers.error())) {
        return answers.error();
      } else {
        trials[i].error = answers.error();
        race.Withdraw(i + 1);
      }
    }
    if (!plain) {
      TRY(plain, Plain());
    }
    for (size_t i = 0; i < trials.size(); ++i) {
      if (!said[i]) continue;
      Note(trials[i], *said[i], *plain);
      trials[i].log_gains.push_back(std::log(said[i]->tokens_per_s / plain->tokens_per_s));
      race.Record(i + 1, trials[i].log_gains.back());
    }
    race.EndRound();
    return {};
  }

  static void Note(SpeculationTrial& trial, const Answers& answers, const Answers& plain) {
    trial.drafted = answers.drafted;
    trial.accepted = answers.accepted;
    trial.same_answers = CountSame(answers, plain);
  }

  Status Conclude(size_t winner) {
    result_.plain_tps = first_plain_ ? first_plain_->tokens_per_s : 0;
    if (winner == result_.trials.size()) {
      result_.verdict = "no speculation was faster on this text";
      return {};
    }
    const Speculation& speculation = result_.trials[winner].speculation;
    const double both = 2 * MeanVisitSeconds();
    const int turns = static_cast<int>(std::min<double>(wish_.most_turns, Left() / both));
    if (turns < kFewestTurns) {
      result_.verdict =
          fmt::format("{} looked faster, and no time was left to confirm it: it would take {}",
                      speculation.what, FormatSeconds(both * kFewestTurns));
      return {};
    }
    std::vector<double> before;
    std::vector<double> after;
    for (int turn = 0; turn < turns; ++turn) {
      std::optional<Answers> plain;
      if (turn % 2 == 0) {
        TRY(plain, Plain());
      }
      TRY(const Answers guessed, Visit(&speculation));
      if (!plain) {
        TRY(plain, Plain());
      }
      before.push_back(plain->tokens_per_s);
      after.push_back(guessed.tokens_per_s);
      result_.same_answers = CountSame(guessed, *plain);
    }
    Decide(speculation, before, after);
    return {};
  }

  void Decide(const Speculation& speculation, const std::vector<double>& before,
              const std::vector<double>& after) {
    const ServedChange change = ComparePairs(before, after);
    result_.pairs = change.pairs;
    result_.plain_tps = MedianSpread(before).median;
    if (!change.ratio || Compare(*change.ratio) != TrialOutcome::kFaster) {
      result_.verdict = fmt::format(
          "no speculation is proven faster on this text: {} looked so, and was not when measured "
          "again{}",
          speculation.what,
          change.ratio ? fmt::format(" ({:.2f} times as fast, 95 %: {:.2f} to {:.2f})",
                                     change.ratio->mean, change.ratio->low, change.ratio->high)
                       : "");
      return;
    }
    result_.best = speculation;
    result_.gain = *change.ratio;
    result_.best_tps = MedianSpread(after).median;
    result_.verdict = fmt::format(
        "with {} answers come {:.2f} times as fast on this text (95 %: {:.2f} to {:.2f})",
        speculation.what, change.ratio->mean, change.ratio->low, change.ratio->high);
    if (result_.same_answers < result_.prompts) {
      result_.verdict +=
          fmt::format("; {} of {} answers differ from those without it{}",
                      result_.prompts - result_.same_answers, result_.prompts,
                      result_.plain_repeats ? "" : ", as they do without it from start to start");
    }
  }

  double MeanVisitSeconds() const { return visits_ > 0 ? visit_seconds_ / visits_ : 0; }

  const LlamaServerProgram& program_;
  const SpeculationWish& wish_;
  const std::function<void(double)>& progress_;
  std::vector<std::string> asked_;    // as the user wrote them
  std::vector<std::string> prompts_;  // as the model gets them
  std::optional<Answers> first_plain_;
  SpeculationResult result_;
  double visit_seconds_ = 0;
  int visits_ = 0;
  const Clock::time_point start_ = Clock::now();
};

Json Interval(const MeanInterval& interval) { return {interval.low, interval.high}; }

}  // namespace

std::optional<MeanInterval> GainOf(const SpeculationTrial& trial) {
  constexpr double kTail = 0.025;
  if (trial.log_gains.size() < 2) return std::nullopt;
  const MeanInterval logs = TrimmedInterval(trial.log_gains, kTail);
  return MeanInterval{std::exp(logs.mean), std::exp(logs.low), std::exp(logs.high)};
}

Json ToJson(const SpeculationResult& result) {
  Json trials = Json::array();
  for (const SpeculationTrial& trial : result.trials) {
    Json item = ToJson(trial.speculation);
    item["error"] = trial.error ? ErrorToJson(*trial.error) : Json();
    const auto gain = GainOf(trial);
    item["gain"] = gain ? Json(gain->mean) : Json();
    item["gain_ci95"] = gain ? Interval(*gain) : Json();
    item["drafted"] = trial.drafted;
    item["accepted"] = trial.accepted;
    item["same_answers"] = trial.same_answers;
    item["eliminated"] = !trial.left;
    trials.push_back(std::move(item));
  }
  Json not_tried = Json::array();
  for (const auto& [what, why] : result.not_tried)
    not_tried.push_back({{"what", what}, {"why", why}});
  return {{"best", result.best ? ToJson(*result.best) : Json()},
          {"gain", result.gain.mean},
          {"gain_ci95", Interval(result.gain)},
          {"pairs", result.pairs},
          {"plain_tps", result.plain_tps},
          {"best_tps", result.best ? Json(result.best_tps) : Json()},
          {"prompts", result.prompts},
          {"same_answers", result.best ? Json(result.same_answers) : Json()},
          {"plain_repeats", result.plain_repeats},
          {"verdict", result.verdict},
          {"notes", result.notes},
          {"trials", trials},
          {"not_tried", not_tried},
          {"seconds", result.seconds}};
}

Result<SpeculationResult> TuneSpeculation(const LlamaServerProgram& program,
                                          const SpeculationWish& wish,
                                          const std::function<void(double)>& progress) {
  CHECK(!wish.prompts.empty());
  return Speculating(program, wish, progress).Run();
}

}  // namespace trimma
