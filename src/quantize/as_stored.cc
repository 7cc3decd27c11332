#include "quantize/as_stored.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <map>

#include "base/text.h"
#include "base/units.h"
#include "gguf/format.h"
#include "gguf/view_file.h"
#include "plan/file_hash.h"
#include "quantize/make_file.h"

namespace trimma {
namespace {

// Where a tensor's data begins: what a text view copies is known by it.
using Place = std::pair<uint32_t, uint64_t>;

std::map<Place, const ViewTensor*> TextTensors(const EngineView& view) {
  std::map<Place, const ViewTensor*> tensors;
  for (const ViewTensor& tensor : view.text.tensors)
    tensors[{tensor.pieces[0].file, tensor.pieces[0].offset}] = &tensor;
  return tensors;
}

// What is said of the making, and of the types.
bool IsOfTheMaking(const std::string& key) {
  return key.starts_with("quantize.") || key == "general.file_type" ||
         key == "general.quantization_version";
}

Metadata KeysAsStored(const GgufFile& stored, const EngineView& view, const GgufFile& made,
                      bool cut) {
  Metadata metadata;
  for (const auto& [key, value] : stored.metadata.entries()) {
    if (!key.starts_with("split.") && !key.starts_with("quantize.")) metadata.Set(key, value);
  }
  for (const auto& [key, value] : made.metadata.entries()) {
    if (IsOfTheMaking(key)) metadata.Set(key, value);
  }
  constexpr const char* kSource = "quantize.trimma.source_sha256";
  if (metadata.Has(kSource) && stored.paths.size() == 1) {
    if (const auto hash = HashFromName(stored.paths[0])) metadata.Set(kSource, *hash);
  }
  if (!cut) return metadata;
  for (const char* key :
       {"tokenizer.ggml.tokens", "tokenizer.ggml.scores", "tokenizer.ggml.token_type"}) {
    if (const Value* value = view.text.metadata.Find(key)) metadata.Set(key, *value);
  }
  return metadata;
}

// Adds the encoder to a report of the text's file.
void AddEncoder(const GgufFile& stored, const EngineView& view, uint64_t around,
                QuantizeReport& report) {
  if (report.budget_bytes) *report.budget_bytes += around;
  const std::map<Place, const ViewTensor*> text = TextTensors(view);
  uint64_t bytes = 0;
  for (const TensorInfo& tensor : stored.tensors) {
    if (text.contains({tensor.shard, tensor.offset})) continue;
    report.tensors.push_back({tensor.name, tensor.type, tensor.type, tensor.bytes});
    if (!report.rounding.empty()) report.rounding["kept"].push_back(tensor.name);
  }
  for (const TensorChange& tensor : report.tensors) bytes += tensor.bytes;
  report.bits_per_weight =
      8.0 * static_cast<double>(bytes) / static_cast<double>(stored.parameters());
  if (view.projector_bytes > 0) {
    report.notes.push_back(
        fmt::format("the vision encoder ({}) is kept as it is", FormatBytes(view.projector_bytes)));
  }
}

}  // namespace

Result<GgufView> AsStored(const GgufFile& stored, const EngineView& view, const GgufFile& made) {
  const std::map<Place, const ViewTensor*> text = TextTensors(view);
  std::map<std::string_view, const TensorInfo*> by_name;
  for (const TensorInfo& tensor : made.tensors) by_name[tensor.name] = &tensor;
  GgufView whole;
  whole.paths = stored.paths;
  whole.paths.insert(whole.paths.end(), made.paths.begin(), made.paths.end());
  bool cut = false;
  for (const TensorInfo& tensor : stored.tensors) {
    const auto in_text = text.find({tensor.shard, tensor.offset});
    if (in_text == text.end()) {
      whole.tensors.push_back({{tensor.name, tensor.type, tensor.shape},
                               {{tensor.shard, tensor.offset, tensor.bytes, tensor.type}}});
      continue;
    }
    const auto its = by_name.find(in_text->second->plan.name);
    if (its == by_name.end()) {
      return Error{Code::kInternal,
                   fmt::format("{} is not in the quantised file", SafeText(tensor.name)), ""};
    }
    const TensorInfo& new_tensor = *its->second;
    cut = cut || new_tensor.shape != tensor.shape;
    const auto file = static_cast<uint32_t>(stored.paths.size()) + new_tensor.shard;
    whole.tensors.push_back({{tensor.name, new_tensor.type, new_tensor.shape},
                             {{file, new_tensor.offset, new_tensor.bytes, new_tensor.type}}});
  }
  whole.metadata = KeysAsStored(stored, view, made, cut);
  return whole;
}

Result<uint64_t> BytesAroundText(const GgufFile& stored, const EngineView& view) {
  // The padding of either header, which the keys of the making shift.
  constexpr uint64_t kHeaderPadding = 2 * format::kMaxAlignment;
  GgufView bare = view.text;
  bare.metadata.Erase(kViewPaddingKey);
  TRY(const GgufFile text, HeaderOf(bare));
  TRY(const GgufView same, AsStored(stored, view, text));
  TRY(const GgufFile whole, HeaderOf(same));
  const uint64_t padding = std::min(2 * stored.alignment, kHeaderPadding);
  return (whole.file_bytes > text.file_bytes ? whole.file_bytes - text.file_bytes : 0) + padding;
}

Result<QuantizeReport> QuantizeAsStored(const GgufFile& stored, const EngineView& view,
                                        const QuantizeOptions& options,
                                        const QuantizeProgress& progress) {
  TRY_STATUS(CheckOutput(stored, options));
  TRY(const uint64_t around, BytesAroundText(stored, view));
  QuantizeOptions text = options;
  text.output = options.output + ".trimma-text";
  text.force = true;
  if (text.size_bytes) {
    if (*text.size_bytes <= around) {
      return Error{Code::kNoFit,
                   fmt::format("what is kept as it is has {} already: the vision encoder, and keys",
                               FormatBytes(around)),
                   "give more, or leave the encoder out: --text-only"};
    }
    *text.size_bytes -= around;
  }
  TRY(QuantizeReport report, Quantize(text, progress));
  const auto join = [&]() -> Status {
    TRY(const GgufFile made, ReadGguf(text.output));
    TRY(const GgufView whole, AsStored(stored, view, made));
    WriteViewOptions how;
    how.replace = options.force;
    if (progress) how.progress = [&](double share) { progress("putting the encoder back", share); };
    TRY_STATUS(WriteView(whole, options.output, how));
    TRY(const GgufFile written, ReadGguf(options.output));
    AddEncoder(stored, view, around, report);
    report.output = options.output;
    report.file_bytes = written.file_bytes;
    return {};
  };
  const Status joined = join();
  unlink(text.output.c_str());
  if (!joined.ok()) return joined.error();
  return report;
}

Result<QuantizeReport> PlanAsStored(const GgufFile& stored, const EngineView& view,
                                    const QuantizeOptions& options) {
  TRY_STATUS(CheckIsNoInput(stored, options.output));
  TRY(QuantizeReport report, PlanQuantize(options));
  TRY(const GgufFile made, PlanHeader(options));
  TRY(const GgufView whole, AsStored(stored, view, made));
  TRY(const GgufFile header, HeaderOf(whole));
  AddEncoder(stored, view, 0, report);
  report.file_bytes = header.file_bytes;
  return report;
}

}  // namespace trimma
