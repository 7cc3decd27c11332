#include "base/interrupt.h"

#include <unistd.h>

#include <atomic>
#include <csignal>

namespace trimma {
namespace {

std::atomic<int> g_signal{0};
static_assert(std::atomic<int>::is_always_lock_free, "a signal handler may not take a lock");

void OnSignal(int signal) {
  if (g_signal.exchange(signal) != 0) _exit(128 + signal);
}

}  // namespace

void InstallInterruptHandlers() {
  struct sigaction action{};
  action.sa_handler = OnSignal;  // no SA_RESTART: a blocking read must return
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
  std::signal(SIGPIPE, SIG_IGN);
  std::signal(SIGXFSZ, SIG_IGN);  // a file size limit is then an error of write()
}

int InterruptSignal() { return g_signal.load(); }

Status CheckInterrupted() {
  const int signal = InterruptSignal();
  if (signal == 0) return {};
  return Error{signal == SIGTERM ? Code::kTerminated : Code::kInterrupted, "interrupted", ""};
}

bool IsInterrupt(const Error& error) {
  return error.code == Code::kInterrupted || error.code == Code::kTerminated;
}

}  // namespace trimma
