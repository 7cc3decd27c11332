#include "plan/file_hash.h"

#include <fmt/format.h>
#include <hash/hash.h>

#include <algorithm>
#include <filesystem>
#include <string_view>

#include "base/interrupt.h"
extern "C" {
#include <hash/sha256/sha256.h>
}

namespace trimma {
namespace {

constexpr uint64_t kPiece = 4ULL << 20;
constexpr size_t kHexDigits = 64;

}  // namespace

Result<std::string> HashFile(const InputFile& file) {
  sha256_t state;
  sha256_init(&state);
  std::vector<unsigned char> piece(std::min(kPiece, file.bytes()));
  for (uint64_t at = 0; at < file.bytes(); at += piece.size()) {
    const uint64_t n = std::min<uint64_t>(piece.size(), file.bytes() - at);
    TRY_STATUS(file.ReadAt(at, piece.data(), n));
    sha256_update(&state, piece.data(), n);
    TRY_STATUS(CheckInterrupted());
  }
  unsigned char digest[SHA256_DIGEST_SIZE];
  sha256_final(&state, digest);
  std::string hex;
  for (const unsigned char byte : digest) hex += fmt::format("{:02x}", byte);
  return hex;
}

std::string JoinHashes(const std::vector<std::string>& shards) {
  CHECK(!shards.empty());
  if (shards.size() == 1) return shards[0];
  std::string all;
  for (const std::string& hash : shards) all += hash;
  return hash_sha256_hex(all.data(), all.size());
}

std::optional<std::string> HashFromName(const std::string& path) {
  constexpr std::string_view kStart = "sha256-";
  const std::string name = std::filesystem::path(path).filename().string();
  if (!name.starts_with(kStart) || name.size() != kStart.size() + kHexDigits) return std::nullopt;
  const std::string hash = name.substr(kStart.size());
  if (hash.find_first_not_of("0123456789abcdef") != std::string::npos) return std::nullopt;
  return hash;
}

}  // namespace trimma
