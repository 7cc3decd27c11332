#include "engine/phantom.h"

#include <ggml-backend-impl.h>
#include <ggml-backend.h>
#include <ggml-impl.h>
#include <ggml.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

namespace trimma {
namespace {

// What the rules look at, under the names they use.
struct ggml_backend_cuda_device_context {
  int device = 0;
  std::string name;
  std::string description;
  std::string pci_bus_id;
  int op_offload_min_batch_size = 0;
};
struct ggml_backend_cuda_buffer_type_context {
  int device = 0;
  std::string name;
};
struct ggml_backend_cuda_context {
  int device = 0;
};
struct DeviceInfo {
  struct {
    int cc = 0;
    bool integrated = false;
  } devices[kMostPhantoms];
};
DeviceInfo g_info;
DeviceInfo& ggml_cuda_info() { return g_info; }

// The backend takes the highest architecture that it was compiled for; ours is compiled for the
// card.
int ggml_cuda_highest_compiled_arch(int cc) { return cc; }

// The backend tells its buffer types by these functions' addresses.
const char* ggml_backend_cuda_buffer_type_get_name(ggml_backend_buffer_type_t type) {
  return static_cast<ggml_backend_cuda_buffer_type_context*>(type->context)->name.c_str();
}
const char* ggml_backend_cuda_host_buffer_type_name(ggml_backend_buffer_type_t) {
  return "CUDA_Host";
}

#include "engine/cuda_rules.inc"

struct Phantom {
  PhantomCard card;
  ggml_backend_device device{};
  ggml_backend_cuda_device_context context;
  ggml_backend_buffer_type memory{};
  ggml_backend_cuda_buffer_type_context memory_context;
  ggml_backend_buffer_type pinned{};
  std::atomic<uint64_t> held_bytes = 0;
  std::atomic<uint64_t> most_bytes = 0;  // since CountPhantomBytes
  uint64_t counted_from = 0;
};

std::array<Phantom, kMostPhantoms> g_phantoms;

Phantom& Of(ggml_backend_dev_t device) {
  return g_phantoms.at(
      static_cast<size_t>(static_cast<ggml_backend_cuda_device_context*>(device->context)->device));
}

// Memory that isn't there. A recurrent model's state is allocated even where nothing else is, and
// cleared; nobody reads it.
ggml_backend_buffer_t AllocateNothing(ggml_backend_buffer_type_t type, size_t bytes) {
  ggml_backend_buffer_i nothing = {};
  // An address for the offsets of tensors; never followed.
  nothing.get_base = [](ggml_backend_buffer_t) { return reinterpret_cast<void*>(uintptr_t{4096}); };
  nothing.memset_tensor = [](ggml_backend_buffer_t, ggml_tensor*, uint8_t, size_t, size_t) {};
  nothing.set_tensor = [](ggml_backend_buffer_t, ggml_tensor*, const void*, size_t, size_t) {};
  nothing.get_tensor = [](ggml_backend_buffer_t, const ggml_tensor*, void* to, size_t,
                          size_t size) { std::memset(to, 0, size); };
  nothing.clear = [](ggml_backend_buffer_t, uint8_t) {};
  nothing.free_buffer = [](ggml_backend_buffer_t buffer) {
    Of(buffer->buft->device).held_bytes -= buffer->size;
  };
  Phantom& phantom = Of(type->device);
  const uint64_t held = phantom.held_bytes += bytes;
  uint64_t most = phantom.most_bytes;
  while (most < held && !phantom.most_bytes.compare_exchange_weak(most, held)) {
  }
  return ggml_backend_buffer_init(type, nothing, nullptr, bytes);
}

// Pinned memory is the host's: the few kilobytes that a context really uses exist.
ggml_backend_buffer_t AllocatePinned(ggml_backend_buffer_type_t type, size_t bytes) {
  ggml_backend_buffer_t buffer =
      ggml_backend_buft_alloc_buffer(ggml_backend_cpu_buffer_type(), bytes);
  if (buffer != nullptr) buffer->buft = type;
  return buffer;
}

const char* BackendName(ggml_backend_t backend) { return Of(backend->device).context.name.c_str(); }
void FreeBackend(ggml_backend_t backend) {
  delete static_cast<ggml_backend_cuda_context*>(backend->context);
  delete backend;
}
void Synchronize(ggml_backend_t) {}
ggml_status Compute(ggml_backend_t, ggml_cgraph*) { return GGML_STATUS_FAILED; }
void OnEvent(ggml_backend_t, ggml_backend_event_t) {}

ggml_backend_t InitBackend(ggml_backend_dev_t device, const char*) {
  static ggml_guid guid = {'t', 'r', 'i', 'm', 'm', 'a', ' ', 'p',
                           'h', 'a', 'n', 't', 'o', 'm', ' ', '1'};
  ggml_backend_i interface = {};
  interface.get_name = BackendName;
  interface.free = FreeBackend;
  interface.synchronize = Synchronize;
  interface.graph_compute = Compute;
  interface.event_record = OnEvent;
  interface.event_wait = OnEvent;
  interface.graph_optimize = ggml_backend_cuda_graph_optimize;
  return new ggml_backend{&guid, interface, device,
                          new ggml_backend_cuda_context{Of(device).context.device}};
}

void Memory(ggml_backend_dev_t device, size_t* free, size_t* total) {
  *free = Of(device).card.free_bytes;
  *total = Of(device).card.total_bytes;
}

void Properties(ggml_backend_dev_t device, ggml_backend_dev_props* properties) {
  const Phantom& phantom = Of(device);
  properties->name = phantom.context.name.c_str();
  properties->description = phantom.context.description.c_str();
  properties->type = GGML_BACKEND_DEVICE_TYPE_GPU;
  properties->device_id = phantom.context.pci_bus_id.c_str();
  Memory(device, &properties->memory_free, &properties->memory_total);
  // As ggml_backend_cuda_device_get_props says of a discrete card.
  properties->caps = {.async = true,
                      .host_buffer = true,
                      .buffer_from_host_ptr = false,
                      .events = true,
                      .mmap_support = true};
}

ggml_backend_event_t NewEvent(ggml_backend_dev_t device) {
  return new ggml_backend_event{device, nullptr};
}
void FreeEvent(ggml_backend_dev_t, ggml_backend_event_t event) { delete event; }
void WaitForEvent(ggml_backend_dev_t, ggml_backend_event_t) {}

// The registry that the devices say they come from. It isn't registered: a phantom is used only
// where a model names it.
ggml_backend_reg g_registry = {
    GGML_BACKEND_API_VERSION,
    {.get_name = [](ggml_backend_reg_t) { return "CUDA"; },
     .get_device_count = [](ggml_backend_reg_t) { return size_t{0}; },
     .get_device = [](ggml_backend_reg_t, size_t) { return ggml_backend_dev_t{nullptr}; },
     .get_proc_address = [](ggml_backend_reg_t, const char*) -> void* { return nullptr; }},
    nullptr};

ggml_backend_device_i DeviceInterface() {
  ggml_backend_device_i i = {};
  i.get_name = [](ggml_backend_dev_t d) { return Of(d).context.name.c_str(); };
  i.get_description = [](ggml_backend_dev_t d) { return Of(d).context.description.c_str(); };
  i.get_memory = Memory;
  i.get_type = [](ggml_backend_dev_t) { return GGML_BACKEND_DEVICE_TYPE_GPU; };
  i.get_props = Properties;
  i.init_backend = InitBackend;
  i.get_buffer_type = [](ggml_backend_dev_t d) -> ggml_backend_buffer_type_t {
    return &Of(d).memory;
  };
  i.get_host_buffer_type = [](ggml_backend_dev_t d) -> ggml_backend_buffer_type_t {
    return &Of(d).pinned;
  };
  i.supports_op = ggml_backend_cuda_device_supports_op;
  i.supports_buft = ggml_backend_cuda_device_supports_buft;
  i.offload_op = ggml_backend_cuda_device_offload_op;
  i.event_new = NewEvent;
  i.event_free = FreeEvent;
  i.event_synchronize = WaitForEvent;
  return i;
}

void Define(Phantom& phantom, int index, const PhantomCard& card) {
  phantom.card = card;
  g_info.devices[index] = {card.compute_capability, false};
  phantom.context = {index, "CUDA" + std::to_string(index), card.name,
                     // Unique: the engine drops a device whose id it has seen.
                     "0000:0" + std::string(1, "0123456789abcdef"[index]) + ":00.0",
                     kOffloadMinBatch};
  phantom.device = {DeviceInterface(), &g_registry, &phantom.context};
  phantom.memory_context = {index, phantom.context.name};
  phantom.memory = {{.get_name = ggml_backend_cuda_buffer_type_get_name,
                     .alloc_buffer = AllocateNothing,
                     .get_alignment = ggml_backend_cuda_buffer_type_get_alignment,
                     .get_max_size = nullptr,
                     .get_alloc_size = ggml_backend_cuda_buffer_type_get_alloc_size,
                     .is_host = nullptr},
                    &phantom.device,
                    &phantom.memory_context};
  const ggml_backend_buffer_type_i& host = ggml_backend_cpu_buffer_type()->iface;
  phantom.pinned = {{.get_name = ggml_backend_cuda_host_buffer_type_name,
                     .alloc_buffer = AllocatePinned,
                     .get_alignment = host.get_alignment,
                     .get_max_size = nullptr,
                     .get_alloc_size = host.get_alloc_size,
                     .is_host = host.is_host},
                    &phantom.device,
                    nullptr};
}

}  // namespace

std::vector<ggml_backend_device*> PhantomDevices(const std::vector<PhantomCard>& cards) {
  CHECK(cards.size() <= kMostPhantoms);
  std::vector<ggml_backend_device*> devices;
  for (size_t i = 0; i < cards.size(); ++i) {
    Define(g_phantoms[i], static_cast<int>(i), cards[i]);
    devices.push_back(&g_phantoms[i].device);
  }
  return devices;
}

void CountPhantomBytes(ggml_backend_device* phantom) {
  Of(phantom).counted_from = Of(phantom).held_bytes;
  Of(phantom).most_bytes = Of(phantom).counted_from;
}

uint64_t CountedPhantomBytes(ggml_backend_device* phantom) {
  return Of(phantom).most_bytes - Of(phantom).counted_from;
}

Json ToJson(const PhantomCard& card) {
  return {{"name", card.name},
          {"compute_capability", card.compute_capability},
          {"total_bytes", card.total_bytes},
          {"free_bytes", card.free_bytes}};
}

PhantomCard PhantomCardFromJson(const Json& json) {
  return {json.at("name"), json.at("compute_capability"), json.at("total_bytes"),
          json.at("free_bytes")};
}

}  // namespace trimma
