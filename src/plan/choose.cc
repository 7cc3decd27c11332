#include "plan/choose.h"

#include <algorithm>
#include <tuple>

#include "plan/choose_text.h"
#include "plan/choosing.h"

namespace trimma {
namespace {

// A tenth faster is not felt; a quantised source is lowered for a speed only from here on.
constexpr double kWorthLowering = 1.25;

struct Candidate {
  size_t index = 0;
  Worth worth;
};

// Between cells that predictions can't tell apart: the whole on the GPU, the cache in full, then
// room as far as it is useful and free, a GPU that helps, then few bytes.
auto PlainReasons(const Question& q, const PlanCell& cell) {
  return std::tuple(cell.whole, KvBits(cell.settings),
                    std::min(cell.settings.context, q.taste.useful_context), cell.settings.use_gpu,
                    ~cell.file_bytes, ~AllBytes(cell));
}

// Room beyond what is wanted is free where nothing else would use the memory: on a GPU that holds
// all of the model. Host memory has other users, so there the shortest context that is enough wins.
bool RoomIsFree(const Question& q, const PlanCell& cell) { return q.facts.has_gpu && cell.whole; }

std::vector<Candidate> CandidatesOf(const Question& q, const std::vector<size_t>& from) {
  std::vector<Candidate> candidates;
  for (const size_t i : from) {
    const PlanCell& cell = q.cells[i];
    if (!RoomIsFree(q, cell) && cell.settings.context > q.taste.wanted_context) {
      // Unless every choice of this mix and cache has at least as much.
      const bool shorter = std::any_of(from.begin(), from.end(), [&](size_t j) {
        const PlanCell& other = q.cells[j];
        return other.mix == cell.mix && other.settings.use_gpu == cell.settings.use_gpu &&
               other.settings.kv_k == cell.settings.kv_k &&
               other.settings.kv_v == cell.settings.kv_v &&
               other.settings.context >= q.taste.wanted_context &&
               other.settings.context < cell.settings.context;
      });
      if (shorter) continue;
    }
    candidates.push_back({i, WorthOf(cell, q.known, q.taste)});
  }
  return candidates;
}

std::optional<Candidate> Best(const Question& q, const std::vector<Candidate>& candidates) {
  if (candidates.empty()) return std::nullopt;
  const auto least =
      std::min_element(candidates.begin(), candidates.end(),
                       [](const auto& a, const auto& b) { return a.worth.cost < b.worth.cost; });
  Candidate best = *least;
  for (const Candidate& c : candidates) {
    if (NoWorse(c.worth, least->worth) &&
        PlainReasons(q, q.cells[c.index]) > PlainReasons(q, q.cells[best.index]))
      best = c;
  }
  return best;
}

// Whether a smaller type of a quantised source buys something over the best of the file as it is.
bool BuysSomething(const Question& q, const PlanCell& smaller, const PlanCell& as_is) {
  if (smaller.whole && !as_is.whole) return true;
  if (as_is.settings.context < q.taste.wanted_context &&
      smaller.settings.context > as_is.settings.context)
    return true;
  if (!smaller.decode_tps || !as_is.decode_tps) {
    return smaller.settings.gpu_layers.value_or(0) > as_is.settings.gpu_layers.value_or(0);
  }
  return as_is.decode_tps->value < q.taste.enough_tps &&
         smaller.decode_tps->value > kWorthLowering * as_is.decode_tps->value;
}

// The cells that may be recommended at all.
std::vector<size_t> Eligible(const Question& q) {
  std::vector<size_t> all;
  std::vector<size_t> as_is;
  for (size_t i = 0; i < q.cells.size(); ++i) {
    if (!q.cells[i].fits || !MeetsAll(q.cells[i], q.wishes)) continue;
    all.push_back(i);
    if (q.cells[i].mix == 0) as_is.push_back(i);
  }
  if (!q.facts.source_is_quantised || as_is.empty()) return all;
  const auto kept = Best(q, CandidatesOf(q, as_is));
  if (!kept) return all;
  std::erase_if(all, [&](size_t i) {
    return q.cells[i].mix != 0 && !BuysSomething(q, q.cells[i], q.cells[kept->index]);
  });
  return all;
}

// The best of the other mixes; where there is none, of other settings.
std::optional<size_t> RunnerUp(const Question& q, size_t chosen) {
  std::vector<size_t> others;
  std::vector<size_t> other_settings;
  for (size_t i = 0; i < q.cells.size(); ++i) {
    if (i == chosen || !q.cells[i].fits || !MeetsAll(q.cells[i], q.wishes)) continue;
    (q.cells[i].mix != q.cells[chosen].mix ? others : other_settings).push_back(i);
  }
  auto best = Best(q, CandidatesOf(q, others));
  if (!best) best = Best(q, CandidatesOf(q, other_settings));
  return best ? std::optional(best->index) : std::nullopt;
}

}  // namespace

Answer Choose(const std::vector<PlanCell>& cells, const ChoiceFacts& facts, const Wishes& wishes) {
  const Question q = Ask(cells, facts, wishes);
  Answer answer;
  const auto best = Best(q, CandidatesOf(q, Eligible(q)));
  if (!best) {
    answer.refusal = Refuse(q);
    answer.reason = answer.refusal->what;
    return answer;
  }
  answer.recommended = best->index;
  answer.reason = ReasonFor(q, cells[best->index]);
  answer.runner_up = RunnerUp(q, best->index);
  if (answer.runner_up)
    answer.runner_up_reason = Beside(q, cells[*answer.runner_up], cells[best->index]);
  answer.would_change = WhatWouldChange(q, cells[best->index]);
  return answer;
}

}  // namespace trimma
