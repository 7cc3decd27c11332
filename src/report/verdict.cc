#include "report/verdict.h"

#include <fmt/format.h>

#include <cmath>

#include "base/text.h"
#include "base/units.h"
#include "report/figures.h"

namespace trimma {
namespace {

std::string SizePhrase(const Outcome& before, const Outcome& after) {
  if (before.file_bytes == 0 || after.file_bytes == 0) return "The size is not known";
  if (before.file_bytes == after.file_bytes) {
    return fmt::format("The file is the same size ({})", FormatBytes(after.file_bytes));
  }
  const double ratio =
      static_cast<double>(after.file_bytes) / static_cast<double>(before.file_bytes);
  const double percent = std::abs(1 - ratio) * 100;
  return fmt::format("The file is {:.{}f} % {} ({} instead of {})", percent, percent < 1 ? 1 : 0,
                     ratio < 1 ? "smaller" : "larger", FormatBytes(after.file_bytes),
                     FormatBytes(before.file_bytes));
}

std::string SpeedPhrase(const Spread& before, const Spread& after) {
  const std::optional<Change> change = Compare(before, after, Better::kHigher);
  if (!change) return "its speed was not compared";
  if (*change == Change::kNoDifference) {
    return fmt::format("it generates text no faster and no slower as far as could be measured ({})",
                       Amount(after.median, Unit::kTokensPerSecond));
  }
  const double percent = std::abs(after.median / before.median - 1) * 100;
  return fmt::format("it generates text {:.{}f} % {} ({} instead of {} tokens per second)", percent,
                     percent < 1 ? 1 : 0, NameOf(*change), Number(after.median),
                     Number(before.median));
}

std::string QualityPhrase(const OptimizeRecord& record) {
  const std::optional<Quality>& quality = record.after.quality;
  if (KnownQuality(quality)) {
    return fmt::format(
        "its first choice for the next token is the original's in {} of positions (mean KL "
        "divergence {})",
        Share(quality->same_top), Divergence(quality->mean_kld));
  }
  if (record.before.type == record.after.type &&
      record.before.file_bytes == record.after.file_bytes) {
    return "its weights are untouched, so its answers are the same";
  }
  return "what this cost in quality was not measured";
}

}  // namespace

const char* NameOf(Change change) {
  switch (change) {
    case Change::kFaster:
      return "faster";
    case Change::kSlower:
      return "slower";
    case Change::kNoDifference:
      break;
  }
  return "no difference";
}

std::optional<Change> Compare(const Spread& before, const Spread& after, Better better) {
  if (!Known(before) || !Known(after)) return std::nullopt;
  const bool above = after.low > before.high;
  const bool below = after.high < before.low;
  if (!above && !below) return Change::kNoDifference;
  return above == (better == Better::kHigher) ? Change::kFaster : Change::kSlower;
}

std::string PercentChange(double before, double after) {
  if (!Known(before) || !Known(after)) return "";
  const double ratio = after / before;
  if (ratio >= 10) return fmt::format("{:.0f}x", ratio);
  const double percent = (ratio - 1) * 100;
  if (std::abs(percent) < 0.05) return "unchanged";
  return fmt::format("{:+.{}f} %", percent, std::abs(percent) < 9.95 ? 1 : 0);
}

std::string ChangeText(const Spread& before, const Spread& after, Better better) {
  const std::optional<Change> change = Compare(before, after, better);
  if (!change) return kNotMeasured;
  if (*change == Change::kNoDifference) return NameOf(*change);
  return fmt::format("{}, {}", PercentChange(before.median, after.median), NameOf(*change));
}

std::string TitleOf(const OptimizeRecord& record) {
  for (const std::string* name : {&record.model_name, &record.model_argument}) {
    if (!Trim(*name).empty()) return *name;
  }
  return "unnamed model";
}

std::string VerdictOn(const OptimizeRecord& record) {
  return fmt::format("{}, {}, and {}.", SizePhrase(record.before, record.after),
                     SpeedPhrase(record.before.speed.decode_tps, record.after.speed.decode_tps),
                     QualityPhrase(record));
}

}  // namespace trimma
