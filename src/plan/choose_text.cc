#include "plan/choose_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "base/units.h"

namespace trimma {
namespace {

std::string Words(double tokens) {
  const double words = tokens * kWordsPerToken;
  if (words < 20) return fmt::format("{:.1f}", words);
  if (words < 1000) return fmt::format("{:.0f}", words);
  const double unit = words < 10000 ? 100 : 1000;
  return FormatCount(static_cast<uint64_t>(std::floor(words / unit) * unit));
}

std::string Where(const Question& q, const PlanCell& cell) {
  if (!q.facts.has_gpu) return "it fits into this machine's memory";
  if (cell.whole) return "all of it fits on the graphics card";
  if (!cell.settings.use_gpu) {
    const bool card_fits = std::any_of(q.cells.begin(), q.cells.end(), [&](const PlanCell& other) {
      return other.fits && other.settings.use_gpu && other.mix == cell.mix &&
             other.settings.context == cell.settings.context &&
             other.settings.kv_k == cell.settings.kv_k && other.settings.kv_v == cell.settings.kv_v;
    });
    return card_fits ? "it runs on the processor with the graphics card left out, which is faster "
                       "than with it"
                     : "it runs on the processor with the graphics card left out, where not even "
                       "the working memory of a part of it fits";
  }
  if (cell.settings.gpu_layers.value_or(0) == 0)
    return "it runs on the processor alone, since the graphics card is too small for it";
  return fmt::format(
      "it does not fit on the graphics card whole, so {} of its layers run there and the rest, "
      "slower, on the processor",
      *cell.settings.gpu_layers);
}

std::string HowFast(const PlanCell& cell) {
  if (!cell.decode_tps) return "";
  const Estimate& e = *cell.decode_tps;
  const double times = e.value / kReadingTps;
  const std::string pace = times >= 1.5 ? fmt::format("{:.0f} times as fast as people read", times)
                           : times >= 0.9 ? std::string("about as fast as people read")
                                          : std::string("slower than people read");
  const std::string range =
      e.measured ? "" : fmt::format(", not measured: {} to {}", Words(e.low), Words(e.high));
  return fmt::format("; it writes about {} words a second ({}{})", Words(e.value), pace, range);
}

// Bounds as at purpose.cc: how often the most likely word stays the same.
const char* HowNear(double kld) {
  return kld < 0.002  ? "practically those of"
         : kld < 0.02 ? "very close to those of"
         : kld < 0.06 ? "close to those of"
         : kld < 0.2  ? "noticeably off those of"
                      : "far off those of";
}

std::string HowTrue(const Question& q, const PlanCell& cell) {
  const bool as_is = cell.mix == 0;
  const bool plain = KvBits(cell.settings) >= 16;
  if (as_is && plain) {
    return q.facts.source_is_quantised
               ? "; the file stays as it is, since fewer bits would cost quality and buy nothing "
                 "that is needed"
               : "; nothing of the original is lost";
  }
  if (!cell.mean_kld) return "; what its answers lose is not known before it is measured";
  const Estimate& e = *cell.mean_kld;
  return fmt::format(
      "; its answers {} {} {} (loss {}{}, where 0 is none and 0.05 is small)",
      e.measured ? "are" : "should be", HowNear(e.value),
      q.facts.source_is_quantised ? "the file as it is" : "the original", LossFigure(e),
      e.measured ? ", measured"
                 : fmt::format(", expected between {} and {}", LossFigure({e.low, 0, 0, false}),
                               LossFigure({e.high, 0, 0, false})));
}

std::string JoinAnd(const std::vector<std::string>& parts) {
  std::string text;
  for (size_t i = 0; i < parts.size(); ++i)
    text += (i == 0 ? "" : i + 1 == parts.size() ? " and " : ", ") + parts[i];
  return text;
}

}  // namespace

std::string Room(uint32_t context) {
  return fmt::format("{} tokens (about {} words)", FormatCount(context), Words(context));
}

std::string LossFigure(const Estimate& loss) {
  if (loss.value == 0) return "0";
  const int places = std::clamp(1 - static_cast<int>(std::floor(std::log10(loss.value))), 1, 6);
  return fmt::format("{:.{}f}", loss.value, places);
}

std::string TypeAndCache(const PlanCell& cell) {
  const RuntimeSettings& s = cell.settings;
  if (KvBits(s) >= 16) return cell.type;
  if (s.kv_k == s.kv_v) return fmt::format("{} with its cache in {}", cell.type, s.kv_k);
  return fmt::format("{} with its cache in {} and {}", cell.type, s.kv_k, s.kv_v);
}

std::string ReasonFor(const Question& q, const PlanCell& chosen) {
  std::string cache;
  if (KvBits(chosen.settings) < 16) {
    cache = fmt::format(
        " once the cache, the model's memory of the text so far, is kept in {} instead of 16 bits",
        chosen.settings.kv_k == chosen.settings.kv_v
            ? chosen.settings.kv_k
            : chosen.settings.kv_k + " and " + chosen.settings.kv_v);
  }
  return fmt::format("{}: {}{}, with room for {}{}{}", chosen.type, Where(q, chosen), cache,
                     Room(chosen.settings.context), HowFast(chosen), HowTrue(q, chosen));
}

std::string Beside(const Question& q, const PlanCell& other, const PlanCell& chosen) {
  std::vector<std::string> more;
  std::vector<std::string> less;
  const auto compare_loss = [&](const PlanCell& a, const PlanCell& b, const char* better,
                                const char* worse, std::vector<std::string>& to) {
    to.push_back(fmt::format("{} (loss {} instead of {})",
                             a.mean_kld->value < b.mean_kld->value ? better : worse,
                             LossFigure(*a.mean_kld), LossFigure(*b.mean_kld)));
  };
  if (ClearlyLessLoss(other, chosen))
    compare_loss(other, chosen, "keeps more of the original", "", more);
  if (ClearlyLessLoss(chosen, other)) compare_loss(other, chosen, "", "loses more", less);
  const auto percent = [](double a, double b) { return std::abs(a / b - 1) * 100; };
  if (ClearlyFaster(other, chosen)) {
    more.push_back(fmt::format("writes {:.0f} % faster",
                               percent(other.decode_tps->value, chosen.decode_tps->value)));
  } else if (ClearlyFaster(chosen, other)) {
    less.push_back(fmt::format("writes {:.0f} % slower",
                               percent(other.decode_tps->value, chosen.decode_tps->value)));
  }
  if (other.settings.context != chosen.settings.context) {
    auto& to = other.settings.context > chosen.settings.context ? more : less;
    to.push_back(fmt::format("has room for {}", Room(other.settings.context)));
  }
  const uint64_t a = AllBytes(other);
  const uint64_t b = AllBytes(chosen);
  if (a < b && percent(static_cast<double>(a), static_cast<double>(b)) >= 2)
    more.push_back(fmt::format("takes {} less memory", FormatBytes(b - a)));
  if (a > b && percent(static_cast<double>(a), static_cast<double>(b)) >= 2)
    less.push_back(fmt::format("takes {} more memory", FormatBytes(a - b)));
  if (q.facts.has_gpu && chosen.whole && !other.whole)
    less.push_back("does not fit on the graphics card whole");
  if (q.facts.has_gpu && !chosen.whole && other.whole)
    more.push_back("fits on the graphics card whole");
  const std::string name = TypeAndCache(other);
  if (more.empty() && less.empty()) return fmt::format("{} is as good", name);
  if (more.empty()) return fmt::format("{} comes next: it {}", name, JoinAnd(less));
  if (less.empty()) return fmt::format("{} {}", name, JoinAnd(more));
  return fmt::format("{} {}, but {}", name, JoinAnd(more), JoinAnd(less));
}

}  // namespace trimma
