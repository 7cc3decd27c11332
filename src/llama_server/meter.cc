#include "llama_server/meter.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <numeric>
#include <random>

#include "base/clock.h"
#include "base/interrupt.h"
#include "base/units.h"
#include "llama_server/race.h"
#include "llama_server/visit.h"
#include "measure/speed_background.h"

namespace trimma {
namespace {

// Candidates that one start serves: the same model under the same settings.
struct Start {
  SpeedSubject subject;  // with the phases of all of them
  std::vector<size_t> candidates;
};

std::vector<Start> StartsOf(const std::vector<SpeedSubject>& candidates) {
  std::vector<Start> starts;
  for (size_t i = 0; i < candidates.size(); ++i) {
    const SpeedSubject& one = candidates[i];
    const auto found = std::find_if(starts.begin(), starts.end(), [&](const Start& start) {
      return start.subject.path == one.path && start.subject.settings == one.settings;
    });
    if (found == starts.end()) {
      starts.push_back({one, {i}});
    } else {
      found->candidates.push_back(i);
      if (found->subject.phases != one.phases) found->subject.phases = Phases::kBoth;
    }
  }
  return starts;
}

// All visits of one run, and what they brought.
class Run {
 public:
  Run(const LlamaServerProgram& program, const ServerMeterOptions& meter,
      const std::vector<SpeedSubject>& candidates, const SpeedOptions& options)
      : program_(program),
        meter_(meter),
        options_(options),
        starts_(StartsOf(candidates)),
        race_(candidates, options),
        figures_(candidates.size()),
        random_(options.seed) {
    for (const SpeedSubject& candidate : candidates) {
      trials_.emplace_back();
      trials_.back().subject = candidate;
    }
  }

  Result<std::vector<SpeedTrial>> Measure(const std::function<void(double)>& progress) {
    const bool each = meter_.start_each_round;
    const std::vector<int> samples =
        each ? std::vector<int>(static_cast<size_t>(options_.rounds), 1)
             : DividedRounds(options_.rounds, std::max(1, options_.processes));
    fewest_ = std::min(options_.min_rounds, static_cast<int>(samples.size()));
    int taken = 0;
    for (const int of_start : samples) {
      // What was promised at least is done, unless that takes more than there is in all.
      const double end = Elapsed() + RoundSeconds();
      if (rounds_ >= fewest_ && end > options_.budget_seconds) break;
      if (rounds_ > 0 && options_.most_seconds && end > *options_.most_seconds) break;
      TRY_STATUS(Round(of_start, progress));
      taken += of_start;
      ++rounds_;
      if (options_.race) race_.EndRound();
      if (options_.race && (trials_[0].error || OnlyAnchorRuns() || race_.Decided())) break;
      if (NothingRuns()) break;
      if (progress) progress(Share(taken));
    }
    return Finish();
  }

 private:
  double Elapsed() const { return SecondsSince(start_); }
  double Share(int taken) const {
    const double by_rounds = static_cast<double>(taken) / std::max(1, options_.rounds);
    const double by_time = rounds_ >= fewest_ ? Elapsed() / options_.budget_seconds : 0;
    return std::clamp(std::max(by_rounds, by_time), 0.0, 1.0);
  }
  static bool Failed(const SpeedTrial& trial) { return trial.error.has_value(); }
  bool OnlyAnchorRuns() const {
    return trials_.size() > 1 && std::all_of(trials_.begin() + 1, trials_.end(), Failed);
  }
  bool NothingRuns() const { return std::all_of(trials_.begin(), trials_.end(), Failed); }
  bool IsWanted(const Start& start) const {
    return std::any_of(start.candidates.begin(), start.candidates.end(),
                       [&](size_t candidate) { return IsWanted(candidate); });
  }
  // Of the next one, as starts took so far.
  double RoundSeconds() const {
    const auto wanted = std::count_if(starts_.begin(), starts_.end(),
                                      [&](const Start& start) { return IsWanted(start); });
    return visits_ > 0 ? static_cast<double>(wanted) * visit_seconds_ / visits_ : 0;
  }
  bool IsWanted(size_t candidate) const {
    return !trials_[candidate].error && (!options_.race || race_.IsLeft(candidate));
  }

  // The anchor first or last, in turns; the others in an order of chance.
  std::vector<size_t> Order() {
    std::vector<size_t> order(starts_.size() - 1);
    std::iota(order.begin(), order.end(), size_t{1});
    std::shuffle(order.begin(), order.end(), random_);
    order.insert(rounds_ % 2 == 0 ? order.begin() : order.end(), size_t{0});
    return order;
  }

