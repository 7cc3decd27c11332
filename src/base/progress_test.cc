#include "base/progress.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <unistd.h>

#include <cstdlib>
#include <string>

namespace trimma::progress_test {
namespace {

// What `work` writes to standard error, when that is no terminal.
template <typename Work>
std::string InPipe(const Work& work) {
  testing::internal::CaptureStderr();
  work();
  return testing::internal::GetCapturedStderr();
}

// The same when it is one; nullopt-like "no pty" where the system has none to give.
template <typename Work>
std::string OnTerminal(const Work& work) {
  const int master = posix_openpt(O_RDWR | O_NOCTTY);
  if (master < 0 || grantpt(master) != 0 || unlockpt(master) != 0) return "no pty";
  const int slave = open(ptsname(master), O_RDWR | O_NOCTTY);
  if (slave < 0) return "no pty";
  std::fflush(stderr);
  const int saved = dup(STDERR_FILENO);
  dup2(slave, STDERR_FILENO);
  work();
  std::fflush(stderr);
  dup2(saved, STDERR_FILENO);
  close(saved);
  std::string text;
  pollfd ready = {master, POLLIN, 0};
  char buffer[4096];
  while (poll(&ready, 1, 50) > 0 && (ready.revents & POLLIN) != 0) {
    const ssize_t n = read(master, buffer, sizeof buffer);
    if (n <= 0) break;
    text.append(buffer, static_cast<size_t>(n));
  }
  close(slave);
  close(master);
  return text;
}

void TwoStages(bool quiet) {
  Progress progress(quiet);
  progress.Update("loading", 0);
  progress.Update("loading", 0.5);
  progress.Update("measuring", 0.25);
  progress.Update("measuring", 7);  // beyond the end is the end
}

TEST(ProgressTest, SaysNothingWhenQuiet) {
  EXPECT_EQ(InPipe([] { TwoStages(true); }), "");
  const std::string shown = OnTerminal([] { TwoStages(true); });
  if (shown != "no pty") {
    EXPECT_EQ(shown, "");
  }
}

TEST(ProgressTest, WritesALineAStageWhereNobodyWatches) {
  EXPECT_EQ(InPipe([] { TwoStages(false); }), "loading ...\nmeasuring ...\n");
}

TEST(ProgressTest, RedrawsOneLineOnATerminalAndEndsItWithTheTime) {
  const std::string shown = OnTerminal([] { TwoStages(false); });
  if (shown == "no pty") GTEST_SKIP() << "the system gives no pseudo terminal";
  EXPECT_NE(shown.find("\r\033[Kloading:  50 %"), std::string::npos) << shown;
  EXPECT_NE(shown.find("loading: 0 ms"), std::string::npos) << shown;
  EXPECT_NE(shown.find("measuring:  25 %"), std::string::npos) << shown;
  EXPECT_NE(shown.find("measuring: 100 %"), std::string::npos) << shown;
  EXPECT_TRUE(shown.ends_with("\n")) << shown;
  EXPECT_EQ(std::count(shown.begin(), shown.end(), '\n'), 2);
}

TEST(ProgressTest, NothingWasBegunNothingEnds) {
  EXPECT_EQ(InPipe([] {
              Progress progress(false);
              progress.Done();
              progress.Done();
            }),
            "");
}

}  // namespace
}  // namespace trimma::progress_test
