#include "report/record.h"

#include <cmath>

namespace trimma {
namespace {

// In JSON too, an absent figure is null and never 0.
Json FigureOrNull(double value) {
  return std::isfinite(value) && value > 0 ? Json(value) : Json(nullptr);
}

Json TextOrNull(const std::string& text) { return text.empty() ? Json(nullptr) : Json(text); }

Json OutcomeJson(const Outcome& outcome) {
  return {{"label", outcome.label},
          {"type", outcome.type},
          {"file_bytes", outcome.file_bytes},
          {"bits_per_weight", FigureOrNull(outcome.bits_per_weight)},
          {"memory_bytes", outcome.memory_bytes},
          {"settings", ToJson(outcome.settings)},
          {"speed", ToJson(outcome.speed)},
          {"quality", outcome.quality ? ToJson(*outcome.quality) : Json(nullptr)}};
}

Json PointJson(const PlotPoint& point) {
  Json json = {{"type", point.type},
               {"file_bytes", point.file_bytes},
               {"decode_tps", FigureOrNull(point.decode_tps)},
               {"prefill_tps", FigureOrNull(point.prefill_tps)},
               {"mean_kld", nullptr},
               {"mean_kld_ci95", nullptr},
               {"chosen", point.chosen}};
  if (point.mean_kld) {
    json["mean_kld"] = *point.mean_kld;
    json["mean_kld_ci95"] = Json::array({point.kld_low, point.kld_high});
  }
  return json;
}

Json MemoryJson(const MemoryRow& row) {
  return {{"context", row.context},
          {"kv_k", row.kv_k},
          {"kv_v", row.kv_v},
          {"weights_bytes", row.weights_bytes},
          {"kv_bytes", row.kv_bytes},
          {"compute_bytes", row.compute_bytes},
          {"total_bytes", row.weights_bytes + row.kv_bytes + row.compute_bytes},
          {"fits", row.fits}};
}

Json IntervalJson(double centre, double low, double high) {
  return {
      {"median", FigureOrNull(centre)}, {"low", FigureOrNull(low)}, {"high", FigureOrNull(high)}};
}

Json TrialJson(const TuneTrial& trial) {
  return {{"what", trial.what},
          {"settings", ToJson(trial.settings)},
          {"decode_tps", IntervalJson(trial.decode_tps, trial.decode_low, trial.decode_high)},
          {"prefill_tps", IntervalJson(trial.prefill_tps, trial.prefill_low, trial.prefill_high)},
          {"outcome", trial.outcome}};
}

Json FilesJson(const WrittenFiles& files) {
  return {{"model", TextOrNull(files.model)},
          {"projector", TextOrNull(files.projector)},
          {"ollama_model", TextOrNull(files.ollama_model)},
          {"config", TextOrNull(files.config)},
          {"modelfile", TextOrNull(files.modelfile)},
          {"env", TextOrNull(files.env)},
          {"llama_server", TextOrNull(files.llama_server)},
          {"report", TextOrNull(files.report)},
          {"record", TextOrNull(files.record)},
          {"undo", files.undo}};
}

Json StepJson(const Step& step) { return {{"name", step.name}, {"seconds", step.seconds}}; }

template <typename T, typename F>
Json ArrayOf(const std::vector<T>& items, const F& to_json) {
  Json array = Json::array();
  for (const T& item : items) array.push_back(to_json(item));
  return array;
}

}  // namespace

Json ToJson(const OptimizeRecord& record) {
  return {{"schema", "trimma.optimize/1"},
          {"created", record.created},
          {"trimma_version", record.trimma_version},
          {"engine",
           {{"version", record.engine_version},
            {"commit", record.engine_commit},
            {"backends", record.engine_backends}}},
          {"model",
           {{"name", record.model_name},
            {"argument", record.model_argument},
            {"path", record.model_path},
            {"architecture", record.architecture},
            {"parameters", record.parameters}}},
          {"machine", ToJson(record.machine)},
          {"before", OutcomeJson(record.before)},
          {"after", OutcomeJson(record.after)},
          {"points", ArrayOf(record.points, PointJson)},
          {"memory", ArrayOf(record.memory, MemoryJson)},
          {"trials", ArrayOf(record.trials, TrialJson)},
          {"weights_verdict", record.weights_verdict},
          {"tuning_verdict", record.tuning_verdict},
          {"quality_text", record.quality_text},
          {"notes", record.notes},
          {"sampling",
           {{"temperature", record.sampling.temperature},
            {"top_p", record.sampling.top_p},
            {"profile", record.sampling.profile},
            {"chosen", record.sampling.chosen}}},
          {"files", FilesJson(record.files)},
          {"steps", ArrayOf(record.steps, StepJson)},
          {"seconds", record.seconds}};
}

}  // namespace trimma
