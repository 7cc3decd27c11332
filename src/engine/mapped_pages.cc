#include "engine/mapped_pages.h"

#include <sys/mman.h>

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <fstream>
#include <optional>

namespace trimma {
namespace {

struct AddressRange {
  uintptr_t begin = 0;
  uintptr_t end = 0;
};

// "7f1c2000-7f1c3000 r--s 00000000 08:01 42    /models/m.gguf", if it is one of these files and
// only read: what is written would be lost.
std::optional<AddressRange> MappedAddressRange(const std::string& line,
                                               const std::vector<std::string>& paths) {
  const size_t name = line.find('/');
  if (name == std::string::npos) return std::nullopt;
  if (std::find(paths.begin(), paths.end(), line.substr(name)) == paths.end()) return std::nullopt;
  AddressRange range;
  const char* end = line.data() + line.size();
  const auto first = std::from_chars(line.data(), end, range.begin, 16);
  if (first.ec != std::errc() || first.ptr == end || *first.ptr != '-') return std::nullopt;
  const auto second = std::from_chars(first.ptr + 1, end, range.end, 16);
  if (second.ec != std::errc() || second.ptr + 2 >= end) return std::nullopt;
  if (second.ptr[1] != 'r' || second.ptr[2] != '-') return std::nullopt;
  return range;
}

}  // namespace

void ReleaseMappedPages(const std::vector<std::string>& paths) {
  std::vector<std::string> canonical;
  for (const std::string& path : paths) {
    std::error_code error;
    canonical.push_back(std::filesystem::canonical(path, error).string());
  }
  std::ifstream maps("/proc/self/maps");
  for (std::string line; std::getline(maps, line);) {
    const auto range = MappedAddressRange(line, canonical);
    if (!range) continue;
    // The kernel tells addresses as text.
    (void)madvise(reinterpret_cast<void*>(range->begin), range->end - range->begin, MADV_DONTNEED);
  }
}

}  // namespace trimma
