#include "report/compare_page.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/build_info.h"
#include "base/text.h"
#include "base/units.h"
#include "report/answer_text.h"
#include "report/compare_text.h"
#include "report/html.h"
#include "report/page_parts.h"

namespace trimma {
namespace {

constexpr size_t kNameBytes = 90;

// Beside the page's own style.
constexpr const char* kStyle = R"css(
.answers{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,18rem),1fr));gap:.6rem 1.4rem}
.answer{background:var(--soft);padding:.6rem .8rem;border-radius:4px;font-size:.92rem}
.answer h3{margin:0 0 .3rem}.answer p{margin:.3rem 0}
.common{color:var(--muted)}
mark{background:none;color:inherit;text-decoration:underline;text-decoration-color:var(--c5);
 text-decoration-thickness:2px;text-underline-offset:3px}
)css";

// Lines stay lines.
std::string Lines(const std::string& text) {
  std::string html;
  for (const std::string& line : Split(text, '\n')) {
    if (!html.empty()) html += "<br>";
    html += Html(WithBlanks(line));
  }
  return html;
}

std::string Name(const Comparison& comparison, size_t model) {
  return Html(comparison.models[model].name, kNameBytes);
}

std::string WithInterval(const Spread& s, int digits) {
  return fmt::format("{:.{}f}<span class=\"interval\">{:.{}f} to {:.{}f}</span>", s.median, digits,
                     s.low, digits, s.high, digits);
}

std::string SpeedSection(const Comparison& comparison) {
  const bool any = std::any_of(comparison.models.begin(), comparison.models.end(),
                               [](const ComparedModel& m) { return m.speed.has_value(); });
  Table table({{"Model"},
               {"Type"},
               {"File", true},
               {"Prefill, tok/s", true},
               {"Decode, tok/s", true},
               {"First token, ms", true},
               {"Load, ms", true}});
  for (size_t m = 0; m < comparison.models.size(); ++m) {
    const ComparedModel& model = comparison.models[m];
    std::vector<std::string> row = {Name(comparison, m), Html(model.type),
                                    Html(FormatBytes(model.file_bytes))};
    if (model.speed) {
      row.push_back(WithInterval(model.speed->prefill_tps, 1));
      row.push_back(WithInterval(model.speed->decode_tps, 1));
      row.push_back(WithInterval(model.speed->ttft_ms, 0));
      row.push_back(fmt::format("{:.0f}", model.speed->load_ms.median));
    } else {
      row.insert(row.end(), 4, "-");
    }
    table.Row(row);
  }
  std::string html = std::move(table).Finish();
  if (any)
    html += Paragraph(
        "Medians of several processes' figures, with the interval that holds the true median with "
        "95 % (of fewer than six, the range of all); all models measured in turns.",
        "muted");
  return Section("models", any ? "Models and speed" : "Models", html);
}

std::string QualitySection(const Comparison& comparison) {
  if (comparison.pairs.empty()) return "";
  Table table({{"Model"},
               {"Against"},
               {"Mean KLD, nats", true},
               {"Median", true},
               {"99 %", true},
               {"99.9 %", true},
               {"Same top token", true},
               {"Perplexity ratio", true}});
  for (const QualityPair& pair : comparison.pairs) {
    const Quality& q = pair.quality;
    table.Row({Name(comparison, pair.b), Name(comparison, pair.a),
               fmt::format("{:.6f}<span class=\"interval\">{:.6f} to {:.6f}</span>", q.mean_kld,
                           q.mean_kld_low, q.mean_kld_high),
               fmt::format("{:.6f}", q.median_kld), fmt::format("{:.4f}", q.p99_kld),
               fmt::format("{:.4f}", q.p999_kld), fmt::format("{:.2f} %", 100 * q.same_top),
               fmt::format("{:.4f}<span class=\"interval\">{:.4f} to {:.4f}</span>",
                           q.ppl_ratio.mean, q.ppl_ratio.low, q.ppl_ratio.high)});
  }
  std::string html = std::move(table).Finish();
  for (const ModelRatio& r : comparison.ratios) {
    const bool apart = r.ratio.high < 1 || r.ratio.low > 1;
    html += Paragraph(fmt::format("{} loses {:.3f} times what {} loses (95 %: {:.3f} to {:.3f}){}",
                                  comparison.models[r.a].name, r.ratio.mean,
                                  comparison.models[r.b].name, r.ratio.low, r.ratio.high,
                                  apart ? "." : ": no difference is shown."));
  }
  for (const JudgingText& text : comparison.texts) {
    html += Paragraph(fmt::format("Judged on {} tokens: {}{}.", text.tokens, text.name,
                                  text.sha256.empty() ? "" : ", SHA-256 " + text.sha256),
                      "muted");
  }
  return Section("quality", "Quality", html);
}

