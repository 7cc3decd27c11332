// Models split over files named NAME-00001-of-00003.gguf.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "base/result.h"
#include "gguf/reader.h"

namespace trimma {

struct ShardName {
  std::string prefix;  // with its directory, up to the "-" before the number
  uint32_t index = 0;  // from 0
  uint32_t count = 0;
  std::string Path(uint32_t i) const;  // of shard i, from 0
};

// nullopt if the name has no such form, or its numbers make no sense.
std::optional<ShardName> ParseShardName(const std::string& path);

// What split.count says; 1 for a whole file. kInvalid where the split.* keys have wrong
// types (ggml aborts on those) or contradict each other.
Result<uint32_t> SplitCount(const GgufFile& file);

// One file, split or not, without looking for others (reader.cc).
Result<GgufFile> ReadOneFile(const std::string& path);

// Reads the other shards of the model that `one` (at one.paths[0], split.count above 1)
// is part of, checks them against each other and joins them in order.
using ReadShard = std::function<Result<GgufFile>(const std::string& path)>;
Result<GgufFile> ReadShards(GgufFile one, const ReadShard& read = ReadOneFile);

}  // namespace trimma
