#include "base/child.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <spawn.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>
#include <iostream>
#include <sstream>

#include "base/clock.h"
#include "base/file.h"
#include "base/interrupt.h"
#include "base/text.h"
#include "base/units.h"

extern char** environ;

namespace trimma {
namespace {

constexpr int kAnswerFd = 3;
constexpr size_t kKeptStderr = 16 << 10;
constexpr double kGraceSeconds = 10;  // between SIGTERM and SIGKILL
constexpr int kPollMs = 100;
constexpr size_t kLongestLine = 64 << 20;

class Pipe {
 public:
  Pipe() {
    if (pipe2(fd_, O_CLOEXEC) != 0) fd_[0] = fd_[1] = -1;
  }
  ~Pipe() {
    CloseRead();
    CloseWrite();
  }
  Pipe(const Pipe&) = delete;
  Pipe& operator=(const Pipe&) = delete;
  bool ok() const { return fd_[0] >= 0; }
  int read_end() const { return fd_[0]; }
  int write_end() const { return fd_[1]; }
  void CloseRead() { Close(fd_[0]); }
  void CloseWrite() { Close(fd_[1]); }

 private:
  static void Close(int& fd) {
    if (fd >= 0) close(fd);
    fd = -1;
  }
  int fd_[2] = {-1, -1};
};

// VmRSS less file-backed pages, which the kernel can drop.
std::optional<uint64_t> AnonymousBytes(pid_t pid) {
  const auto status = ReadPseudoFile(fmt::format("/proc/{}/status", pid));
  if (!status.ok()) return std::nullopt;
  uint64_t total = 0;
  for (const char* field : {"RssAnon:", "RssShmem:"}) {
    const size_t at = status->find(field);
    if (at != std::string::npos)
      total += std::strtoull(status->c_str() + at + std::strlen(field), nullptr, 10) * 1024;
  }
  return total;
}

constexpr const char* kTakeLess = "choose a smaller type or context, or close other programs";

// Why a child died without an answer.
Error Diagnose(const std::string& name, int status, const std::string& stderr_tail) {
  std::string last;
  for (const std::string& line : Split(stderr_tail, '\n')) {
    // Thread lines of a debugger's backtrace say nothing about the cause.
    if (!Trim(line).empty() && line.find("[New LWP") == std::string::npos && line[0] != '#')
      last = line;
  }
  const size_t assertion = stderr_tail.find("GGML_ASSERT");
  if (assertion != std::string::npos)
    last = stderr_tail.substr(assertion, stderr_tail.find('\n', assertion) - assertion);
  const std::string words = last.empty() ? "" : fmt::format(": {}", SafeText(Trim(last), 300));
  if (WIFSIGNALED(status)) {
    const int signal = WTERMSIG(status);
    if (signal == SIGKILL) {
      return {
          Code::kNoFit,
          fmt::format("the engine process ({}) was killed, most likely for lack of memory", name),
          kTakeLess};
    }
    // A graphics backend aborts where its card's memory ends.
    if (last.find("out of memory") != std::string::npos) {
      return {Code::kNoFit, fmt::format("the engine process ({}) ran out of memory{}", name, words),
              kTakeLess};
    }
    return {Code::kInternal,
            fmt::format("the engine process ({}) died of {}{}", name, strsignal(signal), words),
            "the model may be damaged or of a kind this engine can't run"};
  }
  return {Code::kInternal,
          fmt::format("the engine process ({}) ended with status {} and no answer{}", name,
                      WEXITSTATUS(status), words),
          ""};
}

struct Conversation {
  std::string buffer;  // of the answer channel, up to a whole line
  std::string stderr_tail;
  std::optional<Json> result;
  std::optional<Error> error;
};

void TakeLine(const std::string& line, const OnEvent& on_event, Conversation& talk) {
  const Json message = Json::parse(line, nullptr, false);
  if (message.is_discarded() || !message.is_object()) return;
  if (message.contains("event")) {
    if (on_event && message["event"].is_object()) on_event(message["event"]);
  } else if (message.contains("result")) {
    talk.result = message["result"];
  } else if (message.contains("error")) {
    talk.error = ErrorFromJson(message["error"]);
  }
}

// Reads what is there; false at end of file.
bool Drain(int fd, std::string& into) {
  char chunk[1 << 16];
  const ssize_t n = read(fd, chunk, sizeof chunk);
  if (n > 0) into.append(chunk, static_cast<size_t>(n));
  return n > 0 || (n < 0 && (errno == EINTR || errno == EAGAIN));
}

Result<pid_t> Spawn(const std::string& name, const Pipe& in, const Pipe& out, const Pipe& err) {
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, in.read_end(), STDIN_FILENO);
  posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
  posix_spawn_file_actions_adddup2(&actions, err.write_end(), STDERR_FILENO);
  posix_spawn_file_actions_adddup2(&actions, out.write_end(), kAnswerFd);
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  // Its own process group: Ctrl-C reaches us alone, and we stop the child in order.
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP);
  posix_spawnattr_setpgroup(&attributes, 0);
  std::string self = "/proc/self/exe";
  std::string flag = kChildArgument;
  std::string job = name;
  char* argv[] = {self.data(), flag.data(), job.data(), nullptr};
  pid_t pid = 0;
  // ggml's threads spin at every barrier; on a machine that does anything else each barrier then
  // costs a time slice. What is timed is timed as the user will have it.
  std::string patient = "OMP_WAIT_POLICY=passive";
  std::vector<char*> environment;
  for (char** entry = environ; *entry != nullptr; ++entry) environment.push_back(*entry);
  const bool timed = name == "speed" || name == "kernels";
  if (std::getenv("OMP_WAIT_POLICY") == nullptr && !timed) environment.push_back(patient.data());
  environment.push_back(nullptr);
  const int rc = posix_spawn(&pid, self.c_str(), &actions, &attributes, argv, environment.data());
  posix_spawnattr_destroy(&attributes);
  posix_spawn_file_actions_destroy(&actions);
  if (rc != 0) return ErrnoError("start a child of", "trimma", rc);
  return pid;
}

