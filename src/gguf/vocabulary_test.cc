#include "gguf/vocabulary.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

namespace trimma::vocabulary_test {
namespace {

GgufFile WithTokens(size_t count, size_t other = SIZE_MAX, const std::string& kind = "gpt2") {
  GgufFile file;
  Strings tokens;
  for (size_t i = 0; i < count; ++i)
    tokens.push_back(fmt::format("{}{}", i == other ? "x" : "t", i));
  file.metadata.Set("tokenizer.ggml.model", kind);
  file.metadata.Set("tokenizer.ggml.tokens", Array{std::move(tokens)});
  file.metadata.Set("tokenizer.ggml.bos_token_id", uint32_t{1});
  file.metadata.Set("tokenizer.ggml.eos_token_id", uint32_t{2});
  return file;
}

TEST(WhyNoDraftTest, TheSameVocabularyGuesses) {
  const GgufFile model = WithTokens(1000);
  EXPECT_FALSE(WhyNoDraft(model, model));
  EXPECT_FALSE(WhyNoDraft(model, WithTokens(1128))) << "padded for its matrix";
  EXPECT_FALSE(WhyNoDraft(model, WithTokens(1000, 4))) << "a control token's text";
  GgufFile instruct = WithTokens(1000);
  instruct.metadata.Set("tokenizer.ggml.eos_token_id", uint32_t{7});
  EXPECT_FALSE(WhyNoDraft(model, instruct)) << "the end isn't put behind a text";
}

TEST(WhyNoDraftTest, AnotherOneSaysWhere) {
  const GgufFile model = WithTokens(1000);
  EXPECT_EQ(WhyNoDraft(model, WithTokens(1000, 17)), "its token 17 is another");
  EXPECT_EQ(WhyNoDraft(model, WithTokens(1129)), "it has 1129 tokens, the model 1000");
  EXPECT_EQ(WhyNoDraft(model, WithTokens(1000, SIZE_MAX, "llama")),
            "its tokenizer is of the kind llama, the model's of the kind gpt2");
  GgufFile start = WithTokens(1000);
  start.metadata.Set("tokenizer.ggml.bos_token_id", uint32_t{9});
  EXPECT_EQ(WhyNoDraft(model, start), "tokenizer.ggml.bos_token_id is 9, the model's 1");
  start.metadata.Set("tokenizer.ggml.add_bos_token", false);
  EXPECT_EQ(WhyNoDraft(model, start), "tokenizer.ggml.add_bos_token is another");
  GgufFile none = WithTokens(1000);
  none.metadata.Erase("tokenizer.ggml.tokens");
  EXPECT_EQ(WhyNoDraft(model, none), "one of the two lists no tokens");
}

}  // namespace
}  // namespace trimma::vocabulary_test
