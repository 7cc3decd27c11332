// A context's cache, kept aside and put back: how a server comes back to a prompt that it has read
// before, whatever the architecture (windows and recurrent states can't just be cut back).
#pragma once

#include <cstdint>
#include <vector>

#include "base/result.h"
#include "engine/model.h"

namespace trimma {

// Everything that sequence 0 has in the cache: K and V of its tokens, or a recurrent model's state,
// with 12 to 16 bytes of bookkeeping for each token. It is what llama-server's prompt cache holds.
class PrefixState {
 public:
  static Result<PrefixState> Save(const Context& context);
  // Empties the cache first.
  Status Restore(Context& context) const;
  uint64_t bytes() const { return data_.size(); }

 private:
  std::vector<uint8_t> data_;
};

}  // namespace trimma
