// What a tensor's type costs in time, as plans predict speed from a machine's kernels. Pure.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "gguf/reader.h"
#include "plan/speed.h"
#include "quantize/allocation/allocate_in_time.h"

namespace trimma {

// Where a file is to run, and how.
struct SpeedTarget {
  std::vector<DeviceKernels> gpus;  // that hold all layers; empty: the host does
  DeviceKernels host;
  RuntimeSettings settings;
};

class TypeSpeed {
 public:
  // `base`: one type per tensor of `source`, which outlives this.
  TypeSpeed(const GgufFile& source, SpeedTarget target, std::vector<TensorType> base)
      : source_(source), target_(std::move(target)), base_(std::move(base)) {}

  // Of the whole model with these types: a token behind kDepth others, a prompt of kPrompt. nullopt
  // where it would be a guess.
  static constexpr double kDepth = 64;
  static constexpr uint32_t kPrompt = 512;
  std::optional<Seconds> Of(const std::vector<TensorType>& types) const;

  // What it takes more than with the base's types if this tensor alone has another. Asked of the
  // model once for each kind of tensor.
  std::optional<Seconds> Extra(size_t tensor, TensorType type);

 private:
  // Tensors of one name but for the layer, of one shape and base type, cost alike.
  using Kind = std::tuple<std::string, std::vector<uint64_t>, TensorType, TensorType>;

  const GgufFile& source_;
  SpeedTarget target_;
  std::vector<TensorType> base_;
  std::optional<std::optional<Seconds>> base_seconds_;  // once asked for
  std::map<Kind, std::optional<Seconds>> known_;
};

}  // namespace trimma
