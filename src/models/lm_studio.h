// LM Studio's folder, read only: <root>/<publisher>/<model>/<file>.gguf, files of no other depth.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "models/models.h"
#include "models/walk.h"

namespace trimma {

// Named "lmstudio:publisher/model/file.gguf".
std::vector<LocalModel> ListLmStudio(const std::string& root, Walk& walk);

// Those that "publisher/model/file.gguf", "publisher/model", "model", "file.gguf" or "file" means,
// in any case of letters.
std::vector<LocalModel> MatchLmStudio(std::string_view text, const std::vector<LocalModel>& models);

}  // namespace trimma
