// How much of a recipe's loss a file's actual types should have.
//
// Rounding errors of different tensors are independent and small, so their divergences add up; a
// tensor counts with its share of the weights in matrices, times what its type loses when the whole
// model is in it. With D(type) the level of the recipe that is (nearly) pure in that type,
//
//   share = sum over tensors that change of w * D(actual type)
//         / sum over all tensors of          w * D(type the recipe meant)
//
// 1 where the recipe could do what it wanted. Less where rows of 640 turned Q4_K into Q5_0, or
// where most of the source is quantised already and stays. The type that the recipe meant is told
// from the engine's fallback table (llama-quant.cpp, tensor_type_fallback).
#pragma once

#include <optional>
#include <vector>

#include "gguf/file_type.h"
#include "gguf/reader.h"

namespace trimma {

// D relative to Q4_K; 0 for F32, F16 and BF16. nullopt for types that nothing is known of.
std::optional<double> TypeLoss(TensorType type);

// `types`: one per tensor of `source`. nullopt where a type is unknown.
std::optional<double> MixShare(const GgufFile& source, const std::vector<TensorType>& types,
                               const FileType& recipe);

}  // namespace trimma
