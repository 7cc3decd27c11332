// The child's side of measuring samplers.
#include <algorithm>
#include <numeric>
#include <random>

#include "base/clock.h"
#include "base/interrupt.h"
#include "engine/chat.h"
#include "measure/sampler_cost.h"

namespace trimma {
namespace {

// With six samples there is an interval that holds the median with 95 % (base/stats.h).
constexpr int kFewestRounds = 6;
constexpr int kMostRounds = 100;
constexpr int kTextTokens = 64;
constexpr int kEvery = 8;  // of the text's positions, one in so many is used
constexpr const char* kRequest = "Write two sentences about a walk in the rain.";

std::vector<Token> Opening(const Model& model) {
  const auto chat = ChatWith(model, kRequest);
  return chat ? chat->opening : model.Tokenize(kRequest, /*add_special=*/true);
}

// Logits of a text that the model writes with the chain itself.
struct Positions {
  std::vector<std::vector<float>> logits;
  std::vector<double> decode_ms;
};

Result<Positions> WriteText(const Model& model, RuntimeSettings settings, SamplerChain& chain) {
  const std::vector<Token> opening = Opening(model);
  settings.context = static_cast<uint32_t>(opening.size()) + kTextTokens;
  TRY(Context context, Context::Create(model, {settings}));
  const int vocabulary = model.vocabulary();
  Positions positions;
  bool begin = true;
  Token token = 0;
  for (int i = 0; i < kTextTokens; ++i) {
    const auto start = Clock::now();
    if (begin) {
      context.Clear();
      TRY_STATUS(context.Append(opening));
    } else {
      TRY_STATUS(context.Append({&token, 1}));
    }
    context.Synchronize();
    if (!begin) positions.decode_ms.push_back(SecondsSince(start) * 1000);
    const float* logits = context.Logits(-1);
    if (i % kEvery == 0) positions.logits.emplace_back(logits, logits + vocabulary);
    token = chain.Draw(logits, vocabulary);
    begin = model.IsEndOfGeneration(token);  // what follows an end is no text
  }
  return positions;
}

struct Order {
  std::vector<Sampler> samplers;
  SamplerChain chain;
  std::vector<double> us;
};

std::vector<Order> AllOrders(const SamplerSettings& settings) {
  const std::vector<Sampler> usual = ActiveSamplers(settings);
  std::vector<Sampler> sequence = usual;
  std::vector<Order> orders;
  orders.push_back({usual, SamplerChain(usual, settings), {}});
  std::sort(sequence.begin(), sequence.end());
  do {
    if (sequence != usual) orders.push_back({sequence, SamplerChain(sequence, settings), {}});
  } while (std::next_permutation(sequence.begin(), sequence.end()));
  return orders;
}

using Distributions = std::vector<std::vector<TokenChance>>;  // at each position

double LargestDifference(const Distributions& a, const Distributions& b) {
  double largest = 0;
  for (size_t i = 0; i < a.size(); ++i) largest = std::max(largest, LargestDifference(a[i], b[i]));
  return largest;
}

// Each order's distributions against the usual one's and the first of every group.
Status Compare(std::vector<Order>& orders, const Positions& positions, SamplerCost& cost) {
  std::vector<Distributions> groups;
  for (Order& order : orders) {
    TRY_STATUS(CheckInterrupted());
    Distributions left;
    for (const std::vector<float>& logits : positions.logits)
      left.push_back(order.chain.Distribution(logits.data(), cost.vocabulary));
    SamplerOrder result;
    for (const Sampler sampler : order.samplers) result.samplers.emplace_back(NameOf(sampler));
    const auto same = std::find_if(groups.begin(), groups.end(), [&](const Distributions& group) {
      return LargestDifference(group, left) <= kSameChance;
    });
    result.group = static_cast<int>(same - groups.begin());
    if (same == groups.end()) groups.push_back(left);
    result.difference = LargestDifference(groups[0], left);
    cost.orders.push_back(std::move(result));
  }
  return {};
}

// One round: the mean over the positions.
double TimeOrder(Order& order, const Positions& positions, int vocabulary) {
  const auto start = Clock::now();
  for (const std::vector<float>& logits : positions.logits)
    (void)order.chain.Draw(logits.data(), vocabulary);
  return SecondsSince(start) * 1e6 / static_cast<double>(positions.logits.size());
}

}  // namespace

Result<Json> SamplersJob(const Json& request, const Emit& emit) {
  TRY(const RuntimeSettings settings, RuntimeSettingsFromJson(request.at("settings")));
  const SamplerSettings samplers = SamplerSettingsFromJson(request.at("samplers"));
  const double budget = request.at("budget_seconds");
  TRY(const Model model,
      Model::Load(request.at("path").get<std::string>(), Model::Options::PlacedAs(settings)));
  std::vector<Order> orders = AllOrders(samplers);
  TRY(const Positions positions, WriteText(model, settings, orders[0].chain));
  SamplerCost cost;
  cost.vocabulary = model.vocabulary();
  cost.positions = static_cast<int>(positions.logits.size());
  cost.decode_ms = MedianSpread(positions.decode_ms);
  TRY_STATUS(Compare(orders, positions, cost));  // and warms up

  std::vector<size_t> sequence(orders.size());
  std::iota(sequence.begin(), sequence.end(), size_t{0});
  std::mt19937 random(7);
  const auto start = Clock::now();
  for (int round = 0; round < kMostRounds; ++round) {
    if (round >= kFewestRounds && SecondsSince(start) > budget) break;
    std::shuffle(sequence.begin(), sequence.end(), random);
    for (const size_t i : sequence) {
      TRY_STATUS(CheckInterrupted());
      orders[i].us.push_back(TimeOrder(orders[i], positions, cost.vocabulary));
    }
    emit({{"progress",
           std::max((round + 1.0) / kMostRounds, std::min(1.0, SecondsSince(start) / budget))}});
  }
  for (size_t i = 0; i < orders.size(); ++i) cost.orders[i].us = MedianSpread(orders[i].us);
  return ToJson(cost);
}

}  // namespace trimma
