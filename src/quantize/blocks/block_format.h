// ggml's quantised blocks as numbers: scales and codes in plain arrays, and their bytes.
//
// A block holds `block` weights in groups of `group`. With level(code) = code + offset, or the
// table of the IQ4 types, weight j of group g = j / group is
//
//   value(j) = scale * scales[g] * level(codes[j]) - min_scale * mins[g]
//
// Types without group scales have one group whose scale is always 1; Q4_1 and Q5_1 have one min
// that is always 1, and their min_scale is the negated `m` of ggml.
#pragma once

#include <cstdint>

#include "gguf/types.h"

namespace trimma {

struct BlockFormat {
  TensorType type;
  uint32_t block;  // weights of a block: 32 or 256
  uint32_t group;  // weights that share a group scale and min: 16 or 32
  uint32_t bytes;  // of a block
  int levels;      // codes are 0 .. levels - 1
  int offset;      // level(code) = code + offset, where `table` is nullptr
  const int8_t* table;
  int scale_low, scale_high;  // group scales; both 1 where the type has none
  int min_low, min_high;      // group mins; both 0 where the type has none
  // The lowest code to make. ggml never makes Q8_0's -128: some of its kernels take absolute values
  // in 8 bits.
  int first_code = 0;

  uint32_t groups() const { return block / group; }
  bool has_group_scales() const { return scale_low != scale_high; }
  bool has_mins() const { return min_high != 0; }
  int Level(uint8_t code) const { return table == nullptr ? code + offset : table[code]; }
};

inline constexpr uint32_t kMaxBlock = 256;
inline constexpr uint32_t kMaxGroups = 16;
inline constexpr uint32_t kMaxBlockBytes = 210;

// The 16 levels of IQ4_NL and IQ4_XS, rising.
extern const int8_t kIq4Levels[16];

// Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q2_K to Q6_K, IQ4_NL, IQ4_XS; nullptr for any other type.
const BlockFormat* FindBlockFormat(TensorType type);

// Entries beyond the format's groups and weights are not meaningful. To be packed, both scales
// must be values of an IEEE half (base/half.h), all integers within the format's ranges.
struct Block {
  float scale = 0;
  float min_scale = 0;
  int8_t scales[kMaxGroups] = {};
  uint8_t mins[kMaxGroups] = {};
  uint8_t codes[kMaxBlock] = {};

  float GroupScale(uint32_t group) const { return scale * static_cast<float>(scales[group]); }
  float GroupMin(uint32_t group) const { return min_scale * static_cast<float>(mins[group]); }
};

// What ggml's to_float gives for weight j.
inline float ValueOf(const BlockFormat& format, const Block& block, uint32_t j) {
  const uint32_t g = j / format.group;
  return block.GroupScale(g) * static_cast<float>(format.Level(block.codes[j])) - block.GroupMin(g);
}

// One block of format.bytes. PackBlock gives back the bytes that UnpackBlock read.
void UnpackBlock(const BlockFormat& format, const void* bytes, Block& block);
void PackBlock(const BlockFormat& format, const Block& block, void* bytes);

}  // namespace trimma
