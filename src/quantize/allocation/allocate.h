// Which type each tensor gets, so that a file of so many bytes loses least: a multiple-choice
// knapsack. Pure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/result.h"
#include "gguf/types.h"

namespace trimma {

// One type that a tensor could have.
struct TypeChoice {
  TensorType type{};
  uint64_t bytes = 0;  // of the tensor in the file, padding included
  double loss = 0;     // what it adds to the divergence, nats a token; losses add up
};

// The types of one tensor, in any order; never empty.
using TypeChoices = std::vector<TypeChoice>;

struct Allocation {
  std::vector<size_t> chosen;  // of each tensor, an index into its choices
  uint64_t bytes = 0;          // sums over all tensors
  double loss = 0;
};

// The least loss within `budget_bytes`; among equals the fewest bytes. Dynamic programming over
// bytes in steps of a few hundred thousandths of the budget's play, rounded up; what the rounding
// leaves is spent on single better types. kNoFit names the smallest size there is.
Result<Allocation> AllocateWithin(const std::vector<TypeChoices>& tensors, uint64_t budget_bytes);

// As few bytes as the same steps find, whose loss is at most `most_loss`. kNoFit names the smallest
// loss there is.
Result<Allocation> AllocateUnderLoss(const std::vector<TypeChoices>& tensors, double most_loss);

}  // namespace trimma
