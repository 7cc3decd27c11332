// What choosing a token costs, in every order of the samplers, and which orders choose alike.
//
// The model writes a text; some of its logits are kept. Every order of the active samplers is run
// on them: what it leaves to draw from is compared token by token, and its time is taken in rounds,
// the orders in random sequence.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/stats.h"
#include "engine/runtime.h"
#include "engine/sampling.h"

namespace trimma {

struct SamplerOrder {
  std::vector<std::string> samplers;
  int group = 0;          // orders of one group leave the same distribution at every position
  double difference = 0;  // from the usual order: largest of a token's chance, at any position
  Spread us;              // microseconds a token: copying logits, the chain, drawing
};

struct SamplerCost {
  int vocabulary = 0;
  int positions = 0;                 // of the text, whose logits were used
  Spread decode_ms;                  // of a token, without choosing it
  std::vector<SamplerOrder> orders;  // the first is llama-server's usual one
};

// Two chances as far apart as this are the same: a logit of 100, kept in 32 bits, is off by 4e-6,
// and its chance by as large a share.
inline constexpr double kSameChance = 1e-5;

// The order to take: the cheapest of the usual one's group, if its interval lies below the usual
// one's; else the usual one.
size_t CheapestEqual(const std::vector<SamplerOrder>& orders);

Json ToJson(const SamplerCost& cost);
Result<SamplerCost> SamplerCostFromJson(const Json& json);

struct SamplerQuestion {
  std::string path;
  RuntimeSettings settings;
  SamplerSettings samplers;
  double budget_seconds = 10;  // no new round is begun after it; at least 6 are done
};

Result<SamplerCost> MeasureSamplers(const SamplerQuestion& question,
                                    const std::function<void(double)>& progress = {});

// The child's side.
Result<Json> SamplersJob(const Json& request, const Emit& emit);

}  // namespace trimma
