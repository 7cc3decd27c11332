// What the name of a GGUF file says: people agree on these habits, no format enforces them.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace trimma {

// Ends in ".gguf", in any case of letters.
bool IsGgufName(std::string_view path);

// A vision or audio projector ("mmproj-F16.gguf"): a companion of a model.
bool IsProjectorName(std::string_view path);

// A GGUF that is a language model of its own: no projector, importance matrix or draft head.
bool IsModelName(std::string_view path);

// The type in "gemma-3-4b-it-Q4_K_M.gguf" or "qwen-q8_0-00001-of-00002.gguf", in capitals:
// "Q4_K_M", "Q8_0"; "" if there is none.
std::string QuantTag(std::string_view path);

// "model-00002-of-00003.gguf" is shard 2 of 3; a whole file is shard 1 of 1.
struct Shard {
  int number = 1;
  int count = 1;
};
Shard ShardOf(std::string_view path);

// Of `files` (relative paths, sorted): the models, each split one as its first shard. What lacks
// shards is left out with a sentence in `notes`.
std::vector<std::string> WholeModels(const std::vector<std::string>& files,
                                     std::vector<std::string>& notes);

// The projector that belongs to `model`: in its own folder if possible, else the first; "" if none.
std::string ProjectorFor(const std::string& model, const std::vector<std::string>& files);

// "c.gguf" of "a/b/c.gguf", and "a/b/" ("" without a folder).
std::string_view FileOf(std::string_view path);
std::string_view FolderOf(std::string_view path);

}  // namespace trimma
