#include "hardware/kernels.h"

#include <fmt/format.h>

#include <cmath>

#include "base/text.h"

namespace trimma {
namespace {

// One list of fields for both directions: `visit(key, value)`.
template <typename Kernel, typename Visit>
void Fields(Kernel& k, const Visit& visit) {
  using T = std::remove_const_t<Kernel>;
  if constexpr (std::is_same_v<T, WeightKernel>) {
    visit("matvec_seconds", k.matvec_seconds);
    visit("matvec_bytes_per_s", k.matvec_bytes_per_s);
    visit("cached_bytes_per_s", k.cached_bytes_per_s);
    visit("matmul_seconds", k.matmul_seconds);
    visit("matmul_flops", k.matmul_flops);
    visit("small_matmul_flops", k.small_matmul_flops);
  } else if constexpr (std::is_same_v<T, AttentionKernel>) {
    visit("token_seconds", k.token_seconds);
    visit("token_cell_seconds", k.token_cell_seconds);
    visit("token_element_seconds", k.token_element_seconds);
    visit("prompt_cell_seconds", k.prompt_cell_seconds);
    visit("prompt_element_seconds", k.prompt_element_seconds);
  } else if constexpr (std::is_same_v<T, ElementKernels>) {
    visit("norm_seconds", k.norm_seconds);
    visit("rope_seconds", k.rope_seconds);
    visit("glu_seconds", k.glu_seconds);
    visit("add_seconds", k.add_seconds);
    visit("store_seconds", k.store_seconds);
  } else if constexpr (std::is_same_v<T, MemoryPoint>) {
    visit("working_set_bytes", k.working_set_bytes);
    visit("bytes_per_s", k.bytes_per_s);
  } else {
    visit("op_seconds", k.op_seconds);
    visit("norm_op_seconds", k.norm_op_seconds);
    visit("new_op_seconds", k.new_op_seconds);
    visit("graph_seconds", k.graph_seconds);
    visit("copy_bytes_per_s", k.copy_bytes_per_s);
    visit("sync_seconds", k.sync_seconds);
    visit("unsteadiness", k.unsteadiness);
  }
}

template <typename Kernel>
Json FieldsJson(const Kernel& kernel) {
  Json json = Json::object();
  Fields(kernel, [&](const char* key, double value) { json[key] = value; });
  return json;
}

// Beyond it no machine is: a flop counter, or a file that was tampered with.
constexpr double kMost = 1e18;

template <typename Kernel>
Result<Kernel> FromFields(const Json& json) {
  Kernel kernel;
  std::string wrong;
  Fields(kernel, [&](const char* key, double& value) {
    const auto found = json.is_object() ? json.find(key) : json.end();
    const bool good = json.is_object() && found != json.end() && found->is_number();
    value = good ? found->template get<double>() : -1;
    if (!(value >= 0 && value <= kMost)) wrong = key;
  });
  if (!wrong.empty()) {
    return Error{Code::kInvalid, fmt::format("kernels: {} is no measurement", wrong),
                 "measure again: trimma scan --bench"};
  }
  return kernel;
}

template <typename Kernel>
Json MapJson(const std::map<std::string, Kernel>& kernels) {
  Json json = Json::object();
  for (const auto& [name, kernel] : kernels) json[name] = FieldsJson(kernel);
  return json;
}

template <typename Kernel>
Result<std::map<std::string, Kernel>> MapFromJson(const Json& json) {
  std::map<std::string, Kernel> kernels;
  for (const auto& item : json.items()) {
    TRY(kernels[item.key()], FromFields<Kernel>(item.value()));
  }
  return kernels;
}

Json ToJson(const DeviceKernels& device) {
  Json json = FieldsJson(device);
  json["name"] = device.name;
  json["backend"] = device.backend;
  json["threads"] = device.threads;
  json["measured"] = device.measured;
  json["weights"] = MapJson(device.weights);
  json["attention"] = MapJson(device.attention);
  json["elements"] = FieldsJson(device.elements);
  json["memory"] = Json::array();
  for (const MemoryPoint& point : device.memory) json["memory"].push_back(FieldsJson(point));
  return json;
}

Result<DeviceKernels> DeviceFromJson(const Json& json) {
  TRY(DeviceKernels device, FromFields<DeviceKernels>(json));
  device.name = SafeText(json.at("name").get<std::string>(), 200);
  device.backend = SafeText(json.at("backend").get<std::string>(), 40);
  device.threads = json.at("threads").get<int>();
  device.measured = json.at("measured").get<bool>();
  TRY(device.weights, MapFromJson<WeightKernel>(json.at("weights")));
  TRY(device.attention, MapFromJson<AttentionKernel>(json.at("attention")));
  TRY(device.elements, FromFields<ElementKernels>(json.at("elements")));
  for (const Json& point : json.at("memory")) {
    TRY(const MemoryPoint read, FromFields<MemoryPoint>(point));
    device.memory.push_back(read);
  }
  return device;
}

}  // namespace

Json ToJson(const KernelTable& table) {
  Json devices = Json::array();
  for (const DeviceKernels& device : table.devices) devices.push_back(ToJson(device));
  return {{"engine_commit", table.engine_commit}, {"devices", devices}, {"seconds", table.seconds}};
}

Result<KernelTable> KernelTableFromJson(const Json& json) {
  try {
    KernelTable table;
    table.engine_commit = json.at("engine_commit").get<std::string>();
    table.seconds = json.at("seconds").get<double>();
    for (const Json& item : json.at("devices")) {
      TRY(DeviceKernels device, DeviceFromJson(item));
      table.devices.push_back(std::move(device));
    }
    return table;
  } catch (const Json::exception& e) {
    return Error{Code::kInvalid, fmt::format("kernels: {}", SafeText(e.what(), 200)),
                 "measure again: trimma scan --bench"};
  }
}

}  // namespace trimma
