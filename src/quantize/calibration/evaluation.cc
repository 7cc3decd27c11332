#include "quantize/calibration/evaluation.h"

namespace trimma {

RuntimeSettings ChunkSettings(uint32_t chunk_tokens, int threads) {
  RuntimeSettings settings;
  settings.context = settings.batch = settings.ubatch = chunk_tokens;
  settings.threads = settings.threads_batch = threads;
  return settings;
}

Result<Evaluation> Evaluation::Create(const Model& model, const RuntimeSettings& settings) {
  auto tap = std::make_unique<InputTap*>(nullptr);
  Context::Options options;
  options.settings = settings;
  options.tap = [told = tap.get()](ggml_tensor* node, bool ask) {
    return *told != nullptr && (*told)->See(node, ask);
  };
  TRY(Context context, Context::Create(model, options));
  return Evaluation(std::move(tap), std::move(context));
}

Status Evaluation::Run(const TokenText& text, InputTap& tap, const std::function<void()>& beat) {
  *tap_ = &tap;
  Status status;
  for (const std::vector<Token>& tokens : text.chunks) {
    context_.Clear();
    tap.BeginEvaluation();
    // All tokens ask for logits, or the last layer and the head would see only the last.
    std::vector<BatchToken> batch;
    for (size_t i = 0; i < tokens.size(); ++i)
      batch.push_back({tokens[i], static_cast<int>(i), 0, true});
    status = context_.Decode(batch);
    if (status.ok()) status = tap.Finish();
    if (!status.ok()) break;
    beat();
  }
  *tap_ = nullptr;
  return status;
}

}  // namespace trimma
