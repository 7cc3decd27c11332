#include "gguf/vocabulary.h"

namespace trimma {

bool SameTokens(const GgufFile& a, const GgufFile& b) {
  constexpr const char* kTokens = "tokenizer.ggml.tokens";
  const Array* of_a = a.metadata.FindArray(kTokens);
  const Array* of_b = b.metadata.FindArray(kTokens);
  return of_a != nullptr && of_b != nullptr && *of_a == *of_b;
}

}  // namespace trimma
