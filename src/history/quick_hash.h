// A model file recognised again in milliseconds.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"

namespace trimma {

// SHA-256 over the size and 16 pieces of 64 KiB of each file (a model's shards), spread evenly from
// its first byte to its last. Another training or another quantisation changes bytes everywhere, so
// it is noticed; a single byte changed by hand between the pieces is not.
Result<std::string> QuickHash(const std::vector<std::string>& paths);

}  // namespace trimma
