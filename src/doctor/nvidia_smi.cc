#include "doctor/nvidia_smi.h"

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <csignal>
#include <optional>
#include <string>
#include <thread>

#include "base/text.h"
#include "hardware/pseudo.h"

namespace trimma {
namespace {

constexpr int kMostMs = 2000;
constexpr int kKilledMs = 100;
constexpr size_t kMostBytes = 64 << 10;

// What is written to `fd` until its end; nullopt if that takes too long or is too much.
std::optional<std::string> ReadAllOf(int fd) {
  using Clock = std::chrono::steady_clock;
  const auto deadline = Clock::now() + std::chrono::milliseconds(kMostMs);
  std::string text;
  while (text.size() <= kMostBytes) {
    const auto left =
        std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now()).count();
    pollfd wait = {fd, POLLIN, 0};
    if (left <= 0) return std::nullopt;
    const int ready = poll(&wait, 1, static_cast<int>(left));
    if (ready < 0 && errno == EINTR) continue;
    if (ready <= 0) return std::nullopt;
    char buffer[4096];
    const ssize_t n = read(fd, buffer, sizeof buffer);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return std::nullopt;
    if (n == 0) return text;
    text.append(buffer, static_cast<size_t>(n));
  }
  return std::nullopt;
}

// The status of a child; nullopt where it doesn't end in time. One that waits for a broken driver
// isn't ended by a kill either, and is left to the system.
std::optional<int> StatusOf(pid_t pid, int most_ms) {
  constexpr int kStepMs = 5;
  for (int waited = 0; waited <= most_ms; waited += kStepMs) {
    int status = 0;
    const pid_t ended = waitpid(pid, &status, WNOHANG);
    if (ended == pid) return status;
    if (ended < 0 && errno != EINTR) return std::nullopt;
    std::this_thread::sleep_for(std::chrono::milliseconds(kStepMs));
  }
  return std::nullopt;
}

Fact<std::vector<Gpu>> Silent(const char* why) { return Fact<std::vector<Gpu>>::Unknown(why); }

}  // namespace

Fact<std::vector<Gpu>> ParseNvidiaSmi(std::string_view text) {
  std::vector<Gpu> gpus;
  for (const std::string& line : Split(Trim(text), '\n')) {
    const std::vector<std::string> fields = Split(line, ',');
    if (fields.size() != 3) return Silent("nvidia-smi answers in another form");
    const auto total = LeadingNumber(fields[1]);
    const auto free = LeadingNumber(fields[2]);
    if (!total || !free || *free > *total || *total >> 30 != 0)
      return Silent("nvidia-smi doesn't say how much memory the cards have");
    gpus.push_back({SafeText(Trim(fields[0]), 100), "CUDA", *total << 20, *free << 20});
  }
  return gpus;
}

Fact<std::vector<Gpu>> AskNvidiaSmi() {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return Silent("no pipe for nvidia-smi");
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
  posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
  posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  std::string words[] = {"nvidia-smi", "--query-gpu=name,memory.total,memory.free",
                         "--format=csv,noheader,nounits"};
  char* arguments[] = {words[0].data(), words[1].data(), words[2].data(), nullptr};
  pid_t pid = 0;
  const int failed = posix_spawnp(&pid, arguments[0], &actions, nullptr, arguments, environ);
  posix_spawn_file_actions_destroy(&actions);
  close(ends[1]);
  if (failed != 0) {
    close(ends[0]);
    return Silent("trimma's engine has no backend for the cards, and there is no nvidia-smi");
  }
  const std::optional<std::string> text = ReadAllOf(ends[0]);
  close(ends[0]);
  std::optional<int> status = text ? StatusOf(pid, kMostMs) : std::nullopt;
  if (!status) {
    kill(pid, SIGKILL);
    StatusOf(pid, kKilledMs);
    return Silent("nvidia-smi did not answer in time");
  }
  if (!WIFEXITED(*status) || WEXITSTATUS(*status) != 0) return Silent("nvidia-smi failed");
  return ParseNvidiaSmi(*text);
}

}  // namespace trimma
