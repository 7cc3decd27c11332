// A GGUF file seen otherwise: under other keys, with tensors renamed, hidden, cut, or put together
// from pieces of others. It describes a file that could be written; nothing is read or written
// here.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "gguf/reader.h"
#include "gguf/writer.h"

namespace trimma {

// Bytes of a file that is there already.
struct ViewPiece {
  uint32_t file = 0;  // which of GgufView::paths
  uint64_t offset = 0;
  uint64_t bytes = 0;
  TensorType type{};
};

struct ViewTensor {
  TensorPlan plan;
  // One after the other. They are copied where they have the tensor's type, and become floats where
  // it is F32 and theirs F16, BF16 or Q8_0. No pieces: zeros.
  std::vector<ViewPiece> pieces;
};

struct GgufView {
  std::vector<std::string> paths;  // of the files that the pieces lie in
  Metadata metadata;
  std::vector<ViewTensor> tensors;
  std::vector<std::string> changes;  // a phrase each: what differs from the file
};

// The file as it is.
GgufView ViewOf(const GgufFile& file);

// What the reader would tell of the written view, but for its paths, which are the view's own. The
// tensors' offsets are those in the file to be. kInvalid where it can't be laid out.
Result<GgufFile> HeaderOf(const GgufView& view);

// Plans of the view's tensors, as LayOutGguf takes them.
std::vector<TensorPlan> PlansOf(const GgufView& view);

// Edits a view, and notes what it changes. An edit that finds nothing to do changes nothing, so a
// file that is as it ought to be comes out as it went in.
class ViewEdit {
 public:
  explicit ViewEdit(const GgufFile& source) : source_(source), view_(ViewOf(source)) {}

  const GgufFile& source() const { return source_; }
  const GgufView& view() const { return view_; }
  bool changed() const { return !view_.changes.empty(); }
  GgufView Take() && { return std::move(view_); }

  bool HasTensor(std::string_view part_of_name) const;
  const ViewTensor* Find(std::string_view name) const;  // linear

  // Keys. Copy: where `from` is there and `to` isn't; under the new name alone.
  void MoveKey(const std::string& from, const std::string& to);
  void Default(const std::string& key, Value value);  // where the key is absent
  void Set(const std::string& key, Value value);      // where it holds something else
  void DropKeys(const std::vector<std::string>& prefixes, const std::string& what);
  // general.architecture, and the prefix of all its keys.
  void RenameArchitecture(const std::string& to);

  // Tensors.
  void Rename(std::string_view part, std::string_view becomes);  // the first place in each name
  void Hide(const std::vector<std::string>& prefixes, const std::string& what);
  void CutRows(std::string_view name, uint64_t rows);  // of a matrix: the first ones stay
  // The tokenizer's arrays, to their first `tokens`.
  void CutTokens(uint64_t tokens);

  void Note(std::string change) { view_.changes.push_back(std::move(change)); }
  GgufView& raw() { return view_; }

 private:
  const GgufFile& source_;
  GgufView view_;
};

// A value as a sentence shows it: "1e-06", "linear", "[24, 20, 20, 0]".
std::string ShortText(const Value& value);

}  // namespace trimma
