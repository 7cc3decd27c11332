#include "quantize/blocks/block_format.h"

namespace trimma {
namespace {

using namespace tensor_type;

constexpr BlockFormat kFormats[] = {
    // type, block, group, bytes, levels, offset, table, scales, mins
    {kQ4_0, 32, 32, 18, 16, -8, nullptr, 1, 1, 0, 0},
    {kQ4_1, 32, 32, 20, 16, 0, nullptr, 1, 1, 1, 1},
    {kQ5_0, 32, 32, 22, 32, -16, nullptr, 1, 1, 0, 0},
    {kQ5_1, 32, 32, 24, 32, 0, nullptr, 1, 1, 1, 1},
    {kQ8_0, 32, 32, 34, 256, -128, nullptr, 1, 1, 0, 0, 1},
    {kQ2_K, 256, 16, 84, 4, 0, nullptr, 0, 15, 0, 15},
    {kQ3_K, 256, 16, 110, 8, -4, nullptr, -32, 31, 0, 0},
    {kQ4_K, 256, 32, 144, 16, 0, nullptr, 0, 63, 0, 63},
    {kQ5_K, 256, 32, 176, 32, 0, nullptr, 0, 63, 0, 63},
    {kQ6_K, 256, 16, 210, 64, -32, nullptr, -128, 127, 0, 0},
    {kIQ4_NL, 32, 32, 18, 16, 0, kIq4Levels, 1, 1, 0, 0},
    {kIQ4_XS, 256, 32, 136, 16, 0, kIq4Levels, -32, 31, 0, 0},
};

}  // namespace

const int8_t kIq4Levels[16] = {-127, -104, -83, -65, -49, -35, -22, -10,
                               1,    13,   25,  38,  53,  69,  89,  113};

const BlockFormat* FindBlockFormat(TensorType type) {
  for (const BlockFormat& format : kFormats) {
    if (format.type == type) return &format;
  }
  return nullptr;
}

}  // namespace trimma
