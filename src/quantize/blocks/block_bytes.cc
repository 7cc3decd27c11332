// The bits of a block. Each layout is written once, as fields that a Reader takes out of the bytes
// or a Writer puts in.
#include <cstring>

#include "base/half.h"
#include "base/result.h"
#include "quantize/blocks/block_format.h"

namespace trimma {
namespace {

// The numbers of a block as the bytes hold them: signed ones shifted to start at 0.
struct Stored {
  uint16_t scale = 0;
  uint16_t min_scale = 0;
  uint8_t scales[kMaxGroups] = {};
  uint8_t mins[kMaxGroups] = {};
  uint8_t codes[kMaxBlock] = {};
};

class Reader {
 public:
  explicit Reader(const void* bytes) : bytes_(static_cast<const uint8_t*>(bytes)) {}
  // `width` bits from bit `shift` of byte `at` are the bits of `number` from bit `from` on.
  void Bits(uint32_t at, uint32_t shift, uint32_t width, uint8_t& number, uint32_t from = 0) {
    const uint32_t field = (uint32_t{bytes_[at]} >> shift) & ((1U << width) - 1);
    number = static_cast<uint8_t>(number | field << from);
  }
  void Half(uint32_t at, uint16_t& half) { std::memcpy(&half, bytes_ + at, sizeof(half)); }

 private:
  const uint8_t* bytes_;
};

class Writer {  // onto zeros
 public:
  explicit Writer(void* bytes) : bytes_(static_cast<uint8_t*>(bytes)) {}
  void Bits(uint32_t at, uint32_t shift, uint32_t width, uint8_t number, uint32_t from = 0) {
    const uint32_t field = (uint32_t{number} >> from) & ((1U << width) - 1);
    bytes_[at] = static_cast<uint8_t>(bytes_[at] | field << shift);
  }
  void Half(uint32_t at, uint16_t half) { std::memcpy(bytes_ + at, &half, sizeof(half)); }

