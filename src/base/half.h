// IEEE 754 binary16, which ggml's blocks keep their scales in.
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>

namespace trimma {

inline float HalfToFloat(uint16_t half) {
  // In a float's place the exponent is 112 too small; the product is exact, subnormals included.
  const float magnitude = std::bit_cast<float>((half & 0x7FFFU) << 13) * 0x1p112F;
  uint32_t bits = std::bit_cast<uint32_t>(magnitude);
  if (magnitude >= 65536.0F) bits |= 0x7F800000U;  // infinity or not a number
  return std::bit_cast<float>(bits | (half & 0x8000U) << 16);
}

// Rounds to the nearest, ties to even; beyond 65504 to infinity.
inline uint16_t FloatToHalf(float value) {
  const uint32_t bits = std::bit_cast<uint32_t>(value);
  const uint32_t sign = (bits >> 16) & 0x8000U;
  const uint32_t magnitude = bits & 0x7FFFFFFFU;
  const float absolute = std::bit_cast<float>(magnitude);
  if (std::isnan(value)) return static_cast<uint16_t>(sign | 0x7E00U);
  if (absolute >= 65520.0F) return static_cast<uint16_t>(sign | 0x7C00U);
  // A float next to 0.5 has steps of 2^-24, as a subnormal half has: the addition rounds.
  if (absolute < 0x1p-14F)
    return static_cast<uint16_t>(sign | (std::bit_cast<uint32_t>(absolute + 0.5F) & 0x7FFFU));
  const uint32_t rounded = magnitude + 0xFFFU + ((magnitude >> 13) & 1U);
  return static_cast<uint16_t>(sign | ((rounded >> 13) - (112U << 10)));
}

// The nearest float that a half holds exactly.
inline float RoundToHalf(float value) { return HalfToFloat(FloatToHalf(value)); }

}  // namespace trimma
