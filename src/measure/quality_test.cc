#include "measure/quality.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <limits>

#include "hardware/temp_tree.h"
#include "measure/answers.h"
#include "support/tiny_model.h"

namespace trimma::quality_test {
namespace {

TEST(NextOffCardsTest, TheReferenceGoesFirstThenAll) {
  const Judged reference = {"whole.gguf", {}};
  const Judged candidate = {"small.gguf", {}};
  EXPECT_EQ(NextOffCards(LeftCards::kNone, reference, {candidate}), LeftCards::kReference);
  EXPECT_EQ(NextOffCards(LeftCards::kReference, reference, {candidate}), LeftCards::kAll);
  EXPECT_EQ(NextOffCards(LeftCards::kAll, reference, {candidate}), std::nullopt);
  // Of one file on two kinds of device the devices' difference would be judged.
  EXPECT_EQ(NextOffCards(LeftCards::kNone, reference, {candidate, reference}), LeftCards::kAll);
}

TEST(NextOffCardsTest, WhatOnlyLiesElsewhereOnTheCardIsNotComparedWithItselfOnTheHost) {
  Judged reference = {"whole.gguf", {}};
  Judged moved = reference;
  reference.settings.gpu_layers = 28;
  moved.settings.host_tensors = {"ffn"};
  moved.settings.threads = 3;
  EXPECT_EQ(NextOffCards(LeftCards::kNone, reference, {moved}), std::nullopt);
  Judged quantised = moved;
  quantised.settings.kv_k = "q8_0";
  EXPECT_EQ(NextOffCards(LeftCards::kNone, reference, {moved, quantised}), LeftCards::kAll);
}

TEST(NextOffCardsTest, WhatIsOnTheHostCannotLeave) {
  Judged reference = {"whole.gguf", {}};
  Judged candidate = {"small.gguf", {}};
  reference.settings.gpu_layers = 0;
  EXPECT_EQ(NextOffCards(LeftCards::kNone, reference, {candidate}), LeftCards::kAll);
  candidate.settings.use_gpu = false;
  EXPECT_EQ(NextOffCards(LeftCards::kNone, reference, {candidate}), std::nullopt);
}

// Threads that spin at barriers stall where tests share the machine; the children inherit this.
const int kPatience = setenv("OMP_WAIT_POLICY", "passive", /*overwrite=*/0);

class QualityTest : public testing::Test {
 protected:
  QualityTest() {
    WriteTinyModel(tree_ / "tiny.gguf");
    TinyModelOptions other;
    other.seed = 2;
    WriteTinyModel(tree_ / "stranger.gguf", other);
    TinyModel bent = MakeTinyModel();
    for (size_t i = 0; i < bent.tensors.size(); ++i) {
      if (bent.tensors[i].name.find("ffn_down") == std::string::npos) continue;
      for (size_t byte = 0; byte < bent.data[i].size(); byte += 2) bent.data[i][byte] = 0;
    }
    tree_.Write("bent.gguf", Assemble(bent));  // a few bits of some weights lost
    std::string text;
    for (int i = 0; i < 1200; ++i) text += static_cast<char>('!' + (i * 7 + i / 9) % 90);
    tree_.Write("text.txt", text);
  }
  Judged Model(const std::string& name, const RuntimeSettings& settings = {}) {
    return {tree_ / name, settings};
  }
  QualityOptions OnText(int chunk = 64) {
    QualityOptions options;
    options.text_file = tree_ / "text.txt";
    options.chunk = chunk;
    return options;
  }
  Result<std::vector<Quality>> Judge(const std::vector<Judged>& candidates,
                                     const QualityOptions& options) {
    return MeasureQuality(Model("tiny.gguf"), candidates, options);
  }
  TempTree tree_;
};

TEST_F(QualityTest, AModelDoesNotDivergeFromItself) {
  const auto judged = Judge({Model("tiny.gguf")}, OnText());
  ASSERT_TRUE(judged.ok()) << judged.error().what;
  const Quality& q = judged->front();
  EXPECT_NEAR(q.mean_kld, 0, 1e-7);
  EXPECT_NEAR(q.p999_kld, 0, 1e-6);
  EXPECT_EQ(q.same_top, 1);
  EXPECT_EQ(q.ppl, q.reference_ppl);
  EXPECT_GT(q.ppl, 1);
  EXPECT_EQ(q.chunk, 64);
  EXPECT_EQ(q.score, "half");
  EXPECT_EQ(q.text, "text.txt");
  EXPECT_GE(q.chunks, 10);
  // The second half, and the last token predicts one that isn't there: 31 of 64.
  EXPECT_EQ(q.tokens, q.chunks * 31);
}

// With a question open it would otherwise go on to the end of the text and the time.
TEST_F(QualityTest, AModelWithoutNumbersIsRefusedAtOnceHoweverMuchWasAsked) {
  TinyModelOptions shape;
  shape.type = tensor_type::kF32;
  TinyModel broken = MakeTinyModel(shape);
  for (size_t i = 0; i < broken.tensors.size(); ++i) {
    if (broken.tensors[i].name != "output_norm.weight") continue;
    const float nan = std::numeric_limits<float>::quiet_NaN();
    broken.data[i].replace(0, sizeof nan, reinterpret_cast<const char*>(&nan), sizeof nan);
  }
  tree_.Write("nan.gguf", Assemble(broken));
  QualityOptions options = OnText();
  options.questions.max_kld = 0.01;
  double furthest = 0;
  const auto judged = JudgeQuality(Model("tiny.gguf"), {Model("nan.gguf")}, options,
                                   [&](double share) { furthest = std::max(furthest, share); });
  ASSERT_FALSE(judged.ok());
  EXPECT_EQ(judged.error().code, Code::kInvalid);
  EXPECT_NE(judged.error().what.find("not finite"), std::string::npos) << judged.error().what;
  EXPECT_EQ(furthest, 0) << "the first chunk tells";
  const auto answers = AnswerPrompts(Model("nan.gguf"), {"Why?"}, 50);
  ASSERT_FALSE(answers.ok());
  EXPECT_NE(answers.error().what.find("not finite"), std::string::npos) << answers.error().what;
}

TEST_F(QualityTest, PromptsThatLeaveNoRoomForAnswersAreSaid) {
  QualityOptions options;
  options.chunk = 64;
  options.generate_seconds = 1;
  options.prompts_file = tree_ / "prompts.txt";
  tree_.Write("prompts.txt", std::string(100, 'x') + "\nshort\n");
  const auto some = JudgeQuality(Model("tiny.gguf"), {Model("bent.gguf")}, options);
  ASSERT_TRUE(some.ok()) << some.error().what;
  ASSERT_EQ(some->text.notes.size(), 1U);
  EXPECT_NE(some->text.notes[0].find("1 of 2 prompts of prompts.txt fill"), std::string::npos);
  tree_.Write("prompts.txt", std::string(100, 'x') + "\n");
  const auto none = JudgeQuality(Model("tiny.gguf"), {Model("bent.gguf")}, options);
  ASSERT_FALSE(none.ok());
  EXPECT_NE(none.error().hint.find("--chunk"), std::string::npos) << none.error().what;
}

TEST_F(QualityTest, CandidatesAreJudgedInTheirOrder) {
  const auto judged =
      Judge({Model("stranger.gguf"), Model("tiny.gguf"), Model("bent.gguf")}, OnText());
  ASSERT_TRUE(judged.ok()) << judged.error().what;
  ASSERT_EQ(judged->size(), 3U);
  EXPECT_GT(judged->at(0).mean_kld, 0.5);
  EXPECT_LT(judged->at(1).mean_kld, 1e-7);
  EXPECT_GT(judged->at(2).mean_kld, 1e-7);
  EXPECT_LT(judged->at(2).mean_kld, judged->at(0).mean_kld / 10);
  for (const Quality& q : *judged) {
    EXPECT_LE(q.mean_kld_low, q.mean_kld);
    EXPECT_GE(q.mean_kld_high, q.mean_kld);
    EXPECT_LE(q.p99_kld, q.p999_kld);
    EXPECT_DOUBLE_EQ(q.reference_ppl, judged->at(0).reference_ppl);
  }
}

TEST_F(QualityTest, TwoAtOnceAreJudgedAsEachAlone) {
  const auto both = Judge({Model("bent.gguf"), Model("stranger.gguf")}, OnText());
  ASSERT_TRUE(both.ok()) << both.error().what;
  for (size_t i = 0; i < 2; ++i) {
    const auto alone = Judge({Model(i == 0 ? "bent.gguf" : "stranger.gguf")}, OnText());
    ASSERT_TRUE(alone.ok());
    EXPECT_NEAR(alone->front().mean_kld, both->at(i).mean_kld, 1e-6);
    EXPECT_NEAR(alone->front().ppl, both->at(i).ppl, 1e-3);
  }
}

TEST_F(QualityTest, AllPositionsAreScoredWhereAsked) {
  QualityOptions options = OnText();
  options.score_all = true;
  options.chunks = 3;
  const auto judged = Judge({Model("bent.gguf")}, options);
  ASSERT_TRUE(judged.ok());
  EXPECT_EQ(judged->front().chunks, 3);
  EXPECT_EQ(judged->front().tokens, 3 * 63);
  EXPECT_EQ(judged->front().score, "all");
}

TEST_F(QualityTest, TheReferencesOwnTextIsTheSameEveryTime) {
  QualityOptions options;
  options.chunk = 64;
  options.generate_seconds = 60;
  const auto a = Judge({Model("bent.gguf")}, options);
  const auto b = Judge({Model("bent.gguf")}, options);
  ASSERT_TRUE(a.ok() && b.ok());
  EXPECT_EQ(a->front().text, "generated by the reference");
  EXPECT_EQ(a->front().chunks, 16);
  EXPECT_NEAR(a->front().mean_kld, b->front().mean_kld, 1e-6);
  // The reference wrote it: no model is less surprised by it.
  const auto stranger = Judge({Model("stranger.gguf")}, options);
  ASSERT_TRUE(stranger.ok());
  EXPECT_LT(stranger->front().reference_ppl, stranger->front().ppl);
}

TEST_F(QualityTest, WithoutTimeFourChunksAreJudged) {
  QualityOptions options = OnText();
  options.budget_seconds = 1e-9;
  const auto judged = Judge({Model("tiny.gguf")}, options);
  ASSERT_TRUE(judged.ok());
  EXPECT_EQ(judged->front().chunks, 4);
}

TEST_F(QualityTest, ProgressGoesForward) {
  double before = 0;
  const auto judged =
      MeasureQuality(Model("tiny.gguf"), {Model("tiny.gguf")}, OnText(), [&](double share) {
        EXPECT_GE(share, before);
        before = share;
      });
  ASSERT_TRUE(judged.ok());
  EXPECT_DOUBLE_EQ(before, 1);
}

TEST_F(QualityTest, SettingsOfTheCandidateCount) {
  WriteTinyModel(tree_ / "wide.gguf", [] {
    TinyModelOptions wide;
    wide.embedding = 128;  // heads of 32, a block of q4_0
    return wide;
  }());
  RuntimeSettings settings;
  settings.kv_k = settings.kv_v = "q4_0";
  const auto judged = MeasureQuality(Model("wide.gguf"),
                                     {Model("wide.gguf"), Model("wide.gguf", settings)}, OnText());
  ASSERT_TRUE(judged.ok()) << judged.error().what;
  EXPECT_LT(judged->at(0).mean_kld, 1e-7);
  EXPECT_GT(judged->at(1).mean_kld, 1e-6) << "4 bits of cache change what it answers";
}

TEST_F(QualityTest, ASmallBatchIsEnoughForALongChunk) {
  RuntimeSettings small;
  small.batch = 8;
  small.ubatch = 8;
  const auto judged =
      MeasureQuality(Model("tiny.gguf", small), {Model("tiny.gguf", small)}, OnText(128));
  ASSERT_TRUE(judged.ok()) << judged.error().what;
  EXPECT_NEAR(judged->front().mean_kld, 0, 1e-7);
  QualityOptions generated;
  generated.chunk = 64;
  EXPECT_TRUE(
      MeasureQuality(Model("tiny.gguf", small), {Model("tiny.gguf", small)}, generated).ok());
}

TEST_F(QualityTest, ChunksLongerThanTheDefaultBatchAreJudged) {
  TinyModelOptions options;
  options.context = 8192;
  const std::string path = WriteTinyModel(tree_ / "long.gguf", options);
  std::string text;
  for (int i = 0; i < 6200; ++i) text += static_cast<char>('!' + (i * 11 + i / 7) % 90);
  tree_.Write("long.txt", text);
  QualityOptions quality;
  quality.text_file = tree_ / "long.txt";
  quality.chunk = 3000;
  const auto judged = MeasureQuality({path, {}}, {{path, {}}}, quality);
  ASSERT_TRUE(judged.ok()) << judged.error().what;
  EXPECT_EQ(judged->front().chunks, 2);
}

TEST_F(QualityTest, ATextThatIsTooShortIsInvalid) {
  tree_.Write("short.txt", "too short");
  QualityOptions options = OnText();
  options.text_file = tree_ / "short.txt";
  EXPECT_EQ(Judge({Model("tiny.gguf")}, options).error().code, Code::kInvalid);
}

TEST_F(QualityTest, AChunkLongerThanTheContextIsAUsageError) {
  EXPECT_EQ(Judge({Model("tiny.gguf")}, OnText(600)).error().code, Code::kUsage);
}

TEST_F(QualityTest, ModelsOfDifferentVocabulariesCannotBeCompared) {
  TinyModelOptions larger;
  larger.vocab = 310;
  WriteTinyModel(tree_ / "larger.gguf", larger);
  const auto judged = Judge({Model("larger.gguf")}, OnText());
  ASSERT_FALSE(judged.ok());
  EXPECT_EQ(judged.error().code, Code::kInvalid);
  EXPECT_NE(judged.error().what.find("larger.gguf"), std::string::npos);
}

TEST_F(QualityTest, AMissingModelIsNotFound) {
  EXPECT_EQ(Judge({Model("none.gguf")}, OnText()).error().code, Code::kNotFound);
}

TEST_F(QualityTest, AModelThatComputesNoNumbersIsAnError) {
  TinyModelOptions options;
  options.type = tensor_type::kF32;
  TinyModel broken = MakeTinyModel(options);
  const float nan = std::numeric_limits<float>::quiet_NaN();
  broken.data[1].replace(0, sizeof nan, reinterpret_cast<const char*>(&nan), sizeof nan);
  tree_.Write("broken.gguf", Assemble(broken));
  const auto judged = Judge({Model("broken.gguf")}, OnText());
  ASSERT_FALSE(judged.ok()) << ToJson(judged->front()).dump();
  EXPECT_EQ(judged.error().code, Code::kInvalid);
  EXPECT_NE(judged.error().what.find("broken.gguf"), std::string::npos)
      << "says which model: " << judged.error().what;
}

TEST(QualityValueTest, JsonRoundTrip) {
  Quality q;
  q.tokens = 24576;
  q.mean_kld = 0.0123456789012345;
  q.mean_kld_low = 0.01;
  q.mean_kld_high = 0.02;
  q.p99_kld = 0.2;
  q.p999_kld = 0.5;
  q.same_top = 0.93;
  q.ppl = 12.8;
  q.reference_ppl = 12.7;
  q.chunk = 256;
  q.chunks = 96;
  q.score = "all";
  q.text = "räksmörgås.txt";
  q.left_cards = LeftCards::kReference;
  const auto back = QualityFromJson(Json::parse(ToJson(q).dump()));
  ASSERT_TRUE(back.ok());
  EXPECT_EQ(ToJson(*back), ToJson(q));
  EXPECT_EQ(back->mean_kld, q.mean_kld);
  EXPECT_EQ(back->mean_kld_high, 0.02);
  EXPECT_EQ(back->left_cards, LeftCards::kReference);
}

TEST(QualityValueTest, AMalformedRecordIsInvalid) {
  EXPECT_EQ(QualityFromJson(Json::array()).error().code, Code::kInvalid);
  Json json = ToJson(Quality());
  json.erase("p99_kld");
  EXPECT_EQ(QualityFromJson(json).error().code, Code::kInvalid);
  json = ToJson(Quality());
  json["mean_kld_ci95"] = Json::array({1});
  EXPECT_EQ(QualityFromJson(json).error().code, Code::kInvalid);
}

}  // namespace
}  // namespace trimma::quality_test
