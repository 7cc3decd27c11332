#include "llama_server/process.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstring>
#include <mutex>
#include <thread>

#include "base/clock.h"
#include "base/file.h"
#include "base/text.h"

namespace trimma {
namespace {

constexpr size_t kKeptWords = 64 << 10;
constexpr int kPollMs = 100;
constexpr auto kGrace = std::chrono::seconds(5);      // after SIGTERM, and after SIGKILL
constexpr auto kLastWords = std::chrono::seconds(1);  // of one that has ended
constexpr auto kStep = std::chrono::milliseconds(5);
constexpr int kNotStarted = 127;

// The environment without what would be settings.
std::vector<char*> CleanEnvironment() {
  std::vector<char*> kept;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string_view text = *entry;
    if (!text.starts_with("LLAMA_ARG_") && !text.starts_with("LLAMA_API_KEY="))
      kept.push_back(*entry);
  }
  kept.push_back(nullptr);
  return kept;
}

// posix_spawn can't ask the kernel to end the child with us, so this forks. Between fork and exec
// only calls that are safe there, whatever threads we have. The kernel counts the end of the thread
// that forks, which is the one that holds the object.
pid_t StartTied(const std::vector<char*>& arguments, const std::vector<char*>& environment,
                int words_fd) {
  const pid_t parent = getpid();
  const int nothing = open("/dev/null", O_RDONLY | O_CLOEXEC);
  const pid_t pid = fork();
  if (pid == 0) {
    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) _exit(kNotStarted);
    std::signal(SIGPIPE, SIG_DFL);
    std::signal(SIGXFSZ, SIG_DFL);
    dup2(nothing, STDIN_FILENO);
    dup2(words_fd, STDOUT_FILENO);
    dup2(words_fd, STDERR_FILENO);
    execve(arguments[0], arguments.data(), environment.data());
    constexpr std::string_view kWords = "the program can't be executed on this machine\n";
    (void)!write(STDERR_FILENO, kWords.data(), kWords.size());
    _exit(kNotStarted);
  }
  if (pid > 0) setpgid(pid, pid);
  if (nothing >= 0) close(nothing);
  return pid;
}

bool Holds(std::string_view text, std::string_view words) {
  return ToLower(text).find(words) != std::string::npos;
}

bool SaysOutOfMemory(std::string_view text) {
  constexpr std::array<std::string_view, 7> kSentences = {
      "out of memory",     "outofdevicememory",      "failed to allocate", "unable to allocate",
      "cudamalloc failed", "cannot allocate memory", "bad_alloc"};
  return std::any_of(kSentences.begin(), kSentences.end(),
                     [&](std::string_view sentence) { return Holds(text, sentence); });
}

// Without the time and the level that newer versions put before it: "0.00.072.349 E ".
std::string_view WithoutPrefix(std::string_view line) {
  const size_t digits = line.find_first_not_of("0123456789.");
  const bool has_time =
      digits != std::string_view::npos && digits > 0 && line[digits] == ' ' &&
      std::count(line.begin(), line.begin() + static_cast<long>(digits), '.') == 3;
  if (!has_time) return line;
  line.remove_prefix(digits + 1);
  return line.size() > 2 && line[1] == ' ' ? line.substr(2) : line;
}

// Of the lines that speak of an error the first, which is nearest to the cause; else the last line.
std::string TellingLine(std::string_view text) {
  std::string last;
  for (const std::string& line : Split(text, '\n')) {
    const std::string_view trimmed = Trim(line);
    if (trimmed.empty()) continue;
    last = Trim(WithoutPrefix(trimmed));
    if (Holds(trimmed, "error") || Holds(trimmed, "failed") || SaysOutOfMemory(trimmed)) break;
  }
  return SafeText(last, 300);
}

}  // namespace

Error WhyServerEnded(int status, std::string_view last_words) {
  const std::string line = TellingLine(last_words);
  const std::string words = line.empty() ? "" : ": " + line;
  constexpr const char* kTakeLess = "choose a smaller type or context, or fewer GPU layers";
  if (SaysOutOfMemory(last_words))
    return {Code::kNoFit, "llama-server ran out of memory" + words, kTakeLess};
  if (WIFSIGNALED(status)) {
    const int signal = WTERMSIG(status);
    if (signal == SIGKILL) {
      return {Code::kNoFit, "llama-server was killed, most likely for lack of memory" + words,
              kTakeLess};
    }
    return {Code::kFailure, fmt::format("llama-server died of {}{}", strsignal(signal), words), ""};
  }
  return {Code::kFailure,
          fmt::format("llama-server ended with status {}{}", WEXITSTATUS(status), words),
          "start it by hand with the same options to see all it says"};
}

