#include "base/interrupt.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>

namespace trimma::interrupt_test {
namespace {

// An interrupt stays for the rest of a process, so each test gets one of its own.

[[noreturn]] void ReportAfter(int signal) {
  InstallInterruptHandlers();
  if (!CheckInterrupted().ok() || InterruptSignal() != 0) _exit(99);
  std::raise(signal);
  if (InterruptSignal() != signal) _exit(98);
  const Status status = CheckInterrupted();
  _exit(status.ok() ? 0 : static_cast<int>(status.error().code));
}

[[noreturn]] void SignalTwice(int first, int second) {
  InstallInterruptHandlers();
  std::raise(first);
  std::raise(second);
  _exit(0);
}

TEST(InterruptTest, NobodyAskedForAStop) {
  EXPECT_EQ(InterruptSignal(), 0);
  EXPECT_TRUE(CheckInterrupted().ok());
}

TEST(InterruptTest, TheFirstSignalAsksForAStop) {
  EXPECT_EXIT(ReportAfter(SIGINT), testing::ExitedWithCode(130), "");
  EXPECT_EXIT(ReportAfter(SIGTERM), testing::ExitedWithCode(143), "");
}

TEST(InterruptTest, TheSecondEndsAtOnce) {
  EXPECT_EXIT(SignalTwice(SIGINT, SIGINT), testing::ExitedWithCode(130), "");
  EXPECT_EXIT(SignalTwice(SIGINT, SIGTERM), testing::ExitedWithCode(143), "");
}

TEST(InterruptTest, ABrokenPipeIsAnErrorNotADeath) {
  EXPECT_EXIT(
      {
        InstallInterruptHandlers();
        int fd[2];
        if (pipe(fd) != 0) _exit(1);
        close(fd[0]);
        const bool broken = write(fd[1], "x", 1) < 0 && errno == EPIPE;
        _exit(broken ? 42 : 1);
      },
      testing::ExitedWithCode(42), "");
}

TEST(InterruptTest, ABlockingReadReturns) {
  EXPECT_EXIT(
      {
        InstallInterruptHandlers();
        int fd[2];
        if (pipe(fd) != 0) _exit(1);
        struct sigaction alarm_action{};
        alarm_action.sa_handler = [](int) { std::raise(SIGINT); };
        sigaction(SIGALRM, &alarm_action, nullptr);
        alarm(1);
        char c = 0;
        const bool returned = read(fd[0], &c, 1) < 0 && errno == EINTR;
        _exit(returned && InterruptSignal() == SIGINT ? 42 : 1);
      },
      testing::ExitedWithCode(42), "");
}

}  // namespace
}  // namespace trimma::interrupt_test
