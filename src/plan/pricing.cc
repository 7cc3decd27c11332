#include "plan/pricing.h"

#include <algorithm>

#include "engine/ghost.h"
#include "plan/pricing_json.h"

namespace trimma {
namespace {

Json NamesOf(const std::vector<const FileType*>& recipes) {
  Json names = Json::array();
  for (const FileType* recipe : recipes) names.push_back(recipe->name);
  return names;
}

std::vector<TensorType> TypesFromJson(const Json& json, const GgufFile& file) {
  std::vector<TensorType> types;
  for (const Json& id : json) types.push_back(TensorType{id.get<uint32_t>()});
  CHECK(types.size() == file.tensors.size());
  return types;
}

Mix MixFromJson(const Json& json, const GgufFile& file) {
  Mix mix;
  if (!json.at("recipe").is_null()) mix.recipe = FindFileType(json["recipe"].get<std::string>());
  mix.label = mix.recipe != nullptr ? mix.recipe->name : TypeLabel(file);
  mix.assignment.types = TypesFromJson(json.at("types"), file);
  mix.assignment.notes = json.at("notes").get<std::vector<std::string>>();
  mix.assignment.changes = mix.recipe != nullptr;
  return mix;
}

// The headers of all mixes are of one size, and laying out a large vocabulary takes a while.
class FileSizes {
 public:
  explicit FileSizes(const GgufFile& file) : file_(file) {}

  Result<uint64_t> Of(const Mix& mix) {
    if (mix.recipe == nullptr) return file_.file_bytes;
    if (!header_bytes_) {
      TRY(const GgufLayout layout, LayOutOutput(file_, mix.assignment, *mix.recipe));
      header_bytes_ = layout.header.size();
    }
    uint64_t bytes = *header_bytes_;
    for (size_t i = 0; i < file_.tensors.size(); ++i) {
      const TensorInfo& tensor = file_.tensors[i];
      const uint64_t row = RowBytes(mix.assignment.types[i], tensor.row_length()).value_or(0);
      bytes += (row * tensor.rows() + file_.alignment - 1) / file_.alignment * file_.alignment;
    }
    return bytes;
  }

 private:
  const GgufFile& file_;
  std::optional<uint64_t> header_bytes_;
};

}  // namespace

Result<std::vector<std::vector<TensorType>>> AskRecipes(
    const GgufFile& file, const std::vector<const FileType*>& recipes,
    const std::map<size_t, TensorType>& forced) {
  Json forced_json = Json::array();
  for (const auto& [i, type] : forced) forced_json.push_back({i, static_cast<uint32_t>(type)});
  TRY(const Json answer, RunChild("recipes", {{"ghost", GhostToJson(file)},
                                              {"recipes", NamesOf(recipes)},
                                              {"forced", forced_json}}));
  std::vector<std::vector<TensorType>> types;
  for (const Json& list : answer.at("types")) types.push_back(TypesFromJson(list, file));
  return types;
}

bool FitOnGpus(const std::vector<DeviceBytes>& devices) {
  return std::all_of(devices.begin(), devices.end() - 1, [](const DeviceBytes& gpu) {
    return gpu.total_bytes() + gpu.reserve_bytes <= gpu.free_bytes;
  });
}

Result<std::vector<DeviceBytes>> PriceSettings(const GgufFile& file,
                                               const RuntimeSettings& settings,
                                               const PricingTarget& target,
                                               const std::vector<TensorType>& types) {
  Json types_json = Json::array();
  for (const TensorType type : types) types_json.push_back(static_cast<uint32_t>(type));
  TRY(const Json answer, RunChild("price", {{"ghost", GhostToJson(file)},
                                            {"types", types_json},
                                            {"settings", ToJson(settings)},
                                            {"target", ToJson(target)}}));
  std::vector<DeviceBytes> devices;
  for (const Json& device : answer.at("devices")) devices.push_back(DeviceBytesFromJson(device));
  return devices;
}

Result<Pricing> PriceMixes(const GgufFile& file, const PricingRequest& request,
                           std::optional<Child> child) {
  Json kv = Json::array();
  for (const KvTypes& types : request.kv) kv.push_back({types.k, types.v});
  const Json message = {{"ghost", GhostToJson(file)},
                        {"recipes", NamesOf(request.recipes)},
                        {"contexts", request.contexts},
                        {"kv", kv},
                        {"base", ToJson(request.base)},
                        {"target", ToJson(request.target)},
                        {"always_without_gpu", request.always_without_gpu}};
  if (!child) {
    TRY(Child started, Child::Start(kPricingJob));
    child.emplace(std::move(started));
  }
  TRY(const Json answer, std::move(*child).Ask(message));
  Pricing pricing;
  pricing.layers = answer.at("layers");
  pricing.composed = answer.at("composed");
  pricing.checked = answer.at("checked");
  FileSizes sizes(file);
  for (const Json& item : answer.at("mixes")) {
    Mix mix = MixFromJson(item, file);
    TRY(mix.file_bytes, sizes.Of(mix));
    pricing.mixes.push_back(std::move(mix));
  }
  for (const Json& item : answer.at("cells")) {
    TRY(PricedCell cell, PricedCellFromJson(item));
    pricing.cells.push_back(std::move(cell));
  }
  return pricing;
}

}  // namespace trimma
