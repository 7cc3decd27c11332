#include "engine/token_text.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>

#include "hardware/temp_tree.h"
#include "support/tiny_model.h"

namespace trimma::token_text_test {
namespace {

class TokenTextTest : public testing::Test {
 protected:
  Model Loaded(bool adds_bos = true) {
    TinyModel tiny = MakeTinyModel();
    tiny.metadata.Set("tokenizer.ggml.add_bos_token", adds_bos);
    tree_.Write("tiny.gguf", Assemble(tiny));
    Result<Model> model = Model::Load(tree_ / "tiny.gguf", {});
    CHECK(model.ok());
    return std::move(model).value();
  }
  std::string Text(const std::string& text) {
    tree_.Write("text.txt", text);
    return tree_ / "text.txt";
  }
  // In one thread: more would wait for each other wherever tests share the machine.
  Result<TokenText> Generated(const Model& model, const GenerateOptions& options) {
    RuntimeSettings settings;
    settings.threads = 1;
    return GenerateText(model, settings, options,
                        [this](double share) { shares_.push_back(share); });
  }
  // Bytes above the vocabulary's letters: one token each.
  static std::string Bytes(size_t n) {
    std::string bytes(n, '!');
    for (size_t i = 0; i < n; ++i) bytes[i] = static_cast<char>('!' + i % 10);
    return bytes;
  }

