// Means over chunks of text, and ratios of two such means over the same chunks, with intervals.
//
// Tokens of one chunk are not independent, so it is chunks that vary: all intervals come from how
// the chunks differ. Divergences are positive and skewed, hence intervals of means and ratios are
// made on the scale of logarithms. With few chunks they are as wide as Student's t says.
#pragma once

#include <cstddef>
#include <vector>

#include "base/stats.h"

namespace trimma {

// What was summed up in each chunk, in the order of the text, and over how many positions.
struct ChunkSums {
  std::vector<double> sums;
  std::vector<double> counts;
  void Add(double sum, double count) {
    sums.push_back(sum);
    counts.push_back(count);
  }
  size_t size() const { return counts.size(); }
  double Mean() const;  // over positions
};

inline constexpr double kLevel = 0.95;

// Of one chunk no interval can be told: it is from 0 to infinity (for AnyMean from minus infinity).
MeanInterval PositiveMean(const ChunkSums& chunks, double level = kLevel);
MeanInterval AnyMean(const ChunkSums& chunks, double level = kLevel);
// Mean of a over mean of b; both over the same chunks, which are taken in pairs.
MeanInterval PairedRatio(const ChunkSums& a, const ChunkSums& b, double level = kLevel);

// Half the interval over the mean, on the scale of logarithms: 0.05 is "known within 5 %".
double RelativePrecision(const MeanInterval& interval);

}  // namespace trimma
