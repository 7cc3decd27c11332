// SHA-256 of files.
#pragma once

#include <optional>
#include <string>

#include "base/file.h"
#include "base/result.h"
#include "gguf/reader.h"

namespace trimma {

// About 3 s per GB on an ordinary core.
Result<std::string> HashFile(const InputFile& file);

// Of a model: its only file's, or where it is split, of the shards' hashes in order.
std::string JoinHashes(const std::vector<std::string>& shards);

// Ollama names its blobs "sha256-<64 hex digits>", and checks them when it fetches them.
std::optional<std::string> HashFromName(const std::string& path);

}  // namespace trimma
