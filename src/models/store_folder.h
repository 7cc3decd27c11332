// Writing into stores that other programs own: folders that don't lead out of them, and room.
#pragma once

#include <cstdint>
#include <string>

#include "base/result.h"

namespace trimma {

// `root`/`relative`, made where it is missing (0755). `root` itself may be a link; kInvalid where a
// folder below it is a link out of it, or no folder.
Result<std::string> FolderIn(const std::string& root, const std::string& relative);

// kIo with both figures where the disk of `folder` has no room for so many bytes and a little.
Status CheckRoom(const std::string& folder, uint64_t bytes);

// A path below a folder, as a server may name it: relative, no "." or ".." or empty part, no
// control characters or backslashes, parts of at most 255 bytes, at most 8 of them.
bool IsSafeSubpath(std::string_view path);

// Where unfinished downloads of a store lie: a folder of our own, which the store's owner doesn't
// look at.
inline constexpr const char* kPartFolder = ".trimma-pull";

}  // namespace trimma
