#include "gguf/view.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <type_traits>

#include "base/text.h"
#include "base/units.h"

namespace trimma {
namespace {

constexpr size_t kShownElements = 4;
constexpr size_t kShownText = 40;

template <typename T>
Strings FirstOf(const T& strings, uint64_t n)
  requires std::is_same_v<T, Strings>
{
  Strings first;
  for (uint64_t i = 0; i < n; ++i) first.push_back(strings[i]);
  return first;
}

template <typename T>
std::vector<T> FirstOf(const std::vector<T>& elements, uint64_t n) {
  return {elements.begin(), elements.begin() + static_cast<std::ptrdiff_t>(n)};
}

Array FirstElements(const Array& array, uint64_t n) {
  Array cut;
  cut.is_bool = array.is_bool;
  std::visit([&](const auto& elements) { cut.elements = FirstOf(elements, n); }, array.elements);
  return cut;
}

std::string ShortText(const Array& array) {
  return std::visit(
      [](const auto& elements) {
        std::vector<std::string> shown;
        for (size_t i = 0; i < std::min<size_t>(elements.size(), kShownElements); ++i)
          shown.push_back(fmt::format("{}", elements[i]));
        if (elements.size() > kShownElements) shown.emplace_back("...");
        return fmt::format("[{}]", fmt::join(shown, ", "));
      },
      array.elements);
}

}  // namespace

std::string ShortText(const Value& value) {
  return std::visit(
      [](const auto& plain) -> std::string {
        using T = std::decay_t<decltype(plain)>;
        if constexpr (std::is_same_v<T, Array>) return ShortText(plain);
        if constexpr (std::is_same_v<T, std::string>) {
          return plain.size() > kShownText ? fmt::format("a text of {} bytes", plain.size())
                                           : fmt::format("\"{}\"", SafeText(plain));
        } else if constexpr (!std::is_same_v<T, Array>) {
          return fmt::format("{}", plain);
        }
      },
      value);
}

GgufView ViewOf(const GgufFile& file) {
  GgufView view;
  view.paths = file.paths;
  for (const auto& [key, value] : file.metadata.entries()) {
    if (!key.starts_with("split.")) view.metadata.Set(key, value);
  }
  view.tensors.reserve(file.tensors.size());
  for (const TensorInfo& tensor : file.tensors) {
    view.tensors.push_back({{tensor.name, tensor.type, tensor.shape},
                            {{tensor.shard, tensor.offset, tensor.bytes, tensor.type}}});
  }
  return view;
}

std::vector<TensorPlan> PlansOf(const GgufView& view) {
  std::vector<TensorPlan> plans;
  plans.reserve(view.tensors.size());
  for (const ViewTensor& tensor : view.tensors) plans.push_back(tensor.plan);
  return plans;
}

Result<GgufFile> HeaderOf(const GgufView& view) {
  TRY(const GgufLayout layout, LayOutGguf(view.metadata, PlansOf(view)));
  GgufFile file;
  file.paths = view.paths;
  file.file_bytes = layout.file_bytes;
  file.data_offset = layout.header.size();
  if (const auto alignment = view.metadata.Integer("general.alignment"))
    file.alignment = static_cast<uint64_t>(*alignment);
  file.metadata = view.metadata;
  file.tensors.reserve(view.tensors.size());
  for (size_t i = 0; i < view.tensors.size(); ++i) {
    const TensorPlan& plan = view.tensors[i].plan;
    file.tensors.push_back(
        {plan.name, plan.type, plan.shape, layout.sizes[i], layout.offsets[i], 0});
  }
  return file;
}

bool ViewEdit::HasTensor(std::string_view part_of_name) const {
  return std::any_of(view_.tensors.begin(), view_.tensors.end(), [&](const ViewTensor& tensor) {
    return tensor.plan.name.find(part_of_name) != std::string::npos;
  });
}

const ViewTensor* ViewEdit::Find(std::string_view name) const {
  const auto at = std::find_if(view_.tensors.begin(), view_.tensors.end(),
                               [&](const ViewTensor& tensor) { return tensor.plan.name == name; });
  return at == view_.tensors.end() ? nullptr : &*at;
}

void ViewEdit::MoveKey(const std::string& from, const std::string& to) {
  const Value* value = view_.metadata.Find(from);
  if (value == nullptr || view_.metadata.Has(to)) return;
  Value kept = *value;
  view_.metadata.Erase(from);
  view_.metadata.Set(to, std::move(kept));
  Note(fmt::format("{} as {}", from, to));
}

void ViewEdit::Default(const std::string& key, Value value) {
  if (view_.metadata.Has(key)) return;
  Note(fmt::format("{} = {} supplied", key, ShortText(value)));
  view_.metadata.Set(key, std::move(value));
}

void ViewEdit::Set(const std::string& key, Value value) {
  const Value* before = view_.metadata.Find(key);
  if (before == nullptr) {
    Default(key, std::move(value));
    return;
  }
  if (*before == value) return;
  Note(fmt::format("{} = {} instead of {}", key, ShortText(value), ShortText(*before)));
  view_.metadata.Set(key, std::move(value));
}

void ViewEdit::DropKeys(const std::vector<std::string>& prefixes, const std::string& what) {
  Metadata kept;
  for (const auto& [key, value] : view_.metadata.entries()) {
    const bool dropped = std::any_of(prefixes.begin(), prefixes.end(),
                                     [&](const std::string& p) { return key.starts_with(p); });
    if (!dropped) kept.Set(key, value);
  }
  const size_t count = view_.metadata.entries().size() - kept.entries().size();
  if (count == 0) return;
  view_.metadata = std::move(kept);
  Note(fmt::format("{} keys of {} left out", count, what));
}

void ViewEdit::RenameArchitecture(const std::string& to) {
  const std::string from = source_.architecture();
  if (from == to) return;
  Metadata renamed;
  for (const auto& [key, value] : view_.metadata.entries()) {
    const bool its = key.starts_with(from + ".");
    renamed.Set(its ? to + key.substr(from.size()) : key, value);
  }
  renamed.Set("general.architecture", to);
  view_.metadata = std::move(renamed);
  Note(fmt::format("architecture \"{}\" as \"{}\"", SafeText(from), to));
}

void ViewEdit::Rename(std::string_view part, std::string_view becomes) {
  size_t renamed = 0;
  for (ViewTensor& tensor : view_.tensors) {
    std::string& name = tensor.plan.name;
    // What is renamed already may hold the part: "attn_out" is in "attn_output".
    if (becomes.starts_with(part) && name.find(becomes) != std::string::npos) continue;
    const size_t at = name.find(part);
    if (at == std::string::npos) continue;
    name.replace(at, part.size(), becomes);
    ++renamed;
  }
  if (renamed > 0)
    Note(fmt::format("\"{}\" as \"{}\" in the names of {} tensors", part, becomes, renamed));
}

void ViewEdit::Hide(const std::vector<std::string>& prefixes, const std::string& what) {
  size_t count = 0;
  uint64_t bytes = 0;
  std::erase_if(view_.tensors, [&](const ViewTensor& tensor) {
    const bool hidden = std::any_of(
        prefixes.begin(), prefixes.end(),
        [&](const std::string& prefix) { return tensor.plan.name.starts_with(prefix); });
    if (!hidden) return false;
    ++count;
    for (const ViewPiece& piece : tensor.pieces) bytes += piece.bytes;
    return true;
  });
  if (count > 0)
    Note(fmt::format("{} tensors of {} left out ({})", count, what, FormatBytes(bytes)));
}

void ViewEdit::CutRows(std::string_view name, uint64_t rows) {
  for (ViewTensor& tensor : view_.tensors) {
    if (tensor.plan.name != name || tensor.plan.shape.size() != 2 || tensor.plan.shape[1] <= rows)
      continue;
    Note(fmt::format("the {} rows of {} cut to {}", tensor.plan.shape[1], name, rows));
    tensor.plan.shape[1] = rows;
    tensor.pieces[0].bytes = *RowBytes(tensor.plan.type, tensor.plan.shape[0]) * rows;
  }
}

void ViewEdit::CutTokens(uint64_t tokens) {
  uint64_t before = 0;
  for (const char* key :
       {"tokenizer.ggml.tokens", "tokenizer.ggml.scores", "tokenizer.ggml.token_type"}) {
    const Array* array = view_.metadata.FindArray(key);
    if (array == nullptr || array->size() <= tokens) continue;
    before = array->size();
    view_.metadata.Set(key, FirstElements(*array, tokens));
  }
  if (before > 0) Note(fmt::format("{} tokens cut to the embedding's {} rows", before, tokens));
}

}  // namespace trimma
