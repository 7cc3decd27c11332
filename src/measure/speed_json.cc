// Speeds, options and trials as JSON.
#include <string>

#include "base/stats_json.h"
#include "measure/speed.h"

namespace trimma {
namespace {

template <typename T>
std::optional<T> OptionalFrom(const Json& json, const char* key) {
  const auto found = json.find(key);
  if (found == json.end() || found->is_null()) return std::nullopt;
  return found->get<T>();
}

Json ToJson(const SpeedConditions& c) {
  return {{"warm_ups", c.warm_ups},
          {"segments", c.segments},
          {"discarded", c.discarded},
          {"unsteady", c.unsteady},
          {"others_share", OrNull(c.others_share)},
          {"stolen_seconds", c.stolen_seconds},
          {"stalled_seconds", OrNull(c.stalled_seconds)},
          {"seconds", c.seconds}};
}

SpeedConditions ConditionsFrom(const Json& json) {
  SpeedConditions c;
  c.warm_ups = json.value("warm_ups", 0);
  c.segments = json.value("segments", 0);
  c.discarded = json.value("discarded", 0);
  c.unsteady = json.value("unsteady", false);
  c.others_share = OptionalFrom<double>(json, "others_share");
  c.stolen_seconds = json.value("stolen_seconds", 0.0);
  c.stalled_seconds = OptionalFrom<double>(json, "stalled_seconds");
  c.seconds = json.value("seconds", 0.0);
  return c;
}

Json ToJson(const std::optional<EnergyUse>& use) {
  if (!use) return nullptr;
  return {{"joules", use->joules}, {"seconds", use->seconds}, {"tokens", use->tokens}};
}

std::optional<EnergyUse> EnergyFrom(const Json& json, const char* phase) {
  const Json use = json.value("energy", Json::object()).value(phase, Json());
  if (use.is_null()) return std::nullopt;
  return EnergyUse{use.at("joules"), use.at("seconds"), use.at("tokens")};
}

Json PerToken(const Speed& speed) {
  const auto of = [](const std::optional<EnergyUse>& use) {
    return use ? OrNull(JoulesPerToken(*use)) : Json();
  };
  if (!speed.prefill_energy && !speed.decode_energy) return nullptr;
  return {{"prefill", of(speed.prefill_energy)}, {"decode", of(speed.decode_energy)}};
}

const char* NameOf(Phases phases) {
  return phases == Phases::kPrefill ? "prefill" : phases == Phases::kDecode ? "decode" : "both";
}

Phases PhasesFrom(const std::string& name) {
  return name == "prefill" ? Phases::kPrefill : name == "decode" ? Phases::kDecode : Phases::kBoth;
}

}  // namespace

Json ToJson(const Speed& speed) {
  return {{"prefill_tps", ToJson(speed.prefill_tps)},
          {"decode_tps", ToJson(speed.decode_tps)},
          {"ttft_ms", ToJson(speed.ttft_ms)},
          {"load_ms", ToJson(speed.load_ms)},
          {"prompt_tokens", speed.prompt_tokens},
          {"decode_tokens", speed.decode_tokens},
          {"depth", speed.depth},
          {"samples",
           {{"prefill_tps", speed.prefill_samples},
            {"decode_tps", speed.decode_samples},
            {"at_seconds", speed.sample_seconds}}},
          {"energy_j_per_token", PerToken(speed)},
          {"energy",
           {{"prefill", ToJson(speed.prefill_energy)}, {"decode", ToJson(speed.decode_energy)}}},
          {"conditions", ToJson(speed.conditions)}};
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
    const Json& samples = json.at("samples");
    speed.prefill_samples = samples.at("prefill_tps").get<std::vector<double>>();
    speed.decode_samples = samples.at("decode_tps").get<std::vector<double>>();
    // Absent in records of versions before 0.2.
    if (samples.contains("at_seconds"))
      speed.sample_seconds = samples["at_seconds"].get<std::vector<double>>();
    speed.prefill_energy = EnergyFrom(json, "prefill");
    speed.decode_energy = EnergyFrom(json, "decode");
    if (json.contains("conditions")) speed.conditions = ConditionsFrom(json["conditions"]);
    return speed;
  } catch (const nlohmann::json::exception& e) {
    return Error{Code::kInvalid, std::string("a speed record is malformed: ") + e.what(), ""};
  }
}

Json ToJson(const SpeedOptions& o) {
  return {{"prompt_tokens", o.prompt_tokens},
          {"decode_tokens", o.decode_tokens},
          {"depth", o.depth},
          {"rounds", o.rounds},
          {"min_rounds", o.min_rounds},
          {"budget_seconds", o.budget_seconds},
          {"most_seconds", OrNull(o.most_seconds)},
          {"load_repeats", o.load_repeats},
          {"race", o.race},
          {"race_error", o.race_error},
          {"answer_tokens", o.exchange.answer_tokens},
          {"users", o.exchange.users},
          {"resident", OrNull(o.resident)},
          {"seed", o.seed}};
}

SpeedOptions SpeedOptionsFromJson(const Json& json) {
  SpeedOptions o;
  o.prompt_tokens = json.at("prompt_tokens");
  o.decode_tokens = json.at("decode_tokens");
  o.depth = json.at("depth");
  o.rounds = json.at("rounds");
  o.min_rounds = json.at("min_rounds");
  o.budget_seconds = json.at("budget_seconds");
  o.most_seconds = OptionalFrom<double>(json, "most_seconds");
  o.load_repeats = json.at("load_repeats");
  o.race = json.at("race");
  o.race_error = json.at("race_error");
  o.exchange.answer_tokens = json.at("answer_tokens");
  o.exchange.users = json.at("users");
  o.resident = OptionalFrom<int>(json, "resident");
  o.seed = json.at("seed");
  return o;
}

Json ToJson(const SpeedSubject& subject) {
  return {{"path", subject.path},
          {"settings", ToJson(subject.settings)},
          {"phases", NameOf(subject.phases)}};
}

Result<SpeedSubject> SpeedSubjectFromJson(const Json& json) {
  SpeedSubject subject;
  subject.path = json.at("path");
  TRY(subject.settings, RuntimeSettingsFromJson(json.at("settings")));
  subject.phases = PhasesFrom(json.value("phases", "both"));
  return subject;
}

Json ToJson(const SpeedTrial& trial) {
  Json json = {{"subject", ToJson(trial.subject)}, {"left", trial.left}};
  if (trial.error) {
    json["error"] = ErrorToJson(*trial.error);
  } else {
    json["speed"] = ToJson(trial.speed);
    json["log_gains"] = trial.log_gains;
  }
  return json;
}

Result<SpeedTrial> SpeedTrialFromJson(const Json& json) {
  try {
    SpeedTrial trial;
    TRY(trial.subject, SpeedSubjectFromJson(json.at("subject")));
    trial.left = json.at("left");
    if (json.contains("error")) {
      trial.error = ErrorFromJson(json["error"]);
    } else {
      TRY(trial.speed, SpeedFromJson(json.at("speed")));
      trial.log_gains = json.at("log_gains").get<std::vector<double>>();
    }
    return trial;
  } catch (const nlohmann::json::exception& e) {
    return Error{Code::kInvalid, std::string("a speed trial is malformed: ") + e.what(), ""};
  }
}

}  // namespace trimma
