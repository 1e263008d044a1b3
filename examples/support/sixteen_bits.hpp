// Numbers of 16 bits as float, without rounding.
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>

namespace sixteen_bits {

/// bfloat16: the upper half of a float.
inline float from_bfloat16(std::uint16_t bits) { return std::bit_cast<float>(static_cast<std::uint32_t>(bits) << 16); }

/// IEEE 754 binary16: a sign, 5 bits of exponent, 10 of significand.
inline float from_half(std::uint16_t bits) {
  const unsigned exponent = bits >> 10 & 31u, significand = bits & 1023u;
  const std::uint32_t sign = static_cast<std::uint32_t>(bits & 0x8000u) << 16;
  if (exponent == 0) {
    const float size = std::ldexp(static_cast<float>(significand), -24);
    return sign == 0 ? size : -size;
  }
  // The exponent's bias is 15, that of float 127.
  return std::bit_cast<float>(sign | (exponent == 31 ? 255u : exponent + 112u) << 23 | significand << 13);
}

}  // namespace sixteen_bits
