#include "plan/speed_fit.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "engine/model_runs.h"
#include "plan/speed.h"

namespace trimma {
namespace {

constexpr uint32_t kPromptTokens = 512;
// No machine is beyond these: where a fit is, the runs were disturbed.
constexpr double kLeast = 0.02;
constexpr double kMost = 5;

DeviceKernels Scaled(DeviceKernels host, const Together& shares) {
  host.runs.clear();
  host.op_seconds *= shares.starts;
  host.norm_op_seconds *= shares.starts;
  host.graph_seconds *= shares.starts;
  for (auto& [name, kernel] : host.weights) {
    kernel.matvec_seconds *= shares.starts;
    kernel.matvec_bytes_per_s /= shares.reading;
    kernel.cached_bytes_per_s /= shares.reading;
    kernel.matmul_seconds *= shares.prompt;
    kernel.matmul_flops /= shares.prompt;
    kernel.small_matmul_flops /= shares.prompt;
  }
  for (auto& [name, kernel] : host.attention) kernel.token_seconds *= shares.starts;
  return host;
}

RuntimeSettings OnTheHost() {
  RuntimeSettings settings;
  settings.gpu_layers = 0;
  return settings;
}

// What a run's token takes, in parts that shares multiply, over what it took.
struct Parts {
  double starts = 0;
  double reading = 0;
  double rest = 0;
};

std::optional<Parts> PartsOf(const DeviceKernels& host, const ModelRun& run) {
  const GgufFile file = FileOfRun(run);
  const auto seconds = [&](const Together& shares) {
    return SpeedModel(file, {}, {}, Scaled(host, shares)).TokenSeconds(OnTheHost(), run.depth);
  };
  constexpr double kAlmostNothing = 1e-6;
  const auto all = seconds({});
  const auto without_starts = seconds({0, 1, 1});
  const auto without_reading = seconds({1, kAlmostNothing, 1});
  if (!all || !without_starts || !without_reading || run.token_seconds <= 0) return std::nullopt;
  Parts parts;
  parts.starts = (*all - *without_starts) / run.token_seconds;
  parts.reading = (*all - *without_reading) / run.token_seconds;
  parts.rest = *all / run.token_seconds - parts.starts - parts.reading;
  return parts;
}

// Least squares of starts * a + reading * b + rest = 1.
void FitToken(const std::vector<Parts>& runs, Together& out) {
  double ss = 0, sr = 0, rr = 0, s1 = 0, r1 = 0;
  for (const Parts& p : runs) {
    const double target = 1 - p.rest;
    ss += p.starts * p.starts;
    sr += p.starts * p.reading;
    rr += p.reading * p.reading;
    s1 += p.starts * target;
    r1 += p.reading * target;
  }
  const double determinant = ss * rr - sr * sr;
  if (!(determinant > 1e-9 * ss * rr)) return;
  out.starts = std::clamp((s1 * rr - r1 * sr) / determinant, kLeast, kMost);
  out.reading = std::clamp((r1 * ss - s1 * sr) / determinant, kLeast, kMost);
}

void FitPrompt(const DeviceKernels& host, Together& out) {
  double logs = 0;
  int n = 0;
  for (const ModelRun& run : host.runs) {
    if (run.prompt_seconds <= 0) continue;
    const auto seconds = SpeedModel(FileOfRun(run), {}, {}, Scaled(host, {}))
                             .PromptSeconds(OnTheHost(), kPromptTokens);
    if (!seconds) continue;
    logs += std::log(run.prompt_seconds / *seconds);
    ++n;
  }
  if (n > 0) out.prompt = std::clamp(std::exp(logs / n), kLeast, kMost);
}

}  // namespace

Together FitTogether(const DeviceKernels& host) {
  Together out;
  std::vector<Parts> runs;
  for (const ModelRun& run : host.runs) {
    const auto parts = PartsOf(host, run);
    if (parts) runs.push_back(*parts);
  }
  if (runs.size() >= 2) FitToken(runs, out);
  FitPrompt(host, out);
  return out;
}

DeviceKernels InModels(const DeviceKernels& host) {
  return host.runs.empty() ? host : Scaled(host, FitTogether(host));
}

}  // namespace trimma
