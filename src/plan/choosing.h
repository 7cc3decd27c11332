// What the parts of choosing share.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "plan/choose.h"
#include "plan/worth.h"

namespace trimma {

// One question, with everything derived from it once.
struct Question {
  const std::vector<PlanCell>& cells;
  const ChoiceFacts& facts;
  const Wishes& wishes;
  Taste taste;  // of the purpose, with the wishes in it
  Known known;
};

Question Ask(const std::vector<PlanCell>& cells, const ChoiceFacts& facts, const Wishes& wishes);

// A wish that a cell can meet or not.
enum class Wish { kContext, kSpeed, kLoss };
bool Meets(const PlanCell& cell, const Wishes& wishes, Wish wish);
bool MeetsAll(const PlanCell& cell, const Wishes& wishes);

// What a device may give to the model.
uint64_t Budget(const Question& q, const PlanCell& cell, size_t device);
// Bytes that are missing on the GPUs, and on the host.
struct Shortage {
  uint64_t gpu_bytes = 0;
  uint64_t host_bytes = 0;
  uint64_t total() const { return gpu_bytes + host_bytes; }
};
Shortage MissingToFit(const Question& q, const PlanCell& cell);
// More bytes on the GPUs with which all layers would lie there; 0 where they do. nullopt without a
// GPU.
std::optional<uint64_t> MissingToBeWhole(const Question& q, const PlanCell& cell);

// True where `a` loses clearly less than `b` (more than the types of one model scatter).
bool ClearlyLessLoss(const PlanCell& a, const PlanCell& b);
bool ClearlyFaster(const PlanCell& a, const PlanCell& b);

Error Refuse(const Question& q);  // no cell meets the wishes, or none fits
std::vector<std::string> WhatWouldChange(const Question& q, const PlanCell& chosen);

}  // namespace trimma
