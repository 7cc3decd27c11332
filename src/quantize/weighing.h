// What plain rounding weighs a tensor's errors with: importance data where there is some of it,
// else what the second moments say of its input.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "gguf/imatrix.h"
#include "quantize/calibration/moments_file.h"

namespace trimma {

struct Weighing {
  const Importance* importance = nullptr;
  const MomentsFile* moments = nullptr;

  // [columns] or [columns, matrices]; empty: all alike.
  Result<std::vector<float>> Of(const std::string& tensor) const {
    if (importance != nullptr && importance->entries.contains(tensor))
      return importance->MeanSquares(tensor);
    const auto input = moments != nullptr ? moments->InputOf(tensor) : std::nullopt;
    if (!input) return std::vector<float>{};
    return moments->MeanSquares(*input);
  }
};

}  // namespace trimma
