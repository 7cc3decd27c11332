// Which types a tensor could have.
#pragma once

#include <optional>
#include <vector>

#include "gguf/reader.h"

namespace trimma {

// The quantised types that are worth considering for rows of this length, best last; none has as
// many bits as the tensor has now, for bits that are gone don't come back.
std::vector<TensorType> CandidateTypes(const TensorInfo& tensor);

// The coarse type whose effect on the answers is measured: 3 bits, or 4 where rows are no multiple
// of 256. nullopt where the tensor has no more bits than that.
std::optional<TensorType> ProbeType(const TensorInfo& tensor);

}  // namespace trimma
