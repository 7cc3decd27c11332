#include "measure/quality_text.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <set>

#include "hardware/temp_tree.h"
#include "measure/quality_prompts.h"
#include "quantize/calibration/prompts.h"

namespace trimma::quality_text_test {
namespace {

const std::string kHash(64, 'a');
const std::string kOther(64, 'b');

JudgingText Judged(const std::string& file, const std::string& sha256) {
  JudgingText text;
  text.kind = "file";
  text.name = text.file = file;
  text.sha256 = sha256;
  return text;
}

TEST(CalibratedOnTest, TheHashDecidesWhereThereIsOne) {
  Metadata metadata;
  metadata.Set(kLearnedFromKey, kHash);
  metadata.Set("quantize.imatrix.dataset", std::string("notes.txt"));
  EXPECT_TRUE(CalibratedOn(metadata, Judged("renamed.txt", kHash)));
  EXPECT_FALSE(CalibratedOn(metadata, Judged("notes.txt", kOther))) << "another of the same name";
}

TEST(CalibratedOnTest, WithoutAHashTheNameDoes) {
  Metadata metadata;
  metadata.Set("quantize.imatrix.dataset", std::string("/home/x/notes.txt"));  // llama-quantize's
  EXPECT_TRUE(CalibratedOn(metadata, Judged("notes.txt", kHash)));
  EXPECT_FALSE(CalibratedOn(metadata, Judged("other.txt", kHash)));
  metadata.Set("quantize.imatrix.dataset", std::string("notes.txt and text the model wrote"));
  metadata.Set(kLearnedFromKey, std::string(64, ' '));
  EXPECT_TRUE(CalibratedOn(metadata, Judged("notes.txt", kHash)));
}

TEST(CalibratedOnTest, AFileThatWasNotCalibratedIsJudgedOnAnything) {
  EXPECT_FALSE(CalibratedOn(Metadata(), Judged("notes.txt", kHash)));
  Metadata metadata;
  metadata.Set(kLearnedFromKey, kHash);
  JudgingText generated;
  generated.kind = "generated";
  EXPECT_FALSE(CalibratedOn(metadata, generated));
}

TEST(JudgingTextTest, JsonRoundTrip) {
  JudgingText text = Judged("a.txt", kHash);
  text.seeds = {42, 43};
  text.prompted_in = {"sv", "en"};
  text.languages = {{"Swedish", 3}, {"", 1}};
  text.tokens = 8192;
  text.overlap = 0.25;
  EXPECT_EQ(JudgingTextFromJson(ToJson(text)), text);
}

TEST(JudgingPromptsTest, NoneOfThemIsCalibratedOn) {
  std::set<std::string> learned;
  for (const Prompt& prompt : Prompts()) learned.insert(prompt.text);
  for (const JudgingPrompt& prompt : JudgingPrompts(std::nullopt))
    EXPECT_FALSE(learned.contains(prompt.text)) << prompt.text;
}

TEST(JudgingPromptsTest, TheUsersLanguageComesFirst) {
  EXPECT_EQ(JudgingPrompts("sv")[0].language, "sv");
  EXPECT_EQ(JudgingPrompts("ko")[0].language, "ko");
  EXPECT_EQ(JudgingPrompts("sv").size(), JudgingPrompts(std::nullopt).size());
  EXPECT_EQ(JudgingPrompts("xx")[0].language, JudgingPrompts(std::nullopt)[0].language);
}

class ReadPromptsTest : public testing::Test {
 protected:
  std::vector<std::string> Read(const std::string& content) {
    tree_.Write("prompts.txt", content);
    const auto prompts = ReadPrompts(tree_ / "prompts.txt");
    std::vector<std::string> texts;
    if (prompts.ok()) {
      for (const JudgingPrompt& prompt : *prompts) texts.push_back(prompt.text);
    }
    return texts;
  }
  TempTree tree_;
};

TEST_F(ReadPromptsTest, OneALine) {
  EXPECT_EQ(Read("one\n\n  two \nthree"), (std::vector<std::string>{"one", "two", "three"}));
}

TEST_F(ReadPromptsTest, OrPartedByLines) {
  EXPECT_EQ(Read("one\nmore\n---\n\n---\ntwo\n"), (std::vector<std::string>{"one\nmore", "two"}));
}

TEST_F(ReadPromptsTest, NoneIsInvalid) {
  EXPECT_TRUE(Read("\n---\n").empty());
  EXPECT_EQ(ReadPrompts(tree_ / "prompts.txt").error().code, Code::kInvalid);
  EXPECT_EQ(ReadPrompts(tree_ / "none.txt").error().code, Code::kNotFound);
  tree_.Write("prompts.txt", "\xFF\xFE");
  EXPECT_EQ(ReadPrompts(tree_ / "prompts.txt").error().code, Code::kInvalid);
}

TEST(UserLanguageTest, IsWhatTheEnvironmentSays) {
  const auto with = [](const char* all, const char* lang) {
    setenv("LC_ALL", all, 1);
    setenv("LANG", lang, 1);
    unsetenv("LC_MESSAGES");
    auto language = UserLanguage();
    unsetenv("LC_ALL");
    unsetenv("LANG");
    return language;
  };
  EXPECT_EQ(with("", "sv_SE.UTF-8"), "sv");
  EXPECT_EQ(with("de_AT", "sv_SE.UTF-8"), "de");
  EXPECT_EQ(with("C.UTF-8", "sv_SE.UTF-8"), std::nullopt);
  EXPECT_EQ(with("", "POSIX"), std::nullopt);
  EXPECT_EQ(with("", ""), std::nullopt);
}

}  // namespace
}  // namespace trimma::quality_text_test
