#include "quantize/rounding/second_moment.h"

#include <algorithm>

#include "quantize/parallel.h"
#include "quantize/rounding/outer_products.h"

namespace trimma {
namespace {

constexpr uint64_t kTile = 192;

// An odd multiple of a cache line: rows of 4096 floats would all fall into the same few sets.
size_t StrideOf(uint64_t columns) { return (((columns + 15) / 16) | 1) * 16; }

// The tiles on and above the diagonal of [size, size], counted row by row.
struct Tile {
  uint64_t row, column;
};
std::vector<Tile> UpperTiles(uint64_t size) {
  std::vector<Tile> tiles;
  for (uint64_t row = 0; row < size; row += kTile) {
    for (uint64_t column = row; column < size; column += kTile) tiles.push_back({row, column});
  }
  return tiles;
}

}  // namespace

SecondMoment::SecondMoment(uint64_t n, uint64_t block)
    : n_(n), block_(block == 0 ? n : block), stride_(StrideOf(block_)) {
  CHECK(n > 0 && n % block_ == 0);
  sums_.resize(n_ * stride_);
}

Status SecondMoment::Add(const float* x, uint64_t tokens, int threads) {
  const std::vector<Tile> tiles = UpperTiles(block_);
  const Status status = ParallelFor(blocks() * tiles.size(), threads, [&](uint64_t i) -> Status {
    const uint64_t matrix = i / tiles.size();
    const auto [row, column] = tiles[i % tiles.size()];
    float* sums = MutableMatrix(matrix);
    OuterProducts product;
    product.a = x + matrix * block_ + row;
    product.b = x + matrix * block_ + column;
    product.c = sums + row * stride_ + column;
    product.a_stride = product.b_stride = n_;
    product.c_stride = stride_;
    product.m = std::min(kTile, block_ - row);
    product.n = std::min(kTile, block_ - column);
    product.k = tokens;
    AddOuterProducts(product);
    for (uint64_t r = row; r < row + product.m; ++r) {
      const uint64_t first = std::max(column, r + 1);
      for (uint64_t c = first; c < column + product.n; ++c)
        sums[c * stride_ + r] = sums[r * stride_ + c];
    }
    return {};
  });
  if (status.ok()) tokens_ += tokens;
  return status;
}

std::vector<float> SecondMoment::Diagonal() const {
  std::vector<float> diagonal(n_);
  for (uint64_t j = 0; j < n_; ++j) diagonal[j] = Matrix(j / block_)[(j % block_) * (stride_ + 1)];
  return diagonal;
}

}  // namespace trimma
