#include "plan/pricing_json.h"

#include "engine/ghost.h"

namespace trimma {

Json ToJson(const PricedCell& cell) {
  Json devices = Json::array();
  for (const DeviceBytes& device : cell.devices) devices.push_back(ToJson(device));
  return {{"mix", cell.mix}, {"settings", ToJson(cell.settings)}, {"devices", devices}};
}

Result<PricedCell> PricedCellFromJson(const Json& json) {
  PricedCell cell;
  cell.mix = json.at("mix");
  TRY(cell.settings, RuntimeSettingsFromJson(json.at("settings")));
  for (const Json& device : json.at("devices")) cell.devices.push_back(DeviceBytesFromJson(device));
  return cell;
}

Json ToJson(const Mix& mix) {
  Json types = Json::array();
  for (const TensorType type : mix.assignment.types) types.push_back(static_cast<uint32_t>(type));
  return {{"recipe", mix.recipe == nullptr ? Json() : Json(mix.recipe->name)},
          {"types", types},
          {"notes", mix.assignment.notes}};
}

Json ToJson(const PricingTarget& target) {
  Json cards;
  if (target.cards) {
    cards = Json::array();
    for (const PhantomCard& card : *target.cards) cards.push_back(ToJson(card));
  }
  Json overheads = Json::array();
  for (const Overhead& overhead : target.overheads) overheads.push_back(ToJson(overhead));
  return {{"cards", cards},
          {"overheads", overheads},
          {"bench_outputs", target.bench_outputs},
          {"projector", target.projector ? GhostToJson(*target.projector) : Json()}};
}

Result<PricingTarget> PricingTargetFromJson(const Json& json) {
  PricingTarget target;
  if (!json.at("cards").is_null()) {
    target.cards.emplace();
    for (const Json& card : json["cards"]) target.cards->push_back(PhantomCardFromJson(card));
    CHECK(target.cards->size() <= kMostPhantoms);
  }
  for (const Json& overhead : json.at("overheads"))
    target.overheads.push_back(OverheadFromJson(overhead));
  target.bench_outputs = json.at("bench_outputs");
  if (!json.at("projector").is_null()) {
    TRY(target.projector, GhostFromJson(json["projector"]));
  }
  return target;
}

}  // namespace trimma
