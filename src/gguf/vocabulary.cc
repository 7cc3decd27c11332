#include "gguf/vocabulary.h"

#include <fmt/format.h>

#include <algorithm>

namespace trimma {
namespace {

constexpr const char* kTokens = "tokenizer.ggml.tokens";

const Strings* TokensOf(const GgufFile& file) {
  const Array* tokens = file.metadata.FindArray(kTokens);
  return tokens == nullptr ? nullptr : std::get_if<Strings>(&tokens->elements);
}

}  // namespace

bool SameTokens(const GgufFile& a, const GgufFile& b) {
  const Array* of_a = a.metadata.FindArray(kTokens);
  const Array* of_b = b.metadata.FindArray(kTokens);
  return of_a != nullptr && of_b != nullptr && *of_a == *of_b;
}

std::optional<std::string> WhyNoDraft(const GgufFile& model, const GgufFile& draft) {
  constexpr size_t kMostDifference = 128;
  constexpr size_t kFirstCompared = 5;
  const auto kind = [](const GgufFile& file) {
    return std::string(file.metadata.String("tokenizer.ggml.model").value_or(""));
  };
  if (kind(model) != kind(draft)) {
    return fmt::format("its tokenizer is of the kind {}, the model's of the kind {}", kind(draft),
                       kind(model));
  }
  const Strings* of_model = TokensOf(model);
  const Strings* of_draft = TokensOf(draft);
  if (of_model == nullptr || of_draft == nullptr) return "one of the two lists no tokens";
  const size_t larger = std::max(of_model->size(), of_draft->size());
  const size_t smaller = std::min(of_model->size(), of_draft->size());
  if (larger - smaller > kMostDifference) {
    return fmt::format("it has {} tokens, the model {}", of_draft->size(), of_model->size());
  }
  for (size_t i = kFirstCompared; i < smaller; ++i) {
    if ((*of_model)[i] != (*of_draft)[i]) return fmt::format("its token {} is another", i);
  }
  // The start and the end of a text, where they are put there: unless the file says otherwise, a
  // start is and an end isn't.
  struct Mark {
    const char* id;
    const char* added;
    bool usually;
  };
  for (const Mark& mark :
       {Mark{"tokenizer.ggml.bos_token_id", "tokenizer.ggml.add_bos_token", true},
        Mark{"tokenizer.ggml.eos_token_id", "tokenizer.ggml.add_eos_token", false}}) {
    const bool added = model.metadata.Bool(mark.added).value_or(mark.usually);
    if (added != draft.metadata.Bool(mark.added).value_or(mark.usually))
      return fmt::format("{} is another", mark.added);
    const auto a = model.metadata.Integer(mark.id);
    const auto b = draft.metadata.Integer(mark.id);
    if (added && a && b && *a != *b)
      return fmt::format("{} is {}, the model's {}", mark.id, *b, *a);
  }
  return std::nullopt;
}

}  // namespace trimma
