// What a quantised KV cache is expected to cost, on top of what the weights lost.
//
// The engine rotates K and V (a Hadamard transform) before it quantises them, where the head size
// is a multiple of 64; figures from before that (Qwen2.5 7B fell apart with K in q4_0) no longer
// hold, and models differ widely still: the intervals are wide.
#pragma once

#include <optional>
#include <string>

#include "plan/estimate.h"

namespace trimma {

// Mean KL divergence from the same model with its cache in f16. Zero, and exact, for f16, bf16 and
// f32; nullopt for a type that nothing is known of.
std::optional<Estimate> ExpectedKvLoss(const std::string& kv_k, const std::string& kv_v);

// Losses of independent roundings add up, as long as they are small.
Estimate Sum(const Estimate& a, const Estimate& b);

}  // namespace trimma
