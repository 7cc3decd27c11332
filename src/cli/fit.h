// `quantize --fit`: how large a file may be to run wholly on a card, or on the host where there is
// none.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "cli/common.h"
#include "cli/target.h"
#include "quantize/quantize.h"

namespace trimma {

struct FitOptions {
  TargetOptions target;             // as `plan` takes it
  std::optional<uint32_t> context;  // nullopt: 4096, or the model's own where that is less
  std::string kv = "f16";
  std::optional<std::string> projector;  // counted beside the model; nullopt: the one in its store
};

class Fit {
 public:
  static Result<Fit> Create(const OpenedModel& model, const FitOptions& options);

  const RuntimeSettings& settings() const { return settings_; }

  // For QuantizeOptions; the Fit outlives it.
  FitTarget Target() const;

  // What a file takes there, by the engine's own allocator: a finished one, or the source if its
  // tensors had other types.
  struct Taken {
    std::vector<DeviceBytes> devices;  // GPUs in order, the host last
    int64_t room_bytes = 0;            // on the tightest; negative: so many too many
  };
  Result<Taken> Price(const GgufFile& file) const;
  Result<Taken> PriceMix(const std::vector<TensorType>& types) const;

  // One sentence, and the JSON field "fit".
  std::string Describe(const Taken& taken) const;
  Json ToJson(const Taken& taken) const;

 private:
  Result<Taken> PriceTypes(const GgufFile& file, const std::vector<TensorType>& types,
                           const RuntimeSettings& settings) const;
  Error Refusal(const Assignment& smallest, int64_t room) const;

  GgufFile source_;
  PlanTarget target_;
  RuntimeSettings settings_;
};

}  // namespace trimma