  TempTree tree_;
  std::vector<double> shares_;
};

TEST_F(TokenTextTest, OneWindowMayBeAskedFor) {
  const Model model = Loaded();
  const std::vector<Token> tokens = model.Tokenize(Bytes(300), true);
  const auto one = WindowsOf(model, tokens, {200, 50, 1}, "text.txt");
  ASSERT_TRUE(one.ok()) << one.error().what;
  ASSERT_EQ(one->text.chunks.size(), 1U);
  EXPECT_EQ(one->text.chunks[0].size(), 200U);
  EXPECT_EQ(one->overlap, 0);
  const auto longer = WindowsOf(model, tokens, {400, 50, 1}, "text.txt");
  ASSERT_FALSE(longer.ok());
  EXPECT_NE(longer.error().what.find("at least 400 are needed"), std::string::npos);
}

TEST_F(TokenTextTest, AModelWithoutNumbersWritesNoText) {
  TinyModelOptions shape;
  shape.type = tensor_type::kF32;
  TinyModel tiny = MakeTinyModel(shape);
  for (size_t i = 0; i < tiny.tensors.size(); ++i) {
    if (tiny.tensors[i].name != "output_norm.weight") continue;
    const float nan = std::numeric_limits<float>::quiet_NaN();
    tiny.data[i].replace(0, sizeof nan, reinterpret_cast<const char*>(&nan), sizeof nan);
  }
  tree_.Write("nan.gguf", Assemble(tiny));
  const auto model = Model::Load(tree_ / "nan.gguf", {});
  ASSERT_TRUE(model.ok());
  const auto text = Generated(*model, {});
  ASSERT_FALSE(text.ok());
  EXPECT_EQ(text.error().code, Code::kInvalid);
  EXPECT_NE(text.error().what.find("not finite"), std::string::npos);
}

TEST_F(TokenTextTest, AFileIsCutAsLlamaPerplexityCutsIt) {
  const Model model = Loaded();
  const std::string path = Text(Bytes(1000));
  const auto text = TextFromFile(model, path, 64, 0);
  ASSERT_TRUE(text.ok()) << text.error().what;
  std::vector<Token> tokens = model.Tokenize(Bytes(1000), true);
  ASSERT_EQ(text->chunks.size(), tokens.size() / 64);
  EXPECT_EQ(text->description, "text.txt");
  for (size_t i = 0; i < text->chunks.size(); ++i) {
    std::vector<Token> expected(tokens.begin() + static_cast<long>(i * 64),
                                tokens.begin() + static_cast<long>(i * 64 + 64));
    expected[0] = model.bos();
    EXPECT_EQ(text->chunks[i], expected) << i;
  }
}

TEST_F(TokenTextTest, AModelWithoutBosKeepsEveryToken) {
  const Model model = Loaded(/*adds_bos=*/false);
  const auto text = TextFromFile(model, Text(Bytes(300)), 64, 0);
  ASSERT_TRUE(text.ok());
  const std::vector<Token> tokens = model.Tokenize(Bytes(300), true);
  EXPECT_EQ(text->chunks[1][0], tokens[64]);
  EXPECT_NE(text->chunks[1][0], model.bos());
}

TEST_F(TokenTextTest, AtMostSoManyChunksAreTaken) {
  const Model model = Loaded();
  EXPECT_EQ(TextFromFile(model, Text(Bytes(1000)), 64, 3)->chunks.size(), 3U);
  EXPECT_EQ(TextFromFile(model, Text(Bytes(1000)), 64, 1)->chunks.size(), 1U);
  EXPECT_EQ(TextFromFile(model, Text(Bytes(1000)), 64, 1000)->chunks.size(), 15U);
}

TEST_F(TokenTextTest, ATooShortTextIsInvalidAndSaysHowShort) {
  const Model model = Loaded();
  const auto text = TextFromFile(model, Text(Bytes(100)), 64, 0);
  ASSERT_FALSE(text.ok());
  EXPECT_EQ(text.error().code, Code::kInvalid);
  EXPECT_NE(text.error().what.find("at least 2 chunks of 64"), std::string::npos);
  EXPECT_EQ(TextFromFile(model, Text(""), 64, 0).error().code, Code::kInvalid);
  EXPECT_EQ(TextFromFile(model, tree_ / "none", 64, 0).error().code, Code::kNotFound);
}

TEST_F(TokenTextTest, GeneratedTextIsTheSameForTheSameSeed) {
  const Model model = Loaded();
  const auto a = Generated(model, {96, 60, kJudgingSeed, {}});
  const auto b = Generated(model, {96, 60, kJudgingSeed, {}});
  const auto c = Generated(model, {96, 60, kCalibrationSeed, {}});
  ASSERT_TRUE(a.ok() && b.ok() && c.ok());
  EXPECT_EQ(a->chunks, b->chunks);
  EXPECT_NE(a->chunks, c->chunks);
  EXPECT_EQ(a->description, "generated by the reference");
}

TEST_F(TokenTextTest, SixteenSequencesBeginWithBosAndNeverEnd) {
  const Model model = Loaded();
  const auto text = Generated(model, {96, 60, 1, {}});
  ASSERT_TRUE(text.ok());
  ASSERT_EQ(text->chunks.size(), 16U);
  std::set<std::vector<Token>> distinct;
  for (const std::vector<Token>& chunk : text->chunks) {
    EXPECT_EQ(chunk.size(), 96U);
    EXPECT_EQ(chunk[0], model.bos());
    for (size_t i = 1; i < chunk.size(); ++i) {
      ASSERT_FALSE(model.IsEndOfGeneration(chunk[i]));
      ASSERT_TRUE(chunk[i] >= 0 && chunk[i] < model.vocabulary());
    }
    distinct.insert(chunk);
  }
  EXPECT_EQ(distinct.size(), 16U);
  EXPECT_FALSE(shares_.empty());
}

TEST_F(TokenTextTest, WithoutBosEverySequenceBeginsWithATokenOfItsOwn) {
  const Model model = Loaded(/*adds_bos=*/false);
  const auto text = Generated(model, {64, 60, 1, {}});
  ASSERT_TRUE(text.ok());
  std::set<Token> first;
  for (const std::vector<Token>& chunk : text->chunks) first.insert(chunk[0]);
  EXPECT_GT(first.size(), 8U);
}

TEST_F(TokenTextTest, ASequenceGoesOnFromItsBeginning) {
  const Model model = Loaded();
  GenerateOptions options = {64, 60, 1, {{{1, 70, 71, 72}, {}}, {}, {{1, 80}, {}}}};
  const auto text = Generated(model, options);
  ASSERT_TRUE(text.ok());
  const auto begins = [&](size_t s, std::vector<Token> tokens) {
    EXPECT_TRUE(std::equal(tokens.begin(), tokens.end(), text->chunks[s].begin())) << s;
  };
  begins(0, {1, 70, 71, 72});
  begins(1, {model.bos()});
  begins(2, {1, 80});
  EXPECT_EQ(text->chunks[0].size(), 64U);
}

TEST_F(TokenTextTest, AnAnswerToTheEndTakesItsPlaceOnceEach) {
  const Model model = Loaded();
  const std::vector<Token> first(3, 100);
  const std::vector<Token> second(3, 101);
  GenerateOptions options = {512, 60, 1, {}};
  for (int s = 0; s < kSequences; ++s) options.beginnings.push_back({{1}, {first, second}});
  const auto text = Generated(model, options);
  ASSERT_TRUE(text.ok());
  int firsts = 0;
  for (const std::vector<Token>& chunk : text->chunks) {
    const auto a = std::search(chunk.begin(), chunk.end(), first.begin(), first.end());
    const auto b = std::search(chunk.begin(), chunk.end(), second.begin(), second.end());
    firsts += a != chunk.end();
    EXPECT_TRUE(b == chunk.end() || a < b);
    for (const Token t : chunk) ASSERT_FALSE(model.IsEndOfGeneration(t));
  }
  // The end is one of 300 tokens, none of them rare: it is drawn in most sequences.
  EXPECT_GT(firsts, 4);
}

TEST_F(TokenTextTest, HalfOfTheSequencesBeginWithStretchesOfATextOfYours) {
  const Model model = Loaded();
  const std::string own = Bytes(1000);
  const auto beginnings = BeginningsOf(model, own);
  ASSERT_EQ(beginnings.size(), static_cast<size_t>(kSequences));
  const std::vector<Token> tokens = model.Tokenize(own, false);
  for (size_t s = 0; s < beginnings.size(); ++s) {
    const std::vector<Token>& begun = beginnings[s].tokens;
    if (s % 2 == 1) {
      EXPECT_TRUE(begun.empty());
      continue;
    }
    ASSERT_EQ(begun.size(), 25U);
    EXPECT_EQ(begun[0], model.bos());
    EXPECT_NE(std::search(tokens.begin(), tokens.end(), begun.begin() + 1, begun.end()),
              tokens.end());
  }
  EXPECT_NE(beginnings[0].tokens, beginnings[14].tokens);
  EXPECT_EQ(BeginningsOf(model, "ab")[0].tokens.size(), 1 + model.Tokenize("ab", false).size());
  EXPECT_TRUE(BeginningsOf(model, "")[0].tokens.empty());
}

TEST_F(TokenTextTest, WhenTheTimeIsUpTheSequencesEndAlikeAndEven) {
  const Model model = Loaded();
  const auto text = Generated(model, {512, 0.001, 1, {}});
  ASSERT_TRUE(text.ok());
  for (const std::vector<Token>& chunk : text->chunks) EXPECT_EQ(chunk.size(), 64U);
  const auto odd = Generated(model, {65, 60, 1, {}});
  ASSERT_TRUE(odd.ok());
  EXPECT_EQ(odd->chunks[0].size(), 64U);
}

TEST_F(TokenTextTest, WordsAreDrawnAsOftenAsTheModelThinksThemLikely) {
  const Model model = Loaded();
  Context::Options options;
  options.settings.context = 64;
  Result<Context> context = Context::Create(model, options);
  ASSERT_TRUE(context.ok());
  const Token bos = model.bos();
  ASSERT_TRUE(context->Append({&bos, 1}).ok());
  const float* logits = context->Logits(-1);
  double sum = 0;
  double likely = 0;  // the probability of the tokens likelier than 1 in 100
  std::vector<double> p(static_cast<size_t>(model.vocabulary()));
  for (size_t t = 0; t < p.size(); ++t) sum += p[t] = std::exp(static_cast<double>(logits[t]));
  for (double& probability : p) probability /= sum;
  for (const double probability : p) likely += probability > 0.01 ? probability : 0;
  int drawn = 0;
  int all = 0;
  for (uint32_t seed = 0; seed < 40; ++seed) {
    const auto text = Generated(model, {2, 60, seed, {}});
    ASSERT_TRUE(text.ok());
    for (const std::vector<Token>& chunk : text->chunks) {
      drawn += p[static_cast<size_t>(chunk[1])] > 0.01 ? 1 : 0;
      ++all;
    }
  }
  // Four standard deviations of a share of 640 draws.
  EXPECT_NEAR(static_cast<double>(drawn) / all, likely, 4 * std::sqrt(0.25 / all));
}

}  // namespace
}  // namespace trimma::token_text_test
