#include "cli/optimize_record.h"

namespace trimma {

TuneTrial ToTrial(const TuneTrialResult& trial, const Speed& defaults) {
  TuneTrial t;
  t.what = trial.variation.what;
  t.settings = trial.variation.settings;
  if (trial.error) {
    t.outcome = "failed: " + trial.error->what;
    return t;
  }
  const Speed& its = trial.speed;
  const Spread& decode = its.decode_tps.n > 0 ? its.decode_tps : defaults.decode_tps;
  const Spread& prefill = its.prefill_tps.n > 0 ? its.prefill_tps : defaults.prefill_tps;
  t.decode_tps = decode.median, t.decode_low = decode.low, t.decode_high = decode.high;
  t.prefill_tps = prefill.median, t.prefill_low = prefill.low, t.prefill_high = prefill.high;
  t.outcome = NameOf(trial.outcome);
  return t;
}

std::vector<MemoryRow> MemoryRowsOf(const Plan& plan, const std::string& type) {
  std::vector<MemoryRow> rows;
  const bool use_gpu = plan.cells[*plan.recommended].settings.use_gpu;
  for (const PlanCell& cell : plan.cells) {
    if (cell.type != type || cell.settings.use_gpu != use_gpu) continue;
    MemoryRow row{
        cell.settings.context, cell.settings.kv_k, cell.settings.kv_v, 0, 0, 0, cell.fits};
    for (const DeviceBytes& device : cell.devices) {
      row.weights_bytes += device.weights_bytes;
      row.kv_bytes += device.kv_bytes;
      row.compute_bytes += device.compute_bytes;
    }
    rows.push_back(row);
  }
  return rows;
}

}  // namespace trimma
