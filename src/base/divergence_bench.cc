// How often the intervals of base/divergence_interval.h hold, on the chunks of a real measurement.
//
// Reads {"series": {NAME: [mean divergence of each chunk, ...]}, "chunks": N} from standard input
// and writes {"coverage": {NAME: {"random": SHARE, "neighbours": SHARE}}, "told_apart": {"A B":
// {...}}}: the share of trials in which the 95 % interval from a tenth of the chunks (drawn at
// random, as a measurement that ends early draws them; or neighbours, as in a shorter text) holds
// the mean of all; and the share in which N neighbouring chunks tell two series apart. ./dev bench
// quality runs it.
#include <iostream>
#include <iterator>
#include <numeric>
#include <random>
#include <string>
#include <vector>

#include "base/child.h"
#include "base/divergence_interval.h"

namespace trimma {
namespace {

constexpr int kTrials = 400;

using Picked = std::vector<size_t>;

Picked Neighbours(size_t count, size_t of, std::mt19937& random) {
  Picked picked(count);
  std::iota(picked.begin(), picked.end(), random() % (of - count + 1));
  return picked;
}

Picked AtRandom(size_t count, size_t of, std::mt19937& random) {
  Picked picked(of);
  std::iota(picked.begin(), picked.end(), size_t{0});
  std::shuffle(picked.begin(), picked.end(), random);
  picked.resize(count);
  return picked;
}

ChunkSums Of(const std::vector<double>& series, const Picked& picked) {
  ChunkSums chunks;
  for (const size_t i : picked) chunks.Add(series[i], 1);
  return chunks;
}

double Coverage(const std::vector<double>& series, Picked (*pick)(size_t, size_t, std::mt19937&)) {
  const double truth =
      std::accumulate(series.begin(), series.end(), 0.0) / static_cast<double>(series.size());
  std::mt19937 random(1);
  int held = 0;
  for (int trial = 0; trial < kTrials; ++trial) {
    const MeanInterval mean =
        PositiveMean(Of(series, pick(series.size() / 10, series.size(), random)));
    held += mean.low <= truth && truth <= mean.high ? 1 : 0;
  }
  return static_cast<double>(held) / kTrials;
}

Json ToldApart(const std::vector<double>& a, const std::vector<double>& b, size_t chunks) {
  double sum_a = 0;
  double sum_b = 0;
  for (size_t i = 0; i < a.size(); ++i) sum_a += a[i], sum_b += b[i];
  std::mt19937 random(1);
  int right = 0;
  int wrong = 0;
  for (int trial = 0; trial < kTrials; ++trial) {
    const Picked picked = Neighbours(chunks, a.size(), random);
    const MeanInterval ratio = PairedRatio(Of(a, picked), Of(b, picked));
    right += (sum_a < sum_b ? ratio.high < 1 : ratio.low > 1) ? 1 : 0;
    wrong += (sum_a < sum_b ? ratio.low > 1 : ratio.high < 1) ? 1 : 0;
  }
  return {{"ratio", sum_a / sum_b},
          {"right", static_cast<double>(right) / kTrials},
          {"wrong", static_cast<double>(wrong) / kTrials}};
}

Json Answer(const Json& request) {
  const auto all = request.at("series").get<std::map<std::string, std::vector<double>>>();
  const size_t chunks = request.at("chunks");
  Json coverage = Json::object();
  Json apart = Json::object();
  for (const auto& [name, series] : all) {
    coverage[name] = {{"random", Coverage(series, AtRandom)},
                      {"neighbours", Coverage(series, Neighbours)}};
    for (const auto& [other, theirs] : all) {
      if (name < other && chunks <= series.size())
        apart[name + " " + other] = ToldApart(series, theirs, chunks);
    }
  }
  return {{"coverage", coverage}, {"told_apart", apart}, {"trials", kTrials}};
}

}  // namespace
}  // namespace trimma

int main() {
  const std::string input{std::istreambuf_iterator<char>(std::cin), {}};
  std::cout << trimma::Answer(trimma::Json::parse(input)).dump() << "\n";
  return 0;
}
