#include "engine/price.h"

#include <ggml-backend.h>
#include <llama-ext.h>
#include <llama.h>

namespace trimma {

Result<std::vector<DeviceBytes>> Price(const Model& model, const RuntimeSettings& settings,
                                       uint32_t outputs) {
  Context::Options options;
  options.settings = settings;
  options.outputs = outputs;
  TRY(const Context context, Context::Create(model, options));
  return BytesOf(model, context);
}

std::vector<DeviceBytes> DevicesOf(const Model& model) {
  std::vector<DeviceBytes> devices;
  for (int i = 0; i < llama_model_n_devices(model.get()); ++i) {
    ggml_backend_dev_t device = llama_model_get_device(model.get(), i);
    size_t free = 0;
    size_t total = 0;
    ggml_backend_dev_memory(device, &free, &total);
    devices.push_back({.name = ggml_backend_dev_description(device), .free_bytes = free});
  }
  devices.push_back({.name = "host"});
  return devices;
}

std::vector<DeviceBytes> BytesOf(const Model& model, const Context& context) {
  std::vector<ggml_backend_dev_t> gpus;
  for (int i = 0; i < llama_model_n_devices(model.get()); ++i)
    gpus.push_back(llama_model_get_device(model.get(), i));
  std::vector<DeviceBytes> devices = DevicesOf(model);
  for (const auto& [buffer_type, bytes] : llama_get_memory_breakdown(context.get())) {
    // Pinned host buffers belong to a GPU's backend but to the host's memory; repacked weights
    // are the CPU's though their buffer type isn't "host".
    size_t at = gpus.size();
    if (!ggml_backend_buft_is_host(buffer_type)) {
      for (size_t i = 0; i < gpus.size(); ++i) {
        if (ggml_backend_buft_get_device(buffer_type) == gpus[i]) at = i;
      }
    }
    devices[at].weights_bytes += bytes.model;
    devices[at].kv_bytes += bytes.context;
    devices[at].compute_bytes += bytes.compute;
  }
  return devices;
}

Json ToJson(const DeviceBytes& device) {
  return {{"name", device.name},
          {"weights_bytes", device.weights_bytes},
          {"kv_bytes", device.kv_bytes},
          {"compute_bytes", device.compute_bytes},
          {"projector_bytes", device.projector_bytes},
          {"total_bytes", device.total_bytes()},
          {"free_bytes", device.free_bytes},
          {"reserve_bytes", device.reserve_bytes}};
}

DeviceBytes DeviceBytesFromJson(const Json& json) {
  return {json.at("name"),           json.at("weights_bytes"), json.at("kv_bytes"),
          json.at("compute_bytes"),  json.at("free_bytes"),    json.at("reserve_bytes"),
          json.at("projector_bytes")};
}

}  // namespace trimma
