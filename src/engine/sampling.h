// Chains of llama.cpp's samplers, run on logits that are given: what they leave and what they cost.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/child.h"
#include "engine/model.h"

struct llama_sampler;

namespace trimma {

enum class Sampler { kTopK, kTopP, kMinP, kTemperature };
const char* NameOf(Sampler sampler);  // as llama-server's --samplers: "top_k", ..., "temperature"

// Those at their neutral value do nothing, and are left out of a chain.
struct SamplerSettings {
  int top_k = 0;           // keep so many; 0: all
  double top_p = 1;        // keep the likeliest that together have this much; 1: all
  double min_p = 0;        // keep those with this share of the likeliest one's; 0: all
  double temperature = 1;  // logits are divided by it
  bool operator==(const SamplerSettings&) const = default;
};
Json ToJson(const SamplerSettings& settings);
SamplerSettings SamplerSettingsFromJson(const Json& json);

// The active ones in llama-server's order: top_k, top_p, min_p, temperature.
std::vector<Sampler> ActiveSamplers(const SamplerSettings& settings);

// One token that a chain leaves, with the probability of being drawn.
struct TokenChance {
  Token token = 0;
  double chance = 0;
};

class SamplerChain {
 public:
  SamplerChain(const std::vector<Sampler>& order, const SamplerSettings& settings);

  // Copies the logits, as a server has to, runs the chain and draws.
  Token Draw(const float* logits, int vocabulary);
  // What the chain leaves to draw from, by token. In double precision.
  std::vector<TokenChance> Distribution(const float* logits, int vocabulary);

 private:
  struct Free {
    void operator()(llama_sampler* sampler) const;
  };
  std::unique_ptr<llama_sampler, Free> chain_;  // what cuts and scales
  std::unique_ptr<llama_sampler, Free> draw_;   // what draws
  struct Candidates;
  std::shared_ptr<Candidates> candidates_;
};

// The largest difference of a token's chance between two distributions (0 to 1).
double LargestDifference(const std::vector<TokenChance>& a, const std::vector<TokenChance>& b);

}  // namespace trimma
