// A model that reads a text with its inputs tapped.
#pragma once

#include <functional>
#include <memory>

#include "engine/input_tap.h"
#include "engine/model.h"
#include "engine/token_text.h"

namespace trimma {

// How the quantiser evaluates chunks of a text.
RuntimeSettings ChunkSettings(uint32_t chunk_tokens, int threads);

class Evaluation {
 public:
  static Result<Evaluation> Create(const Model& model, const RuntimeSettings& settings);

  // Every chunk through the model, its inputs to `tap`; `beat` after each. The tap's errors and the
  // engine's.
  Status Run(const TokenText& text, InputTap& tap, const std::function<void()>& beat);

 private:
  Evaluation(std::unique_ptr<InputTap*> tap, Context context)
      : tap_(std::move(tap)), context_(std::move(context)) {}
  std::unique_ptr<InputTap*> tap_;  // whom the context tells; it stays where it is
  Context context_;
};

}  // namespace trimma
