// Matrices of a file rounded with compensation, some rows at a time.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "quantize/calibration/moments_file.h"
#include "quantize/rounding/compensation.h"

namespace trimma {

class CompensatedTensors {
 public:
  CompensatedTensors(const MomentsFile& moments, int threads)
      : moments_(moments), threads_(threads) {}

  // Whether this tensor's input was seen and the type can be rounded so.
  bool Handles(const TensorInfo& tensor, TensorType to) const;

  // Rows that are compensated, or not, together.
  static constexpr uint64_t kSlabRows = 512;

  // Blocks of `to` for some rows of the tensor, [rows, n] floats, from the beginning of a slab:
  // each slab compensated where that is better on the held-out moment, else plain. The same slabs
  // give the same bytes, in any order and for any number of threads. Each thread works on an eighth
  // of a slab.
  Result<std::vector<char>> Round(const TensorInfo& tensor, TensorType to,
                                  const std::vector<float>& rows);

 private:
  // The moment of one input, factored.
  struct Prepared {
    size_t input;
    SecondMoment moment;
    SecondMoment held_out;
    std::optional<Compensation> compensation;
  };
  Status Prepare(size_t input);

  const MomentsFile& moments_;
  int threads_;
  std::unique_ptr<Prepared> prepared_;  // of the input used last: its readers lie close together
};

}  // namespace trimma