 private:
  uint8_t* bytes_;
};

// 16 bytes hold 32 codes of 4 bits: the low halves the first 16, the high halves the others.
template <typename Way, typename Codes>
void Nibbles32(Way& way, uint32_t at, Codes* codes) {
  for (uint32_t l = 0; l < 16; ++l) {
    way.Bits(at + l, 0, 4, codes[l]);
    way.Bits(at + l, 4, 4, codes[l + 16]);
  }
}

// Every 32 bytes hold 64 codes of 4 bits, the low halves first.
template <typename Way, typename Codes>
void Nibbles256(Way& way, uint32_t at, Codes* codes) {
  for (uint32_t j = 0; j < 256; ++j)
    way.Bits(at + 32 * (j / 64) + j % 32, 4 * (j / 32 % 2), 4, codes[j]);
}

// The fifth bit of code j is bit j of 4 bytes.
template <typename Way, typename Codes>
void FifthBits32(Way& way, uint32_t at, Codes* codes) {
  for (uint32_t j = 0; j < 32; ++j) way.Bits(at + j / 8, j % 8, 1, codes[j], 4);
}

// Byte l of 32 holds one bit of each of the codes l, l + 32, ..., l + 224.
template <typename Way, typename Codes>
void BitPlane256(Way& way, uint32_t at, Codes* codes, uint32_t from) {
  for (uint32_t j = 0; j < 256; ++j) way.Bits(at + j % 32, j / 32, 1, codes[j], from);
}

// Byte l of each 32 holds two bits of each of the codes l, l + 32, l + 64, l + 96 of 128.
template <typename Way, typename Codes>
void TwoBits256(Way& way, uint32_t at, Codes* codes, uint32_t from) {
  for (uint32_t j = 0; j < 256; ++j)
    way.Bits(at + 32 * (j / 128) + j % 32, 2 * (j / 32 % 4), 2, codes[j], from);
}

// 8 scales and 8 mins of 6 bits in 12 bytes.
template <typename Way, typename S>
void SixBitScales(Way& way, uint32_t at, S& s) {
  for (uint32_t g = 0; g < 4; ++g) {
    way.Bits(at + g, 0, 6, s.scales[g]);
    way.Bits(at + g + 4, 0, 6, s.mins[g]);
    way.Bits(at + g + 8, 0, 4, s.scales[g + 4]);
    way.Bits(at + g, 6, 2, s.scales[g + 4], 4);
    way.Bits(at + g + 8, 4, 4, s.mins[g + 4]);
    way.Bits(at + g + 4, 6, 2, s.mins[g + 4], 4);
  }
}

// 16 scales of 6 bits in 12 bytes.
template <typename Way, typename S>
void Q3Scales(Way& way, uint32_t at, S& s) {
  for (uint32_t g = 0; g < 16; ++g) {
    way.Bits(at + g % 8, 4 * (g / 8), 4, s.scales[g]);
    way.Bits(at + 8 + g % 4, 2 * (g / 4), 2, s.scales[g], 4);
  }
}

template <typename Way, typename S>
void Q6Codes(Way& way, S& s) {
  for (uint32_t j = 0; j < 256; ++j)
    way.Bits(64 * (j / 128) + j % 64, 4 * (j / 64 % 2), 4, s.codes[j]);
  TwoBits256(way, 128, s.codes, 4);
}

template <typename Way, typename S>
void Iq4Scales(Way& way, S& s) {
  for (uint32_t g = 0; g < 8; ++g) {
    way.Bits(4 + g / 2, 4 * (g % 2), 4, s.scales[g]);
    way.Bits(2 + g / 4, 2 * (g % 4), 2, s.scales[g], 4);
  }
}

template <typename Way, typename S>
void Halves(Way& way, uint32_t at, S& s) {
  way.Half(at, s.scale);
  way.Half(at + 2, s.min_scale);
}

// Types of 32 weights.
template <typename Way, typename S>
void SmallLayout(TensorType type, Way& way, S& s) {
  using namespace tensor_type;
  const bool has_min = type == kQ4_1 || type == kQ5_1;
  const bool has_fifth = type == kQ5_0 || type == kQ5_1;
  const uint32_t codes_at = 2 + (has_min ? 2 : 0) + (has_fifth ? 4 : 0);
  way.Half(0, s.scale);
  if (has_min) way.Half(2, s.min_scale);
  if (has_fifth) FifthBits32(way, codes_at - 4, s.codes);
  if (type != kQ8_0) return Nibbles32(way, codes_at, s.codes);
  for (uint32_t j = 0; j < 32; ++j) way.Bits(codes_at + j, 0, 8, s.codes[j]);
}

// Types of 256 weights.
template <typename Way, typename S>
void LargeLayout(TensorType type, Way& way, S& s) {
  using namespace tensor_type;
  if (type == kQ2_K) {
    for (uint32_t g = 0; g < 16; ++g) {
      way.Bits(g, 0, 4, s.scales[g]);
      way.Bits(g, 4, 4, s.mins[g]);
    }
    TwoBits256(way, 16, s.codes, 0);
    Halves(way, 80, s);
  } else if (type == kQ3_K) {
    BitPlane256(way, 0, s.codes, 2);
    TwoBits256(way, 32, s.codes, 0);
    Q3Scales(way, 96, s);
    way.Half(108, s.scale);
  } else if (type == kQ4_K || type == kQ5_K) {
    Halves(way, 0, s);
    SixBitScales(way, 4, s);
    if (type == kQ5_K) BitPlane256(way, 16, s.codes, 4);
    Nibbles256(way, type == kQ5_K ? 48 : 16, s.codes);
  } else if (type == kQ6_K) {
    Q6Codes(way, s);
    for (uint32_t g = 0; g < 16; ++g) way.Bits(192 + g, 0, 8, s.scales[g]);
    way.Half(208, s.scale);
  } else {
    CHECK(type == kIQ4_XS);
    way.Half(0, s.scale);
    Iq4Scales(way, s);
    for (uint32_t g = 0; g < 8; ++g) Nibbles32(way, 8 + 16 * g, s.codes + 32 * g);
  }
}

template <typename Way, typename S>
void Layout(const BlockFormat& format, Way way, S& s) {
  if (format.block == 32) return SmallLayout(format.type, way, s);
  LargeLayout(format.type, way, s);
}

// Q6_K's group scales and Q8_0's codes are two's complement; Q3_K's and IQ4_XS's scales start at 0.
int ScaleShift(const BlockFormat& format) { return format.scale_low == -32 ? 32 : 0; }
uint8_t CodeFlip(const BlockFormat& format) { return format.levels == 256 ? 0x80 : 0; }

// ggml adds the min of Q4_1 and Q5_1, and subtracts that of the other types.
bool MinIsAdded(const BlockFormat& format) { return format.min_low == 1; }
constexpr uint16_t kHalfSign = 0x8000;

}  // namespace

void UnpackBlock(const BlockFormat& format, const void* bytes, Block& block) {
  Stored s;
  Layout(format, Reader(bytes), s);
  if (MinIsAdded(format)) s.min_scale ^= kHalfSign;
  block.scale = HalfToFloat(s.scale);
  block.min_scale = format.has_mins() ? HalfToFloat(s.min_scale) : 0;
  const bool fixed_scale = !format.has_group_scales();
  const bool fixed_min = format.min_low == format.min_high;
  for (uint32_t g = 0; g < format.groups(); ++g) {
    block.scales[g] =
        fixed_scale ? int8_t{1} : static_cast<int8_t>(s.scales[g] - ScaleShift(format));
    block.mins[g] = fixed_min ? static_cast<uint8_t>(format.min_low) : s.mins[g];
  }
  for (uint32_t j = 0; j < format.block; ++j) block.codes[j] = s.codes[j] ^ CodeFlip(format);
}

void PackBlock(const BlockFormat& format, const Block& block, void* bytes) {
  Stored s;
  s.scale = FloatToHalf(block.scale);
  s.min_scale = FloatToHalf(block.min_scale);
  if (MinIsAdded(format)) s.min_scale ^= kHalfSign;
  for (uint32_t g = 0; g < format.groups(); ++g) {
    s.scales[g] = static_cast<uint8_t>(block.scales[g] + ScaleShift(format));
    s.mins[g] = block.mins[g];
  }
  for (uint32_t j = 0; j < format.block; ++j) s.codes[j] = block.codes[j] ^ CodeFlip(format);
  std::memset(bytes, 0, format.bytes);
  Layout(format, Writer(bytes), static_cast<const Stored&>(s));
}

}  // namespace trimma
