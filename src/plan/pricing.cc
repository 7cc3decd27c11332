#include "plan/pricing.h"

namespace trimma {
namespace {

Result<std::vector<DeviceBytes>> DevicesFromJson(const Json& json) {
  std::vector<DeviceBytes> devices;
  for (const Json& d : json) {
    devices.push_back({d.at("name"), d.at("weights_bytes"), d.at("kv_bytes"), d.at("compute_bytes"),
                       d.at("free_bytes")});
  }
  return devices;
}

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

}  // namespace

Result<std::vector<std::vector<TensorType>>> AskRecipes(
    const GgufFile& file, const std::vector<const FileType*>& recipes) {
  TRY(const Json answer,
      RunChild("recipes", {{"source", file.paths[0]}, {"recipes", NamesOf(recipes)}}));
  std::vector<std::vector<TensorType>> types;
  for (const Json& list : answer.at("types")) types.push_back(TypesFromJson(list, file));
  return types;
}

Result<std::vector<DeviceBytes>> PriceSettings(const GgufFile& file,
                                               const RuntimeSettings& settings) {
  TRY(const Json answer,
      RunChild("price", {{"source", file.paths[0]}, {"settings", ToJson(settings)}}));
  return DevicesFromJson(answer.at("devices"));
}

Result<Pricing> PriceMixes(const GgufFile& file, const PricingRequest& request) {
  const Json message = {{"source", file.paths[0]},
                        {"recipes", NamesOf(request.recipes)},
                        {"contexts", request.contexts},
                        {"kv_types", request.kv_types},
                        {"bench_outputs", request.bench_outputs},
                        {"gpu_margin_bytes", request.gpu_margin_bytes}};
  TRY(const Json answer, RunChild("pricing", message));
  Pricing pricing;
  pricing.layers = answer.at("layers");
  for (const Json& item : answer.at("mixes")) {
    Mix mix;
    if (!item.at("recipe").is_null()) mix.recipe = FindFileType(item["recipe"].get<std::string>());
    mix.label = mix.recipe != nullptr ? mix.recipe->name : TypeLabel(file);
    mix.assignment.types = TypesFromJson(item.at("types"), file);
    mix.assignment.notes = item.at("notes").get<std::vector<std::string>>();
    mix.assignment.changes = mix.recipe != nullptr;
    mix.file_bytes = item.at("file_bytes");
    pricing.mixes.push_back(std::move(mix));
  }
  for (const Json& item : answer.at("cells")) {
    PricedCell cell;
    cell.mix = item.at("mix");
    TRY(cell.settings, RuntimeSettingsFromJson(item.at("settings")));
    TRY(cell.devices, DevicesFromJson(item.at("devices")));
    pricing.cells.push_back(std::move(cell));
  }
  return pricing;
}

}  // namespace trimma
