// The other way to place a dense model that the GPUs don't hold: instead of fewer layers there, all
// of them, with their attention and cache, and the feed-forward matrices of the first ones on the
// host.
#pragma once

#include <functional>
#include <optional>

#include "base/result.h"
#include "engine/runtime.h"
#include "gguf/reader.h"

namespace trimma {

// How many of the first layers have such matrices, up to one that has experts or none.
int FeedForwardLayers(const GgufFile& file);

// All layers (`layers` as -ngl counts) on the GPUs, but for these matrices of the first `hosted`.
RuntimeSettings WithFeedForwardOnHost(RuntimeSettings settings, int layers, int hosted);

// The fewest layers, 1 to `most`, whose matrices must leave the GPUs; nullopt: all don't suffice.
// What fits with so many fits with more, so that it is halved.
Result<std::optional<int>> FewestOnHost(int most,
                                        const std::function<Result<bool>(int hosted)>& fits);

}  // namespace trimma
