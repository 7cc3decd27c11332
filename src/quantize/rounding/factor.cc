#include "quantize/rounding/factor.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "quantize/parallel.h"
#include "quantize/rounding/outer_products.h"

namespace trimma {
namespace {

constexpr uint64_t kStep = 64;   // rows eliminated at a time
constexpr uint64_t kTile = 192;  // of the rest, for one thread

// Works on N = M^T, lower triangular, so that all products run along rows: H = N^T N. Row t of N
// is row t of what is left of H over the root of its pivot; then H loses N_t^T N_t.
bool FactorSmall(SquareMatrix h) {
  for (uint64_t t = h.n; t-- > 0;) {
    float* row = h.data + t * h.stride;
    if (!(row[t] > 0) || !std::isfinite(row[t])) return false;
    const float scale = 1 / std::sqrt(row[t]);
    for (uint64_t i = 0; i <= t; ++i) row[i] *= scale;
    for (uint64_t i = 0; i < t; ++i) {
      float* rest = h.data + i * h.stride;
      for (uint64_t j = 0; j <= i; ++j) rest[j] -= row[i] * row[j];
    }
  }
  return true;
}

// The transpose of the upper inverse of M = N^T, N the lower triangle of `small`: [s, t] = U[t, s].
void InvertSmall(const SquareMatrix& small, float* transposed) {
  std::vector<float> m(small.n * small.n);
  std::vector<float> inverse(small.n * small.n);
  for (uint64_t t = 0; t < small.n; ++t) {
    for (uint64_t i = 0; i <= t; ++i) m[i * small.n + t] = small.data[t * small.stride + i];
  }
  InvertUpper({m.data(), small.n, small.n}, {inverse.data(), small.n, small.n});
  for (uint64_t t = 0; t < small.n; ++t) {
    for (uint64_t s = 0; s < small.n; ++s) transposed[s * small.n + t] = inverse[t * small.n + s];
  }
}

// Rows [from, from + kStep) of N left of their triangle: inv(M_bb) H[b, 0..from).
Status SolveLeft(SquareMatrix h, uint64_t from, const float* inverse, int threads) {
  const uint64_t rows = std::min(kStep, h.n - from);
  return ParallelFor((from + kTile - 1) / kTile, threads, [&](uint64_t i) -> Status {
    const uint64_t column = i * kTile;
    const uint64_t columns = std::min(kTile, from - column);
    std::vector<float> solved(rows * columns);
    OuterProducts product;
    product.a = inverse;
    product.a_stride = rows;
    product.b = h.data + from * h.stride + column;
    product.b_stride = h.stride;
    product.c = solved.data();
    product.c_stride = columns;
    product.m = product.k = rows;
    product.n = columns;
    AddOuterProducts(product);
    for (uint64_t r = 0; r < rows; ++r) {
      std::copy_n(solved.data() + r * columns, columns, h.data + (from + r) * h.stride + column);
    }
    return {};
  });
}

// H[0..from, 0..from) -= N_b^T N_b, on and below the diagonal.
Status SubtractProducts(SquareMatrix h, uint64_t from, int threads) {
  const uint64_t tiles = (from + kTile - 1) / kTile;
  return ParallelFor(tiles * tiles, threads, [&](uint64_t i) -> Status {
    const uint64_t row = i / tiles * kTile;
    const uint64_t column = i % tiles * kTile;
    if (column > row) return {};
    OuterProducts product;
    product.a = h.data + from * h.stride + row;
    product.b = h.data + from * h.stride + column;
    product.c = h.data + row * h.stride + column;
    product.a_stride = product.b_stride = product.c_stride = h.stride;
    product.m = std::min(kTile, from - row);
    product.n = std::min(kTile, from - column);
    product.k = std::min(kStep, h.n - from);
    product.factor = -1;
    AddOuterProducts(product);
    return {};
  });
}

Status TransposeLower(SquareMatrix h, int threads) {
  return ParallelFor((h.n + kStep - 1) / kStep, threads, [&](uint64_t step) -> Status {
    const uint64_t tile = step * kStep;
    for (uint64_t t = tile; t < h.n; ++t) {
      for (uint64_t i = tile; i < std::min(tile + kStep, t); ++i) {
        h.data[i * h.stride + t] = h.data[t * h.stride + i];
        h.data[t * h.stride + i] = 0;
      }
    }
    return {};
  });
}

}  // namespace

Result<bool> FactorFromTheEnd(SquareMatrix h, int threads) {
  std::vector<float> inverse(kStep * kStep);
  for (uint64_t end = h.n; end > 0;) {
    const uint64_t from = (end - 1) / kStep * kStep;
    const SquareMatrix corner = {h.data + from * (h.stride + 1), end - from, h.stride};
    if (!FactorSmall(corner)) return false;
    InvertSmall(corner, inverse.data());
    TRY_STATUS(SolveLeft(h, from, inverse.data(), threads));
    TRY_STATUS(SubtractProducts(h, from, threads));
    end = from;
  }
  TRY_STATUS(TransposeLower(h, threads));
  return true;
}

void InvertUpper(const SquareMatrix& m, SquareMatrix to) {
  for (uint64_t i = m.n; i-- > 0;) {
    const float* row = m.data + i * m.stride;
    float* inverse = to.data + i * to.stride;
    std::fill_n(inverse, m.n, 0.0F);
    for (uint64_t k = i + 1; k < m.n; ++k) {
      const float* below = to.data + k * to.stride;
      for (uint64_t j = k; j < m.n; ++j) inverse[j] -= row[k] * below[j];
    }
    for (uint64_t j = i + 1; j < m.n; ++j) inverse[j] /= row[i];
    inverse[i] = 1 / row[i];
  }
}

}  // namespace trimma
