#include "measure/speed.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <numeric>

namespace trimma {
namespace {

// What a child did when it was lost: the candidate it worked on. Only then is another tried
// without it; what the job itself refuses is final.
bool WasLost(const Error& error) {
  return error.code == Code::kInternal || error.code == Code::kNoFit ||
         error.code == Code::kFailure;
}

}  // namespace

Result<std::vector<SpeedTrial>> MeasureSpeed(const std::vector<SpeedSubject>& candidates,
                                             const SpeedOptions& options,
                                             const std::function<void(double)>& progress) {
  std::vector<SpeedTrial> trials(candidates.size());
  std::vector<size_t> left(candidates.size());
  std::iota(left.begin(), left.end(), size_t{0});
  double furthest = 0;
  while (true) {
    Json subjects = Json::array();
    for (const size_t i : left) subjects.push_back(ToJson(candidates[i]));
    size_t at = 0;
    const auto listen = [&](const Json& event) {
      at = event.value("at", at);
      furthest = std::max(furthest, event.value("progress", 0.0));
      if (progress && event.contains("progress")) progress(furthest);
    };
    ChildLimits limits;
    limits.stall_seconds = options.trial_seconds;
    const auto result =
        RunChild("speed", {{"candidates", subjects}, {"options", ToJson(options)}}, listen, limits);
    if (result.ok()) {
      for (size_t i = 0; i < left.size(); ++i) {
        TRY(trials[left[i]], SpeedTrialFromJson(result->at("trials").at(i)));
      }
      return trials;
    }
    // Without the anchor there is nothing to compare with.
    if (!WasLost(result.error()) || at == 0 || at >= left.size()) return result.error();
    trials[left[at]].subject = candidates[left[at]];
    trials[left[at]].error = result.error();
    left.erase(left.begin() + static_cast<std::ptrdiff_t>(at));
  }
}

std::vector<double> ExchangeSeconds(const Speed& speed, int answer_tokens) {
  std::vector<double> seconds;
  const size_t n = std::min(speed.prefill_samples.size(), speed.decode_samples.size());
  for (size_t i = 0; i < n; ++i) {
    seconds.push_back(speed.prompt_tokens / speed.prefill_samples[i] +
                      answer_tokens / speed.decode_samples[i]);
  }
  return seconds;
}

double ExchangeTime(const Exchange& exchange, int decode_tokens, int parallel, double prefill,
                    double decode) {
  const int turns = (exchange.users + parallel - 1) / parallel;
  return exchange.users * prefill + turns * decode * exchange.answer_tokens / decode_tokens;
}

}  // namespace trimma
