#include "quantize/rounding/descent_kernel.h"

#include "quantize/kernels/simd_targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "quantize/rounding/descent_kernel.cc"
#include <hwy/foreach_target.h>  // IWYU pragma: keep
// Must come after foreach_target.h.
#include <hwy/highway.h>

#include "quantize/rounding/nearest_level-inl.h"

HWY_BEFORE_NAMESPACE();
namespace trimma {
namespace HWY_NAMESPACE {
namespace {

using Floats = hn::CappedTag<float, 16>;
using Bytes = hn::Rebind<uint8_t, Floats>;
using Ints = hn::Rebind<int32_t, Floats>;

// Weight j gets `code`.
void ChangeCode(const WindowMatrix& matrix, WindowRow& row, uint64_t j, uint8_t code) {
  const Floats d;
  const uint64_t group = j / row.format->group;
  const float value =
      row.scales[group] * static_cast<float>(row.format->Level(code)) - row.mins[group];
  const float delta = value - row.values[j];
  row.codes[j] = code;
  row.values[j] = value;
  row.deltas[j] += delta;
  const auto factor = hn::Set(d, delta);
  const float* h = matrix.h + j * matrix.stride;
  for (uint64_t k = 0; k < matrix.width; k += hn::Lanes(d)) {
    float* product = row.products + k;
    hn::StoreU(hn::NegMulAdd(factor, hn::LoadU(d, h + k), hn::LoadU(d, product)), d, product);
  }
  row.products[j] -= matrix.added[j] * delta;
}

// The weights of one vector, in order: the first that should change does, then the later ones are
// looked at again.
template <bool kTable>
uint64_t DescendVector(const WindowMatrix& matrix, WindowRow& row, uint64_t j) {
  const Floats d;
  const Ints ints;
  const uint64_t group = j / row.format->group;
  const auto min = hn::Set(d, row.mins[group]);
  const auto inverse = hn::Set(d, row.inverses[group]);
  const auto inverse_diagonal = hn::LoadU(d, matrix.inverse_diagonal + j);
  alignas(64) int32_t codes[hn::MaxLanes(ints)];
  uint64_t changes = 0;
  size_t first = 0;
  while (first < hn::Lanes(d)) {
    const auto best =
        hn::MulAdd(hn::LoadU(d, row.products + j), inverse_diagonal, hn::LoadU(d, row.values + j));
    const auto y = hn::Mul(hn::Add(best, min), inverse);
    const auto code = hn::ConvertTo(ints, FindNearestLevel<kTable>(d, *row.format, y).code);
    const auto present = hn::PromoteTo(ints, hn::LoadU(Bytes(), row.codes + j));
    const auto stays = hn::Or(hn::Eq(code, present), hn::FirstN(ints, first));
    const intptr_t change = hn::FindFirstTrue(ints, hn::Not(stays));
    if (change < 0) break;
    hn::Store(code, ints, codes);
    const auto lane = static_cast<uint64_t>(change);
    ChangeCode(matrix, row, j + lane, static_cast<uint8_t>(codes[lane]));
    first = lane + 1;
    ++changes;
  }
  return changes;
}

uint64_t Descend(const WindowMatrix& matrix, WindowRow& row) {
  uint64_t changes = 0;
  for (uint64_t j = 0; j < matrix.width; j += hn::Lanes(Floats())) {
    if (row.inverses[j / row.format->group] == 0) continue;  // all codes mean the same
    changes += row.format->table != nullptr ? DescendVector<true>(matrix, row, j)
                                            : DescendVector<false>(matrix, row, j);
  }
  return changes;
}

void Accumulate(const RowSum& sum) {
  const Floats d;
  const size_t lanes = hn::Lanes(d);
  for (uint64_t c = 0; c < sum.columns; c += 4 * lanes) {  // columns: a multiple of 32
    float* to = sum.to + c;
    const bool whole = c + 4 * lanes <= sum.columns;
    auto s0 = hn::LoadU(d, to);
    auto s1 = hn::LoadU(d, to + lanes);
    auto s2 = whole ? hn::LoadU(d, to + 2 * lanes) : hn::Zero(d);
    auto s3 = whole ? hn::LoadU(d, to + 3 * lanes) : hn::Zero(d);
    for (uint64_t i = 0; i < sum.count; ++i) {
      const float* h = sum.h + sum.rows[i] * sum.stride + c;
      const auto factor = hn::Set(d, sum.factors[i]);
      s0 = hn::MulAdd(factor, hn::LoadU(d, h), s0);
      s1 = hn::MulAdd(factor, hn::LoadU(d, h + lanes), s1);
      if (!whole) continue;
      s2 = hn::MulAdd(factor, hn::LoadU(d, h + 2 * lanes), s2);
      s3 = hn::MulAdd(factor, hn::LoadU(d, h + 3 * lanes), s3);
    }
    hn::StoreU(s0, d, to);
    hn::StoreU(s1, d, to + lanes);
    if (!whole) continue;
    hn::StoreU(s2, d, to + 2 * lanes);
    hn::StoreU(s3, d, to + 3 * lanes);
  }
}

template <bool kTwo>
QuadraticForms SumForms(const WindowMatrix& matrix, const float* u, const float* t) {
  const Floats d;
  auto uu = hn::Zero(d);
  auto ut = hn::Zero(d);
  auto tt = hn::Zero(d);
  for (uint64_t j = 0; j < matrix.width; j += hn::Lanes(d)) {
    auto hu = hn::Zero(d);
    auto ht = hn::Zero(d);
    for (uint64_t i = 0; i < matrix.width; ++i) {
      const auto h = hn::LoadU(d, matrix.h + i * matrix.stride + j);
      hu = hn::MulAdd(hn::Set(d, u[i]), h, hu);
      if constexpr (kTwo) ht = hn::MulAdd(hn::Set(d, t[i]), h, ht);
    }
    const auto right = hn::LoadU(d, u + j);
    uu = hn::MulAdd(hu, right, uu);
    if constexpr (kTwo) {
      ut = hn::MulAdd(ht, right, ut);
      tt = hn::MulAdd(ht, hn::LoadU(d, t + j), tt);
    }
  }
  const auto sum = [&](auto v) { return hn::GetLane(hn::SumOfLanes(d, v)); };
  return {sum(uu), sum(ut), sum(tt)};
}

QuadraticForms Forms(const WindowMatrix& matrix, const float* u, const float* t) {
  return t == nullptr ? SumForms<false>(matrix, u, u) : SumForms<true>(matrix, u, t);
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace trimma
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace trimma {

HWY_EXPORT(Descend);
HWY_EXPORT(Accumulate);
HWY_EXPORT(Forms);

uint64_t DescendWindow(const WindowMatrix& matrix, WindowRow& row) {
  return HWY_DYNAMIC_DISPATCH(Descend)(matrix, row);
}
void AddRows(const RowSum& sum) { HWY_DYNAMIC_DISPATCH(Accumulate)(sum); }
QuadraticForms FormsOf(const WindowMatrix& matrix, const float* u, const float* t) {
  return HWY_DYNAMIC_DISPATCH(Forms)(matrix, u, t);
}

}  // namespace trimma
#endif  // HWY_ONCE
