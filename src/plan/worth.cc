#include "plan/worth.h"

#include <algorithm>
#include <cmath>

#include "plan/assignment.h"

namespace trimma {
namespace {

// Without predictions of loss: ln(loss) falls by 1 a bit and weight (from Q8_0 at 8.5 to Q4_K_M at
// 4.9 bits it falls by 3.4).
constexpr double kLossPerBit = 1;
// The largest file is taken for one of so many bits where the parameters aren't known.
constexpr double kUsualBits = 8.5;
constexpr double kPlainKvBits = 16;
// A GPU's memory is about ten times as fast as the host's.
constexpr double kHostSlowness = 10;

double Doubt(const Estimate& e, double predicted) {
  if (!e.measured || e.low <= 0) return predicted;
  return std::min(predicted, std::log(e.high / e.low) / 2);
}

}  // namespace

Known WhatIsKnown(const std::vector<PlanCell>& cells, uint64_t parameters) {
  Known known = {true, true, true, static_cast<double>(parameters) / 8};
  uint64_t largest = 1;
  const bool on_gpus = std::any_of(cells.begin(), cells.end(), [](const PlanCell& cell) {
    return cell.fits && cell.settings.use_gpu;
  });
  for (const PlanCell& cell : cells) {
    if (!cell.fits) continue;
    largest = std::max(largest, cell.file_bytes);
    known.loss &= cell.mean_kld.has_value();
    known.speed &= cell.decode_tps.has_value();
    const bool at_most = on_gpus && !cell.settings.use_gpu && cell.decode_tps;
    known.wait &= cell.ttft_ms.has_value() || at_most;
  }
  if (parameters == 0) known.bytes_per_bit = static_cast<double>(largest) / kUsualBits;
  return known;
}

double KvBits(const RuntimeSettings& settings) {
  const auto k = TensorTypeByName(settings.kv_k);
  const auto v = TensorTypeByName(settings.kv_v);
  return ((k ? BitsOf(*k) : kPlainKvBits) + (v ? BitsOf(*v) : kPlainKvBits)) / 2;
}

double WaitMs(const PlanCell& cell) {
  if (cell.ttft_ms) return cell.ttft_ms->value;
  return 1000 * PromptTokens(cell.settings.context) / std::max(cell.decode_tps->value, 1e-3);
}

double BytesRead(const PlanCell& cell) {
  double sum = 0;
  for (size_t i = 0; i < cell.devices.size(); ++i) {
    const bool slow = cell.devices.size() > 1 && i + 1 == cell.devices.size();
    const DeviceBytes& d = cell.devices[i];
    sum += (static_cast<double>(d.weights_bytes) + static_cast<double>(d.kv_bytes) / 2) *
           (slow ? kHostSlowness : 1);
  }
  return sum;
}

Worth WorthOf(const PlanCell& cell, const Known& known, const Taste& taste) {
  Worth worth;
  if (known.loss) {
    const double loss = cell.mean_kld->value;
    if (loss > taste.unnoticed_kld) {
      worth.cost += taste.loss_weight * std::log(loss / taste.unnoticed_kld);
      worth.loss_doubt = taste.loss_weight * Doubt(*cell.mean_kld, kLossTolerance);
    }
  } else {
    const double bits = static_cast<double>(cell.file_bytes) / known.bytes_per_bit;
    worth.cost -= taste.loss_weight * kLossPerBit * (bits + KvBits(cell.settings) / kPlainKvBits);
    worth.loss_doubt = taste.loss_weight * kLossTolerance;
  }
  if (known.speed) {
    const double tps = std::max(cell.decode_tps->value, 1e-3);
    if (tps < taste.enough_tps) {
      worth.cost += taste.speed_weight * std::log(taste.enough_tps / tps);
      worth.speed_doubt = taste.speed_weight * kSpeedTolerance;
    }
  } else {
    // Half the weight, since whether it is fast enough anyway isn't known.
    worth.cost += taste.speed_weight / 2 * std::log(std::max(BytesRead(cell), 1.0));
    worth.speed_doubt = taste.speed_weight / 2 * kSpeedTolerance;
  }
  const double wait = known.wait ? WaitMs(cell) : 0;
  if (wait > taste.enough_ttft_ms) {
    worth.cost += taste.wait_weight * std::log(wait / taste.enough_ttft_ms);
    worth.wait_doubt = taste.wait_weight * kSpeedTolerance;
  }
  if (cell.settings.context < taste.wanted_context) {
    worth.cost += taste.context_weight * std::log(static_cast<double>(taste.wanted_context) /
                                                  std::max(cell.settings.context, 1U));
  }
  return worth;
}

bool NoWorse(const Worth& b, const Worth& a) {
  const double loss = std::max(a.loss_doubt, b.loss_doubt);
  const double speed = std::max(a.speed_doubt, b.speed_doubt);
  const double wait = std::max(a.wait_doubt, b.wait_doubt);
  return b.cost - a.cost <= std::sqrt(loss * loss + speed * speed + wait * wait);
}

}  // namespace trimma
