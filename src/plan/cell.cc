#include "plan/cell.h"

namespace trimma {

uint64_t AllBytes(const PlanCell& cell) {
  uint64_t sum = 0;
  for (const DeviceBytes& device : cell.devices) sum += device.total_bytes();
  return sum;
}

Json ToJson(const PlanCell& cell) {
  Json devices = Json::array();
  for (const DeviceBytes& device : cell.devices) devices.push_back(ToJson(device));
  return {{"type", cell.type},
          {"file_bytes", cell.file_bytes},
          {"context", cell.settings.context},
          {"kv_k", cell.settings.kv_k},
          {"kv_v", cell.settings.kv_v},
          {"gpu_layers", cell.settings.gpu_layers.value_or(0)},
          {"use_gpu", cell.settings.use_gpu},
          {"host_tensors", cell.settings.host_tensors},
          {"devices", devices},
          {"fits", cell.fits},
          {"whole", cell.whole},
          {"decode_tps", ValueJson(cell.decode_tps)},
          {"decode_tps_interval", IntervalJson(cell.decode_tps)},
          {"prefill_tps", ValueJson(cell.prefill_tps)},
          {"prefill_tps_interval", IntervalJson(cell.prefill_tps)},
          {"ttft_ms", ValueJson(cell.ttft_ms)},
          {"ttft_ms_interval", IntervalJson(cell.ttft_ms)},
          {"prompt_tokens", PromptTokens(cell.settings.context)},
          {"mean_kld", ValueJson(cell.mean_kld)},
          {"mean_kld_interval", IntervalJson(cell.mean_kld)},
          {"pareto", cell.pareto}};
}

}  // namespace trimma
