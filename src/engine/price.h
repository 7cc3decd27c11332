// Memory by the engine's own placement and allocator.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/child.h"
#include "base/result.h"
#include "engine/model.h"

namespace trimma {

struct DeviceBytes {
  std::string name;  // the GPU's, or "host"
  uint64_t weights_bytes = 0;
  uint64_t kv_bytes = 0;
  uint64_t compute_bytes = 0;
  uint64_t free_bytes = 0;       // now
  uint64_t reserve_bytes = 0;    // of which must stay free: what a driver takes, and a margin
  uint64_t projector_bytes = 0;  // a vision or audio projector beside the model, all of it
  uint64_t total_bytes() const {
    return weights_bytes + kv_bytes + compute_bytes + projector_bytes;
  }
};

// What `model` (real or ghost) and a context of these settings take on each device: GPUs in the
// engine's order, the host last. The graph's worst case is reserved, so compute buffers are exact;
// what a driver takes on top is not in them. `outputs`: as Context::Options.
Result<std::vector<DeviceBytes>> Price(const Model& model, const RuntimeSettings& settings,
                                       uint32_t outputs);

// The devices of a model with nothing on them yet, in that order.
std::vector<DeviceBytes> DevicesOf(const Model& model);

// What Price() tells, of a context that exists.
std::vector<DeviceBytes> BytesOf(const Model& model, const Context& context);

Json ToJson(const DeviceBytes& device);
DeviceBytes DeviceBytesFromJson(const Json& json);

}  // namespace trimma
