#include "measure/quality_stop.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/stats_json.h"

namespace trimma {
namespace {

constexpr double kAlpha = 0.05;
// Fewer chunks say too little of how chunks differ.
constexpr int kFirstLook = 8;
constexpr double kInfinity = std::numeric_limits<double>::infinity();

// Chunks that are lacking for an interval to be narrowed by this factor: widths fall with the root.
double MoreChunks(size_t chunks, double narrower) {
  if (!std::isfinite(narrower)) return kInfinity;
  return std::max(1.0, std::ceil(static_cast<double>(chunks) * (narrower * narrower - 1)));
}

double LogDistance(double a, double b) {
  return a > 0 && b > 0 ? std::abs(std::log(a / b)) : kInfinity;
}

Decision AgainstLimit(const ChunkSums& kld, double limit, double level) {
  Decision decision;
  decision.interval = PositiveMean(kld, level);
  decision.settled = decision.interval.high <= limit || decision.interval.low > limit;
  decision.answer = !decision.settled                 ? "open"
                    : decision.interval.high <= limit ? "below"
                                                      : "above";
  if (!decision.settled) {
    decision.more_chunks = MoreChunks(kld.size(), RelativePrecision(decision.interval) /
                                                      LogDistance(decision.interval.mean, limit));
  }
  return decision;
}

Decision Precision(const ChunkSums& kld, double asked) {
  Decision decision;
  decision.interval = PositiveMean(kld);
  const double reached = RelativePrecision(decision.interval);
  decision.settled = reached <= asked;
  decision.answer = decision.settled ? "reached" : "open";
  if (!decision.settled) decision.more_chunks = MoreChunks(kld.size(), reached / asked);
  return decision;
}

// The one with the least mean, against each of the others; the closest call counts.
Decision Better(const std::vector<ChunkSums>& klds, double level) {
  Decision decision;
  size_t best = 0;
  for (size_t i = 1; i < klds.size(); ++i) {
    if (klds[i].Mean() < klds[best].Mean()) best = i;
  }
  // A wrong winner has beaten the true one: with n - 1 others that is n - 1 chances.
  const double each = 1 - (1 - level) / static_cast<double>(std::max<size_t>(1, klds.size() - 1));
  decision.candidate = best;
  decision.settled = true;
  decision.interval = {0, 0, 0};
  for (size_t i = 0; i < klds.size(); ++i) {
    if (i == best) continue;
    const MeanInterval ratio = PairedRatio(klds[best], klds[i], each);
    if (ratio.high < decision.interval.high) continue;
    decision.interval = ratio;
    decision.settled = ratio.high < 1;
    decision.more_chunks =
        decision.settled
            ? 0
            : MoreChunks(klds[best].size(), RelativePrecision(ratio) / LogDistance(ratio.mean, 1));
  }
  decision.answer = decision.settled ? "better" : "open";
  return decision;
}

}  // namespace

bool IsLook(int chunks) {
  int look = kFirstLook;
  while (look < chunks) look += look / 2;
  return look == chunks;
}

double LookLevel(int look, bool last) {
  const double half = kAlpha / 2;
  return 1 - (last ? half : half / (static_cast<double>(look) * (look + 1)));
}

std::vector<Decision> Decide(const Questions& questions, const std::vector<ChunkSums>& klds,
                             int look, bool last) {
  const double level = LookLevel(look, last);
  std::vector<Decision> decisions;
  const auto add = [&](Decision decision, const char* question) {
    decision.question = question;
    decision.looks = look;
    decisions.push_back(std::move(decision));
  };
  for (size_t i = 0; i < klds.size(); ++i) {
    if (questions.max_kld) {
      Decision decision = AgainstLimit(klds[i], *questions.max_kld, level);
      decision.candidate = i;
      add(std::move(decision), "max_kld");
    }
    if (questions.precision) {
      Decision decision = Precision(klds[i], *questions.precision);
      decision.candidate = i;
      add(std::move(decision), "precision");
    }
  }
  if (questions.better && klds.size() > 1) add(Better(klds, level), "better");
  return decisions;
}

void Deciding::Look(const std::vector<ChunkSums>& klds, bool last) {
  if (!questions_.any() || klds.empty() || settled()) return;
  if (!last && !IsLook(static_cast<int>(klds[0].size()))) return;
  const std::vector<Decision> now = Decide(questions_, klds, ++looks_, last);
  if (decisions_.empty()) decisions_ = now;
  for (size_t i = 0; i < now.size(); ++i) {
    if (!decisions_[i].settled) decisions_[i] = now[i];
  }
}

bool Deciding::settled() const {
  return !decisions_.empty() &&
         std::all_of(decisions_.begin(), decisions_.end(),
                     [](const Decision& decision) { return decision.settled; });
}

Json ToJson(const Decision& d) {
  return {{"question", d.question},
          {"candidate", d.candidate ? Json(*d.candidate) : Json()},
          {"settled", d.settled},
          {"answer", d.answer},
          {"value", NumberOrNull(d.interval.mean)},
          {"interval", {NumberOrNull(d.interval.low), NumberOrNull(d.interval.high)}},
          {"looks", d.looks},
          {"more_chunks", NumberOrNull(d.more_chunks)}};
}

Decision DecisionFromJson(const Json& json) {
  const auto number = [](const Json& value) {
    return value.is_null() ? kInfinity : value.get<double>();
  };
  Decision d;
  d.question = json.at("question");
  if (!json.at("candidate").is_null()) d.candidate = json["candidate"].get<size_t>();
  d.settled = json.at("settled");
  d.answer = json.at("answer");
  d.interval = {number(json.at("value")), number(json.at("interval").at(0)),
                number(json.at("interval").at(1))};
  d.looks = json.at("looks");
  d.more_chunks = number(json.at("more_chunks"));
  return d;
}

}  // namespace trimma
