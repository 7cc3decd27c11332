// How many blocks of the exact mode are not those of llama.cpp as the compiler makes it for Arm,
// with products and sums fused: a line for every type, "NAME UNLIKE BLOCKS".
#include <cstdio>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "engine/rows.h"
#include "quantize/kernels/quantize_rows.h"

namespace trimma {
namespace {

constexpr uint64_t kRows = 64, kLength = 2048;
constexpr TensorType kTypes[] = {tensor_type::kQ4_0,   tensor_type::kQ4_1, tensor_type::kQ5_0,
                                 tensor_type::kQ5_1,   tensor_type::kQ8_0, tensor_type::kQ2_K,
                                 tensor_type::kQ3_K,   tensor_type::kQ4_K, tensor_type::kQ5_K,
                                 tensor_type::kIQ4_NL, tensor_type::kQ6_K, tensor_type::kIQ4_XS};

void Compare(TensorType type) {
  PrepareRows(type);
  std::mt19937 random(1);
  std::normal_distribution<float> normal(0, 0.02F);
  std::lognormal_distribution<float> spread(0, 1);
  std::vector<float> values(kRows * kLength), importance(kLength);
  for (float& x : values) x = normal(random);
  for (float& w : importance) w = spread(random);
  std::vector<char> ours(*RowBytes(type, kLength) * kRows), theirs(ours.size());
  QuantizeRowsExact(type, values.data(), kRows, kLength, importance.data(), ours.data());
  QuantizeRows(type, values.data(), kRows, kLength, importance.data(), theirs.data());
  const size_t bytes = InfoOf(type).block_bytes;
  size_t unlike = 0;
  for (size_t i = 0; i < ours.size(); i += bytes)
    unlike += std::memcmp(&ours[i], &theirs[i], bytes) != 0;
  std::printf("%s %zu %zu\n", std::string(NameOf(type)).c_str(), unlike, ours.size() / bytes);
}

}  // namespace
}  // namespace trimma

int main() {
  for (const trimma::TensorType type : trimma::kTypes) trimma::Compare(type);
}
