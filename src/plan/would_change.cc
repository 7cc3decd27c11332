#include <fmt/format.h>

#include <algorithm>

#include "base/units.h"
#include "plan/choose_text.h"
#include "plan/choosing.h"

namespace trimma {
namespace {

constexpr size_t kMost = 3;
// Freeing so much is nothing that closing programs or the next larger card would do.
constexpr uint64_t kOutOfReach = 8ULL << 30;

bool SameCache(const PlanCell& a, const PlanCell& b) {
  return a.settings.kv_k == b.settings.kv_k && a.settings.kv_v == b.settings.kv_v;
}

// More memory on the card: for the chosen type to be whole, or for a better one with the same room.
std::optional<std::string> MoreMemory(const Question& q, const PlanCell& chosen) {
  const PlanCell* best = nullptr;
  uint64_t least = kOutOfReach;
  for (const PlanCell& cell : q.cells) {
    const bool same = cell.mix == chosen.mix;
    if (!SameCache(cell, chosen) || cell.settings.context != chosen.settings.context) continue;
    if (same ? chosen.whole : !ClearlyLessLoss(cell, chosen)) continue;
    // A loss that nobody notices needs no more memory.
    if (!same && chosen.mean_kld && chosen.mean_kld->value <= q.taste.unnoticed_kld) continue;
    const auto missing = MissingToBeWhole(q, cell);
    if (!missing || *missing == 0 || *missing >= least) continue;
    best = &cell;
    least = *missing;
  }
  if (best == nullptr) return std::nullopt;
  return fmt::format("with {} more free on the graphics card, {} would fit whole",
                     FormatBytes(least), TypeAndCache(*best));
}

// The same type with its cache in fewer bits: how much longer the context could be. The mildest
// cache that helps is named.
std::optional<std::string> SmallerCache(const Question& q, const PlanCell& chosen) {
  const auto alike = [&](const PlanCell& cell) {
    return cell.mix == chosen.mix && cell.fits && cell.whole == chosen.whole &&
           cell.settings.use_gpu == chosen.settings.use_gpu;
  };
  uint32_t longest = chosen.settings.context;
  for (const PlanCell& cell : q.cells) {
    if (alike(cell) && SameCache(cell, chosen)) longest = std::max(longest, cell.settings.context);
  }
  const PlanCell* best = nullptr;
  const auto rank = [](const PlanCell& cell) {
    return std::pair(KvBits(cell.settings), cell.settings.context);
  };
  for (const PlanCell& cell : q.cells) {
    if (!alike(cell) || cell.settings.context <= longest ||
        KvBits(cell.settings) >= KvBits(chosen.settings))
      continue;
    if (best == nullptr || rank(cell) > rank(*best)) best = &cell;
  }
  if (best == nullptr) return std::nullopt;
  return fmt::format("with its cache in {} the context could be {}", best->settings.kv_k,
                     FormatCount(best->settings.context));
}

// A better type that fits whole at a shorter context.
std::optional<std::string> ShorterContext(const Question& q, const PlanCell& chosen) {
  const PlanCell* best = nullptr;
  for (const PlanCell& cell : q.cells) {
    if (!cell.fits || !cell.whole || cell.settings.context >= chosen.settings.context ||
        !SameCache(cell, chosen) || !Meets(cell, q.wishes, Wish::kContext))
      continue;
    const bool better = ClearlyLessLoss(cell, chosen) || (!chosen.whole && cell.mix == chosen.mix);
    if (!better) continue;
    if (best == nullptr || cell.settings.context > best->settings.context) best = &cell;
  }
  if (best == nullptr) return std::nullopt;
  // Not where it would have fitted with the room that the chosen one has.
  for (const PlanCell& cell : q.cells) {
    if (cell.mix == best->mix && cell.fits && cell.whole &&
        cell.settings.context >= chosen.settings.context)
      return std::nullopt;
  }
  return fmt::format("with a context of {}, {} would fit whole",
                     FormatCount(best->settings.context), TypeAndCache(*best));
}

}  // namespace

std::vector<std::string> WhatWouldChange(const Question& q, const PlanCell& chosen) {
  std::vector<std::string> changes;
  for (const auto& change :
       {MoreMemory(q, chosen), SmallerCache(q, chosen), ShorterContext(q, chosen)}) {
    if (change && changes.size() < kMost) changes.push_back(*change);
  }
  return changes;
}

}  // namespace trimma
