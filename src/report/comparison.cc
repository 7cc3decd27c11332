#include "report/comparison.h"

#include <fmt/format.h>

#include <cmath>

#include "report/figures.h"
#include "report/verdict.h"

namespace trimma {
namespace {

ComparisonRow BytesRow(const char* name, const char* explanation, uint64_t before, uint64_t after) {
  return {name,
          explanation,
          {Bytes(before), ""},
          {Bytes(after), ""},
          PercentChange(static_cast<double>(before), static_cast<double>(after)),
          true};
}

ComparedFigure SpreadFigure(const Spread& spread, Unit unit) {
  if (!Known(spread)) return {kNotMeasured, ""};
  return {Amount(spread.median, unit), Interval(spread, unit)};
}

ComparisonRow SpreadRow(const char* name, const char* explanation, Unit unit, const Spread& before,
                        const Spread& after) {
  const Better better = unit == Unit::kTokensPerSecond ? Better::kHigher : Better::kLower;
  return {name,
          explanation,
          SpreadFigure(before, unit),
          SpreadFigure(after, unit),
          ChangeText(before, after, better),
          true};
}

// A model without a quality of its own is the reference if the other was judged against it.
ComparedFigure MissingQuality(const Outcome& other) {
  return {KnownQuality(other.quality) ? "reference" : kNotMeasured, ""};
}

ComparedFigure DivergenceFigure(const Outcome& outcome, const Outcome& other) {
  if (!KnownQuality(outcome.quality)) return MissingQuality(other);
  const Quality& q = *outcome.quality;
  const bool interval = std::isfinite(q.mean_kld_low) && std::isfinite(q.mean_kld_high);
  return {Divergence(q.mean_kld), interval ? fmt::format("{} to {}", Divergence(q.mean_kld_low),
                                                         Divergence(q.mean_kld_high))
                                           : ""};
}

ComparedFigure SameTopFigure(const Outcome& outcome, const Outcome& other) {
  if (!KnownQuality(outcome.quality)) return MissingQuality(other);
  return {Share(outcome.quality->same_top), ""};
}

double Perplexity(const Outcome& outcome, const Outcome& other) {
  if (KnownQuality(outcome.quality)) return outcome.quality->ppl;
  return KnownQuality(other.quality) ? other.quality->reference_ppl : 0;
}

ComparisonRow PerplexityRow(const Outcome& before, const Outcome& after) {
  const double was = Perplexity(before, after);
  const double is = Perplexity(after, before);
  const auto figure = [](double ppl) {
    return ComparedFigure{Known(ppl) ? fmt::format("{:.2f}", ppl) : kNotMeasured, ""};
  };
  return {"Perplexity",
          "how surprised the model is by real text; lower is better",
          figure(was),
          figure(is),
          PercentChange(was, is),
          false};
}

ComparisonRow BitsRow(const Outcome& before, const Outcome& after) {
  const auto figure = [](double bits) {
    return ComparedFigure{Known(bits) ? fmt::format("{:.2f}", bits) : kNotMeasured, ""};
  };
  return {"Bits per weight",
          "average size of one weight in the file",
          figure(before.bits_per_weight),
          figure(after.bits_per_weight),
          PercentChange(before.bits_per_weight, after.bits_per_weight),
          false};
}

}  // namespace

std::vector<ComparisonRow> CompareOutcomes(const OptimizeRecord& record) {
  const Outcome& a = record.before;
  const Outcome& b = record.after;
  std::vector<ComparisonRow> rows;
  rows.push_back(BytesRow("File size", "on disk", a.file_bytes, b.file_bytes));
  rows.push_back(BitsRow(a, b));
  rows.push_back(BytesRow(
      "Memory", "weights, KV cache (what the model keeps of the conversation) and work buffers",
      a.memory_bytes, b.memory_bytes));
  rows.push_back(SpreadRow("Prefill", "reading the prompt", Unit::kTokensPerSecond,
                           a.speed.prefill_tps, b.speed.prefill_tps));
  rows.push_back(SpreadRow("Decode", "writing the answer, token by token", Unit::kTokensPerSecond,
                           a.speed.decode_tps, b.speed.decode_tps));
  rows.push_back(SpreadRow("Time to first token", "from prompt to first word, empty cache",
                           Unit::kMilliseconds, a.speed.ttft_ms, b.speed.ttft_ms));
  rows.push_back(SpreadRow("Load time", "until ready, file already in the page cache",
                           Unit::kMilliseconds, a.speed.load_ms, b.speed.load_ms));
  rows.back().brief = false;
  rows.push_back({"Mean KL divergence",
                  "distance of the next-token probabilities from the original's, in nats; 0 is "
                  "identical",
                  DivergenceFigure(a, b), DivergenceFigure(b, a), "", true});
  rows.push_back({"Same top token",
                  "positions where the original's first choice is also this one's",
                  SameTopFigure(a, b), SameTopFigure(b, a), "", false});
  rows.push_back(PerplexityRow(a, b));
  return rows;
}

}  // namespace trimma
