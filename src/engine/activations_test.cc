#include "engine/activations.h"

#include <fmt/format.h>
#include <ggml.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <limits>

#include "base/file.h"
#include "engine/model.h"
#include "engine/token_text.h"
#include "hardware/temp_tree.h"
#include "support/tiny_model.h"

namespace trimma::activations_test {
namespace {

namespace fs = std::filesystem;

constexpr int kChunk = 512;

// The importance data of a model over chunks, every token asked for its logits.
Result<Importance> Collected(const Model& model, const std::vector<std::vector<Token>>& chunks) {
  ActivationTap tap;
  Context::Options options;
  options.settings.context = kChunk;
  options.tap = [&](ggml_tensor* node, bool ask) { return tap.See(node, ask); };
  TRY(Context context, Context::Create(model, options));
  for (const std::vector<Token>& chunk : chunks) {
    context.Clear();
    std::vector<BatchToken> batch;
    for (const Token token : chunk)
      batch.push_back({token, static_cast<int>(batch.size()), 0, true});
    TRY_STATUS(context.Decode(batch));
  }
  return tap.Take();
}

std::vector<Token> Tokens(int n, int vocabulary, int first) {
  std::vector<Token> tokens;
  for (int i = 0; i < n; ++i) tokens.push_back((first + i * 7) % vocabulary);
  return tokens;
}

// All matrices but the embedding, with the length of their rows.
std::map<std::string, uint64_t> Matrices(const TinyModel& model) {
  std::map<std::string, uint64_t> matrices;
  for (const TensorPlan& tensor : model.tensors) {
    if (tensor.shape.size() > 1 && tensor.name.starts_with("blk."))
      matrices[tensor.name] = tensor.shape[0];
  }
  return matrices;
}

void ExpectComplete(const Importance& importance, const TinyModel& tiny, float tokens,
                    const std::string& head) {
  std::map<std::string, uint64_t> expected = Matrices(tiny);
  expected[head] = 64;
  for (const auto& [name, columns] : expected) {
    const auto found = importance.entries.find(name);
    ASSERT_NE(found, importance.entries.end()) << name;
    EXPECT_EQ(found->second.columns, columns) << name;
    EXPECT_EQ(found->second.counts, std::vector<float>{tokens}) << name;
    ASSERT_EQ(found->second.sum2.size(), columns) << name;
    for (const float sum : found->second.sum2) {
      EXPECT_TRUE(std::isfinite(sum)) << name;
      EXPECT_GT(sum, 0) << name;
    }
  }
  EXPECT_EQ(importance.entries.size(), expected.size());
}

TEST(ActivationsTest, EveryMatrixIsSeenOnceForEveryToken) {
  const TempTree tree;
  for (const char* architecture : {"llama", "gemma3"}) {
    for (const bool tied : {true, false}) {
      TinyModelOptions shape;
      shape.architecture = architecture;
      shape.tied = tied;
      const TinyModel tiny = MakeTinyModel(shape);
      tree.Write("tiny.gguf", Assemble(tiny));
      const auto model = Model::Load(tree / "tiny.gguf", {});
      ASSERT_TRUE(model.ok());
      const auto importance = Collected(*model, {Tokens(40, 300, 1), Tokens(24, 300, 5)});
      ASSERT_TRUE(importance.ok());
      ExpectComplete(*importance, tiny, 64, tied ? "token_embd.weight" : "output.weight");
    }
  }
}

TEST(ActivationsTest, AnExpertSeesTheTokensThatGoToIt) {
  const TempTree tree;
  TinyModelOptions shape;
  shape.experts = 8;
  shape.experts_used = 3;
  const auto model = Model::Load(WriteTinyModel(tree / "tiny.gguf", shape), {});
  ASSERT_TRUE(model.ok());
  ActivationTap all;
  ActivationTap experts(ActivationTap::Matrices::kExperts);
  for (ActivationTap* tap : {&all, &experts}) {
    Context::Options options;
    options.settings.context = 64;
    options.tap = [&](ggml_tensor* node, bool ask) { return tap->See(node, ask); };
    auto context = Context::Create(*model, options);
    ASSERT_TRUE(context.ok());
    std::vector<BatchToken> batch;
    for (const Token token : Tokens(50, 300, 3))
      batch.push_back({token, static_cast<int>(batch.size()), 0, true});
    ASSERT_TRUE(context->Decode(batch).ok());
  }
  const auto everything = all.Take();
  const auto of_experts = experts.Take();
  ASSERT_TRUE(everything.ok() && of_experts.ok());
  EXPECT_EQ(of_experts->entries.size(), 6);
  for (const auto& [name, entry] : of_experts->entries) {
    EXPECT_TRUE(name.ends_with("_exps.weight")) << name;
    EXPECT_EQ(entry, everything->entries.at(name));
    ASSERT_EQ(entry.matrices(), 8);
    float tokens = 0;
    for (const float count : entry.counts) tokens += count;
    EXPECT_EQ(tokens, 50 * 3) << name;
  }
  EXPECT_EQ(everything->entries.count("blk.0.attn_q.weight"), 1);
}

// The input of the first layer's attention is known without any engine: the embedding of the
// token, normalised and scaled.
TEST(ActivationsTest, SumsAreThoseOfTheInputsThemselves) {
  const TempTree tree;
  const TinyModel tiny = MakeTinyModel();
  tree.Write("tiny.gguf", Assemble(tiny));
  const auto model = Model::Load(tree / "tiny.gguf", {});
  ASSERT_TRUE(model.ok());
  const std::vector<Token> tokens = Tokens(50, 300, 3);
  const auto importance = Collected(*model, {tokens});
  ASSERT_TRUE(importance.ok());

  const auto data_of = [&](const std::string& name) {
    for (size_t i = 0; i < tiny.tensors.size(); ++i) {
      if (tiny.tensors[i].name == name) return tiny.data[i].data();
    }
    return static_cast<const char*>(nullptr);
  };
  const auto* embedding = reinterpret_cast<const ggml_fp16_t*>(data_of("token_embd.weight"));
  const auto* scale = reinterpret_cast<const float*>(data_of("blk.0.attn_norm.weight"));
  std::vector<double> expected(64, 0);
  for (const Token token : tokens) {
    double squares = 0;
    std::vector<double> x(64);
    for (size_t j = 0; j < 64; ++j) {
      x[j] = ggml_fp16_to_fp32(embedding[static_cast<size_t>(token) * 64 + j]);
      squares += x[j] * x[j];
    }
    const double norm = std::sqrt(squares / 64 + 1e-5);
    for (size_t j = 0; j < 64; ++j) expected[j] += std::pow(x[j] / norm * scale[j], 2);
  }
  for (const char* name : {"blk.0.attn_q.weight", "blk.0.attn_k.weight", "blk.0.attn_v.weight"}) {
    const ImportanceEntry& entry = importance->entries.at(name);
    for (size_t j = 0; j < 64; ++j)
      EXPECT_NEAR(entry.sum2[j], expected[j], 1e-4 * expected[j]) << name << " " << j;
  }
}

TEST(ActivationsTest, AModelThatComputesNoNumbersIsInvalid) {
  const TempTree tree;
  TinyModelOptions shape;
  shape.type = tensor_type::kF32;
  TinyModel tiny = MakeTinyModel(shape);
  for (size_t i = 0; i < tiny.tensors.size(); ++i) {
    if (tiny.tensors[i].name != "blk.1.attn_norm.weight") continue;
    const float nan = std::numeric_limits<float>::quiet_NaN();
    tiny.data[i].replace(0, sizeof nan, reinterpret_cast<const char*>(&nan), sizeof nan);
  }
  tree.Write("tiny.gguf", Assemble(tiny));
  const auto model = Model::Load(tree / "tiny.gguf", {});
  ASSERT_TRUE(model.ok());
  const auto importance = Collected(*model, {Tokens(8, 300, 1)});
  ASSERT_FALSE(importance.ok());
  EXPECT_EQ(importance.error().code, Code::kInvalid);
  EXPECT_NE(importance.error().what.find("blk.1."), std::string::npos) << importance.error().what;
}

TEST(ActivationsTest, NothingSeenIsAnEmptyMatrix) {
  const auto importance = ActivationTap().Take();
  ASSERT_TRUE(importance.ok());
  EXPECT_TRUE(importance->entries.empty());
}

// The engine's own tool, where ./dev peers has built it.
std::string PeersImatrix() {
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(CacheDirectory() + "/engine", ignored)) {
    const fs::path tool = entry.path() / "bin" / "llama-imatrix";
    if (entry.path().extension() == ".peers" && fs::exists(tool, ignored)) return tool.string();
  }
  return "";
}

TEST(ActivationsTest, SumsAreThoseOfLlamaImatrix) {
  const std::string tool = PeersImatrix();
  if (tool.empty()) GTEST_SKIP() << "llama-imatrix is not built (./dev peers)";
  const TempTree tree;
  const TinyModel tiny = MakeTinyModel();
  tree.Write("tiny.gguf", Assemble(tiny));
  std::string text;
  for (int i = 0; i < 1300; ++i) text += static_cast<char>('!' + i * i % 90);
  tree.Write("text.txt", text);
  const std::string command = fmt::format(
      "'{}' -m '{}' -f '{}' -o '{}' -c {} -t 2 -ngl 0 --no-ppl --process-output >/dev/null 2>&1",
      tool, tree / "tiny.gguf", tree / "text.txt", tree / "theirs.gguf", kChunk);
  if (std::system(command.c_str()) != 0) GTEST_SKIP() << "llama-imatrix does not run here";
  const auto theirs = ReadImportance(tree / "theirs.gguf");
  ASSERT_TRUE(theirs.ok()) << theirs.error().what;
  const auto model = Model::Load(tree / "tiny.gguf", {});
  const auto chunks = TextFromFile(*model, tree / "text.txt", kChunk, 0);
  ASSERT_TRUE(chunks.ok()) << chunks.error().what;
  const auto ours = Collected(*model, chunks->chunks);
  ASSERT_TRUE(ours.ok());
  for (const auto& [name, columns] : Matrices(tiny)) {
    const ImportanceEntry& a = ours->entries.at(name);
    ASSERT_TRUE(theirs->entries.contains(name)) << name;
    const ImportanceEntry& b = theirs->entries.at(name);
    const std::vector<float> mine = a.MeanSquares();
    const std::vector<float> peers = b.MeanSquares();
    ASSERT_EQ(mine.size(), peers.size());
    for (size_t j = 0; j < mine.size(); ++j)
      ASSERT_NEAR(mine[j], peers[j], 2e-3 * mine[j]) << name << " " << j;
  }
}

}  // namespace
}  // namespace trimma::activations_test
