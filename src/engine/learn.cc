#include "engine/learn.h"

#include <fmt/format.h>

#include <algorithm>
#include <thread>

namespace trimma {

Overhead FitOverhead(const std::vector<OverheadSample>& samples) {
  CHECK(!samples.empty());
  const auto activations = [](const OverheadSample& s) {
    return static_cast<double>(s.ubatch) * static_cast<double>(s.widest_row);
  };
  // Growth from the smaller to the larger physical batch at the same context; the largest counts.
  double growth = 0;
  for (const OverheadSample& a : samples) {
    for (const OverheadSample& b : samples) {
      if (a.context != b.context || a.split != b.split || activations(b) <= activations(a))
        continue;
      growth = std::max(growth, static_cast<double>(b.overhead_bytes() - a.overhead_bytes()) /
                                    (activations(b) - activations(a)));
    }
  }
  std::vector<double> whole;
  std::vector<double> split;
  for (const OverheadSample& s : samples) {
    (s.split ? split : whole)
        .push_back(static_cast<double>(s.overhead_bytes()) - growth * activations(s));
  }
  if (whole.empty()) std::swap(whole, split);  // a card that holds no model whole
  const auto [low, high] = std::minmax_element(whole.begin(), whole.end());
  Overhead overhead;
  overhead.fixed_bytes = static_cast<uint64_t>(std::max(*high, 0.0));
  overhead.context_bytes = std::min(samples.front().context_bytes, overhead.fixed_bytes);
  if (!split.empty()) {
    const double more = *std::max_element(split.begin(), split.end()) - *high;
    overhead.split_bytes = static_cast<uint64_t>(std::max(more, 0.0));
  }
  overhead.pool_bytes_per_activation = growth;
  overhead.margin_bytes = kLearnedMargin + static_cast<uint64_t>(*high - *low);
  overhead.learned = true;
  overhead.basis = fmt::format("learned here from {} loads", samples.size());
  return overhead;
}

bool IsAsFree(const std::vector<uint64_t>& before, const std::vector<uint64_t>& now) {
  return std::equal(
      before.begin(), before.end(), now.begin(), now.end(),
      [](uint64_t a, uint64_t b) { return std::max(a, b) - std::min(a, b) < kLearnedMargin; });
}

bool StaysAsFree(const std::function<std::vector<uint64_t>()>& free,
                 std::chrono::milliseconds watched) {
  const auto until = std::chrono::steady_clock::now() + watched;
  const std::vector<uint64_t> first = free();
  do {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    if (!IsAsFree(first, free())) return false;
  } while (std::chrono::steady_clock::now() < until);
  return true;
}

Result<std::vector<OverheadSample>> LearnOverhead(
    const LearnRequest& request, const std::function<void(double share)>& progress) {
  Json loads = Json::array();
  for (const RuntimeSettings& settings : request.loads) loads.push_back(ToJson(settings));
  TRY(const Json answer,
      RunChild("learn", {{"source", request.path}, {"loads", loads}}, [&](const Json& event) {
        if (progress) progress(event.at("share").get<double>());
      }));
  std::vector<OverheadSample> samples;
  for (const Json& s : answer.at("samples")) {
    const RuntimeSettings& load = request.loads.at(s.at("load").get<size_t>());
    OverheadSample sample;
    sample.gpu = s.at("gpu");
    sample.context = load.context;
    sample.ubatch = load.ubatch;
    sample.widest_row = request.widest_row;
    sample.split =
        !load.host_tensors.empty() || load.gpu_layers.value_or(request.layers) < request.layers;
    sample.context_bytes = s.at("context_bytes");
    sample.buffer_bytes = s.at("buffer_bytes");
    sample.used_bytes = s.at("used_bytes");
    samples.push_back(sample);
  }
  return samples;
}

}  // namespace trimma
