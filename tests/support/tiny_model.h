// Small valid models for tests: random weights, a byte-level tokenizer, the same bytes every time.
//
// The engine loads and decodes them; their words mean nothing. Logits have a standard
// deviation of about 2, so that probabilities are neither flat nor certain.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "gguf/types.h"
#include "gguf/value.h"
#include "gguf/writer.h"

namespace trimma {

struct TinyModelOptions {
  std::string architecture = "llama";  // or "gemma3", or "bert": an encoder that predicts nothing
  uint32_t layers = 2;
  uint32_t embedding = 64;  // a multiple of `heads`; 256 for types with blocks of 256
  uint32_t heads = 4;
  uint32_t kv_heads = 2;   // divides `heads`
  uint32_t head_size = 0;  // 0: embedding / heads; another is for gemma3 alone
  uint32_t feed_forward = 128;
  uint32_t experts = 0;       // llama alone: a mixture of so many in each layer; 0: none
  uint32_t experts_used = 2;  // of them, by each token
  uint32_t vocab = 300;       // at least 260: 3 control tokens, 256 bytes, a space
  uint32_t context = 512;
  uint32_t sliding_window = 16;         // gemma3 alone: 5 of 6 layers see so many tokens back
  bool tied = true;                     // no output matrix of its own
  TensorType type = tensor_type::kF16;  // of the matrices, F32 or F16; vectors are F32
  std::string name = "tiny";
  uint64_t seed = 1;
};

// A model in pieces, so that a test can spoil one before putting it together.
struct TinyModel {
  Metadata metadata;
  std::vector<TensorPlan> tensors;
  std::vector<std::string> data;  // of each tensor
};

TinyModel MakeTinyModel(const TinyModelOptions& options = {});

// The bytes of a GGUF file.
std::string Assemble(const TinyModel& model);

// Writes the model to `path` and returns it.
std::string WriteTinyModel(const std::string& path, const TinyModelOptions& options = {});

}  // namespace trimma
