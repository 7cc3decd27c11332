#include "quantize/calibration/diagonals.h"

#include <fmt/format.h>

#include <algorithm>

namespace trimma {

Result<Importance> GatherDiagonals(const Model& model, const TokenText& text,
                                   ActivationTap::Matrices matrices,
                                   const std::function<void(double)>& progress) {
  ActivationTap tap(matrices);
  Context::Options options;
  options.settings.context = options.settings.batch =
      static_cast<uint32_t>(text.chunks.at(0).size());
  options.tap = [&](ggml_tensor* node, bool ask) { return tap.See(node, ask); };
  TRY(Context context, Context::Create(model, options));
  for (size_t c = 0; c < text.chunks.size(); ++c) {
    const std::vector<Token>& tokens = text.chunks[c];
    context.Clear();
    // All tokens ask for logits, or the last layer and the head would see only the last.
    std::vector<BatchToken> batch;
    for (size_t i = 0; i < tokens.size(); ++i)
      batch.push_back({tokens[i], static_cast<int>(i), 0, true});
    TRY_STATUS(context.Decode(batch));
    progress(static_cast<double>(c + 1) / static_cast<double>(text.chunks.size()));
  }
  TRY(Importance importance, tap.Take());
  importance.chunk_count = static_cast<uint32_t>(text.chunks.size());
  importance.chunk_size = static_cast<uint32_t>(text.chunks[0].size());
  importance.datasets = {text.description};
  return importance;
}

bool HasExperts(const GgufFile& model) {
  return std::any_of(model.tensors.begin(), model.tensors.end(), [](const TensorInfo& tensor) {
    return tensor.shape.size() == 3 && tensor.shape[2] > 1 && tensor.name.ends_with(".weight");
  });
}

std::string UnseenExpertsNote(const Importance& importance) {
  size_t all = 0;
  size_t unseen = 0;
  for (const auto& [name, entry] : importance.entries) {
    if (entry.matrices() < 2) continue;
    all += entry.matrices();
    unseen += static_cast<size_t>(std::count(entry.counts.begin(), entry.counts.end(), 0.0F));
  }
  if (unseen == 0) return "";
  return fmt::format(
      "{} of {} matrices of experts saw no token of the text: all their errors weigh alike (a "
      "longer "
      "text reaches more of them)",
      unseen, all);
}

}  // namespace trimma
