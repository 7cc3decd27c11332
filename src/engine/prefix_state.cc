#include "engine/prefix_state.h"

#include <llama.h>

namespace trimma {

Result<PrefixState> PrefixState::Save(const Context& context) {
  PrefixState state;
  state.data_.resize(llama_state_seq_get_size(context.get(), 0));
  const size_t written =
      llama_state_seq_get_data(context.get(), state.data_.data(), state.data_.size(), 0);
  if (written == 0 || written != state.data_.size()) {
    return Error{Code::kFailure, "the engine can't keep this model's cache aside", ""};
  }
  return state;
}

Status PrefixState::Restore(Context& context) const {
  context.Clear();
  if (llama_state_seq_set_data(context.get(), data_.data(), data_.size(), 0) == 0)
    return Error{Code::kFailure, "the engine can't put back a cache that it kept", ""};
  context.Synchronize();
  return {};
}

}  // namespace trimma
