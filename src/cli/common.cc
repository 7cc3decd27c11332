#include "cli/common.h"

#include <fmt/format.h>

#include <filesystem>

#include "base/text.h"
#include "gguf/soundness.h"
#include "plan/plan.h"

namespace trimma {

Result<OpenedModel> OpenModel(const std::string& name) {
  OpenedModel model;
  TRY(model.local, ResolveModel(name, DefaultModelRoots()));
  TRY(model.file, ReadGguf(model.local.path));
  TRY_STATUS(CheckModel(model.file));
  return model;
}

Result<std::optional<GgufFile>> OpenProjector(const OpenedModel& model,
                                              const std::optional<std::string>& wish) {
  const std::string path = wish.value_or(model.local.projector_path);
  if (path.empty() || ToLower(path) == "none") return std::optional<GgufFile>();
  TRY(GgufFile projector, ReadGguf(path));
  TRY_STATUS(CheckProjector(projector));
  return std::optional<GgufFile>(std::move(projector));
}

Result<const FileType*> ParseFileType(const std::string& name) {
  const FileType* type = FindFileType(name);
  if (type != nullptr) return type;
  const auto nearest = Nearest(name, FileTypeNames());
  return Error{
      Code::kUsage, fmt::format("there is no type \"{}\"", SafeText(name, 40)),
      nearest ? fmt::format("did you mean {}?", *nearest) : "for example Q4_K_M, Q8_0, IQ4_XS"};
}

Result<std::string> ParseKvType(const std::string& name) {
  const std::vector<std::string> names = {"f32",  "f16",    "bf16", "q8_0", "q4_0",
                                          "q4_1", "iq4_nl", "q5_0", "q5_1"};
  for (const std::string& known : names) {
    if (ToLower(name) == known) return known;
  }
  const auto nearest = Nearest(name, names);
  return Error{Code::kUsage, fmt::format("there is no KV-cache type \"{}\"", SafeText(name, 40)),
               nearest ? fmt::format("did you mean {}?", *nearest) : "for example f16, q8_0, q4_0"};
}

Status CheckContexts(const std::vector<uint32_t>& contexts, const GgufFile& file) {
  const uint32_t trained = TrainedContext(file);
  for (const uint32_t context : contexts) {
    if (context == 0)
      return Error{Code::kUsage, "a context of 0 tokens holds nothing", "for example 4096"};
    if (trained > 0 && context > trained) {
      return Error{Code::kUsage,
                   fmt::format("a context of {} tokens is beyond the model's {}", context, trained),
                   fmt::format("choose at most {}", trained)};
    }
  }
  return {};
}

std::string DisplayName(const OpenedModel& model) {
  const auto name = model.file.metadata.String("general.name");
  if (name && !Trim(*name).empty()) return SafeText(*name, 80);
  return SafeText(std::filesystem::path(model.local.path).filename().string(), 80);
}

}  // namespace trimma
