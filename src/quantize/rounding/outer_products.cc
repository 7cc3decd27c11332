#include "quantize/rounding/outer_products.h"

#include <algorithm>

#include "quantize/kernels/simd_targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "quantize/rounding/outer_products.cc"
#include <hwy/foreach_target.h>  // IWYU pragma: keep
// Must come after foreach_target.h.
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace trimma {
namespace HWY_NAMESPACE {
namespace {

namespace hn = hwy::HWY_NAMESPACE;
using Floats = hn::ScalableTag<float>;

constexpr size_t kLanes = hn::MaxLanes(Floats());
// 6 x 4 accumulators where there are 32 vector registers, 6 x 2 where there are 16.
constexpr size_t kVectors = HWY_MAX_BYTES >= 64 || HWY_ARCH_ARM ? 4 : 2;
constexpr size_t kWidth = kVectors * kLanes;  // columns of C at a time
constexpr size_t kStripe = 6;                 // rows of C at a time
constexpr size_t kChunk = 11 * kStripe;       // rows of C for one packed piece of A
constexpr size_t kChunkStride = 80;           // whole vectors
constexpr size_t kDepth = 128;                // terms before a sum goes to C

// The pieces of A and B at hand, side by side in memory and padded with zeros.
struct Packed {
  alignas(64) float a[kDepth * kChunkStride];
  alignas(64) float b[kDepth * kWidth];
};

void Pack(const float* from, size_t stride, size_t depth, size_t columns, size_t padded,
          float* to) {
  const Floats d;
  for (size_t t = 0; t < depth; ++t, from += stride, to += padded) {
    size_t j = 0;
    for (; j + kLanes <= columns; j += kLanes) hn::Store(hn::LoadU(d, from + j), d, to + j);
    for (; j < columns; ++j) to[j] = from[j];
    for (; j < padded; ++j) to[j] = 0;
  }
}

// A stripe of C. `rows` and `columns` are what exists of kStripe and kWidth.
void Stripe(const float* a, const float* b, size_t depth, const OuterProducts& p, float* c,
            size_t rows, size_t columns) {
  const Floats d;
  hn::Vec<Floats> sum[kStripe][kVectors];
  for (auto& row : sum) {
    for (auto& vector : row) vector = hn::Zero(d);
  }
  for (size_t t = 0; t < depth; ++t, a += kChunkStride, b += kWidth) {
    hn::Vec<Floats> right[kVectors];
    for (size_t v = 0; v < kVectors; ++v) right[v] = hn::Load(d, b + v * kLanes);
    HWY_UNROLL(6) for (size_t i = 0; i < kStripe; ++i) {
      const auto left = hn::Set(d, a[i]);
      HWY_UNROLL(4) for (size_t v = 0; v < kVectors; ++v) {
        sum[i][v] = hn::MulAdd(left, right[v], sum[i][v]);
      }
    }
  }
  const auto factor = hn::Set(d, p.factor);
  alignas(64) float edge[kStripe][kWidth];
  for (size_t i = 0; i < rows; ++i) {
    float* row = c + i * p.c_stride;
    if (columns == kWidth) {
      for (size_t v = 0; v < kVectors; ++v) {
        float* at = row + v * kLanes;
        hn::StoreU(hn::MulAdd(factor, sum[i][v], hn::LoadU(d, at)), d, at);
      }
    } else {
      for (size_t v = 0; v < kVectors; ++v) {
        const size_t first = std::min(v * kLanes, columns);
        std::copy(row + first, row + std::min(first + kLanes, columns), edge[i] + first);
        float* at = edge[i] + v * kLanes;
        hn::Store(hn::MulAdd(factor, sum[i][v], hn::Load(d, at)), d, at);
      }
      std::copy(edge[i], edge[i] + columns, row);
    }
  }
}

void Multiply(const OuterProducts& p) {
  Packed packed;
  for (size_t t = 0; t < p.k; t += kDepth) {
    const size_t depth = std::min<size_t>(kDepth, p.k - t);
    for (size_t i = 0; i < p.m; i += kChunk) {
      const size_t rows = std::min<size_t>(kChunk, p.m - i);
      Pack(p.a + t * p.a_stride + i, p.a_stride, depth, rows, kChunkStride, packed.a);
      for (size_t j = 0; j < p.n; j += kWidth) {
        const size_t columns = std::min<size_t>(kWidth, p.n - j);
        Pack(p.b + t * p.b_stride + j, p.b_stride, depth, columns, kWidth, packed.b);
        for (size_t s = 0; s < rows; s += kStripe) {
          Stripe(packed.a + s, packed.b, depth, p, p.c + (i + s) * p.c_stride + j,
                 std::min(kStripe, rows - s), columns);
        }
      }
    }
  }
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace trimma
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace trimma {

HWY_EXPORT(Multiply);

void AddOuterProducts(const OuterProducts& product) { HWY_DYNAMIC_DISPATCH(Multiply)(product); }

}  // namespace trimma
#endif  // HWY_ONCE
