#include "measure/served.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <random>

namespace trimma {

ServedChange ComparePairs(const std::vector<double>& before, const std::vector<double>& after) {
  constexpr double kTail = 0.025;
  ServedChange change;
  std::vector<double> logs;
  for (size_t i = 0; i < std::min(before.size(), after.size()); ++i)
    if (before[i] > 0 && after[i] > 0) logs.push_back(std::log(after[i] / before[i]));
  change.pairs = static_cast<int64_t>(logs.size());
  change.verdict = "not measured";
  if (logs.size() < 2) return change;
  const MeanInterval interval = TrimmedInterval(logs, kTail);
  change.ratio =
      MeanInterval{std::exp(interval.mean), std::exp(interval.low), std::exp(interval.high)};
  change.verdict = "no difference";
  if (interval.low > 0) change.verdict = "faster";
  if (interval.high < 0) change.verdict = "slower";
  return change;
}

Json ToJson(const ServedChange& change) {
  Json json = {{"verdict", change.verdict}, {"pairs", change.pairs}, {"ratio", nullptr}};
  if (change.ratio) {
    json["ratio"] = {{"mean", change.ratio->mean},
                     {"ci95", {change.ratio->low, change.ratio->high}}};
  }
  return json;
}

std::string ServedPrompt(int words, int number) {
  constexpr std::array kWords = {
      "river",  "mountain", "the",   "quiet", "engine", "a",      "letter", "from",  "winter",
      "garden", "and",      "seven", "old",   "stones", "under",  "bright", "water", "morning",
      "they",   "carried",  "bread", "along", "narrow", "street", "while",  "music", "answered"};
  std::minstd_rand random(static_cast<unsigned>(number));
  // Its last digit first: vocabularies with a token for each digit would share all but that one
  // with the prompt before, and servers count tokens that they take from their cache.
  std::string text = std::to_string(number);
  std::reverse(text.begin(), text.end());
  text += " notes:";
  for (int i = 0; i < words; ++i) text += fmt::format(" {}", kWords[random() % kWords.size()]);
  return text;
}

}  // namespace trimma
