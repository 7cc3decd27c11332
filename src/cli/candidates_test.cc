#include "cli/candidates.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>

#include "hardware/temp_tree.h"
#include "support/tiny_model.h"

namespace trimma::candidates_test {
namespace {

// Threads that spin at barriers stall where tests share the machine; the children inherit this.
const int kPatience = setenv("OMP_WAIT_POLICY", "passive", /*overwrite=*/0);

// A candidate whose typical exchange takes `seconds` and that loses `loss`.
Candidate Made(uint64_t bytes, double seconds, double loss) {
  Candidate c;
  c.file_bytes = bytes;
  c.quality.mean_kld = loss * 0.9;
  c.quality.mean_kld_high = loss;
  c.speed.prompt_tokens = 512;
  for (int i = 0; i < 5; ++i) {
    c.speed.prefill_samples.push_back(512 / (seconds / 2));
    c.speed.decode_samples.push_back(128 / (seconds / 2));
  }
  return c;
}

TEST(ChooseCandidateTest, TheFastestThatLosesLittleWins) {
  EXPECT_EQ(
      ChooseCandidate({Made(400, 2.0, 0.01), Made(300, 1.0, 0.02), Made(500, 3.0, 0.001)}, 0.05),
      1U);
}

TEST(ChooseCandidateTest, WhatLosesTooMuchIsOutHoweverFast) {
  EXPECT_EQ(ChooseCandidate({Made(100, 0.1, 0.06), Made(300, 1.0, 0.05)}, 0.05), 1U);
}

TEST(ChooseCandidateTest, TheUpperEndOfTheIntervalCounts) {
  Candidate lucky = Made(100, 0.1, 0.06);
  lucky.quality.mean_kld = 0.001;
  EXPECT_EQ(ChooseCandidate({lucky}, 0.05), std::nullopt);
}

TEST(ChooseCandidateTest, AmongTheEquallyFastTheSmallestWins) {
  EXPECT_EQ(
      ChooseCandidate({Made(400, 1.0, 0.01), Made(300, 1.049, 0.02), Made(200, 1.06, 0.02)}, 0.05),
      1U);
  EXPECT_EQ(ChooseCandidate({Made(300, 1.0, 0.01), Made(300, 1.0, 0.02)}, 0.05), 0U);
}

TEST(ChooseCandidateTest, ASpeedThatIsOutDoesNotSetTheMark) {
  EXPECT_EQ(
      ChooseCandidate({Made(100, 0.1, 0.5), Made(400, 1.0, 0.01), Made(300, 1.04, 0.01)}, 0.05),
      2U);
}

TEST(ChooseCandidateTest, IfAllLoseTooMuchNoneIsTaken) {
  EXPECT_EQ(ChooseCandidate({Made(100, 1, 0.5)}, 0.05), std::nullopt);
  EXPECT_EQ(ChooseCandidate({}, 0.05), std::nullopt);
}

TEST(TypicalSecondsTest, IsThePromptAndAnAnswerOf128Tokens) {
  EXPECT_NEAR(TypicalSeconds(Made(1, 3.0, 0).speed), 3.0, 1e-9);
}

Planned PlanOf(const std::vector<std::pair<const char*, bool>>& types, uint32_t context) {
  Planned planned;
  for (const auto& [type, fits] : types) {
    PlanCell cell;
    cell.type = type;
    cell.fits = fits;
    cell.settings.context = context;
    planned.plan.cells.push_back(cell);
  }
  return planned;
}

GgufFile Sized(uint64_t parameters) {
  GgufFile file;
  file.tensors = {{"t", tensor_type::kF16, {parameters}, parameters * 2, 0, 0}};
  return file;
}

std::vector<std::string> NamesOf(const std::vector<const FileType*>& recipes) {
  std::vector<std::string> names;
  for (const FileType* recipe : recipes) names.emplace_back(recipe->name);
  return names;
}

TEST(RecipesToTryTest, OnlyWhatFitsIsTried) {
  const Planned planned =
      PlanOf({{"Q4_K_M", true}, {"Q8_0", false}, {"Q6_K", true}, {"Q2_K", true}}, 4096);
  EXPECT_EQ(NamesOf(RecipesToTry(Sized(1000), planned, 4096)),
            (std::vector<std::string>{"Q4_K_M", "Q6_K"}));
  EXPECT_TRUE(RecipesToTry(Sized(1000), planned, 8192).empty()) << "not at that context";
}

TEST(RecipesToTryTest, FewerTheLargerTheModel) {
  const Planned planned =
      PlanOf({{"Q4_K_M", true}, {"Q8_0", true}, {"Q6_K", true}, {"Q5_K_M", true}}, 4096);
  const size_t small = RecipesToTry(Sized(26'000'000), planned, 4096).size();
  const size_t medium = RecipesToTry(Sized(1'000'000'000), planned, 4096).size();
  const size_t large = RecipesToTry(Sized(8'000'000'000), planned, 4096).size();
  EXPECT_GE(small, medium);
  EXPECT_GE(medium, large);
  EXPECT_GT(small, large);
  EXPECT_GE(large, 2U);
}

TEST(MakeCandidatesTest, AllAreMadeJudgedAndTimedSideBySide) {
  const TempTree tree;
  TinyModelOptions shape;
  shape.embedding = 256;
  shape.feed_forward = 512;
  CandidateOptions options;
  options.source = WriteTinyModel(tree / "source.gguf", shape);
  std::filesystem::create_directories(tree / "made");
  options.directory = tree / "made";
  options.recipes = {FindFileType("Q4_K_M"), FindFileType("Q8_0")};
  options.settings.context = 512;
  std::string text;
  for (int i = 0; i < 1300; ++i) text += static_cast<char>('!' + (i * 7 + i / 11) % 90);
  tree.Write("text.txt", text);
  options.text = options.calibration = tree / "text.txt";
  options.seconds = 2;
  Progress progress(/*quiet=*/true);
  const auto candidates = MakeCandidates(options, progress);
  ASSERT_TRUE(candidates.ok()) << candidates.error().what;
  ASSERT_EQ(candidates->made.size(), 2U);
  const Candidate& small = candidates->made[0];
  const Candidate& large = candidates->made[1];
  EXPECT_STREQ(small.recipe->name, "Q4_K_M");
  EXPECT_LT(small.file_bytes, large.file_bytes);
  EXPECT_GT(small.quality.mean_kld, large.quality.mean_kld);
  EXPECT_GT(large.quality.mean_kld, 0);
  EXPECT_EQ(small.quality.text, "text.txt");
  for (const Candidate& c : candidates->made) {
    EXPECT_EQ(std::filesystem::file_size(c.path), c.file_bytes);
    EXPECT_GE(c.speed.decode_tps.n, 3);
  }
  EXPECT_GE(candidates->source_speed.decode_tps.n, 3);
}

}  // namespace
}  // namespace trimma::candidates_test
