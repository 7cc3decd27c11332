// How ggml finds a group's scale, min and codes, to the last bit: the order of every sum and the
// rounding of every product are ggml's (ggml-quants.c of the pinned engine; its name is given with
// each function), so nothing here may be reordered or fused.
#pragma once

#include <cstddef>
#include <cstdint>

namespace trimma::exact {

// To nearest, ties to even, from the bits of a sum; beyond 2^22 a different number, as in ggml.
int Nearest(float value);

// The first value of the largest magnitude; 0 if all are 0.
float Extreme(const float* x, size_t n);

// Groups with no larger magnitude are zeros.
inline constexpr float kLeastMagnitude = 1e-15F;

struct Group {
  const float* x;
  const float* weights;  // nullptr: x^2, where a search says so
  size_t count;          // up to 32
};

// x = scale * (code - top). Tries 19 scales, each refined by least squares. make_qx_quants, with
// rmse_type 1.
float FitSymmetric(const Group& group, int top, uint8_t* codes);

// The same by moving one code at a time, weighed with x^2. make_q3_quants.
float FitSymmetricStepwise(const Group& group, int top, uint8_t* codes);

// x = scale * code for x that are not negative. make_qp_quants.
float FitPositive(const Group& group, int top, uint8_t* codes);

// x = scale * code - min, min not negative.
struct AffineSearch {
  int top;
  float first;  // tries scales of range / (top + first + i * delta) for i in 0 .. steps
  float delta;
  int steps;
  bool absolute;  // the error is the sum of |x - y|, not of (x - y)^2
};
struct Affine {
  float scale;
  float min;
};
// make_qkx2_quants and make_qkx3_quants.
Affine FitAffine(const Group& group, const AffineSearch& search, uint8_t* codes);

// The level of the 16 of the IQ4 types that is next to x, the upper one for a tie. best_index_int8.
uint8_t NearestLevel(const int8_t* levels, float x);

// x = scale * levels[code]: the scale only. The middle of quantize_row_iq4_nl_impl.
float FitTable(const Group& group, const int8_t* levels);

}  // namespace trimma::exact
