#include "base/program.h"

#include <gtest/gtest.h>

#include <chrono>
#include <cstdlib>

namespace trimma::program_test {
namespace {

TEST(FindProgramTest, LooksAlongPath) {
  EXPECT_NE(FindProgram("sh"), "");
  EXPECT_EQ(FindProgram("no-such-program-anywhere"), "");
}

TEST(RunProgramTest, ReadsWhatIsPrinted) {
  const auto plain = RunProgram({"/bin/sh", "-c", "echo a; echo b >&2; exit 3"});
  ASSERT_TRUE(plain.ok());
  EXPECT_EQ(plain->text, "a\n");
  EXPECT_EQ(plain->status, 3);
  ProgramLimits both;
  both.with_stderr = true;
  const auto all = RunProgram({"/bin/sh", "-c", "echo a; echo b >&2"}, both);
  ASSERT_TRUE(all.ok());
  EXPECT_EQ(all->text, "a\nb\n");
  const auto killed = RunProgram({"/bin/sh", "-c", "kill -9 $$"});
  ASSERT_TRUE(killed.ok());
  EXPECT_EQ(killed->status, 128 + 9);
}

TEST(RunProgramTest, EndsWhatHangsOrPrintsWithoutEnd) {
  ProgramLimits limits;
  limits.seconds = 0.2;
  const auto start = std::chrono::steady_clock::now();
  EXPECT_FALSE(RunProgram({"/bin/sh", "-c", "sleep 60 & wait"}, limits).ok());
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(5));
  limits.seconds = 10;
  limits.most_bytes = 1000;
  EXPECT_FALSE(RunProgram({"/bin/sh", "-c", "while :; do echo word; done"}, limits).ok());
}

TEST(RunProgramTest, SaysWhatCannotBeRun) {
  const auto absent = RunProgram({"/no/such/program"});
  ASSERT_FALSE(absent.ok());
  EXPECT_EQ(absent.error().code, Code::kNotFound);
  const auto folder = RunProgram({"/"});
  ASSERT_FALSE(folder.ok());
  EXPECT_EQ(folder.error().code, Code::kPermission);
}

}  // namespace
}  // namespace trimma::program_test
