#include "engine/rewind.h"

#include <llama.h>

#include <algorithm>

namespace trimma {

bool Rewind(const Model& model, Context& context, int length, int sequences) {
  llama_memory_t memory = llama_get_memory(context.get());
  const int window = llama_model_n_swa(model.get());
  for (llama_seq_id sequence = 0; sequence < sequences; ++sequence) {
    if (!llama_memory_seq_rm(memory, sequence, length, -1)) return false;
    if (length == 0) continue;
    if (llama_memory_seq_pos_max(memory, sequence) != length - 1) return false;
    // The next token sees `window` positions back, its own among them.
    const int oldest_seen = window > 0 ? std::max(0, length + 1 - window) : 0;
    if (llama_memory_seq_pos_min(memory, sequence) > oldest_seen) return false;
  }
  return true;
}

}  // namespace trimma
