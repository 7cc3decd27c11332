#include "cli/quantize_text.h"

#include <fmt/format.h>

#include <map>

#include "base/text.h"
#include "base/units.h"

namespace trimma {
namespace {

std::string Join(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : ", ") + word;
  return text;
}

std::string Unknown(const CraftPlan& plan, const std::string& output) {
  std::string goal;
  if (plan.most_bytes)
    goal = fmt::format("at most {} ({} bytes)", FormatBytes(*plan.most_bytes), *plan.most_bytes);
  if (plan.most_loss)
    goal = fmt::format("as small as {} nats a token of loss allow", *plan.most_loss);
  return fmt::format(
      "would write {}: {}; which types is known when what the tensors are worth is "
      "measured\n",
      SafeText(output, 500), goal);
}

// " (160 chunks of 512 tokens, 50 % written by the model with seeds 4711 to 4713; English 90 %)"
std::string Details(const QuantizeReport& report) {
  if (!report.text || report.text->chunks() == 0) return "";
  const LearningText& text = *report.text;
  std::string details = fmt::format(" ({} chunks of {} tokens", text.chunks(), text.chunk_tokens);
  if (text.generated_chunks > 0) {
    const uint32_t last = text.first_seed + text.seeds - 1;
    details += fmt::format(", {:.0f} % written by the model with {}",
                           100.0 * text.generated_chunks / text.chunks(),
                           text.seeds == 1 ? fmt::format("seed {}", last)
                                           : fmt::format("seeds {} to {}", text.first_seed, last));
  }
  return details + fmt::format("; {})", DescribeLanguages(text));
}

}  // namespace

std::string Describe(const QuantizeReport& report, bool dry_run) {
  std::map<std::pair<std::string, std::string>, int> changes;
  for (const TensorChange& t : report.tensors) ++changes[{NameOf(t.from), NameOf(t.to)}];
  std::string text =
      fmt::format("{}{}: {} ({} bytes), {:.2f} bits per weight", dry_run ? "would write " : "",
                  SafeText(report.output, 500), FormatBytes(report.file_bytes), report.file_bytes,
                  report.bits_per_weight);
  if (!dry_run) text += fmt::format(", in {}", FormatSeconds(report.seconds));
  text += "\n";
  for (const auto& [types, count] : changes) {
    text += types.first == types.second
                ? fmt::format("  {:4} tensors stay {}\n", count, types.first)
                : fmt::format("  {:4} tensors {} -> {}\n", count, types.first, types.second);
  }
  if (report.expected_loss)
    text += fmt::format("expected loss {:.4f} nats a token\n", *report.expected_loss);
  if (report.speed) {
    text += fmt::format(
        "predicted to decode at {:.2f} and prefill at {:.2f} of the speed of {}'s "
        "file\n",
        report.speed->decode, report.speed->prefill, report.speed->baseline);
  }
  if (report.budget_bytes) {
    text += fmt::format("chosen for at most {} ({} bytes)\n", FormatBytes(*report.budget_bytes),
                        *report.budget_bytes);
  }
  if (!report.importance.empty())
    text += fmt::format("errors weighed by {}{}\n", SafeText(report.importance), Details(report));
  std::string rounded;
  for (const auto& [how, tensors] : report.rounding) {
    if (how != "kept")
      rounded +=
          fmt::format("{}{} with errors {}", rounded.empty() ? "" : ", ", tensors.size(), how);
  }
  if (!rounded.empty()) text += fmt::format("tensors rounded: {}\n", rounded);
  for (const std::string& note : report.notes) text += fmt::format("note: {}\n", note);
  return text;
}

std::string Describe(const CraftPlan& plan, const std::string& output) {
  std::string text = plan.report ? Describe(*plan.report, true) : Unknown(plan, output);
  if (!plan.types_from.empty())
    text += fmt::format("types from {}\n", SafeText(plan.types_from, 300));
  if (plan.least_bytes) {
    text += fmt::format("the smallest possible is {} ({} bytes)\n", FormatBytes(*plan.least_bytes),
                        *plan.least_bytes);
  }
  if (!plan.kept.empty()) {
    text += fmt::format("kept in {}: {}\n", SafeText(plan.directory, 300), Join(plan.kept));
  }
  text += fmt::format("still to do: {}\n", Join(plan.to_do));
  if (plan.passes > 0) {
    text += fmt::format(
        "passes over the calibration text: {}, for the moments of {} inputs within the memory\n",
        plan.passes, plan.inputs);
  }
  if (plan.blocked > 0) {
    text += fmt::format(
        "  {} of them are too wide for it, and kept in blocks (a larger --memory "
        "helps)\n",
        plan.blocked);
  }
  for (const std::string& note : plan.notes) text += fmt::format("note: {}\n", note);
  return text;
}

}  // namespace trimma
