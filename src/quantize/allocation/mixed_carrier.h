// A carrier in the running engine whose tensors are made, one by one, what a mix of types would
// make of them: rounded as the file will be, then put into the carrier's own types of 8 bits.
#pragma once

#include <optional>
#include <vector>

#include "engine/divergence_probe.h"
#include "quantize/compensated_tensor.h"
#include "quantize/source_rows.h"
#include "quantize/weighing.h"

namespace trimma {

struct MixedCarrierOptions {
  Weighing weighing;
  bool compensate = true;
  int threads = 1;
  uint64_t memory_bytes = 1ULL << 30;  // for rows as floats, about
};

class MixedCarrier {
 public:
  // All of these outlive it.
  static Result<MixedCarrier> Open(const GgufFile& source, DivergenceProbe& probe,
                                   const MixedCarrierOptions& options);

  // The tensor's weights as they would be in a file that has it in `type`. A tensor that the engine
  // has no use for is left alone.
  Status Put(const TensorInfo& tensor, TensorType type);

 private:
  MixedCarrier(SourceRows source, DivergenceProbe& probe, const MixedCarrierOptions& options);
  // Blocks of `type` for rows of one matrix.
  Result<std::vector<char>> Round(const TensorInfo& tensor, TensorType type, uint64_t matrix,
                                  const std::vector<float>& rows);

  SourceRows source_;
  DivergenceProbe& probe_;
  MixedCarrierOptions options_;
  std::optional<CompensatedTensors> compensated_;
  std::vector<float> importance_;  // of the tensor at hand
};

}  // namespace trimma
