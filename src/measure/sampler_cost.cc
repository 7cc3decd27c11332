#include "measure/sampler_cost.h"

#include "base/stats_json.h"

namespace trimma {

size_t CheapestEqual(const std::vector<SamplerOrder>& orders) {
  size_t cheapest = 0;
  for (size_t i = 1; i < orders.size(); ++i) {
    if (orders[i].group != orders[0].group || orders[i].us.high >= orders[0].us.low) continue;
    if (orders[i].us.median < orders[cheapest].us.median) cheapest = i;
  }
  return cheapest;
}

Json ToJson(const SamplerCost& cost) {
  Json orders = Json::array();
  for (const SamplerOrder& order : cost.orders) {
    orders.push_back({{"samplers", order.samplers},
                      {"group", order.group},
                      {"same", order.group == cost.orders[0].group},
                      {"difference", order.difference},
                      {"us", ToJson(order.us)}});
  }
  return {{"vocabulary", cost.vocabulary},
          {"positions", cost.positions},
          {"decode_ms", ToJson(cost.decode_ms)},
          {"orders", orders}};
}

Result<SamplerCost> SamplerCostFromJson(const Json& json) {
  try {
    SamplerCost cost;
    cost.vocabulary = json.at("vocabulary");
    cost.positions = json.at("positions");
    cost.decode_ms = SpreadFromJson(json.at("decode_ms"));
    for (const Json& order : json.at("orders")) {
      cost.orders.push_back({order.at("samplers").get<std::vector<std::string>>(),
                             order.at("group"), order.at("difference"),
                             SpreadFromJson(order.at("us"))});
    }
    return cost;
  } catch (const nlohmann::json::exception& e) {
    return Error{Code::kInvalid, std::string("samplers' figures are malformed: ") + e.what(), ""};
  }
}

Result<SamplerCost> MeasureSamplers(const SamplerQuestion& question,
                                    const std::function<void(double)>& progress) {
  const Json request = {{"path", question.path},
                        {"settings", ToJson(question.settings)},
                        {"samplers", ToJson(question.samplers)},
                        {"budget_seconds", question.budget_seconds}};
  TRY(const Json result, RunChild("samplers", request, [&](const Json& event) {
        if (progress) progress(event.value("progress", 0.0));
      }));
  return SamplerCostFromJson(result);
}

}  // namespace trimma
