// The child's side of measuring speed.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <optional>
#include <random>

#include "base/interrupt.h"
#include "engine/model.h"
#include "measure/speed.h"

namespace trimma {
namespace {

using Clock = std::chrono::steady_clock;
double Seconds(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

constexpr int kMinRounds = 3;
// A round counts as warm once its decode time is within this share of the round before.
constexpr double kWarmTolerance = 0.10;
constexpr int kMaxWarmUps = 3;

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
  RuntimeSettings settings;
  std::optional<Context> context;
  std::optional<Error> error;
  std::vector<double> prefill_seconds, decode_seconds;
};

class SpeedRun {
 public:
  SpeedRun(const Model& model, const SpeedOptions& options)
      : model_(model), options_(options), prompt_(RandomPrompt(model, options.prompt_tokens)) {}

  // Seconds of one prefill from an empty cache to the last token's logits, and of one decode
  // from an empty cache.
  Result<std::pair<double, double>> Once(Context& context) const {
    context.Clear();
    auto start = Clock::now();
    const auto batch = static_cast<size_t>(batch_);
    for (size_t at = 0; at < prompt_.size(); at += batch) {
      const size_t n = std::min(batch, prompt_.size() - at);
      TRY_STATUS(context.Append({prompt_.data() + at, n}));
    }
    context.Synchronize();
    const double prefill = Seconds(start);
    context.Clear();
    start = Clock::now();
    for (int i = 0; i < options_.decode_tokens; ++i) {
      TRY_STATUS(context.Append({&prompt_[static_cast<size_t>(i) % prompt_.size()], 1}));
      context.Synchronize();
    }
    return std::pair(prefill, Seconds(start));
  }

  void WarmUp(Candidate& candidate) const {
    double before = 0;
    for (int i = 0; i < kMaxWarmUps && !candidate.error; ++i) {
      const auto times = Once(*candidate.context);
      if (!times.ok()) {
        candidate.error = times.error();
        return;
      }
      if (before > 0 && std::abs(times->second - before) <= kWarmTolerance * before) return;
      before = times->second;
    }
  }

  void Measure(Candidate& candidate) const {
    const auto times = Once(*candidate.context);
    if (!times.ok()) {
      candidate.error = times.error();
      return;
    }
    candidate.prefill_seconds.push_back(times->first);
    candidate.decode_seconds.push_back(times->second);
  }

  void set_batch(uint32_t batch) { batch_ = batch; }

 private:
  const Model& model_;
  SpeedOptions options_;
  std::vector<Token> prompt_;
  uint32_t batch_ = 2048;
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
  for (const double s : candidate.decode_seconds) speed.decode_samples.push_back(options.decode_tokens / s);
  speed.prefill_tps = MedianSpread(speed.prefill_samples);
  speed.decode_tps = MedianSpread(speed.decode_samples);
  speed.ttft_ms = MedianSpread(ttft);
  return speed;
}

// The context that a measurement needs: enough cells, no more, so that candidates with a long
// context don't hold gigabytes while others are measured. Only filled cells cost time.
RuntimeSettings Shortened(RuntimeSettings settings, const SpeedOptions& options) {
  settings.context = static_cast<uint32_t>(std::max(options.prompt_tokens, options.decode_tokens));
  return settings;
}

Result<std::vector<double>> TimeLoads(const std::string& path, const RuntimeSettings& settings, int repeats) {
  std::vector<double> milliseconds;
  for (int i = 0; i < repeats; ++i) {
    const auto start = Clock::now();
    TRY(const Model model, Model::Load(path, {settings.gpu_layers}));
    TRY(const Context context, Context::Create(model, {settings}));
    milliseconds.push_back(Seconds(start) * 1000);
  }
  return milliseconds;
}

// Candidates differ in how the model is loaded only by gpu_layers: one model for each of them.
using Models = std::vector<std::pair<std::optional<int>, Model>>;

Result<const Model*> ModelFor(Models& models, const std::string& path, const RuntimeSettings& settings) {
  for (const auto& [layers, model] : models) {
    if (layers == settings.gpu_layers) return &model;
  }
  TRY(Model loaded, Model::Load(path, {settings.gpu_layers}));
  models.emplace_back(settings.gpu_layers, std::move(loaded));
  return &models.back().second;
}

}  // namespace

Result<Json> SpeedJob(const Json& request, const Emit& emit) {
  SpeedOptions options;
  options.prompt_tokens = request.at("prompt_tokens");
  options.decode_tokens = request.at("decode_tokens");
  options.rounds = request.at("rounds");
  options.budget_seconds = request.at("budget_seconds");
  options.load_repeats = request.at("load_repeats");
  const std::string path = request.at("model");

  std::vector<Candidate> candidates;
  Models models;
  models.reserve(request.at("candidates").size());  // pointers into it stay good
  std::vector<double> load_ms;
  std::optional<SpeedRun> run;
  for (const Json& item : request.at("candidates")) {
    Candidate candidate;
    TRY(candidate.settings, RuntimeSettingsFromJson(item));
    TRY(const Model* model, ModelFor(models, path, candidate.settings));
    if (!run) run.emplace(*model, options);
    auto context = Context::Create(*model, {Shortened(candidate.settings, options)});
    if (context.ok()) {
      candidate.context.emplace(std::move(context).value());
    } else {
      candidate.error = context.error();
    }
    candidates.push_back(std::move(candidate));
  }
  if (candidates.empty()) return Error{Code::kUsage, "no settings to measure", ""};
  // With the weights in the page cache by now, this is what a user waits for when switching models.
  TRY(load_ms, TimeLoads(path, candidates[0].settings, options.load_repeats));

  const auto each = [&](const std::vector<size_t>& order, auto&& act) -> Status {
    for (const size_t i : order) {
      TRY_STATUS(CheckInterrupted());
      if (candidates[i].error) continue;
      run->set_batch(candidates[i].settings.batch);
      act(candidates[i]);
    }
    return {};
  };
  std::vector<size_t> order(candidates.size());
  for (size_t i = 0; i < order.size(); ++i) order[i] = i;
  TRY_STATUS(each(order, [&](Candidate& c) { run->WarmUp(c); }));

  std::mt19937 random(7);
  const auto start = Clock::now();
  for (int round = 0; round < options.rounds; ++round) {
    if (round >= kMinRounds && Seconds(start) > options.budget_seconds) break;
    std::shuffle(order.begin(), order.end(), random);
    TRY_STATUS(each(order, [&](Candidate& c) { run->Measure(c); }));
    emit({{"progress", static_cast<double>(round + 1) / options.rounds}});
  }

  Json trials = Json::array();
  for (const Candidate& candidate : candidates) {
    Json trial = {{"settings", ToJson(candidate.settings)}};
    if (candidate.error) {
      trial["error"] = ErrorToJson(*candidate.error);
    } else {
      Speed speed = Summarise(candidate, options);
      speed.load_ms = MedianSpread(load_ms);
      trial["speed"] = ToJson(speed);
    }
    trials.push_back(std::move(trial));
  }
  return Json{{"trials", trials}};
}

}  // namespace trimma
