#include "plan/choosing.h"

#include <algorithm>
#include <cmath>

namespace trimma {
namespace {

// Weights that would stay on the host with all layers on the GPUs.
uint64_t HostFloor(const Question& q, const PlanCell& cell) {
  if (cell.mix < q.facts.host_weights_bytes.size()) return q.facts.host_weights_bytes[cell.mix];
  uint64_t least = UINT64_MAX;
  for (const PlanCell& other : q.cells) {
    if (other.mix == cell.mix && other.whole)
      least = std::min(least, other.devices.back().weights_bytes);
  }
  return least == UINT64_MAX ? 0 : least;
}

}  // namespace

Question Ask(const std::vector<PlanCell>& cells, const ChoiceFacts& facts, const Wishes& wishes) {
  Taste taste = TasteOf(wishes.purpose);
  if (wishes.min_context) {
    taste.wanted_context = std::max(taste.wanted_context, *wishes.min_context);
    taste.useful_context = std::max(taste.useful_context, *wishes.min_context);
  }
  if (wishes.min_decode_tps) taste.enough_tps = std::max(taste.enough_tps, *wishes.min_decode_tps);
  return {cells, facts, wishes, taste, WhatIsKnown(cells, facts.parameters)};
}

bool Meets(const PlanCell& cell, const Wishes& wishes, Wish wish) {
  switch (wish) {
    case Wish::kContext:
      return !wishes.min_context || cell.settings.context >= *wishes.min_context;
    case Wish::kSpeed:
      return !wishes.min_decode_tps ||
             (cell.decode_tps && cell.decode_tps->value >= *wishes.min_decode_tps);
    case Wish::kLoss:
      return !wishes.max_kld ||
             (cell.mean_kld && (cell.mean_kld->measured ? cell.mean_kld->high
                                                        : cell.mean_kld->value) <= *wishes.max_kld);
  }
  return true;
}

bool MeetsAll(const PlanCell& cell, const Wishes& wishes) {
  return Meets(cell, wishes, Wish::kContext) && Meets(cell, wishes, Wish::kSpeed) &&
         Meets(cell, wishes, Wish::kLoss);
}

uint64_t Budget(const Question& q, const PlanCell& cell, size_t device) {
  if (device < q.facts.budget_bytes.size()) return q.facts.budget_bytes[device];
  const bool host = device + 1 == cell.devices.size();
  return host && q.facts.host_available_bytes > 0 ? q.facts.host_available_bytes
                                                  : cell.devices[device].free_bytes;
}

Shortage MissingToFit(const Question& q, const PlanCell& cell) {
  Shortage shortage;
  for (size_t i = 0; i < cell.devices.size(); ++i) {
    const uint64_t needed = cell.devices[i].total_bytes();
    const uint64_t missing = needed - std::min(needed, Budget(q, cell, i));
    const bool host = i + 1 == cell.devices.size();
    (host ? shortage.host_bytes : shortage.gpu_bytes) += missing;
  }
  return shortage;
}

std::optional<uint64_t> MissingToBeWhole(const Question& q, const PlanCell& cell) {
  // A choice without the GPUs doesn't tell what it would need there; its twin does.
  if (!q.facts.has_gpu || cell.devices.size() < 2 || !cell.settings.use_gpu) return std::nullopt;
  uint64_t needed = 0;
  uint64_t budget = 0;
  for (size_t i = 0; i + 1 < cell.devices.size(); ++i) {
    needed += cell.devices[i].total_bytes();
    budget += Budget(q, cell, i);
  }
  if (!cell.whole) {
    const DeviceBytes& host = cell.devices.back();
    needed += host.weights_bytes - std::min(host.weights_bytes, HostFloor(q, cell)) + host.kv_bytes;
  }
  return needed - std::min(needed, budget);
}

bool ClearlyLessLoss(const PlanCell& a, const PlanCell& b) {
  if (!a.mean_kld || !b.mean_kld) return false;
  if (a.mean_kld->measured && b.mean_kld->measured) return a.mean_kld->high < b.mean_kld->low;
  return a.mean_kld->value < b.mean_kld->value * std::exp(-kLossTolerance);
}

bool ClearlyFaster(const PlanCell& a, const PlanCell& b) {
  return a.decode_tps && b.decode_tps &&
         a.decode_tps->value > b.decode_tps->value * std::exp(kSpeedTolerance);
}

}  // namespace trimma
