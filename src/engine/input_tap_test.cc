#include "engine/input_tap.h"

#include <gtest/gtest.h>

#include <cmath>

#include "engine/activations.h"
#include "engine/model.h"
#include "hardware/temp_tree.h"
#include "support/tiny_model.h"

namespace trimma::input_tap_test {
namespace {

struct Seen {
  std::map<std::string, std::vector<double>> squares;  // by reader, [n]
  std::map<std::string, uint64_t> tokens;
  std::map<std::string, std::string> reads;
};

std::vector<BatchToken> SomeTokens(int count) {
  std::vector<BatchToken> batch;
  for (int i = 0; i < count; ++i) batch.push_back({3 + i % 256, i, 0, true});
  return batch;
}

Seen Evaluate(const Model& model, const std::set<std::string>& readers, int evaluations) {
  Seen seen;
  InputTap tap(
      [&](const std::string& reader, const float* x, uint64_t tokens, uint64_t n) -> Status {
        std::vector<double>& sums = seen.squares[reader];
        sums.resize(n);
        for (uint64_t i = 0; i < tokens * n; ++i) sums[i % n] += static_cast<double>(x[i]) * x[i];
        seen.tokens[reader] += tokens;
        return {};
      },
      readers);
  Context::Options options;
  options.tap = [&](ggml_tensor* node, bool ask) { return tap.See(node, ask); };
  auto context = Context::Create(model, options);
  EXPECT_TRUE(context.ok());
  for (int i = 0; i < evaluations; ++i) {
    context->Clear();
    tap.BeginEvaluation();
    EXPECT_TRUE(context->Decode(SomeTokens(40)).ok());
  }
  EXPECT_TRUE(tap.Finish().ok());
  seen.reads = tap.reads();
  return seen;
}

Model Loaded(const TempTree& tree) {
  auto model = Model::Load(WriteTinyModel(tree / "m.gguf"), {});
  CHECK(model.ok());
  return std::move(model).value();
}

TEST(InputTapTest, MatricesThatShareAnInputShareAReader) {
  const TempTree tree;
  const Seen seen = Evaluate(Loaded(tree), {}, 1);
  for (const std::string layer : {"blk.0.", "blk.1."}) {
    const std::string q = seen.reads.at(layer + "attn_q.weight");
    EXPECT_EQ(seen.reads.at(layer + "attn_k.weight"), q);
    EXPECT_EQ(seen.reads.at(layer + "attn_v.weight"), q);
    EXPECT_NE(seen.reads.at(layer + "attn_output.weight"), q);
    EXPECT_EQ(seen.reads.at(layer + "ffn_gate.weight"), seen.reads.at(layer + "ffn_up.weight"));
    EXPECT_NE(seen.reads.at(layer + "ffn_down.weight"), seen.reads.at(layer + "ffn_up.weight"));
  }
  EXPECT_NE(seen.reads.at("blk.0.attn_q.weight"), seen.reads.at("blk.1.attn_q.weight"));
  EXPECT_TRUE(seen.reads.count("token_embd.weight"));  // as the output head
}

TEST(InputTapTest, EveryTokenIsSeenOnceAnEvaluation) {
  const TempTree tree;
  const Model model = Loaded(tree);
  const Seen one = Evaluate(model, {}, 1);
  const Seen three = Evaluate(model, {}, 3);
  for (const auto& [reader, tokens] : one.tokens) {
    EXPECT_EQ(tokens, 40) << reader;
    EXPECT_EQ(three.tokens.at(reader), 120) << reader;
  }
}

TEST(InputTapTest, ItsSquaresAreTheImportanceMatrix) {
  const TempTree tree;
  const Model model = Loaded(tree);
  const Seen seen = Evaluate(model, {}, 1);
  ActivationTap tap;
  Context::Options options;
  options.tap = [&](ggml_tensor* node, bool ask) { return tap.See(node, ask); };
  auto context = Context::Create(model, options);
  ASSERT_TRUE(context.ok() && context->Decode(SomeTokens(40)).ok());
  const auto importance = tap.Take();
  ASSERT_TRUE(importance.ok());
  EXPECT_EQ(importance->entries.size(), seen.reads.size());
  for (const auto& [name, entry] : importance->entries) {
    const std::vector<double>& squares = seen.squares.at(seen.reads.at(name));
    ASSERT_EQ(squares.size(), entry.sum2.size());
    for (size_t i = 0; i < squares.size(); ++i)
      EXPECT_NEAR(squares[i], entry.sum2[i], 1e-5 * (squares[i] + 1)) << name;
  }
}

TEST(InputTapTest, OnlyTheReadersThatAreWantedAreHandedOn) {
  const TempTree tree;
  const Seen all = Evaluate(Loaded(tree), {}, 1);
  const std::string wanted = all.reads.at("blk.1.ffn_up.weight");
  const Seen seen = Evaluate(Loaded(tree), {wanted}, 1);
  EXPECT_EQ(seen.tokens.size(), 1);
  EXPECT_EQ(seen.tokens.at(wanted), 40);
  EXPECT_EQ(seen.reads, all.reads);
}

}  // namespace
}  // namespace trimma::input_tap_test
