#include "engine/rewind.h"

#include <gtest/gtest.h>

#include "hardware/temp_tree.h"
#include "support/tiny_model.h"

namespace trimma::rewind_test {
namespace {

std::vector<Token> Words(int n) {
  std::vector<Token> tokens;
  for (int i = 0; i < n; ++i) tokens.push_back(5 + i % 200);
  return tokens;
}

Result<Model> TinyOf(const TempTree& tree, const char* architecture) {
  TinyModelOptions options;
  options.architecture = architecture;
  return Model::Load(WriteTinyModel(tree / "tiny.gguf", options), {});
}

Result<Context> ContextOf(const Model& model) {
  RuntimeSettings settings;
  settings.context = 1024;
  settings.ubatch = settings.batch = 32;
  settings.threads = 1;
  return Context::Create(model, {settings});
}

TEST(RewindTest, WhatFollowsIsAsIfTheDroppedTokensHadNeverBeen) {
  const TempTree tree;
  const auto model = TinyOf(tree, "llama");
  ASSERT_TRUE(model.ok()) << model.error().what;
  auto context = ContextOf(*model);
  ASSERT_TRUE(context.ok()) << context.error().what;
  const std::vector<Token> words = Words(32);
  ASSERT_TRUE(context->Append(words).ok());
  const Token next = 77;
  ASSERT_TRUE(context->Append({&next, 1}).ok());
  const std::vector<float> once(context->Logits(0), context->Logits(0) + model->vocabulary());
  ASSERT_TRUE(context->Append(words).ok());
  ASSERT_TRUE(Rewind(*model, *context, 32));
  ASSERT_TRUE(context->Append({&next, 1}).ok());
  const float* again = context->Logits(0);
  for (size_t i = 0; i < once.size(); ++i) ASSERT_NEAR(once[i], again[i], 1e-3) << i;
}

// The tiny window is 16 tokens; its cache holds 256.
TEST(RewindTest, AWindowThatHasMovedOnIsNotGoneBackTo) {
  const TempTree tree;
  const auto model = TinyOf(tree, "gemma3");
  ASSERT_TRUE(model.ok()) << model.error().what;
  auto context = ContextOf(*model);
  ASSERT_TRUE(context.ok()) << context.error().what;
  for (int i = 0; i < 16; ++i) ASSERT_TRUE(context->Append(Words(32)).ok());
  EXPECT_FALSE(Rewind(*model, *context, 32));
}

TEST(RewindTest, ToTheBeginningIsEmpty) {
  const TempTree tree;
  const auto model = TinyOf(tree, "llama");
  ASSERT_TRUE(model.ok());
  auto context = ContextOf(*model);
  ASSERT_TRUE(context.ok());
  ASSERT_TRUE(context->Append(Words(8)).ok());
  ASSERT_TRUE(Rewind(*model, *context, 0));
  // All 1024 cells are free again.
  for (int i = 0; i < 32; ++i) EXPECT_TRUE(context->Append(Words(32)).ok()) << i;
}

}  // namespace
}  // namespace trimma::rewind_test
