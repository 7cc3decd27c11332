// What was found: the comparison, the reasons, the trade-off, memory, trials, time.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/units.h"
#include "report/charts.h"
#include "report/comparison.h"
#include "report/figures.h"
#include "report/html.h"
#include "report/page_parts.h"
#include "report/page_sections.h"
#include "report/verdict.h"

namespace trimma {
namespace {

const char* ToneOf(const std::string& change) {
  if (change.find("faster") != std::string::npos) return "good";
  if (change.find("slower") != std::string::npos) return "bad";
  return change.find("no difference") != std::string::npos ? "same" : "";
}

std::string ComparedCell(const char* label, const ComparedFigure& figure) {
  const std::string interval =
      figure.interval.empty()
          ? ""
          : fmt::format("<span class=\"interval\">{}</span>", Html(figure.interval));
  return fmt::format("<td class=\"n\" data-label=\"{}\"><span class=\"figure\">{}</span>{}</td>",
                     label, Html(figure.text), interval);
}

std::string RateCell(double centre, double low, double high) {
  if (!Known(centre)) return kNotMeasured;
  if (!Known(low) || !Known(high)) return Number(centre);
  return fmt::format("{} <span class=\"interval\">{} to {}</span>", Number(centre), Number(low),
                     Number(high));
}

std::string DivergenceCell(const PlotPoint& point) {
  if (!point.mean_kld) return "reference";
  if (!std::isfinite(*point.mean_kld)) return kNotMeasured;
  if (!std::isfinite(point.kld_low) || !std::isfinite(point.kld_high)) {
    return Divergence(*point.mean_kld);
  }
  return fmt::format("{} <span class=\"interval\">{} to {}</span>", Divergence(*point.mean_kld),
                     Divergence(point.kld_low), Divergence(point.kld_high));
}

std::string RateOrAbsent(double tps) { return Known(tps) ? Number(tps) : kNotMeasured; }

}  // namespace

std::string ComparisonSection(const OptimizeRecord& record) {
  std::string html =
      "<table class=\"compare\"><thead><tr><th scope=\"col\">Figure</th><th scope=\"col\" "
      "class=\"n\">Before</th><th scope=\"col\" class=\"n\">After</th><th scope=\"col\" "
      "class=\"n\">Change</th></tr></thead><tbody>\n";
  for (const ComparisonRow& row : CompareOutcomes(record)) {
    html += fmt::format(
        "<tr><th scope=\"row\">{}<span class=\"explain\">{}</span></th>{}{}<td class=\"n {}\" "
        "data-label=\"change\">{}</td></tr>\n",
        Html(row.name), Html(row.explanation), ComparedCell("before", row.before),
        ComparedCell("after", row.after), ToneOf(row.change), Html(row.change));
  }
  html += "</tbody></table>\n";
  const std::string labels = fmt::format(
      "Before: {}. After: {}.", record.before.label.empty() ? "as found" : record.before.label,
      record.after.label.empty() ? "as chosen" : record.after.label);
  return Section("comparison", "Before and after",
                 Paragraph(labels) + html +
                     Paragraph("Small figures are 95 % intervals (with fewer than six samples, "
                               "the range of all). “No difference” means that the two intervals "
                               "overlap.",
                               "muted") +
                     SpeedCharts(record.before.speed, record.after.speed));
}

std::string ReasonsSection(const OptimizeRecord& record) {
  const std::string html = Paragraph(record.weights_verdict) + Paragraph(record.tuning_verdict);
  return html.empty() ? "" : Section("reasons", "What was done, and why", html);
}

std::string TradeOffSection(const OptimizeRecord& record) {
  if (record.points.empty()) return "";
  Table table({{"Type", false},
               {"File size", true},
               {"Mean KL divergence", true},
               {"Decode, tok/s", true},
               {"Prefill, tok/s", true}});
  for (const PlotPoint& point : record.points) {
    table.Row(
        {Html(point.type) + (point.chosen ? " (chosen)" : ""), Bytes(point.file_bytes),
         DivergenceCell(point), RateOrAbsent(point.decode_tps), RateOrAbsent(point.prefill_tps)},
        point.chosen);
  }
  return Section("tradeoff", "Size, quality and speed of each type measured",
                 TradeOffCharts(record.points) + std::move(table).Finish());
}

std::string MemorySection(const OptimizeRecord& record) {
  if (record.memory.empty()) return "";
  Table table({{"Context, tokens", true},
               {"KV type (K / V)", false},
               {"Weights", true},
               {"KV cache", true},
               {"Work buffers", true},
               {"Total", true},
               {"Fits", false}});
  for (const MemoryRow& row : record.memory) {
    const auto total = row.weights_bytes + row.kv_bytes + row.compute_bytes;
    // A part may truly be empty; a whole can't be.
    const auto part = [&](uint64_t bytes) {
      return total == 0 ? kNotMeasured : FormatBytes(bytes);
    };
    table.Row({FormatCount(row.context), Html(row.kv_k + " / " + row.kv_v), part(row.weights_bytes),
               part(row.kv_bytes), part(row.compute_bytes), Bytes(total),
               row.fits ? "<span class=\"good\">yes</span>" : "<span class=\"bad\">no</span>"});
  }
  return Section(
      "memory", "Memory at each context length",
      Paragraph("The context is how much text the model can take into account at once; 1 000 "
                "tokens are roughly 750 English words. A smaller KV-cache type saves memory at "
                "long contexts.") +
          MemoryChart(record.memory) + "<details><summary>The same figures as a table</summary>\n" +
          std::move(table).Finish() + "</details>\n");
}

std::string TrialsSection(const OptimizeRecord& record) {
  if (record.trials.empty()) {
    return Section("trials", "Tuning trials", Paragraph("No settings were tried."));
  }
  Table table({{"Changed from the default", false},
               {"Outcome", false},
               {"Decode, tok/s", true},
               {"Prefill, tok/s", true}});
  for (const TuneTrial& trial : record.trials) {
    table.Row(
        {Html(trial.what),
         fmt::format("<span class=\"{}\">{}</span>", ToneOf(trial.outcome), Html(trial.outcome)),
         RateCell(trial.decode_tps, trial.decode_low, trial.decode_high),
         RateCell(trial.prefill_tps, trial.prefill_low, trial.prefill_high)});
  }
  return Section("trials", "Every tuning trial",
                 Paragraph("Each setting was measured beside the default; only what is faster "
                           "beyond the measurement's uncertainty is kept.") +
                     std::move(table).Finish());
}

std::string TimeSection(const OptimizeRecord& record) {
  if (record.steps.empty()) return "";
  Table table({{"", true}, {"Step", false}, {"Time", true}});
  for (size_t i = 0; i < record.steps.size(); ++i) {
    const Step& step = record.steps[i];
    table.Row({fmt::format("<span class=\"swatch b{}\"></span>{}", i % 8, i + 1), Html(step.name),
               Known(step.seconds) ? FormatSeconds(step.seconds) : kNotMeasured});
  }
  if (Known(record.seconds)) {
    table.Row({"", "All, with what lies between", FormatSeconds(record.seconds)});
  }
  return Section("time", "Where the time went",
                 TimeChart(record.steps) + std::move(table).Finish());
}

}  // namespace trimma
