#include "quantize/recipe_file.h"

#include <fmt/format.h>

#include "base/child.h"
#include "base/file.h"
#include "base/text.h"

namespace trimma {
namespace {

constexpr const char* kSchema = "trimma.recipe/1";

Error OfAnotherModel(const RecipeFile& recipe, const std::string& why) {
  return {Code::kInvalid,
          fmt::format("{} is a recipe for another model: {}", SafeText(recipe.path, 300), why),
          "name the recipe that was made of this model"};
}

}  // namespace

std::vector<TensorType> TypesOf(const GgufFile& file) {
  std::vector<TensorType> types;
  for (const TensorInfo& tensor : file.tensors) types.push_back(tensor.type);
  return types;
}

Status WriteRecipe(const std::string& path, const GgufFile& source, const Assignment& assignment,
                   const FileType& label) {
  Json tensors = Json::array();
  for (size_t i = 0; i < source.tensors.size(); ++i)
    tensors.push_back({{"name", source.tensors[i].name}, {"type", NameOf(assignment.types[i])}});
  const Json json = {{"schema", kSchema}, {"file_type", label.name}, {"tensors", tensors}};
  return WriteFileAtomically(path, json.dump(1) + "\n");
}

Result<RecipeFile> ReadRecipe(const std::string& path) {
  TRY(const std::string text, ReadSmallFile(path));
  const Json json = Json::parse(text, nullptr, false);
  const Error invalid{Code::kInvalid,
                      fmt::format("{} is no recipe of `trimma quantize`", SafeText(path, 300)),
                      "name a file that --recipe has written"};
  if (!json.is_object() || json.value("schema", "") != kSchema) return invalid;
  try {
    RecipeFile recipe;
    recipe.path = path;
    recipe.label = FindFileType(json.at("file_type").get<std::string>());
    if (recipe.label == nullptr) return invalid;
    for (const Json& item : json.at("tensors")) {
      const auto type = TensorTypeByName(item.at("type").get<std::string>());
      if (!type) {
        return Error{Code::kInvalid,
                     fmt::format("{}: {} is no tensor type", SafeText(path, 300),
                                 SafeText(item.at("type").get<std::string>(), 40)),
                     "for example Q4_K, IQ4_XS, Q8_0"};
      }
      recipe.tensors.emplace_back(item.at("name").get<std::string>(), *type);
    }
    return recipe;
  } catch (const nlohmann::json::exception&) {
    return invalid;
  }
}

Result<Assignment> ApplyRecipe(const RecipeFile& recipe, const GgufFile& source) {
  if (recipe.tensors.size() != source.tensors.size()) {
    return OfAnotherModel(recipe, fmt::format("{} tensors instead of {}", recipe.tensors.size(),
                                              source.tensors.size()));
  }
  Assignment assignment;
  for (size_t i = 0; i < source.tensors.size(); ++i) {
    const TensorInfo& tensor = source.tensors[i];
    const auto& [name, type] = recipe.tensors[i];
    if (name != tensor.name)
      return OfAnotherModel(recipe, fmt::format("{} is where this one has {}", SafeText(name, 80),
                                                SafeText(tensor.name, 80)));
    if (!RowBytes(type, tensor.row_length())) {
      return OfAnotherModel(recipe, fmt::format("rows of {} in {} can't be {}", tensor.row_length(),
                                                SafeText(name, 80), NameOf(type)));
    }
    assignment.types.push_back(type);
    assignment.changes |= type != tensor.type;
  }
  return assignment;
}

}  // namespace trimma
