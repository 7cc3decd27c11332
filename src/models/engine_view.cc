#include "models/engine_view.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <string_view>

#include "base/text.h"
#include "gguf/view_file.h"
#include "models/view_rows.h"

namespace trimma {
namespace {

struct Row {
  std::string_view architecture;  // as stored
  void (*text)(ViewEdit&);
  void (*projector)(ViewEdit&, std::string& why_not);  // nullptr: none is stored with it
};

// The sources of each are told at its functions.
constexpr std::array kRows = {
    Row{"gemma3", views::Gemma3Text, views::Gemma3Projector},
    Row{"gemma3n", views::Gemma3nText, nullptr},
    Row{"gptoss", views::GptOssText, nullptr},
    Row{"mistral3", views::Mistral3Text, views::Mistral3Projector},
    Row{"qwen25vl", views::Qwen25VlText, views::Qwen25VlProjector},
    Row{"qwen3vl", views::Qwen3VlText, views::Qwen3VlProjector},
    Row{"qwen3vlmoe", views::Qwen3VlText, views::Qwen3VlProjector},
    Row{"llama4", views::Llama4Text, views::Llama4Projector},
};

// Names that only Ollama's converters give (convert/convert_*.go of v0.17.4, and llama/compat): the
// engine knows such models by other names and keys, or not at all.
constexpr std::array<std::string_view, 6> kOllamasOwn = {
    "mllama", "deepseekocr", "glmocr", "glm4moelite", "olmo3", "nemotron_h_omni"};

// Of a picture's or a sound's encoder and what leads from it into the model. A model's own tensors
// are called token_embd, output, blk, ...
const std::vector<std::string> kEncoderPrefixes = {"v.", "mm.", "a.", "s.", "model.vision_tower."};

bool IsEncoders(const std::string& name) {
  return std::any_of(kEncoderPrefixes.begin(), kEncoderPrefixes.end(),
                     [&](const std::string& prefix) { return name.starts_with(prefix); });
}

Error NoView(const GgufFile& file, const char* why) {
  return Error{
      Code::kInvalid,
      fmt::format("{} is stored as Ollama's converter writes \"{}\", {}, and trimma has no view of "
                  "that architecture",
                  file.paths.empty() ? "the file" : SafeText(file.paths[0], 500),
                  SafeText(file.architecture()), why),
      "name a GGUF of this model made for llama.cpp, for example one on Hugging Face"};
}

GgufView ProjectorOf(const GgufFile& file, const Row& row, std::string& why_not) {
  ViewEdit edit(file);
  GgufView& view = edit.raw();
  std::erase_if(view.tensors,
                [](const ViewTensor& tensor) { return !IsEncoders(tensor.plan.name); });
  view.metadata = {};
  view.metadata.Set("general.architecture", std::string("clip"));
  view.metadata.Set("general.type", std::string("mmproj"));
  if (const auto name = file.metadata.String("general.name"))
    view.metadata.Set("general.name", *name);
  row.projector(edit, why_not);
  return std::move(edit).Take();
}

// What a file written from the view says of itself.
Status Sign(const GgufFile& file, GgufView& text) {
  Strings changes;
  for (const std::string& change : text.changes) changes.push_back(change);
  text.metadata.Set("trimma.view.version", static_cast<uint32_t>(kEngineViewVersion));
  text.metadata.Set("trimma.view.of",
                    file.paths.empty() ? std::string()
                                       : std::filesystem::path(file.paths[0]).filename().string());
  text.metadata.Set("trimma.view.changes", Array{std::move(changes)});
  return AlignToSource(text);
}

}  // namespace

bool HoldsProjector(const GgufFile& file) {
  return file.architecture() != "clip" &&
         std::any_of(file.tensors.begin(), file.tensors.end(),
                     [](const TensorInfo& tensor) { return IsEncoders(tensor.name); });
}

Result<std::optional<EngineView>> EngineViewOf(const GgufFile& file) {
  const std::string architecture = file.architecture();
  if (architecture == "clip") return std::optional<EngineView>();
  const bool holds = HoldsProjector(file);
  const auto* const row = std::find_if(
      kRows.begin(), kRows.end(), [&](const Row& r) { return r.architecture == architecture; });
  if (row == kRows.end()) {
    if (holds) return NoView(file, "with its encoder of pictures or sound in the same file");
    if (std::find(kOllamasOwn.begin(), kOllamasOwn.end(), architecture) != kOllamasOwn.end())
      return NoView(file, "a name that llama.cpp doesn't know");
    return std::optional<EngineView>();
  }
  // An embedding model under its chat model's name: convert_gemma3.go of newer versions.
  if (architecture == "gemma3" && file.FindTensor("dense.0.weight") != nullptr)
    return NoView(file, "as an embedding model");

  EngineView view;
  ViewEdit edit(file);
  edit.Hide(kEncoderPrefixes, "the vision encoder");
  row->text(edit);
  // A runner that finds an encoder's keys looks for its tensors.
  if (holds) {
    edit.DropKeys(
        {views::KeyOf(edit, "vision."), views::KeyOf(edit, "mm."), views::KeyOf(edit, "audio.")},
        "the vision encoder");
  }
  if (!edit.changed()) return std::optional<EngineView>();
  view.text = std::move(edit).Take();
  TRY_STATUS(Sign(file, view.text));
  for (const TensorInfo& tensor : file.tensors)
    view.projector_bytes += IsEncoders(tensor.name) ? tensor.bytes : 0;
  if (holds && row->projector != nullptr) {
    GgufView projector = ProjectorOf(file, *row, view.no_projector);
    if (view.no_projector.empty()) view.projector = std::move(projector);
  } else if (holds) {
    view.no_projector =
        fmt::format("the encoder of \"{}\" is not one the engine has", SafeText(architecture));
  }
  return std::optional(std::move(view));
}

}  // namespace trimma
