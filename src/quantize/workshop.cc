#include "quantize/workshop.h"

#include <filesystem>

#include "base/file.h"

namespace trimma {
namespace {
constexpr const char* kKeyName = "key.json";
}  // namespace

Result<Workshop> Workshop::Open(const std::string& directory, const std::string& key) {
  Workshop workshop(directory);
  const auto known = ReadSmallFile(workshop.Path(kKeyName));
  if (known.ok() && *known == key) return workshop;
  workshop.Remove();
  TRY_STATUS(MakeDirectories(workshop.directory_));
  TRY_STATUS(WriteFileAtomically(workshop.Path(kKeyName), key));
  return workshop;
}

bool Workshop::Has(const std::string& name) const {
  std::error_code ignored;
  return std::filesystem::exists(Path(name), ignored);
}

void Workshop::Remove() const {
  std::error_code ignored;
  std::filesystem::remove_all(directory_, ignored);
}

}  // namespace trimma
