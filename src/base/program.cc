#include "base/program.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <optional>
#include <thread>

#include "base/clock.h"
#include "base/file.h"
#include "base/text.h"

namespace trimma {
namespace {

constexpr int kKilledMs = 100;

int MsUntil(Clock::time_point deadline) {
  return static_cast<int>(
      std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now()).count());
}

// What is written to `fd` until its end; nullopt if that takes too long or is too much.
std::optional<std::string> ReadAllOf(int fd, Clock::time_point deadline, size_t most_bytes) {
  std::string text;
  while (text.size() <= most_bytes) {
    const int left = MsUntil(deadline);
    pollfd wait = {fd, POLLIN, 0};
    if (left <= 0) return std::nullopt;
    const int ready = poll(&wait, 1, left);
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
std::optional<int> StatusOf(pid_t pid, Clock::time_point deadline) {
  constexpr auto kStep = std::chrono::milliseconds(5);
  do {
    int status = 0;
    const pid_t ended = waitpid(pid, &status, WNOHANG);
    if (ended == pid) return status;
    if (ended < 0 && errno != EINTR) return std::nullopt;
    std::this_thread::sleep_for(kStep);
  } while (Clock::now() < deadline);
  return std::nullopt;
}

}  // namespace

std::string FindProgram(const std::string& name) {
  const char* path = std::getenv("PATH");
  for (const std::string& folder : Split(path == nullptr ? "" : path, ':')) {
    const std::string program = folder + "/" + name;
    if (!folder.empty() && access(program.c_str(), X_OK) == 0) return program;
  }
  return "";
}

Result<PrintedText> RunProgram(const std::vector<std::string>& words, const ProgramLimits& limits) {
  CHECK(!words.empty());
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return ErrnoError("create", "a pipe", errno);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
  if (limits.with_stderr) {
    posix_spawn_file_actions_adddup2(&actions, ends[1], STDERR_FILENO);
  } else {
    posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
  }
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  // A group of its own, so that what it starts is ended with it.
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP);
  std::vector<std::string> copy = words;
  std::vector<char*> arguments;
  for (std::string& word : copy) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  pid_t pid = 0;
  const int failed =
      posix_spawn(&pid, arguments[0], &actions, &attributes, arguments.data(), environ);
  posix_spawnattr_destroy(&attributes);
  posix_spawn_file_actions_destroy(&actions);
  close(ends[1]);
  if (failed != 0) {
    close(ends[0]);
    return ErrnoError("run", words[0], failed);
  }
  const auto deadline =
      Clock::now() + std::chrono::microseconds(static_cast<int64_t>(limits.seconds * 1e6));
  std::optional<std::string> text = ReadAllOf(ends[0], deadline, limits.most_bytes);
  close(ends[0]);
  const std::optional<int> status = text ? StatusOf(pid, deadline) : std::nullopt;
  if (!status) {
    kill(-pid, SIGKILL);
    StatusOf(pid, Clock::now() + std::chrono::milliseconds(kKilledMs));
    return Error{Code::kFailure,
                 fmt::format("{} did not end within {:g} s, or printed more than {} bytes",
                             SafeText(words[0]), limits.seconds, limits.most_bytes),
                 ""};
  }
  const int ended = WIFEXITED(*status) ? WEXITSTATUS(*status) : 128 + WTERMSIG(*status);
  return PrintedText{ended, *std::move(text)};
}

}  // namespace trimma
