// From what the tensors are worth to the type of each. Pure.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "plan/assignment.h"
#include "quantize/allocation/allocate.h"
#include "quantize/allocation/allocate_in_time.h"
#include "quantize/allocation/sensitivity.h"

namespace trimma {

// How slow a file may be.
struct SpeedGoal {
  // What a tensor takes more than in a baseline file if it has this type; nullopt: nobody knows,
  // and it is not chosen.
  std::function<std::optional<Seconds>(size_t tensor, TensorType type)> extra;
  Seconds allowed;  // for all tensors together
};

// What a file is to be: no larger than so many bytes, or no worse than a loss.
struct MixGoal {
  std::optional<uint64_t> file_bytes;  // header and all
  std::optional<double> loss;          // nats a token
  bool compensated = true;             // how it will be rounded
  // Tensors, by their place in the source, whose types are not to be chosen.
  std::map<size_t, TensorType> forced = {};
  std::optional<SpeedGoal> speed = std::nullopt;  // with file_bytes
};

// What each tensor of the source could be and is, and the bytes that are left: where exchanges
// begin.
struct MixChoices {
  std::vector<TypeChoices> tensors;
  std::vector<size_t> chosen;
  uint64_t spare_bytes = 0;
};

struct ChosenMix {
  Assignment assignment;
  double expected_loss = 0;         // nats a token: sum of the tensors' losses
  const FileType* label = nullptr;  // the recipe that this comes nearest to, for general.file_type
  bool in_time = true;              // false: goal.speed can't be had in so few bytes; it came near
  size_t unmeasured = 0;            // tensors whose forced types have losses that nobody knows
  std::optional<MixChoices> choices;  // of a goal of bytes alone
};

// The whole file, if every tensor got its smallest type.
uint64_t LeastFileBytes(const GgufFile& source, const std::vector<TensorWorth>& worths,
                        const MixGoal& goal, uint64_t header_bytes);

// Tensors without a worth stay as they are. `header_bytes`: of the file before its data.
// Embeddings and output heads get at least 4 bits unless forced: rare tokens show in no average.
// kNoFit where the goal can't be had, with the nearest that can.
Result<ChosenMix> ChooseMix(const GgufFile& source, const std::vector<TensorWorth>& worths,
                            const MixGoal& goal, uint64_t header_bytes);

// The mix with other choices of the same tensors.
void Rechoose(const GgufFile& source, const std::vector<size_t>& chosen, ChosenMix& mix);

}  // namespace trimma
