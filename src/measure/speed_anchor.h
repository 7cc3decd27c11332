// The anchor: one candidate measured again and again between the others, so that a machine that
// changes is noticed (pure).
#pragma once

#include <optional>
#include <vector>

namespace trimma {

// Seconds of one measurement, and when it began. A phase that wasn't measured is absent.
struct Visit {
  std::optional<double> prefill;
  std::optional<double> decode;
  double at = 0;
  // Joules of the cards meanwhile; nullopt: nobody told.
  std::optional<double> prefill_joules = std::nullopt;
  std::optional<double> decode_joules = std::nullopt;
};

// Whether warm: the last time is no more than 5 % shorter than the one before it, `needed` times
// in a row. The first evaluations fault in buffers, wake threads and let caches and clocks settle,
// each of which makes the next one faster; noise goes both ways, and ends the wait sooner.
bool Settled(const std::vector<double>& seconds, int needed);

// What the anchor would have taken at `at`, on the line between the visits before and after.
Visit AnchorAt(const Visit& before, const Visit& after, double at);

// Notices drift: a step or slope of the machine's own speed (heat, another process), as opposed to
// its noise, which is as large between any two visits.
//
// What lies between two visits of the anchor is compared with the line through them. A change of
// the anchor by x between them makes that line wrong by up to x / 2, so x is limited to twice what
// is felt; where the anchor's own noise is larger, to four times its robust standard deviation
// (1.4826 times the median of the absolute changes; one in 16 000 of normal ones is larger).
class DriftWatch {
 public:
  explicit DriftWatch(double felt) : felt_(felt) {}
  // Whether the next stretch can be judged at all: the first ones only teach the anchor's scatter.
  bool Judges() const;
  // Whether what lies between these two visits is to be discarded.
  bool Drifted(const Visit& before, const Visit& after);

 private:
  struct Phase {
    std::vector<double> changes;  // absolute logarithms
  };
  bool Drifted(Phase& phase, double before, double after) const;
  double felt_;
  Phase prefill_, decode_;
};

}  // namespace trimma