// Writes the request; a child that died early is found out by the reading side.
void SendRequest(Pipe& in, const std::string& text) {
  size_t sent = 0;
  while (sent < text.size()) {
    const ssize_t n = write(in.write_end(), text.data() + sent, text.size() - sent);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) break;
    sent += static_cast<size_t>(n);
  }
  in.CloseWrite();
}

// Watches limits and interrupts; kills the child when one is passed, and says why.
class Watch {
 public:
  Watch(std::string name, pid_t pid, const ChildLimits& limits)
      : name_(std::move(name)), pid_(pid), limits_(limits) {}

  void Heard() { heard_ = Clock::now(); }

  std::optional<Error> Look() {
    if (reason_ && SecondsSince(*stopping_) > kGraceSeconds) kill(-pid_, SIGKILL);
    if (reason_) return reason_;
    if (!CheckInterrupted().ok()) return Stop(CheckInterrupted().error(), SIGTERM);
    if (SecondsSince(heard_) > limits_.stall_seconds) {
      return Stop({Code::kFailure,
                   fmt::format("the engine process ({}) said nothing for {}", name_,
                               FormatSeconds(limits_.stall_seconds)),
                   "it was ended; try smaller settings"},
                  SIGKILL);
    }
    if (limits_.timeout_seconds && SecondsSince(start_) > *limits_.timeout_seconds) {
      return Stop({Code::kFailure,
                   fmt::format("the engine process ({}) took more than {}", name_,
                               FormatSeconds(*limits_.timeout_seconds)),
                   ""},
                  SIGKILL);
    }
    if (limits_.max_memory_bytes) {
      const auto bytes = AnonymousBytes(pid_);
      if (bytes && *bytes > *limits_.max_memory_bytes) {
        return Stop({Code::kNoFit,
                     fmt::format("the engine process ({}) needed more than {} of memory", name_,
                                 FormatBytes(*limits_.max_memory_bytes)),
                     "choose a smaller type or context"},
                    SIGKILL);
      }
    }
    return std::nullopt;
  }

  void Overflow() {
    if (!reason_)
      (void)Stop({Code::kInternal,
                  fmt::format("the engine process ({}) sent a line without an end", name_), ""},
                 SIGKILL);
  }

  const std::optional<Error>& reason() const { return reason_; }

 private:
  std::optional<Error> Stop(Error why, int signal) {
    reason_ = std::move(why);
    stopping_ = Clock::now();
    // The whole group: a crash handler's debugger would hold our pipes open.
    kill(-pid_, signal);
    return reason_;
  }
  std::string name_;
  pid_t pid_;
  ChildLimits limits_;
  Clock::time_point start_ = Clock::now();
  Clock::time_point heard_ = Clock::now();
  std::optional<Error> reason_;
  std::optional<Clock::time_point> stopping_;
};

void Converse(const Pipe& out, const Pipe& err, const OnEvent& on_event, Watch& watch,
              Conversation& talk) {
  pollfd fds[2] = {{out.read_end(), POLLIN, 0}, {err.read_end(), POLLIN, 0}};
  while (fds[0].fd >= 0 || fds[1].fd >= 0) {
    poll(fds, 2, kPollMs);
    if (fds[0].fd >= 0 && fds[0].revents != 0) {
      watch.Heard();
      if (!Drain(fds[0].fd, talk.buffer)) fds[0].fd = -1;
      size_t end = 0;
      while ((end = talk.buffer.find('\n')) != std::string::npos) {
        TakeLine(talk.buffer.substr(0, end), on_event, talk);
        talk.buffer.erase(0, end + 1);
      }
      if (talk.buffer.size() > kLongestLine) watch.Overflow();
    }
    if (fds[1].fd >= 0 && fds[1].revents != 0) {
      if (!Drain(fds[1].fd, talk.stderr_tail)) fds[1].fd = -1;
      if (talk.stderr_tail.size() > 2 * kKeptStderr)
        talk.stderr_tail.erase(0, talk.stderr_tail.size() - kKeptStderr);
    }
    (void)watch.Look();
  }
}

}  // namespace

