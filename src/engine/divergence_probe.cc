#include "engine/divergence_probe.h"

#include <ggml-backend.h>
#include <ggml.h>
#include <llama-model.h>

#include <algorithm>
#include <cstring>
#include <numeric>

#include "base/divergence.h"
#include "engine/ggml_types.h"

namespace trimma {
namespace {

std::vector<ggml_tensor*> FindAll(const Model& model, const std::string& name) {
  std::vector<ggml_tensor*> found;
  for (const auto& [known, tensor] : llama_internal_get_tensor_map(model.get())) {
    if (known == name) found.push_back(tensor);
  }
  return found;
}

const ggml_tensor* Find(const Model& model, const std::string& name) {
  const std::vector<ggml_tensor*> found = FindAll(model, name);
  CHECK(!found.empty());
  return found[0];
}

}  // namespace

DivergenceProbe::DivergenceProbe(const Model& model, const TokenText& text, Context context)
    : model_(&model), text_(&text), context_(std::move(context)) {}

Result<DivergenceProbe> DivergenceProbe::Create(const Model& model, const TokenText& text,
                                                uint64_t logits_bytes) {
  const int chunk = static_cast<int>(text.chunks.at(0).size());
  const auto vocabulary = static_cast<uint64_t>(model.vocabulary());
  const uint64_t affordable =
      std::max<uint64_t>(1, logits_bytes / (vocabulary * sizeof(float)) / text.chunks.size());
  const int first = chunk / 4;
  const int candidates = chunk - 1 - first;
  const int count = static_cast<int>(std::min<uint64_t>(affordable, candidates));

  Context::Options options;
  options.settings.context = static_cast<uint32_t>(chunk);
  options.settings.batch = options.settings.ubatch = chunk;
  options.outputs = static_cast<uint32_t>(count);
  TRY(Context context, Context::Create(model, options));
  DivergenceProbe probe(model, text, std::move(context));
  for (int i = 0; i < count; ++i)
    probe.positions_.push_back(first + static_cast<int>(int64_t{candidates} * i / count));
  probe.reference_.resize(text.chunks.size() * probe.positions_.size() * vocabulary);
  float* to = probe.reference_.data();
  for (size_t c = 0; c < text.chunks.size(); ++c) {
    TRY_STATUS(probe.Evaluate(c));
    for (const int position : probe.positions_) {
      std::memcpy(to, probe.context_.Logits(position), vocabulary * sizeof(float));
      to += vocabulary;
    }
  }
  return probe;
}

bool DivergenceProbe::Has(const std::string& tensor) const {
  return !FindAll(*model_, tensor).empty();
}

TensorType DivergenceProbe::TypeOf(const std::string& tensor) const {
  return FromGgml(Find(*model_, tensor)->type);
}

std::vector<char> DivergenceProbe::Read(const std::string& tensor) const {
  const ggml_tensor* found = Find(*model_, tensor);
  std::vector<char> bytes(ggml_nbytes(found));
  ggml_backend_tensor_get(found, bytes.data(), 0, bytes.size());
  return bytes;
}

void DivergenceProbe::Write(const std::string& tensor, const std::vector<char>& bytes) {
  for (ggml_tensor* found : FindAll(*model_, tensor)) {
    CHECK(bytes.size() == ggml_nbytes(found));
    ggml_backend_tensor_set(found, bytes.data(), 0, bytes.size());
  }
}

Status DivergenceProbe::Evaluate(size_t chunk) {
  const std::vector<Token>& tokens = text_->chunks[chunk];
  context_.Clear();
  std::vector<BatchToken> batch;
  for (size_t i = 0; i < tokens.size(); ++i)
    batch.push_back({tokens[i], static_cast<int>(i), 0, false});
  for (const int position : positions_) batch[static_cast<size_t>(position)].want_logits = true;
  return context_.Decode(batch);
}

Result<double> DivergenceProbe::Measure() {
  TRY(const std::vector<double> chunks, MeasureChunks());
  return std::accumulate(chunks.begin(), chunks.end(), 0.0) / static_cast<double>(chunks.size());
}

Result<std::vector<double>> DivergenceProbe::MeasureChunks() {
  const auto vocabulary = static_cast<size_t>(model_->vocabulary());
  const float* reference = reference_.data();
  std::vector<double> chunks;
  for (size_t c = 0; c < text_->chunks.size(); ++c) {
    TRY_STATUS(Evaluate(c));
    double sum = 0;
    for (const int position : positions_) {
      const Token next = text_->chunks[c][static_cast<size_t>(position) + 1];
      sum += ScorePosition(reference, context_.Logits(position), static_cast<int>(vocabulary), next)
                 .kld;
      reference += vocabulary;
    }
    chunks.push_back(sum / static_cast<double>(positions_.size()));
  }
  return chunks;
}

}  // namespace trimma
