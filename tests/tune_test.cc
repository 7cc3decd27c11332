// Tuning, as a user calls it.
#include <gtest/gtest.h>

#include "support/program.h"
#include "support/tiny_model.h"

namespace trimma::tune_test {
namespace {

class TuneCli : public testing::Test {
 protected:
  void SetUp() override { WriteTinyModel(box_ / "tiny.gguf"); }

  static std::vector<std::string> Call(const std::vector<std::string>& more) {
    std::vector<std::string> call = {"tune", "tiny.gguf",       "--prompt-tokens",
                                     "32",   "--answer-tokens", "8"};
    call.insert(call.end(), more.begin(), more.end());
    return call;
  }

  // Beside other tests a machine may be too busy, or too slow for so small a budget: answers too.
  static bool CantTell(const ProgramEnd& end) {
    return end.exit_code == static_cast<int>(Code::kBusy) ||
           end.err.find("too small") != std::string::npos;
  }

  const Sandbox box_;
};

TEST_F(TuneCli, ABudgetIsWrittenInSecondsMinutesOrHours) {
  for (const char* wrong : {"soon", "3 m", "-5", "0", "2d", "99h", "", "s"})
    ExpectRefused(box_, Call({"--budget", wrong}), Code::kUsage, "--budget");
}

TEST_F(TuneCli, ABudgetForNoTrialIsRefusedWithTheOneThatSuffices) {
  ExpectRefused(box_, Call({"--budget", "0.001s"}), Code::kUsage, "too small");
}

TEST_F(TuneCli, UsersAreForBatches) {
  ExpectRefused(box_, Call({"--users", "4"}), Code::kUsage, "--for batch");
  ExpectRefused(box_, Call({"--for", "fun"}), Code::kUsage, "--for");
}

TEST_F(TuneCli, WhatWasNotTriedIsSaidInWordsAndInTheDocument) {
  const ProgramEnd end = box_.Run(Call({"--budget", "1s", "--for", "documents"}));
  if (CantTell(end)) GTEST_SKIP() << end.err;
  ASSERT_EQ(end.exit_code, 0) << end.err;
  EXPECT_NE(end.out.find("not tried: decode threads, since only the prompt's time"),
            std::string::npos)
      << end.out;
  EXPECT_NE(end.out.find("\ndefault"), std::string::npos);
}

TEST_F(TuneCli, NothingIsLeftOfTheJournalWhenItIsDone) {
  const ProgramEnd end = box_.Run(Call({"--budget", "1s", "--json"}));
  if (CantTell(end)) GTEST_SKIP() << end.err;
  ASSERT_EQ(end.exit_code, 0) << end.err;
  const Json tune = end.document();
  EXPECT_TRUE(tune["notes"].is_array());
  // The same again is measured again.
  const ProgramEnd again = box_.Run(Call({"--budget", "1s", "--json"}));
  if (again.exit_code != 0) GTEST_SKIP() << again.err;
  const Json second = again.document();
  for (const Json& note : second["notes"])
    EXPECT_EQ(note.get<std::string>().find("interrupted"), std::string::npos);
}

}  // namespace
}  // namespace trimma::tune_test