std::string AnswerHtml(const Comparison& comparison, const PromptAnswers& prompt,
                       const ComparedAnswer& compared) {
  const std::string& text = compared.answer.text;
  std::string html =
      fmt::format("<div class=\"answer\"><h3>{}</h3>\n", Name(comparison, compared.model));
  if (!compared.parting) {
    html += fmt::format("<p>{}</p>", Lines(text));
  } else {
    const Parting& parting = *compared.parting;
    const size_t common = parting.same ? text.size() : std::min(parting.byte, text.size());
    html += Paragraph(fmt::format("{} ({})", PartingWords(parting),
                                  comparison.models[prompt.answers[0].model].name),
                      "muted");
    html += fmt::format("<p><span class=\"common\">{}</span>", Lines(text.substr(0, common)));
    if (!parting.same) html += fmt::format("<mark>{}</mark>", Lines(text.substr(common)));
    html += "</p>";
  }
  // A server doesn't say which tokens they were.
  const size_t tokens = compared.answer.tokens.size();
  html += Paragraph(
      fmt::format("{}{}{}{}", tokens > 0 ? fmt::format("{} tokens in ", tokens) : "",
                  FormatSeconds(compared.answer.seconds), compared.answer.ended ? "" : ", cut off",
                  compared.answer.templated ? "" : ", asked without a chat template"),
      "muted");
  return html + "</div>\n";
}

std::string AnswersSection(const Comparison& comparison) {
  if (comparison.answers.empty()) return "";
  std::string html = Paragraph(
      "Greedy: the most likely token each time. What parts from the first model's answer is "
      "underlined; once two answers have parted, the rest of them follows from that.",
      "muted");
  for (const PromptAnswers& prompt : comparison.answers) {
    html += fmt::format("<h3>{}</h3>\n<div class=\"answers\">\n", Lines(prompt.prompt));
    for (const ComparedAnswer& compared : prompt.answers)
      html += AnswerHtml(comparison, prompt, compared);
    html += "</div>\n";
  }
  return Section("answers", "Answers", html);
}

std::string NotesSection(const Comparison& comparison) {
  std::string html;
  for (const ComparedModel& model : comparison.models) {
    for (const std::string& error : model.errors) html += Paragraph(model.name + ": " + error);
  }
  for (const std::string& note : comparison.notes) html += Paragraph(note);
  return html.empty() ? "" : Section("notes", "Notes", html);
}

}  // namespace

std::string RenderComparePage(const Comparison& comparison) {
  std::string title;
  for (const ComparedModel& model : comparison.models)
    title += (title.empty() ? "" : ", ") + model.name;
  std::string page = PageHead(title + ": trimma comparison", kStyle);
  page += fmt::format("<body>\n<header>\n<h1>{}</h1>\n</header>\n<main>\n", Html(title, 160));
  page += SpeedSection(comparison) + QualitySection(comparison) + AnswersSection(comparison) +
          NotesSection(comparison);
  page += fmt::format(
      "</main>\n<footer>Made by trimma {}. This page is one file; it loads nothing "
      "and sends nothing.</footer>\n</body>\n</html>\n",
      Html(build_info::kVersion));
  return page;
}

}  // namespace trimma
