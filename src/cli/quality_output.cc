#include "cli/quality_output.h"

#include <fmt/format.h>

#include <charconv>
#include <cmath>

#include "base/stats_json.h"
#include "base/text.h"
#include "base/units.h"
#include "report/table.h"

namespace trimma {
namespace {

constexpr int64_t kMillion = 1'000'000;

std::string Interval(double mean, double low, double high, int digits) {
  return fmt::format("{:.{}f} [{:.{}f}, {:.{}f}]", mean, digits, low, digits, high, digits);
}

std::string Interval(const MeanInterval& i, int digits) {
  return Interval(i.mean, i.low, i.high, digits);
}

std::string JudgedOn(const Quality& q) {
  const std::string scored = q.score == "half" ? "second half"
                             : q.score == "last"
                                 ? fmt::format("the last {} of each", q.tokens / q.chunks)
                                 : "all";
  const std::string on_host = HostWords(q.left_cards);
  return fmt::format("{} tokens of {} chunks of {} ({} scored): {}{}", q.tokens, q.chunks, q.chunk,
                     scored, SafeText(q.text), on_host.empty() ? "" : "; " + on_host);
}

std::string TextFacts(const JudgingText& text) {
  std::string facts;
  if (!text.sha256.empty())
    facts += fmt::format("its file             {}, SHA-256 {}\n", SafeText(text.file), text.sha256);
  if (!text.seeds.empty())
    facts += fmt::format("its seeds            {} to {}\n", text.seeds.front(), text.seeds.back());
  if (text.overlap > 0)
    facts += fmt::format("chunks overlap       by {:.0f} % (what is scored doesn't)\n",
                         100 * text.overlap);
  for (const std::string& note : text.notes)
    facts += fmt::format("note: {}\n", SafeText(note, 400));
  return facts;
}

std::string Table(const NamedJudgement& named) {
  TextTable table{
      {"model", "mean KLD", "95 %", "median", "99 %", "99.9 %", "same top", "perplexity ratio"},
      {}};
  for (size_t i = 0; i < named.names.size(); ++i) {
    const Quality& q = named.judgement.qualities[i];
    table.rows.push_back({SafeText(named.names[i]), fmt::format("{:.6f}", q.mean_kld),
                          fmt::format("{:.6f} to {:.6f}", q.mean_kld_low, q.mean_kld_high),
                          fmt::format("{:.6f}", q.median_kld), fmt::format("{:.4f}", q.p99_kld),
                          fmt::format("{:.4f}", q.p999_kld),
                          fmt::format("{:.2f} %", 100 * q.same_top), Interval(q.ppl_ratio, 4)});
  }
  return RenderTable(table);
}

// About so many tokens of text lie behind a number of chunks.
std::string MoreTokens(const NamedJudgement& named, double chunks) {
  const Quality& q = named.judgement.qualities[0];
  const double tokens = std::ceil(chunks * q.chunk / 1000) * 1000;
  if (!(tokens < 1000 * kMillion)) return "no text would settle it: the two are too near";
  return fmt::format("about {} more tokens of text would settle it",
                     FormatCount(static_cast<uint64_t>(tokens)));
}

std::string Sentence(const NamedJudgement& named, const Decision& d, const Questions& questions) {
  const std::string who = d.candidate ? SafeText(named.names[*d.candidate]) : "";
  if (d.question == "max_kld") {
    const double limit = questions.max_kld.value_or(0);
    const std::string loss = fmt::format("loses {}", Interval(d.interval, 6));
    return d.settled ? fmt::format("{} {}: {} the limit of {}", who, loss, d.answer, limit)
                     : fmt::format("{} {}: neither below nor above the limit of {}; {}", who, loss,
                                   limit, MoreTokens(named, d.more_chunks));
  }
  if (d.question == "precision") {
    const double asked = 100 * questions.precision.value_or(0);
    const double reached = 100 * RelativePrecision(d.interval);
    return d.settled ? fmt::format("{} is known within {:.1f} %", who, reached)
                     : fmt::format("{} is known within {:.1f} %, not {:g} %; {}", who, reached,
                                   asked, MoreTokens(named, d.more_chunks));
  }
  return d.settled ? fmt::format("{} loses least: {} times what the next one loses", who,
                                 Interval(d.interval, 3))
                   : fmt::format("which loses least is open: {} times what the next one loses; {}",
                                 Interval(d.interval, 3), MoreTokens(named, d.more_chunks));
}

// Of many candidates the table says enough; the JSON has every pair.
std::string Ratios(const NamedJudgement& named) {
  constexpr size_t kMostTold = 6;
  std::string text;
  if (named.judgement.ratios.size() > kMostTold) return text;
  for (const LossRatio& r : named.judgement.ratios) {
    const bool apart = r.ratio.high < 1 || r.ratio.low > 1;
    text += fmt::format("{} loses {} times what {} loses{}\n", SafeText(named.names[r.a]),
                        Interval(r.ratio, 3), SafeText(named.names[r.b]),
                        apart ? "" : ": no difference is shown");
  }
  return text;
}

}  // namespace

std::string Describe(const Quality& q) {
  return fmt::format(
      "mean KL divergence   {:.6f} nats (95 %: {:.6f} to {:.6f})\nmedian KLD           {:.6f}\n"
      "99 % / 99.9 % KLD    {:.5f} / {:.5f}\nsame top token       {:.2f} %\n"
      "perplexity           {:.4f} (reference {:.4f}; ratio {})\njudged on            {}\n",
      q.mean_kld, q.mean_kld_low, q.mean_kld_high, q.median_kld, q.p99_kld, q.p999_kld,
      100 * q.same_top, q.ppl, q.reference_ppl, Interval(q.ppl_ratio, 4), JudgedOn(q));
}

std::string Describe(const NamedJudgement& named, const Questions& questions) {
  const Judgement& judgement = named.judgement;
  std::string text;
  if (judgement.qualities.size() == 1) {
    text += Describe(judgement.qualities[0]);
  } else {
    const std::string ratios = Ratios(named);
    text += Table(named) + (ratios.empty() ? "" : "\n" + ratios);
    text += fmt::format("\njudged on            {}\n", JudgedOn(judgement.qualities[0]));
  }
  text += TextFacts(judgement.text);
  for (const Decision& decision : judgement.decisions)
    text += Sentence(named, decision, questions) + "\n";
  return text;
}

Json JudgementFields(const NamedJudgement& named) {
  const Judgement& judgement = named.judgement;
  Json ratios = Json::array();
  for (const LossRatio& r : judgement.ratios) {
    ratios.push_back({{"a", named.names[r.a]},
                      {"b", named.names[r.b]},
                      {"ratio", NumberOrNull(r.ratio.mean)},
                      {"ci95", {NumberOrNull(r.ratio.low), NumberOrNull(r.ratio.high)}}});
  }
  Json decisions = Json::array();
  for (const Decision& d : judgement.decisions) {
    Json json = ToJson(d);
    json["candidate"] = d.candidate ? Json(named.names[*d.candidate]) : Json();
    json.erase("more_chunks");
    json["more_tokens"] = NumberOrNull(d.more_chunks * judgement.qualities[0].chunk);
    decisions.push_back(std::move(json));
  }
  return {{"ratios", ratios},
          {"decisions", decisions},
          {"text", ToJson(judgement.text)},
          {"seconds",
           {{"forward", judgement.forward_seconds}, {"scoring", judgement.scoring_seconds}}}};
}

Status StatusOf(const NamedJudgement& named, const Questions& questions) {
  for (const Decision& decision : named.judgement.decisions) {
    if (decision.question == "max_kld" && decision.answer != "below")
      return Error{Code::kGate, Sentence(named, decision, questions), ""};
  }
  for (const Decision& decision : named.judgement.decisions) {
    if (decision.question == "precision" && !decision.settled)
      return Error{
          Code::kInvalid,
          "the text is too short for the precision asked: " + Sentence(named, decision, questions),
          "give a longer text, or a smaller precision"};
  }
  return {};
}

Result<double> ParseShare(const std::string& text) {
  const bool percent = text.ends_with('%');
  const std::string_view digits =
      Trim(std::string_view(text).substr(0, text.size() - (percent ? 1 : 0)));
  double value = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  if (percent) value /= 100;
  if (error != std::errc() || end != digits.data() + digits.size() || !(value > 0 && value < 1)) {
    return Error{Code::kUsage, fmt::format("\"{}\" is no share", SafeText(text)),
                 "write 5% or 0.05"};
  }
  return value;
}

}  // namespace trimma
