#include "plan/assignment.h"

#include <fmt/format.h>

#include <map>
#include <set>

#include "base/build_info.h"
#include "base/text.h"
#include "gguf/view_file.h"

namespace trimma {
namespace {

// Rows that the recipe's block doesn't divide: which type took its place, and for how many tensors.
void NoteFallbacks(const GgufFile& source, const FileType& recipe, Assignment& assignment) {
  const uint32_t block = InfoOf(recipe.base).block;
  std::map<std::pair<uint64_t, TensorType>, int> fallbacks;
  for (size_t i = 0; i < source.tensors.size(); ++i) {
    const TensorInfo& tensor = source.tensors[i];
    const TensorType to = assignment.types[i];
    if (to == tensor.type || tensor.row_length() % block == 0 || !InfoOf(to).quantized) continue;
    ++fallbacks[{tensor.row_length(), to}];
  }
  for (const auto& [what, count] : fallbacks) {
    assignment.notes.push_back(fmt::format(
        "{} tensor{} with rows of {}, no multiple of {}, become {} instead of a {} type", count,
        count == 1 ? "" : "s", what.first, block, NameOf(what.second), NameOf(recipe.base)));
  }
}

void Tell(const MadeBy& made_by, Metadata& metadata) {
  metadata.Set("quantize.trimma.version", std::string(build_info::kVersion));
  metadata.Set("quantize.trimma.method", made_by.method);
  if (!made_by.source_sha256.empty())
    metadata.Set("quantize.trimma.source_sha256", made_by.source_sha256);
  if (made_by.dataset.empty()) return;
  metadata.Set("quantize.imatrix.dataset", made_by.dataset);
  metadata.Set("quantize.imatrix.entries_count", made_by.entries);
  metadata.Set("quantize.imatrix.chunks_count", made_by.chunks);
  if (made_by.text) Tell(*made_by.text, metadata);
}

}  // namespace

double BitsOf(TensorType type) {
  const TypeInfo& info = InfoOf(type);
  return 8.0 * info.block_bytes / info.block;
}

Assignment Assign(const GgufFile& source, const FileType& recipe,
                  const std::vector<TensorType>& recipe_types) {
  CHECK(recipe_types.size() == source.tensors.size());
  Assignment assignment;
  std::map<TensorType, int> kept;
  for (size_t i = 0; i < source.tensors.size(); ++i) {
    const TensorInfo& tensor = source.tensors[i];
    TensorType to = recipe_types[i];
    if (InfoOf(tensor.type).quantized && to != tensor.type && BitsOf(to) >= BitsOf(tensor.type)) {
      ++kept[tensor.type];
      to = tensor.type;
    }
    assignment.changes |= to != tensor.type;
    assignment.types.push_back(to);
  }
  for (const auto& [type, count] : kept) {
    assignment.notes.push_back(fmt::format(
        "{} tensor{} stay {}: the source is quantised already, more bits bring nothing back", count,
        count == 1 ? "" : "s", NameOf(type)));
  }
  NoteFallbacks(source, recipe, assignment);
  return assignment;
}

Result<GgufLayout> LayOutOutput(const GgufFile& source, const Assignment& assignment,
                                const FileType& recipe, const std::optional<MadeBy>& made_by) {
  Metadata metadata;
  for (const auto& [key, value] : source.metadata.entries()) {
    // What was said of the source's own making is not true of what is made of it.
    const bool outlived = assignment.changes && key.starts_with("quantize.");
    const bool padding = key == kViewPaddingKey;  // of a source that is a view's file
    if (!key.starts_with("split.") && !outlived && !padding) metadata.Set(key, value);
  }
  if (assignment.changes) {
    metadata.Set("general.file_type", recipe.id);
    metadata.Set("general.quantization_version", uint32_t{2});  // GGML_QNT_VERSION
  }
  if (made_by) Tell(*made_by, metadata);
  std::vector<TensorPlan> plans;
  for (size_t i = 0; i < source.tensors.size(); ++i) {
    plans.push_back({source.tensors[i].name, assignment.types[i], source.tensors[i].shape});
  }
  return LayOutGguf(metadata, plans);
}

}  // namespace trimma
