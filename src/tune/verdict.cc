#include "tune/verdict.h"

#include <fmt/format.h>

#include <cmath>

#include "measure/speed_race.h"
#include "tune/stage.h"

namespace trimma {
namespace {

// A thread count changes decoding by 50 % where it matters (docs/measuring.md): where not even that
// could be told, nothing was.
const double kNothingTold = std::log(1.5);
constexpr double kNoticedShare = 0.05;
constexpr double kAlmostAll = 0.9;  // of the time: nothing was excluded

std::string GainText(const Choice& choice, const TuneOptions& options) {
  const auto less = [](double gain) { return 100 * (1 - 1 / gain); };
  std::string phases;
  if (choice.prefill.mean != 1)
    phases += fmt::format("prefill {:+.1f} %", 100 * (choice.prefill.mean - 1));
  if (choice.decode.mean != 1)
    phases += fmt::format("{}decode {:+.1f} %", phases.empty() ? "" : ", ",
                          100 * (choice.decode.mean - 1));
  return fmt::format("{:.1f} % less time for {} (95 %: {:.1f} to {:.1f} %); {}",
                     less(choice.gain.mean), ExchangeText(options), less(choice.gain.low),
                     less(choice.gain.high), phases);
}

}  // namespace

Status CheckNotBusy(const Hidden& hidden, const Disturbance& disturbance) {
  const double may_hide = hidden.largest();
  const bool unsteady =
      2 * disturbance.discarded >= disturbance.segments && disturbance.segments > 0;
  if (may_hide < kNothingTold || (disturbance.others_share < kBusyShare && !unsteady)) return {};
  const std::string size = may_hide > std::log(10.0)
                               ? "any size"
                               : fmt::format("{:.0f} %", 100 * (std::exp(may_hide) - 1));
  return Error{Code::kBusy,
               fmt::format("this machine is too busy to tune: others had {:.0f} % of its "
                           "processors, {} of {} stretches drifted, and differences of {} in "
                           "speed can't be told",
                           100 * disturbance.others_share, disturbance.discarded,
                           disturbance.segments, size),
               "end what else runs, or give a larger --budget"};
}

std::vector<std::string> NotesOn(const Disturbance& disturbance) {
  std::vector<std::string> notes;
  if (disturbance.others_share >= kNoticedShare) {
    notes.push_back(
        fmt::format("other processes had {:.0f} % of this machine's processors while it measured",
                    100 * disturbance.others_share));
  }
  if (disturbance.discarded > 0) {
    notes.push_back(fmt::format(
        "{} of {} stretches of the measurement were discarded, since the machine's own speed "
        "drifted",
        disturbance.discarded, disturbance.segments));
  }
  return notes;
}

std::string VerdictOf(const Choice& choice, const TuneOptions& options, const PhaseSeconds& seconds,
                      size_t untried) {
  if (!(choice.settings == options.defaults)) return GainText(choice, options);
  std::string verdict = untried == 0
                            ? "the default is already best: no other setting was measurably faster"
                            : fmt::format(
                                  "the default is already best of what was tried: no other setting "
                                  "was measurably faster, and more time would try {} more",
                                  untried);
  const double may_save = MaySave(choice.may_hide, seconds);
  if (may_save > kAlmostAll) {
    verdict += "; the measurement was too short to exclude savings of any size";
  } else if (may_save > 2 * RaceOptions().felt) {
    verdict += fmt::format("; up to {:.0f} % less time for {} can't be excluded", 100 * may_save,
                           ExchangeText(options));
  }
  return verdict;
}

}  // namespace trimma