  Status Round(int samples, const std::function<void(double)>& progress) {
    std::vector<std::optional<StartFigures>> round(starts_.size());
    size_t done = 0;
    for (const size_t at : Order()) {
      const Start& start = starts_[at];
      if (IsWanted(start)) {
        auto figures = Visit(start, samples);
        if (figures.ok()) {
          round[at] = *std::move(figures);
        } else if (IsInterrupt(figures.error())) {
          return figures.error();
        } else {
          for (const size_t candidate : start.candidates) Fail(candidate, figures.error());
          // Without the anchor nothing is compared.
          if (at == 0 && options_.race) return {};
        }
      }
      ++done;
      if (progress && rounds_ == 0 && options_.min_rounds > 0) {
        progress(std::clamp(static_cast<double>(done) / static_cast<double>(starts_.size()) /
                                std::max(options_.min_rounds, 1),
                            0.0, 1.0));
      }
    }
    for (size_t at = 0; at < starts_.size(); ++at) {
      if (!round[at]) continue;
      for (const size_t candidate : starts_[at].candidates) {
        if (IsWanted(candidate)) Keep(candidate, *round[at], round[0]);
      }
    }
    return {};
  }

  Result<StartFigures> Visit(const Start& start, int samples) {
    const double most = std::max(options_.trial_seconds, meter_.most_start_seconds);
    const double begun = Elapsed();
    TRY(LlamaServer server, StartServer(program_, start.subject, meter_.more_words, most));
    VisitWish wish;
    wish.prompt_tokens = options_.prompt_tokens;
    wish.decode_tokens = options_.decode_tokens;
    wish.samples = samples;
    wish.phases = start.subject.phases;
    wish.most_seconds = options_.trial_seconds;
    wish.number = prompt_number_;
    prompt_number_ += samples + 1;
    auto figures = VisitServer(server, wish);
    visit_seconds_ += Elapsed() - begun;
    ++visits_;
    return figures;
  }

  void Fail(size_t candidate, const Error& error) {
    trials_[candidate].error = error;
    if (options_.race) race_.Withdraw(candidate);
  }

  void Keep(size_t candidate, const StartFigures& figures,
            const std::optional<StartFigures>& anchor) {
    figures_[candidate].push_back(figures);
    if (candidate == 0 || !anchor) return;
    const auto gain = race_.LogGain(candidate, *anchor, figures);
    if (!gain) return;
    trials_[candidate].log_gains.push_back(*gain);
    if (options_.race) race_.Record(candidate, *gain);
  }

  // A server's own time is ours once it has ended.
  std::optional<double> ShareOfOthers() const {
    const auto now = ReadProcessorTimes();
    if (!before_ || !now) return std::nullopt;
    return OthersShare(*before_, *now);
  }

  std::vector<SpeedTrial> Finish() {
    const std::optional<double> others = ShareOfOthers();
    for (size_t i = 0; i < trials_.size(); ++i) {
      SpeedTrial& trial = trials_[i];
      trial.left = !options_.race || race_.IsLeft(i);
      if (trial.error) continue;
      const bool compared = i > 0 && !trials_[0].error;
      if (figures_[i].empty() || (compared && trial.log_gains.empty())) {
        trial.error = Error{Code::kFailure, "not measured within the budget", ""};
        continue;
      }
      trial.speed = SpeedOf(figures_[i], options_);
      trial.speed.conditions.others_share = others;
      trial.speed.conditions.seconds = Elapsed() / static_cast<double>(starts_.size());
    }
    return std::move(trials_);
  }

  const LlamaServerProgram& program_;
  const ServerMeterOptions& meter_;
  const SpeedOptions& options_;
  std::vector<Start> starts_;
  ServerRace race_;
  std::vector<std::vector<StartFigures>> figures_;
  std::vector<SpeedTrial> trials_;
  std::mt19937 random_;
  int rounds_ = 0;
  int fewest_ = 0;  // rounds that are done in any case
  int visits_ = 0;
  double visit_seconds_ = 0;
  int prompt_number_ = static_cast<int>(Clock::now().time_since_epoch().count() % 1000000 + 1000);
  const Clock::time_point start_ = Clock::now();
  const std::optional<ProcessorTimes> before_ = ReadProcessorTimes();
};

}  // namespace

std::string FewerStarts(const Speed& speed, const SpeedOptions& options) {
  const size_t asked = DividedRounds(options.rounds, std::max(1, options.processes)).size();
  if (static_cast<size_t>(speed.load_ms.n) >= asked) return "";
  return fmt::format("{} of {} starts were made: more would have taken longer than {}",
                     speed.load_ms.n, asked, FormatSeconds(options.budget_seconds));
}

Result<LlamaServer> StartServer(const LlamaServerProgram& program, const SpeedSubject& subject,
                                const std::vector<std::string>& more_words, double most_seconds) {
  Applied applied;
  applied.model_path = subject.path;
  applied.settings = subject.settings;
  TRY(ServerArguments arguments, FitArguments(program, applied));
  arguments.words.insert(arguments.words.end(), more_words.begin(), more_words.end());
  return LlamaServer::Start(program, arguments.words, most_seconds);
}

Result<std::vector<SpeedTrial>> LlamaServerMeter::operator()(
    const std::vector<SpeedSubject>& candidates, const SpeedOptions& options,
    const std::function<void(double)>& progress) const {
  CHECK(!candidates.empty() && options.depth == 0 && options.exchange.users == 1);
  return Run(program_, options_, candidates, options).Measure(progress);
}

}  // namespace trimma
