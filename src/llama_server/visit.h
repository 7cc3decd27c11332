// What one start of a llama-server is measured for, and what starts together say.
#pragma once

#include <vector>

#include "llama_server/server.h"
#include "measure/speed.h"

namespace trimma {

struct VisitWish {
  int prompt_tokens = 512;
  int decode_tokens = 64;
  int samples = 1;
  Phases phases = Phases::kBoth;
  double most_seconds = 300;  // of a request
  // Of the first prompt: no two begin alike, or one would be taken from a cache.
  int number = 0;
};

// Empty where a phase wasn't asked for.
struct StartFigures {
  double load_ms = 0;
  std::vector<double> prefill_tps, decode_tps, ttft_ms;
};

// A short answer warms it up. Then prompts are timed by themselves, with their first token, and
// decoding behind a prompt of a few tokens: as our own engine does it with nothing in the cache.
Result<StartFigures> VisitServer(LlamaServer& server, const VisitWish& wish);

// Of several starts each gives one figure a phase, its median; of one, all its samples count.
Speed SpeedOf(const std::vector<StartFigures>& starts, const SpeedOptions& options);

}  // namespace trimma
