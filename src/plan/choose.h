// From cells to an answer: the Pareto front, one recommendation, why, and what would change it.
//
// A choice is worth what it keeps (little loss), how fast it answers, and how much it can hold.
// Each purpose weighs these its own way, and each has a point beyond which more is no better
// (purpose.h). Predictions carry intervals: choices whose worth differs by less than the
// predictions can tell apart count as equal, and plain reasons decide between them: room for more
// text, an unquantised cache, fewer bytes.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "plan/cell.h"
#include "plan/purpose.h"

namespace trimma {

struct Wishes {
  Purpose purpose = Purpose::kChat;
  std::optional<uint32_t> min_context;
  std::optional<double> min_decode_tps;  // of the predicted speed
  // Nats a token, mean: of the expected loss; of a measured one the upper end of its interval.
  std::optional<double> max_kld;
};

struct Answer {
  std::optional<size_t> recommended;
  std::string reason;  // one sentence a beginner understands; where nothing is recommended: why not
  std::optional<size_t> runner_up;
  std::string runner_up_reason;           // what it has more of, and what it costs
  std::vector<std::string> would_change;  // "with 0.4 GiB more free on the graphics card ..."
  // The code where nothing is recommended: kNoFit, or kUsage where wishes contradict each other
  // (the hint says which to relax, and by how much).
  std::optional<Error> refusal;
};

// What choosing needs to know besides the cells.
struct ChoiceFacts {
  bool source_is_quantised = false;  // cells of mix 0 are the file as it is
  std::string source_label;          // its type
  uint64_t parameters = 0;           // of the model; 0: unknown
  bool has_gpu = false;
  // What may be taken on each device, in the order of PlanCell::devices: free bytes less what must
  // stay free. Empty: the devices' free_bytes, and for the host host_available_bytes.
  std::vector<uint64_t> budget_bytes;
  uint64_t host_available_bytes = 0;
  // By mix: weights that stay on the host though all layers are on a GPU (the embedding). Empty: as
  // far as cells show it.
  std::vector<uint64_t> host_weights_bytes;
};

// Marks fitting cells that no other fitting cell beats: as good in loss, decode speed, time to
// first token and context, and better in one. Where a prediction is missing for some cell, bits and
// bytes take its place for all: a larger file and cache keep more, fewer bytes read run faster.
void MarkPareto(std::vector<PlanCell>& cells);

// A source that is quantised already is never given more bits, and stays as it is unless something
// smaller buys a placement, a context or a speed that the purpose or the wishes need.
Answer Choose(const std::vector<PlanCell>& cells, const ChoiceFacts& facts, const Wishes& wishes);

}  // namespace trimma
