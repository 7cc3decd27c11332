// Small models as Ollama's converters write them (v0.17.4): the vision encoder in the same file,
// keys that their own runner takes for granted left out, keys in order, the blocks first.
#pragma once

#include <string>

#include "gguf/reader.h"
#include "support/tiny_model.h"

namespace trimma {

// A gemma3 of two layers with random weights, an encoder among them, and a vocabulary of bytes; one
// token more than its embedding has rows. Ollama loads it, llama.cpp doesn't.
TinyModel StoredGemma3();

// The shapes alone (no data) of "gemma3n", "gptoss", "mistral3", "qwen25vl", "qwen3vl", "llama4".
TinyModel StoredShape(const std::string& architecture);

// What the reader says of it.
GgufFile HeaderOf(const TinyModel& model, const std::string& name = "stored.gguf");

// An Ollama store in `root` with the model under library/`name`:latest; returns the blob's path.
std::string WriteOllamaStore(const std::string& root, const std::string& name,
                             const std::string& bytes);

}  // namespace trimma
