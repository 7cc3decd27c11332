// The child's side of measuring speed.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <numeric>
#include <optional>
#include <random>

#include "base/interrupt.h"
#include "engine/model.h"
#include "measure/speed.h"

namespace trimma {
namespace {

using Clock = std::chrono::steady_clock;
double Seconds(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

constexpr int kMinRounds = 3;
constexpr int kMaxWarmUps = 3;
constexpr int kWarmUpDecode = 8;
// Warm once the time is within this share of the time before.
constexpr double kWarmTolerance = 0.10;

// Any tokens will do: the time of a matrix product doesn't depend on its values. The first is
// BOS where the model wants one, as llama-bench does it.
std::vector<Token> RandomPrompt(const Model& model, int n) {
  std::mt19937 random(1);
  std::uniform_int_distribution<Token> pick(0, model.vocabulary() - 1);
  std::vector<Token> tokens(static_cast<size_t>(n));
  for (Token& token : tokens) token = pick(random);
  if (model.adds_bos() && !tokens.empty()) tokens[0] = model.bos();
  return tokens;
}

struct Candidate {
  SpeedSubject subject;
  const Model* model = nullptr;
  std::optional<Context> context;
  std::optional<Error> error;
  bool dropped = false;
  std::vector<double> load_ms, prefill_seconds, decode_seconds;
};

class SpeedRun {
 public:
  explicit SpeedRun(const SpeedOptions& options) : options_(options) {}

  // The first evaluations of a context allocate its graph, and on a GPU compile and choose kernels
  // for these very shapes; those of a process wake its threads. The first candidate's run is
  // repeated until its time settles.
  void WarmUp(Candidate& candidate, bool is_first) const {
    double before = 0;
    for (int i = 0; i < (is_first ? kMaxWarmUps : 1) && !candidate.error; ++i) {
      const auto start = Clock::now();
      const Status status = Prefill(candidate, options_.prompt_tokens);
      candidate.context->Clear();
      const Status decoded = status.ok() ? Decode(candidate, kWarmUpDecode) : status;
      if (!decoded.ok()) {
        candidate.error = decoded.error();
        return;
      }
      const double seconds = Seconds(start);
      if (before > 0 && std::abs(seconds - before) <= kWarmTolerance * before) return;
      before = seconds;
    }
  }

  void Measure(Candidate& candidate) const {
    auto start = Clock::now();
    Status status = Prefill(candidate, options_.prompt_tokens);
    const double prefill = Seconds(start);
    candidate.context->Clear();
    start = Clock::now();
    if (status.ok()) status = Decode(candidate, options_.decode_tokens);
    if (!status.ok()) {
      candidate.error = status.error();
      return;
    }
    candidate.prefill_seconds.push_back(prefill);
    candidate.decode_seconds.push_back(Seconds(start));
  }

 private:
  // From an empty cache to the logits of the last token.
  Status Prefill(Candidate& candidate, int n) const {
    const std::vector<Token> prompt = RandomPrompt(*candidate.model, n);
    candidate.context->Clear();
    const size_t batch = candidate.subject.settings.batch;
    for (size_t at = 0; at < prompt.size(); at += batch) {
      TRY_STATUS(
          candidate.context->Append({prompt.data() + at, std::min(batch, prompt.size() - at)}));
    }
    candidate.context->Synchronize();
    return {};
  }

  Status Decode(Candidate& candidate, int n) const {
    const std::vector<Token> tokens = RandomPrompt(*candidate.model, n);
    for (const Token token : tokens) {
      TRY_STATUS(candidate.context->Append({&token, 1}));
      candidate.context->Synchronize();
    }
    return {};
  }

  SpeedOptions options_;
};

Speed Summarise(const Candidate& candidate, const SpeedOptions& options) {
  Speed speed;
  speed.prompt_tokens = options.prompt_tokens;
  speed.decode_tokens = options.decode_tokens;
  std::vector<double> ttft;
  for (const double s : candidate.prefill_seconds) {
    speed.prefill_samples.push_back(options.prompt_tokens / s);
    ttft.push_back(s * 1000);
  }
  for (const double s : candidate.decode_seconds)
    speed.decode_samples.push_back(options.decode_tokens / s);
  speed.prefill_tps = MedianSpread(speed.prefill_samples);
  speed.decode_tps = MedianSpread(speed.decode_samples);
  speed.ttft_ms = MedianSpread(ttft);
  speed.load_ms = MedianSpread(candidate.load_ms);
  return speed;
}

// The context that a measurement needs: enough cells, no more, so that candidates with a long
// context don't hold gigabytes while others are measured. Only filled cells cost time.
RuntimeSettings Shortened(RuntimeSettings settings, const SpeedOptions& options) {
  settings.context = static_cast<uint32_t>(std::max(options.prompt_tokens, options.decode_tokens));
  return settings;
}

Result<std::vector<double>> TimeLoads(const SpeedSubject& subject, int repeats) {
  std::vector<double> milliseconds;
  for (int i = 0; i < repeats; ++i) {
    const auto start = Clock::now();
    TRY(const Model model, Model::Load(subject.path, Model::Options::PlacedAs(subject.settings)));
    TRY(const Context context, Context::Create(model, {subject.settings}));
    milliseconds.push_back(Seconds(start) * 1000);
  }
  return milliseconds;
}

// One model for each file and placement.
struct LoadedModel {
  std::string path;
  RuntimeSettings settings;
  Model model;
};

bool SamePlace(const RuntimeSettings& a, const RuntimeSettings& b) {
  return a.gpu_layers == b.gpu_layers && a.use_gpu == b.use_gpu && a.host_tensors == b.host_tensors;
}

Result<const Model*> ModelFor(std::vector<LoadedModel>& models, const SpeedSubject& subject) {
  for (const LoadedModel& loaded : models) {
    if (loaded.path == subject.path && SamePlace(loaded.settings, subject.settings))
      return &loaded.model;
  }
  TRY(Model model, Model::Load(subject.path, Model::Options::PlacedAs(subject.settings)));
  models.push_back({subject.path, subject.settings, std::move(model)});
  return &models.back().model;
}

Result<std::vector<Candidate>> PrepareCandidates(const Json& items, const SpeedOptions& options,
                                                 std::vector<LoadedModel>& models) {
  std::vector<Candidate> candidates;
  models.reserve(items.size());  // pointers into it stay good
  for (const Json& item : items) {
    Candidate candidate;
    candidate.subject.path = item.at("path");
    TRY(candidate.subject.settings, RuntimeSettingsFromJson(item.at("settings")));
    const bool known_file =
        std::any_of(candidates.begin(), candidates.end(),
                    [&](const Candidate& c) { return c.subject.path == candidate.subject.path; });
    TRY(candidate.model, ModelFor(models, candidate.subject));
    auto context =
        Context::Create(*candidate.model, {Shortened(candidate.subject.settings, options)});
    if (context.ok()) {
      candidate.context.emplace(std::move(context).value());
    } else {
      candidate.error = context.error();
    }
    // With the weights in the page cache by now, this is what a user waits for when switching
    // models.
    if (!known_file && !candidate.error) {
      TRY(candidate.load_ms, TimeLoads(candidate.subject, options.load_repeats));
    }
    candidates.push_back(std::move(candidate));
  }
  for (Candidate& candidate : candidates) {
    const auto first = std::find_if(candidates.begin(), candidates.end(), [&](const Candidate& c) {
      return c.subject.path == candidate.subject.path;
    });
    if (candidate.load_ms.empty()) candidate.load_ms = first->load_ms;
  }
  return candidates;
}

double Exchange(const Candidate& c, size_t round) {
  return c.prefill_seconds[round] + 2 * c.decode_seconds[round];
}

// Drops those whose best round is slower than the worst of the first.
void DropSlower(std::vector<Candidate>& candidates) {
  const auto best_and_worst = [](const Candidate& c) {
    double best = 1e300;
    double worst = 0;
    for (size_t i = 0; i < c.prefill_seconds.size(); ++i) {
      best = std::min(best, Exchange(c, i));
      worst = std::max(worst, Exchange(c, i));
    }
    return std::pair(best, worst);
  };
  const double limit = best_and_worst(candidates[0]).second;
  for (size_t i = 1; i < candidates.size(); ++i) {
    if (!candidates[i].error && best_and_worst(candidates[i]).first > limit)
      candidates[i].dropped = true;
  }
}

SpeedOptions OptionsFromJson(const Json& request) {
  SpeedOptions options;
  options.prompt_tokens = request.at("prompt_tokens");
  options.decode_tokens = request.at("decode_tokens");
  options.rounds = request.at("rounds");
  options.budget_seconds = request.at("budget_seconds");
  options.load_repeats = request.at("load_repeats");
  options.drop_slower = request.at("drop_slower");
  return options;
}

}  // namespace

Result<Json> SpeedJob(const Json& request, const Emit& emit) {
  const SpeedOptions options = OptionsFromJson(request);
  std::vector<LoadedModel> models;
  TRY(std::vector<Candidate> candidates,
      PrepareCandidates(request.at("candidates"), options, models));
  if (candidates.empty()) return Error{Code::kUsage, "no settings to measure", ""};

  const SpeedRun run(options);
  for (size_t i = 0; i < candidates.size(); ++i) {
    TRY_STATUS(CheckInterrupted());
    if (!candidates[i].error) run.WarmUp(candidates[i], i == 0);
  }
  std::vector<size_t> order(candidates.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::mt19937 random(7);
  const auto start = Clock::now();
  for (int round = 0; round < options.rounds; ++round) {
    if (round >= kMinRounds && Seconds(start) > options.budget_seconds) break;
    std::shuffle(order.begin(), order.end(), random);
    for (const size_t i : order) {
      TRY_STATUS(CheckInterrupted());
      if (!candidates[i].error && !candidates[i].dropped) run.Measure(candidates[i]);
    }
    if (options.drop_slower && round + 1 >= kMinRounds && !candidates[0].error)
      DropSlower(candidates);
    const double by_rounds = static_cast<double>(round + 1) / options.rounds;
    emit({{"progress",
           std::max(by_rounds, std::min(1.0, Seconds(start) / options.budget_seconds))}});
  }

  Json trials = Json::array();
  for (const Candidate& candidate : candidates) {
    Json trial = {{"path", candidate.subject.path},
                  {"settings", ToJson(candidate.subject.settings)}};
    if (candidate.error) {
      trial["error"] = ErrorToJson(*candidate.error);
    } else {
      trial["speed"] = ToJson(Summarise(candidate, options));
    }
    trials.push_back(std::move(trial));
  }
  return Json{{"trials", trials}};
}

}  // namespace trimma