bool PortWasTaken(std::string_view last_words) {
  return Holds(last_words, "couldn't bind") || Holds(last_words, "address already in use") ||
         Holds(last_words, "failed to bind");
}

struct TiedProcess::State {
  pid_t pid = 0;
  std::optional<int> status;  // it ended
  int words_fd = -1;
  std::thread reader;
  std::atomic<bool> stop = false;
  mutable std::mutex mutex;
  std::string words;

  // What it started may have left its group, hold the other end and write on: of one that has ended
  // what comes within a moment is read.
  void Read() {
    pollfd wait = {words_fd, POLLIN, 0};
    std::optional<Clock::time_point> last;
    while (true) {
      if (stop && !last) last = Clock::now() + kLastWords;
      if (last && Clock::now() > *last) return;
      const int ready = poll(&wait, 1, kPollMs);
      if (ready == 0 && stop) return;
      if (ready <= 0) continue;
      char chunk[4096];
      const ssize_t n = read(words_fd, chunk, sizeof chunk);
      if (n < 0 && errno == EINTR) continue;
      if (n <= 0) return;
      const std::lock_guard lock(mutex);
      words.append(chunk, static_cast<size_t>(n));
      if (words.size() > 2 * kKeptWords) words.erase(0, words.size() - kKeptWords);
    }
  }
  // Until it is reaped its number is nobody else's: what it started is ended before.
  bool Reap() {
    if (status) return true;
    siginfo_t info{};
    if (waitid(P_PID, static_cast<id_t>(pid), &info, WEXITED | WNOHANG | WNOWAIT) != 0 ||
        info.si_pid != pid)
      return false;
    kill(-pid, SIGKILL);
    int ended = 0;
    if (waitpid(pid, &ended, WNOHANG) != pid) return false;
    status = ended;
    return true;
  }
  bool ReapWithin(std::chrono::steady_clock::duration time) {
    const auto deadline = std::chrono::steady_clock::now() + time;
    while (!Reap()) {
      if (std::chrono::steady_clock::now() > deadline) return false;
      std::this_thread::sleep_for(kStep);
    }
    return true;
  }
  void End() {
    if (Reap()) return;
    kill(-pid, SIGTERM);
    if (ReapWithin(kGrace)) return;
    kill(-pid, SIGKILL);
    // One that a driver holds ends when that lets go of it, with nobody who waits.
    (void)ReapWithin(kGrace);
  }
  ~State() {
    if (pid > 0) End();
    stop = true;
    if (reader.joinable()) reader.join();
    if (words_fd >= 0) close(words_fd);
  }
};

TiedProcess::TiedProcess(std::unique_ptr<State> state) : state_(std::move(state)) {}
TiedProcess::TiedProcess(TiedProcess&&) noexcept = default;
TiedProcess::~TiedProcess() = default;

Result<TiedProcess> TiedProcess::Start(const std::vector<std::string>& words) {
  CHECK(!words.empty());
  auto state = std::make_unique<State>();
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return ErrnoError("create", "a pipe", errno);
  state->words_fd = ends[0];
  std::vector<std::string> copy = words;
  std::vector<char*> arguments;
  for (std::string& word : copy) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  state->pid = StartTied(arguments, CleanEnvironment(), ends[1]);
  const int failed = errno;
  close(ends[1]);
  if (state->pid < 0) return ErrnoError("start", words[0], failed);
  state->reader = std::thread([of = state.get()] { of->Read(); });
  return TiedProcess(std::move(state));
}

bool TiedProcess::IsRunning() {
  if (!state_->Reap()) return true;
  // Its last words may still be in the pipe.
  state_->stop = true;
  if (state_->reader.joinable()) state_->reader.join();
  return false;
}

std::string TiedProcess::LastWords() const {
  const std::lock_guard lock(state_->mutex);
  const std::string& words = state_->words;
  return words.size() <= kKeptWords ? words : words.substr(words.size() - kKeptWords);
}

Error TiedProcess::WhyItEnded() const {
  CHECK(state_->status.has_value());
  return WhyServerEnded(*state_->status, LastWords());
}

}  // namespace trimma
