// What several commands share: opening a model, reading option values.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "gguf/file_type.h"
#include "gguf/reader.h"
#include "models/models.h"

namespace trimma {

struct OpenedModel {
  LocalModel local;
  GgufFile file;
};

// Finds MODEL, reads its header and checks that it is a sound language model.
Result<OpenedModel> OpenModel(const std::string& name);

// The projector to plan for: the file that `wish` names, none for "none"; nullopt: what the
// model's store has with it, for the applications that own the store load it.
Result<std::optional<GgufFile>> OpenProjector(const OpenedModel& model,
                                              const std::optional<std::string>& wish);

// "Q4_K_M": kUsage with the nearest valid name.
Result<const FileType*> ParseFileType(const std::string& name);

// "f16", "q8_0", ...: kUsage with the nearest valid name.
Result<std::string> ParseKvType(const std::string& name);

// Context lengths, "4096,8192" already split: kUsage where one is not in 1 .. the model's maximum.
Status CheckContexts(const std::vector<uint32_t>& contexts, const GgufFile& file);

// Where a model's name stands in its metadata, cleaned for showing; the file's name if absent.
std::string DisplayName(const OpenedModel& model);

}  // namespace trimma
