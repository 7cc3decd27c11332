#include "engine/sampling.h"

#include <llama.h>

#include <algorithm>
#include <cmath>

namespace trimma {
namespace {

// From nothing nothing can be drawn.
constexpr size_t kMinKeep = 1;
constexpr uint32_t kSeed = 42;

llama_sampler* Create(Sampler sampler, const SamplerSettings& s) {
  switch (sampler) {
    case Sampler::kTopK:
      return llama_sampler_init_top_k(s.top_k);
    case Sampler::kTopP:
      return llama_sampler_init_top_p(static_cast<float>(s.top_p), kMinKeep);
    case Sampler::kMinP:
      return llama_sampler_init_min_p(static_cast<float>(s.min_p), kMinKeep);
    case Sampler::kTemperature:
      return llama_sampler_init_temp(static_cast<float>(s.temperature));
  }
  return nullptr;
}

}  // namespace

const char* NameOf(Sampler sampler) {
  switch (sampler) {
    case Sampler::kTopK:
      return "top_k";
    case Sampler::kTopP:
      return "top_p";
    case Sampler::kMinP:
      return "min_p";
    case Sampler::kTemperature:
      return "temperature";
  }
  return "";
}

Json ToJson(const SamplerSettings& s) {
  return {
      {"top_k", s.top_k}, {"top_p", s.top_p}, {"min_p", s.min_p}, {"temperature", s.temperature}};
}

SamplerSettings SamplerSettingsFromJson(const Json& json) {
  return {json.at("top_k"), json.at("top_p"), json.at("min_p"), json.at("temperature")};
}

std::vector<Sampler> ActiveSamplers(const SamplerSettings& s) {
  std::vector<Sampler> active;
  if (s.top_k > 0) active.push_back(Sampler::kTopK);
  if (s.top_p < 1) active.push_back(Sampler::kTopP);
  if (s.min_p > 0) active.push_back(Sampler::kMinP);
  if (s.temperature != 1) active.push_back(Sampler::kTemperature);
  return active;
}

struct SamplerChain::Candidates {
  std::vector<llama_token_data> data;
  llama_token_data_array Fill(const float* logits, int vocabulary) {
    data.resize(static_cast<size_t>(vocabulary));
    for (int i = 0; i < vocabulary; ++i) data[static_cast<size_t>(i)] = {i, logits[i], 0.0F};
    return {data.data(), data.size(), /*selected=*/-1, /*sorted=*/false};
  }
};

void SamplerChain::Free::operator()(llama_sampler* sampler) const { llama_sampler_free(sampler); }

SamplerChain::SamplerChain(const std::vector<Sampler>& order, const SamplerSettings& settings)
    : chain_(llama_sampler_chain_init(llama_sampler_chain_default_params())),
      draw_(llama_sampler_init_dist(kSeed)),
      candidates_(std::make_shared<Candidates>()) {
  for (const Sampler sampler : order)
    llama_sampler_chain_add(chain_.get(), Create(sampler, settings));
}

Token SamplerChain::Draw(const float* logits, int vocabulary) {
  llama_token_data_array left = candidates_->Fill(logits, vocabulary);
  llama_sampler_apply(chain_.get(), &left);
  llama_sampler_apply(draw_.get(), &left);
  return left.data[left.selected].id;
}

std::vector<TokenChance> SamplerChain::Distribution(const float* logits, int vocabulary) {
  llama_token_data_array left = candidates_->Fill(logits, vocabulary);
  llama_sampler_apply(chain_.get(), &left);
  std::vector<TokenChance> chances;
  double most = -INFINITY;
  for (size_t i = 0; i < left.size; ++i) most = std::max<double>(most, left.data[i].logit);
  double sum = 0;
  for (size_t i = 0; i < left.size; ++i) {
    const double weight = std::exp(left.data[i].logit - most);
    if (weight > 0) chances.push_back({left.data[i].id, weight});
    sum += weight;
  }
  for (TokenChance& chance : chances) chance.chance /= sum;
  std::sort(chances.begin(), chances.end(),
            [](const TokenChance& a, const TokenChance& b) { return a.token < b.token; });
  return chances;
}

double LargestDifference(const std::vector<TokenChance>& a, const std::vector<TokenChance>& b) {
  double largest = 0;
  size_t i = 0;
  size_t j = 0;
  while (i < a.size() || j < b.size()) {
    const bool only_a = j == b.size() || (i < a.size() && a[i].token < b[j].token);
    const bool only_b = i == a.size() || (j < b.size() && b[j].token < a[i].token);
    const double of_a = only_b ? 0 : a[i].chance;
    const double of_b = only_a ? 0 : b[j].chance;
    largest = std::max(largest, std::abs(of_a - of_b));
    i += only_b ? 0 : 1;
    j += only_a ? 0 : 1;
  }
  return largest;
}

}  // namespace trimma