Json ErrorToJson(const Error& error) {
  return {{"code", CodeName(error.code)},
          {"what", SafeText(error.what, 4096)},
          {"hint", SafeText(error.hint, 4096)}};
}

Error ErrorFromJson(const Json& json) {
  const auto text = [&](const char* key) -> std::string {
    const bool there = json.is_object() && json.contains(key) && json[key].is_string();
    return there ? json[key].get<std::string>() : "";
  };
  return {CodeFromName(text("code")).value_or(Code::kFailure), text("what"), text("hint")};
}

struct Child::Process {
  std::string name;
  pid_t pid = 0;  // 0: not started, or reaped
  Pipe in, out, err;

  ~Process() {
    if (pid <= 0) return;
    kill(-pid, SIGKILL);
    while (waitpid(pid, nullptr, 0) < 0 && errno == EINTR) {
    }
  }
};

Child::Child(std::unique_ptr<Process> process) : process_(std::move(process)) {}
Child::Child(Child&&) noexcept = default;
Child::~Child() = default;

Result<Child> Child::Start(const std::string& name) {
  TRY_STATUS(CheckInterrupted());
  auto process = std::make_unique<Process>();
  process->name = name;
  auto& [_, pid, in, out, err] = *process;
  if (!in.ok() || !out.ok() || !err.ok()) return ErrnoError("create", "a pipe", errno);
  TRY(pid, Spawn(name, in, out, err));
  in.CloseRead();
  out.CloseWrite();
  err.CloseWrite();
  return Child(std::move(process));
}

Result<Json> Child::Ask(const Json& request, const OnEvent& on_event,
                        const ChildLimits& limits) && {
  auto& [name, pid, in, out, err] = *process_;
  SendRequest(in, request.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n");

  Watch watch(name, pid, limits);
  Conversation talk;
  Converse(out, err, on_event, watch, talk);
  int status = 0;
  while (waitpid(pid, &status, 0) < 0 && errno == EINTR) (void)watch.Look();
  pid = 0;
  if (watch.reason()) {
    // A child that stopped in order because we were interrupted knows best how to go on; which
    // signal it was, we know.
    const bool in_order = talk.error && (talk.error->code == Code::kInterrupted ||
                                         talk.error->code == Code::kTerminated);
    if (in_order && !CheckInterrupted().ok()) {
      return Error{CheckInterrupted().error().code, talk.error->what, talk.error->hint};
    }
    return *watch.reason();
  }
  if (talk.result) return *std::move(talk.result);
  if (talk.error) return *std::move(talk.error);
  return Diagnose(name, status, talk.stderr_tail);
}

Result<Json> RunChild(const std::string& name, const Json& request, const OnEvent& on_event,
                      const ChildLimits& limits) {
  TRY(Child child, Child::Start(name));
  return std::move(child).Ask(request, on_event, limits);
}

int ServeChild(const Job& job, const std::function<void()>& get_ready) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);  // never outlive the parent
  if (get_ready) get_ready();
  const auto send = [](const Json& message) {
    const std::string line = message.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
    size_t sent = 0;
    while (sent < line.size()) {
      const ssize_t n = write(kAnswerFd, line.data() + sent, line.size() - sent);
      if (n < 0 && errno != EINTR) return;
      if (n > 0) sent += static_cast<size_t>(n);
    }
  };
  std::ostringstream text;
  text << std::cin.rdbuf();
  const Json request = Json::parse(text.str(), nullptr, false);
  if (request.is_discarded()) {
    send({{"error", ErrorToJson({Code::kInternal, "the child got a malformed request", ""})}});
    return static_cast<int>(Code::kInternal);
  }
  try {
    const Result<Json> result = job(request, [&](const Json& event) { send({{"event", event}}); });
    if (result.ok()) {
      send({{"result", *result}});
      return 0;
    }
    send({{"error", ErrorToJson(result.error())}});
    return static_cast<int>(result.error().code);
  } catch (const std::bad_alloc&) {
    send({{"error",
           ErrorToJson({Code::kNoFit, "not enough memory", "choose a smaller type or context"})}});
    return static_cast<int>(Code::kNoFit);
  } catch (const std::exception& e) {
    send({{"error", ErrorToJson({Code::kInternal, fmt::format("unexpected: {}", e.what()), ""})}});
    return static_cast<int>(Code::kInternal);
  }
}

}  // namespace trimma
