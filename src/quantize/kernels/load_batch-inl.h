// Fills a GroupBatch. Compiled once per instruction set, as hwy/foreach_target.h asks.
#if defined(TRIMMA_LOAD_BATCH_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef TRIMMA_LOAD_BATCH_INL_H
#undef TRIMMA_LOAD_BATCH_INL_H
#else
#define TRIMMA_LOAD_BATCH_INL_H
#endif

#include <hwy/highway.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <limits>

#include "quantize/kernels/group_batch.h"
#include "quantize/kernels/levels-inl.h"  // Floats, Vec

HWY_BEFORE_NAMESPACE();
namespace trimma::HWY_NAMESPACE {
namespace {

// The power of two below or at `magnitude`.
inline float UnitOf(float magnitude) {
  if (magnitude < kLeastMagnitude) return 1;
  return std::bit_cast<float>(std::bit_cast<uint32_t>(magnitude) & 0x7F800000U);
}

// Of 16 partial results, always in the same order.
inline float Sum16(const float* parts) {
  float sum = 0;
  for (size_t i = 0; i < kGroupLanes; ++i) sum += parts[i];
  return sum;
}
inline float Max16(const float* parts) { return *std::max_element(parts, parts + kGroupLanes); }

// Finite values only, and 0 for the others; returns the largest magnitude.
inline float CleanCopy(const float* from, size_t n, float* to) {
  const Floats d;
  HWY_ALIGN float parts[kGroupLanes];
  for (size_t c = 0; c < kGroupLanes; c += hn::Lanes(d)) {
    Vec largest = hn::Zero(d);
    for (size_t i = c; i < n; i += kGroupLanes) {
      Vec x = hn::LoadU(d, from + i);
      const Vec magnitude = hn::Abs(x);
      x = hn::IfThenElseZero(magnitude <= hn::Set(d, std::numeric_limits<float>::max()), x);
      largest = hn::Max(largest, hn::Abs(x));
      hn::Store(x, d, to + i);
    }
    hn::Store(largest, d, parts + c);
  }
  return Max16(parts);
}

// x[] times factor; returns the mean square.
inline float Scale(float* x, size_t n, float factor) {
  const Floats d;
  HWY_ALIGN float parts[kGroupLanes];
  for (size_t c = 0; c < kGroupLanes; c += hn::Lanes(d)) {
    Vec squares = hn::Zero(d);
    for (size_t i = c; i < n; i += kGroupLanes) {
      const Vec v = hn::Mul(hn::Load(d, x + i), hn::Set(d, factor));
      squares = hn::MulAdd(v, v, squares);
      hn::Store(v, d, x + i);
    }
    hn::Store(squares, d, parts + c);
  }
  return Sum16(parts) / static_cast<float>(n);
}

struct Weighing {
  const float* importance;
  bool plain;  // the importance alone
  float mean_square;
};

inline void Weigh(const float* x, size_t n, const Weighing& how, float* w) {
  const Floats d;
  const Vec largest_importance = hn::Set(d, kLargestImportance);
  HWY_ALIGN float parts[kGroupLanes];
  for (size_t c = 0; c < kGroupLanes; c += hn::Lanes(d)) {
    Vec largest = hn::Zero(d);
    for (size_t i = c; i < n; i += kGroupLanes) {
      Vec q = hn::Set(d, 1.0F);
      if (how.importance != nullptr) {
        q = hn::LoadU(d, how.importance + i);
        q = hn::Min(hn::IfThenElseZero(q > hn::Zero(d), q), largest_importance);
      }
      if (!how.plain) {
        const Vec v = hn::Load(d, x + i);
        q = hn::Mul(q, hn::Sqrt(hn::MulAdd(v, v, hn::Set(d, how.mean_square))));
      }
      largest = hn::Max(largest, q);
      hn::Store(q, d, w + i);
    }
    hn::Store(largest, d, parts + c);
  }
  const float most = Max16(parts);
  const Vec factor = hn::Set(d, most > std::numeric_limits<float>::min() * 16 ? 1 / most : 0);
  const Vec least = hn::Set(d, kLeastWeight);
  for (size_t i = 0; i < n; i += hn::Lanes(d))
    hn::Store(hn::Max(hn::Mul(hn::Load(d, w + i), factor), least), d, w + i);
}

inline void LoadBatch(const BlockFormat& format, Measure measure, const BatchSource& from,
                      GroupBatch& batch) {
  const size_t n = format.block;
  HWY_ALIGN float x[kMaxBlock];
  HWY_ALIGN float w[kMaxBlock];
  if (from.count * format.groups() < kGroupLanes) {
    std::memset(&batch, 0, sizeof(batch));
    std::fill_n(batch.unit, kGroupLanes, 1.0F);
  }
  for (size_t b = 0; b < from.count; ++b) {
    const uint64_t block = from.first + b;
    const float largest = CleanCopy(from.values + block * n, n, x);
    const float unit = UnitOf(largest);
    float mean_square = Scale(x, n, largest < kLeastMagnitude ? 0 : 1 / unit);
    if (measure.mean == MeanOf::kRow) {
      const float root = from.row_roots[block / from.blocks_per_row] / unit;
      mean_square = std::min(root, kLargestRoot) * std::min(root, kLargestRoot);
    }
    const float* importance = nullptr;
    if (from.importance != nullptr) importance = from.importance + block % from.blocks_per_row * n;
    Weigh(x, n, {importance, measure.mean == MeanOf::kNothing, measure.share * mean_square}, w);
    for (size_t i = 0; i < n; ++i) {
      const size_t lane = b * format.groups() + i / format.group;
      batch.x[i % format.group][lane] = x[i];
      batch.w[i % format.group][lane] = w[i];
      batch.unit[lane] = unit;
    }
  }
}

}  // namespace
}  // namespace trimma::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif
