#include "report/compare_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

#include "base/text.h"
#include "base/units.h"
#include "report/answer_text.h"
#include "report/table.h"

namespace trimma {
namespace {

constexpr size_t kPromptBytes = 300;
constexpr size_t kAnswerBytes = 1200;
constexpr size_t kBranchBytes = 160;  // of what follows where two answers part

// Several lines as one.
// A path's last part, where no other model's is the same.
std::string ShortName(const Comparison& comparison, size_t model) {
  const auto last = [&](size_t m) {
    return std::filesystem::path(comparison.models[m].name).filename().string();
  };
  for (size_t m = 0; m < comparison.models.size(); ++m) {
    if (m != model && last(m) == last(model)) return SafeText(comparison.models[model].name);
  }
  return SafeText(last(model));
}

const Quality* QualityOf(const Comparison& comparison, size_t model) {
  for (const QualityPair& pair : comparison.pairs) {
    if (pair.b == model) return &pair.quality;
  }
  return nullptr;
}

bool IsReference(const Comparison& comparison, size_t model) {
  return std::any_of(comparison.pairs.begin(), comparison.pairs.end(),
                     [&](const QualityPair& pair) { return pair.a == model; });
}

std::string ModelsTable(const Comparison& comparison) {
  TextTable table{{"model", "type", "file", "prefill tok/s", "decode tok/s", "first token",
                   "mean KLD", "95 %", "same top"},
                  {}};
  for (size_t m = 0; m < comparison.models.size(); ++m) {
    const ComparedModel& model = comparison.models[m];
    std::vector<std::string> row = {ShortName(comparison, m), SafeText(model.type),
                                    FormatBytes(model.file_bytes)};
    if (model.speed) {
      row.push_back(fmt::format("{:.1f}", model.speed->prefill_tps.median));
      row.push_back(fmt::format("{:.1f}", model.speed->decode_tps.median));
      row.push_back(fmt::format("{:.0f} ms", model.speed->ttft_ms.median));
    } else {
      row.insert(row.end(), 3, "-");
    }
    if (const Quality* q = QualityOf(comparison, m)) {
      row.push_back(fmt::format("{:.6f}", q->mean_kld));
      row.push_back(fmt::format("{:.6f} to {:.6f}", q->mean_kld_low, q->mean_kld_high));
      row.push_back(fmt::format("{:.2f} %", 100 * q->same_top));
    } else {
      row.push_back(IsReference(comparison, m) ? "reference" : "-");
      row.insert(row.end(), 2, "-");
    }
    table.rows.push_back(std::move(row));
  }
  return RenderTable(table);
}

std::string RatioLines(const Comparison& comparison) {
  std::string text;
  for (const ModelRatio& r : comparison.ratios) {
    const bool apart = r.ratio.high < 1 || r.ratio.low > 1;
    text += fmt::format("{} loses {:.3f} [{:.3f}, {:.3f}] times what {} loses{}\n",
                        ShortName(comparison, r.a), r.ratio.mean, r.ratio.low, r.ratio.high,
                        ShortName(comparison, r.b), apart ? "" : ": no difference is shown");
  }
  return text;
}

std::string AnswerLines(const Comparison& comparison, const PromptAnswers& prompt) {
  std::string text = fmt::format("\n> {}\n", OneLine(prompt.prompt, kPromptBytes));
  for (const ComparedAnswer& compared : prompt.answers) {
    const std::string name = ShortName(comparison, compared.model);
    const std::string& said = compared.answer.text;
    if (!compared.parting) {
      text += fmt::format("{}: {}{}\n", name, OneLine(said, kAnswerBytes),
                          compared.answer.ended ? "" : " ...");
      continue;
    }
    const Parting& parting = *compared.parting;
    text += fmt::format("{}: {}", name, PartingWords(parting));
    if (!parting.same) {
      const std::string& first = prompt.answers[0].answer.text;
      const auto branch = [&](const std::string& whole) {
        const std::string rest = whole.substr(std::min(parting.byte, whole.size()));
        return rest.empty() ? std::string("(its end)") : OneLine(rest, kBranchBytes);
      };
      text +=
          fmt::format("\n    here   | {}\n    {:<6} | {}", branch(said), "first", branch(first));
    }
    text += "\n";
  }
  return text;
}

}  // namespace

std::string PartingWords(const Parting& parting) {
  if (parting.same) return "the same";
  if (!parting.token) {
    return parting.byte == 0 ? "different from the start"
                             : fmt::format("the same for {} bytes, then", parting.byte);
  }
  if (*parting.token == 0) return "different from the first token on";
  return fmt::format("the same for {} token{}, then", *parting.token,
                     *parting.token == 1 ? "" : "s");
}

std::string RenderComparison(const Comparison& comparison) {
  std::string text = ModelsTable(comparison);
  if (!comparison.ratios.empty()) text += "\n" + RatioLines(comparison);
  for (const JudgingText& judged : comparison.texts) {
    text +=
        fmt::format("\nquality judged on {} tokens: {}\n", judged.tokens, SafeText(judged.name));
  }
  for (const ComparedModel& model : comparison.models) {
    for (const std::string& error : model.errors)
      text += fmt::format("note: {}: {}\n", SafeText(model.name), SafeText(error, 500));
  }
  for (const std::string& note : comparison.notes)
    text += fmt::format("note: {}\n", SafeText(note, 500));
  for (const PromptAnswers& prompt : comparison.answers) text += AnswerLines(comparison, prompt);
  return text;
}

}  // namespace trimma
