// Bytes, rates and durations as people read and write them.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace trimma {

inline constexpr uint64_t kKiB = uint64_t{1} << 10;
inline constexpr uint64_t kMiB = uint64_t{1} << 20;
inline constexpr uint64_t kGiB = uint64_t{1} << 30;

// "2.2GiB", "512MiB", "3.5GB", "800k", or plain bytes "2254857830". Binary prefixes
// (KiB, MiB, GiB, TiB) are powers of 1024, decimal ones (kB, MB, GB, TB) powers of 1000;
// a bare letter (K, M, G, T) is binary, as memory is. Negative, empty, unknown or
// overflowing text is a usage error.
Result<uint64_t> ParseBytes(std::string_view text);

// "241.4 MiB", "3.70 GiB", "512 B": three significant digits and a binary prefix.
std::string FormatBytes(uint64_t bytes);

// "12.3 s", "2 min 05 s", "340 ms".
std::string FormatSeconds(double seconds);

// "1 234 567" with thin groups of three (plain spaces: terminals and logs copy them well).
std::string FormatCount(uint64_t count);

}  // namespace trimma
