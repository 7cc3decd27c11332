// Exchanges tried in the running engine.
#pragma once

#include "base/child.h"
#include "base/result.h"
#include "quantize/allocation/mix.h"

namespace trimma {

// What the trials came to.
struct Exchanged {
  std::vector<size_t> chosen;  // of each tensor's choices
  int trials = 0;
  int taken = 0;
  double before = 0;  // divergence on the text that they were judged on, nats a token
  double after = 0;
};

Json ToJson(const Exchanged& exchanged);
Result<Exchanged> ExchangedFromJson(const Json& json);

Json ToJson(const MixChoices& choices);

// The child's side. {"source", "carrier", "moments", "tokens", "experts" (or null): paths,
// "choices": MixChoices, "trials", "compensate", "memory_bytes", "threads"}.
Result<Json> ExchangeJob(const Json& request, const Emit& emit);

}  // namespace trimma
