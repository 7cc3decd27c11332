#include "history/quick_hash.h"

#include <hash/hash.h>

#include <algorithm>

#include "base/file.h"

namespace trimma {
namespace {

constexpr uint64_t kPieces = 16;
constexpr uint64_t kPieceBytes = 64 << 10;

}  // namespace

Result<std::string> QuickHash(const std::vector<std::string>& paths) {
  std::string data;
  for (const std::string& path : paths) {
    TRY(const InputFile file, InputFile::Open(path));
    data += std::to_string(file.bytes()) + '\n';
    const uint64_t piece = std::min(kPieceBytes, file.bytes());
    const uint64_t pieces = file.bytes() > piece ? kPieces : 1;
    for (uint64_t i = 0; i < pieces; ++i) {
      const uint64_t at = pieces == 1 ? 0 : (file.bytes() - piece) / (pieces - 1) * i;
      const size_t before = data.size();
      data.resize(before + piece);
      // The last piece ends with the file, whatever the division left over.
      TRY_STATUS(
          file.ReadAt(i + 1 == pieces ? file.bytes() - piece : at, data.data() + before, piece));
    }
  }
  return std::string(hash_sha256_hex(data.data(), data.size()));
}

}  // namespace trimma
