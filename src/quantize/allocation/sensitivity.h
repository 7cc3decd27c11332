// How much each tensor's errors move the model's answers, measured in the real network: a tensor is
// rounded coarsely, the others are left alone, and the divergence is read off the selection text.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "base/child.h"
#include "base/result.h"
#include "engine/divergence_probe.h"
#include "gguf/imatrix.h"
#include "gguf/reader.h"
#include "quantize/calibration/moments_file.h"

namespace trimma {

// A tensor's worth: what loss to expect of each type it could have.
struct TensorWorth {
  std::string name;
  double probe_kld = 0;           // nats a token, of its group rounded to the probe type
  double sensitivity = 0;         // nats a token per unit of error
  std::vector<TensorType> types;  // CandidateTypes
  std::vector<double> errors;     // of each type, plainly rounded: tr(R H R^T)
  std::vector<double> shares;     // of that, what compensation leaves

  double LossOf(size_t type, bool compensated) const {
    return sensitivity * errors[type] * (compensated ? shares[type] : 1);
  }
};

// Tensors whose effect is measured together: of one kind, in neighbouring layers. At most about
// `most` groups; a tensor of no layer is its own.
std::vector<std::vector<size_t>> GroupTensors(const std::vector<std::string>& names, size_t most);

struct SensitivityOptions {
  size_t groups = 64;
  int threads = 1;
  const Importance* experts = nullptr;  // of matrices of experts, which have no moments
};

// For the tensors of `source` at these indexes, each of which has a ProbeType; those that the
// engine has no use for are left out. `probe` runs a carrier of the source: the same tensors in
// types of 8 bits or more.
Result<std::vector<TensorWorth>> MeasureWorth(const GgufFile& source,
                                              const std::vector<size_t>& tensors,
                                              const MomentsFile& moments, DivergenceProbe& probe,
                                              const SensitivityOptions& options,
                                              const std::function<void(double)>& progress);

Json ToJson(const TensorWorth& worth);
Result<TensorWorth> TensorWorthFromJson(const Json& json);

// The child's side: {"source", "carrier", "moments", "tokens", "experts" (or null): paths,
// "tensors": indexes, "threads", "groups"}.
Result<Json> SensitivityJob(const Json& request, const Emit& emit);

}  // namespace trimma
