#include "measure/speed.h"

#include <algorithm>

namespace trimma {
namespace {

Json SpreadToJson(const Spread& s) {
  return {{"median", s.median}, {"low", s.low}, {"high", s.high}, {"n", s.n}};
}

Spread SpreadFromJson(const Json& json) {
  return {json.value("median", 0.0), json.value("low", 0.0), json.value("high", 0.0),
          json.value("n", int64_t{0})};
}

Result<std::vector<SpeedTrial>> TrialsFromJson(const Json& json) {
  std::vector<SpeedTrial> trials;
  for (const Json& item : json.at("trials")) {
    SpeedTrial trial;
    trial.subject.path = item.at("path");
    TRY(trial.subject.settings, RuntimeSettingsFromJson(item.at("settings")));
    if (item.contains("error")) {
      trial.error = ErrorFromJson(item["error"]);
    } else {
      TRY(trial.speed, SpeedFromJson(item.at("speed")));
    }
    trials.push_back(std::move(trial));
  }
  return trials;
}

}  // namespace

Json ToJson(const Speed& speed) {
  return {
      {"prefill_tps", SpreadToJson(speed.prefill_tps)},
      {"decode_tps", SpreadToJson(speed.decode_tps)},
      {"ttft_ms", SpreadToJson(speed.ttft_ms)},
      {"load_ms", SpreadToJson(speed.load_ms)},
      {"prompt_tokens", speed.prompt_tokens},
      {"decode_tokens", speed.decode_tokens},
      {"depth", speed.depth},
      {"samples", {{"prefill_tps", speed.prefill_samples}, {"decode_tps", speed.decode_samples}}}};
}

Result<Speed> SpeedFromJson(const Json& json) {
  try {
    Speed speed;
    speed.prefill_tps = SpreadFromJson(json.at("prefill_tps"));
    speed.decode_tps = SpreadFromJson(json.at("decode_tps"));
    speed.ttft_ms = SpreadFromJson(json.at("ttft_ms"));
    speed.load_ms = SpreadFromJson(json.at("load_ms"));
    speed.prompt_tokens = json.at("prompt_tokens");
    speed.decode_tokens = json.at("decode_tokens");
    speed.depth = json.at("depth");
    speed.prefill_samples = json.at("samples").at("prefill_tps").get<std::vector<double>>();
    speed.decode_samples = json.at("samples").at("decode_tps").get<std::vector<double>>();
    return speed;
  } catch (const nlohmann::json::exception& e) {
    return Error{Code::kInvalid, std::string("a speed record is malformed: ") + e.what(), ""};
  }
}

Result<std::vector<SpeedTrial>> MeasureSpeed(const std::vector<SpeedSubject>& candidates,
                                             const SpeedOptions& options,
                                             const std::function<void(double)>& progress) {
  Json subjects = Json::array();
  for (const SpeedSubject& candidate : candidates) {
    subjects.push_back({{"path", candidate.path}, {"settings", ToJson(candidate.settings)}});
  }
  const Json request = {{"candidates", subjects},
                        {"prompt_tokens", options.prompt_tokens},
                        {"decode_tokens", options.decode_tokens},
                        {"rounds", options.rounds},
                        {"budget_seconds", options.budget_seconds},
                        {"load_repeats", options.load_repeats},
                        {"drop_slower", options.drop_slower}};
  TRY(const Json result, RunChild("speed", request, [&](const Json& event) {
        if (progress) progress(event.value("progress", 0.0));
      }));
  return TrialsFromJson(result);
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

}  // namespace trimma
