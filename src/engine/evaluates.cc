#include "engine/evaluates.h"

#include <llama.h>

#include <algorithm>

#include "base/interrupt.h"

namespace trimma {

Result<std::string> WhyNotEvaluated(const Model& model, Wanted wanted) {
  // Asked first: its decoder would end the process without an encoder's output.
  if (llama_model_has_encoder(model.get())) return std::string("it has an encoder");
  Context::Options options;
  options.settings.context = options.settings.batch = options.settings.ubatch = 32;
  auto context = Context::Create(model, options);
  TRY_STATUS(CheckInterrupted());
  if (!context.ok()) return context.error().what;
  // Encoders have no memory of what came before, and no head: reading their logits is reading
  // nothing.
  if (wanted == Wanted::kPredictions && llama_get_memory(context->get()) == nullptr)
    return std::string("it predicts no next token");
  const Token first = std::max<Token>(0, model.bos());
  const std::vector<BatchToken> batch = {{first, 0, 0, true}};
  const Status decoded = context->Decode(batch);
  TRY_STATUS(CheckInterrupted());
  if (!decoded.ok()) return decoded.error().what;
  return std::string();
}

}  // namespace trimma
