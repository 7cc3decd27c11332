// How far a model's answers move when some of its weights change, measured in the running engine:
// weights are overwritten in place, no file is written for a trial.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "engine/model.h"
#include "engine/token_text.h"

namespace trimma {

class DivergenceProbe {
 public:
  // `model` was loaded with Options::writable. Evaluates the text once with the weights as they
  // are: the reference of all that follows. Positions of each chunk are scored from its second
  // quarter on, as many as `logits_bytes` hold (evenly spread, the same in every chunk).
  static Result<DivergenceProbe> Create(const Model& model, const TokenText& text,
                                        uint64_t logits_bytes);

  // False for tensors of the file that the engine has no use for.
  bool Has(const std::string& tensor) const;
  TensorType TypeOf(const std::string& tensor) const;
  // The bytes of a tensor, in its type's blocks. The sizes match, or it is a bug. A tied embedding
  // on a GPU is there twice; both are written.
  std::vector<char> Read(const std::string& tensor) const;
  void Write(const std::string& tensor, const std::vector<char>& bytes);

  // Mean KL divergence of the reference from the model as it is now, nats a token. Errors: an
  // interrupt, or the engine can't evaluate.
  Result<double> Measure();
  // The same of each chunk; they have equally many positions.
  Result<std::vector<double>> MeasureChunks();

  int positions() const { return static_cast<int>(positions_.size() * text_->chunks.size()); }

 private:
  DivergenceProbe(const Model& model, const TokenText& text, Context context);
  Status Evaluate(size_t chunk);

  const Model* model_;
  const TokenText* text_;
  Context context_;
  std::vector<int> positions_;    // of every chunk
  std::vector<float> reference_;  // [chunks, positions, vocabulary]
};

}  // namespace trimma
