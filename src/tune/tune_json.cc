// A tuning's result as JSON.
#include "tune/tune.h"

namespace trimma {
namespace {

Json Interval(const MeanInterval& interval) { return {interval.low, interval.high}; }

const char* NameOf(Phases phases) {
  return phases == Phases::kPrefill ? "prefill" : phases == Phases::kDecode ? "decode" : "both";
}

Json TrialJson(const TuneTrialResult& trial) {
  Json item = {{"what", trial.variation.what},
               {"settings", ToJson(trial.variation.settings)},
               {"phases", NameOf(trial.variation.phases)},
               {"outcome", NameOf(trial.outcome)}};
  if (trial.error) {
    item["error"] = ErrorToJson(*trial.error);
  } else {
    item["speed"] = ToJson(trial.speed);
    item["gain"] = trial.gain.mean;
    item["gain_ci95"] = Interval(trial.gain);
    item["eliminated"] = !trial.left;
  }
  return item;
}

Json RecheckJson(const Recheck& recheck) {
  return {{"of", recheck.former_time},
          {"changes", recheck.changes},
          {"holds", recheck.holds},
          {"sentence", recheck.sentence},
          {"seconds", recheck.seconds}};
}

}  // namespace

Json ToJson(const TuneResult& result) {
  Json trials = Json::array();
  for (const TuneTrialResult& trial : result.trials) trials.push_back(TrialJson(trial));
  Json not_tried = Json::array();
  for (const NotTried& item : result.not_tried)
    not_tried.push_back({{"what", item.what}, {"why", item.why}});
  return {
      {"schema", "trimma.tune/1"},
      {"asked", result.asked},
      {"default",
       {{"settings", ToJson(result.default_settings)}, {"speed", ToJson(result.default_speed)}}},
      {"best", {{"settings", ToJson(result.best_settings)}, {"speed", ToJson(result.best_speed)}}},
      {"gain", result.gain.mean},
      {"gain_ci95", Interval(result.gain)},
      {"prefill_gain", result.prefill_gain.mean},
      {"prefill_gain_ci95", Interval(result.prefill_gain)},
      {"decode_gain", result.decode_gain.mean},
      {"decode_gain_ci95", Interval(result.decode_gain)},
      {"verdict", result.verdict},
      {"too_short", result.too_short ? ErrorToJson(*result.too_short) : Json()},
      {"kv_quality", result.kv_quality ? ToJson(*result.kv_quality) : Json()},
      {"kv_text", result.kv_text ? ToJson(*result.kv_text) : Json()},
      {"max_kld", result.max_kv_kld},
      {"recheck", result.recheck ? RecheckJson(*result.recheck) : Json()},
      {"trials", trials},
      {"not_tried", not_tried},
      {"notes", result.notes},
      {"seconds", result.seconds}};
}

}  // namespace trimma
