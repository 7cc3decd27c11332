// The inner loops of coordinate descent on one row of weights.
//
// With r = w - v, v the rounded weights, and g = H r, the error r^T H r is least in weight j alone
// at v[j] + g[j] / H[j, j]. Only a code that changes costs more than a look.
#pragma once

#include <cstddef>
#include <cstdint>

#include "quantize/blocks/block_format.h"

namespace trimma {

inline constexpr uint64_t kWindow = 256;  // columns worked on before the others hear of it

// A part of H on its diagonal.
struct WindowMatrix {
  const float* h = nullptr;  // [width, width]
  size_t stride = 0;
  uint64_t width = 0;                       // at most kWindow, a multiple of 32
  const float* added = nullptr;             // [width] to the diagonal
  const float* inverse_diagonal = nullptr;  // [width] 1 / (H[j, j] + added)
};

// A row in the window. All arrays [width].
struct WindowRow {
  const BlockFormat* format = nullptr;
  float scales[kMaxGroups] = {};  // of the window's groups, as LaneScales
  float inverses[kMaxGroups] = {};
  float mins[kMaxGroups] = {};
  uint8_t* codes = nullptr;
  float* values = nullptr;    // v
  float* products = nullptr;  // g
  float* deltas = nullptr;    // changes of v are added
};

// One sweep over the window in order. Returns how many codes changed.
uint64_t DescendWindow(const WindowMatrix& matrix, WindowRow& row);

// to[c] += sum over i < count of factors[i] * h[rows[i], c].
struct RowSum {
  const float* h = nullptr;
  size_t stride = 0;
  const uint16_t* rows = nullptr;
  const float* factors = nullptr;
  uint64_t count = 0;
  float* to = nullptr;
  uint64_t columns = 0;
};
void AddRows(const RowSum& sum);

// u^T H u, u^T H t and t^T H t of vectors [width], without what is added to H's diagonal. t may be
// nullptr, for 0.
struct QuadraticForms {
  double uu = 0, ut = 0, tt = 0;
};
QuadraticForms FormsOf(const WindowMatrix& matrix, const float* u, const float* t);

}  // namespace trimma
