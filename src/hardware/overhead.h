// What of a card's memory is not free for the engine's buffers: the driver's context, the
// libraries' handles, kernels loaded on first use, pools that grow while computing.
//
// Learned on the machine by real loads (engine/learn.h), and then small; without that, an estimate
// from the card's own figures, and said to be one.
#pragma once

#include <cstdint>
#include <string>

#include "base/child.h"

namespace trimma {

struct Overhead {
  uint64_t fixed_bytes = 0;  // context, libraries, kernels: whatever is run
  // Of which the context alone, that any process has which looks how much is free: such a look
  // finds so much less than there was before.
  uint64_t context_bytes = 0;
  uint64_t split_bytes = 0;  // more, where part of the model lies on the host
  // Pools: bytes for each token of a physical batch and each column of the widest matrix.
  double pool_bytes_per_activation = 0;
  // Kept free besides: what a second load of the same kind may take more, and a desktop's wobble.
  uint64_t margin_bytes = 0;
  bool learned = false;  // on this machine
  std::string basis;     // what it rests on, for people: "learned here, driver 580.1"
  bool operator==(const Overhead&) const = default;
};

struct Load {
  uint32_t ubatch = 512;
  uint64_t widest_row = 0;  // of the model's matrices
  bool split = false;       // part of the model lies on the host
};

// What must stay free for this load.
uint64_t ReserveBytes(const Overhead& overhead, const Load& load);

// Where nothing was learned. A context took 260 MiB and 1 KiB for each thread that the card can
// hold (`stack_bytes`: ContextStackBytes of cards.h; 0 where the card isn't known, which then
// counts as the largest) on an H100 with driver 580, libraries and kernels 84 MiB more, a split
// model 39 MiB more (`./dev bench plan_gpu`). The margin is twice that of a learned overhead.
Overhead EstimatedOverhead(uint64_t stack_bytes);

Json ToJson(const Overhead& overhead);
Overhead OverheadFromJson(const Json& json);

}  // namespace trimma
