#include "support/program.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <spawn.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <random>
#include <sstream>
#include <thread>

#include "base/text.h"

namespace trimma {
namespace fs = std::filesystem;
namespace {

double Now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

std::string ReadAll(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

// What the program may see of this process's environment: where to find libraries, and what
// sanitizers and coverage want to know.
std::map<std::string, std::string> Inherited() {
  std::map<std::string, std::string> kept;
  for (const char* name : {"PATH", "LD_LIBRARY_PATH", "ASAN_OPTIONS", "LSAN_OPTIONS",
                           "TSAN_OPTIONS", "GCOV_PREFIX", "LLVM_PROFILE_FILE"}) {
    if (const char* value = std::getenv(name)) kept[name] = value;
  }
  const char* ubsan = std::getenv("UBSAN_OPTIONS");
  kept["UBSAN_OPTIONS"] = ubsan != nullptr ? ubsan : "halt_on_error=1:print_stacktrace=1";
  return kept;
}

std::vector<char*> Pointers(std::vector<std::string>& strings) {
  std::vector<char*> pointers;
  for (std::string& s : strings) pointers.push_back(s.data());
  pointers.push_back(nullptr);
  return pointers;
}

size_t Count(const std::string& text, const std::string& word) {
  size_t n = 0;
  for (size_t at = text.find(word); at != std::string::npos; at = text.find(word, at + 1)) ++n;
  return n;
}

std::string Words(const std::vector<std::string>& arguments) {
  std::string text = "trimma";
  for (const std::string& a : arguments) text += " " + SafeText(a, 100);
  return text;
}

std::string Report(const std::vector<std::string>& arguments, const ProgramEnd& end) {
  return fmt::format("{}\nexit code {}, signal {}{}\nstdout: {}\nstderr: {}", Words(arguments),
                     end.exit_code, end.signal, end.timed_out ? ", took too long" : "",
                     end.out.substr(0, 2000), end.err);
}

}  // namespace

Json ProgramEnd::document() const { return Json::parse(out, nullptr, /*allow_exceptions=*/false); }

std::string ProgramEnd::last_error_line() const {
  std::string last;
  for (const std::string& line : Split(err, '\n')) {
    if (!line.empty()) last = line;
  }
  return last;
}

Running::Running(pid_t pid, std::string out_path, std::string err_path, double seconds)
    : pid_(pid),
      out_path_(std::move(out_path)),
      err_path_(std::move(err_path)),
      started_(Now()),
      limit_(seconds) {}

Running::Running(Running&& other) noexcept
    : pid_(std::exchange(other.pid_, -1)),
      out_path_(std::move(other.out_path_)),
      err_path_(std::move(other.err_path_)),
      started_(other.started_),
      limit_(other.limit_),
      finished_(other.finished_),
      end_(std::move(other.end_)) {}

Running::~Running() {
  if (pid_ <= 0 || finished_) return;
  kill(-pid_, SIGKILL);
  waitpid(pid_, nullptr, 0);
}

std::vector<pid_t> Running::Children() const {
  std::vector<pid_t> children;
  std::error_code ec;
  for (const auto& entry : fs::directory_iterator("/proc", ec)) {
    const pid_t pid = std::atoi(entry.path().filename().c_str());
    if (pid <= 0) continue;
    // "PID (NAME) STATE PARENT ...": the name may hold anything but comes in parentheses.
    const std::string stat = ReadAll(entry.path() / "stat");
    const size_t end = stat.rfind(')');
    if (end == std::string::npos || end + 4 > stat.size()) continue;
    if (std::atoi(stat.c_str() + end + 4) == pid_) children.push_back(pid);
  }
  return children;
}

void Running::Signal(int signal) const {
  if (!finished_) kill(pid_, signal);
}

void Running::Note(int status) {
  finished_ = true;
  if (WIFEXITED(status)) end_.exit_code = WEXITSTATUS(status);
  if (WIFSIGNALED(status)) end_.signal = WTERMSIG(status);
  end_.seconds = Now() - started_;
  if (!out_path_.empty()) end_.out = ReadAll(out_path_);
  end_.err = ReadAll(err_path_);
}

bool Running::Finished() {
  int status = 0;
  if (!finished_ && waitpid(pid_, &status, WNOHANG) == pid_) Note(status);
  return finished_;
}

ProgramEnd Running::Wait() {
  while (!Finished()) {
    if (Now() - started_ > limit_ && !end_.timed_out) {
      end_.timed_out = true;
      kill(-pid_, SIGKILL);
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  return end_;
}

Sandbox::Sandbox() {
  std::string pattern = (fs::temp_directory_path() / "trimma-test-XXXXXX").string();
  CHECK(mkdtemp(pattern.data()) != nullptr);
  root_ = fs::canonical(pattern).string();
  home_ = root_ + "/home";
  work_ = root_ + "/work";
  for (const char* folder : {"/home", "/work", "/tmp", "/captured"})
    fs::create_directory(root_ + folder);
}

Sandbox::~Sandbox() {
  std::error_code ignored;
  fs::remove_all(root_, ignored);
}

std::string Sandbox::operator/(const std::string& name) const { return work_ + "/" + name; }

std::string Sandbox::Write(const std::string& name, const std::string& content) const {
  const fs::path path = fs::path(work_) / name;
  fs::create_directories(path.parent_path());
  std::ofstream out(path, std::ios::binary | std::ios::trunc);
  out << content;
  CHECK(out.flush().good());
  return path.string();
}

std::string Sandbox::Read(const std::string& name) const { return ReadAll(fs::path(work_) / name); }

bool Sandbox::Exists(const std::string& name) const {
  return fs::exists(fs::symlink_status(fs::path(work_) / name));
}

Running Sandbox::Start(const std::vector<std::string>& arguments, const RunOptions& options) const {
  std::vector<std::string> argv = options.wrapper;
  argv.emplace_back(TRIMMA_PROGRAM);
  argv.insert(argv.end(), arguments.begin(), arguments.end());
  std::map<std::string, std::string> variables = Inherited();
  variables["HOME"] = home_;
  variables["TMPDIR"] = root_ + "/tmp";
  variables["LC_ALL"] = "C.UTF-8";
  variables["OLLAMA_HOST"] = "127.0.0.1:1";  // nothing answers there
  // Tests run beside each other: threads that wait by spinning would take the cores from those
  // they wait for, and a measurement would take a hundred times as long.
  variables["OMP_WAIT_POLICY"] = "passive";
  for (const auto& [name, value] : options.environment) variables[name] = value;
  std::vector<std::string> environment;
  for (const auto& [name, value] : variables) environment.push_back(name + "=" + value);

  const bool read_back = options.stdout_path.empty();
  const int run = ++runs_;
  const std::string out =
      read_back ? fmt::format("{}/captured/{}.out", root_, run) : options.stdout_path;
  const std::string err = fmt::format("{}/captured/{}.err", root_, run);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, out.c_str(),
                                   O_WRONLY | (read_back ? O_CREAT | O_TRUNC : 0), 0600);
  posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, err.c_str(),
                                   O_WRONLY | O_CREAT | O_TRUNC, 0600);
  posix_spawn_file_actions_addchdir_np(&actions, work_.c_str());
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP);
  posix_spawnattr_setpgroup(&attributes, 0);
  pid_t pid = 0;
  const int rc = posix_spawnp(&pid, argv[0].c_str(), &actions, &attributes, Pointers(argv).data(),
                              Pointers(environment).data());
  posix_spawnattr_destroy(&attributes);
  posix_spawn_file_actions_destroy(&actions);
  CHECK(rc == 0);
  return Running(pid, read_back ? out : "", err, options.seconds);
}

ProgramEnd Sandbox::Run(const std::vector<std::string>& arguments,
                        const RunOptions& options) const {
  return Start(arguments, options).Wait();
}

std::map<std::string, std::string> Sandbox::Snapshot() const {
  constexpr std::uintmax_t kMostRead = 64 << 20;  // of a sparse file the size must do
  std::map<std::string, std::string> files;
  for (const std::string& folder : {home_, work_, root_ + "/tmp"}) {
    for (const auto& entry : fs::recursive_directory_iterator(folder)) {
      std::string content = "folder";
      if (entry.is_symlink()) {
        content = "link to " + fs::read_symlink(entry.path()).string();
      } else if (entry.is_regular_file()) {
        const std::uintmax_t bytes = entry.file_size();
        content = bytes > kMostRead ? std::to_string(bytes) : ReadAll(entry.path());
      }
      files[entry.path().lexically_relative(root_).string()] = std::move(content);
    }
  }
  return files;
}

void ExpectRefused(const Sandbox& box, const std::vector<std::string>& arguments, Code code,
                   const std::string& words, const RunOptions& options) {
  const auto before = box.Snapshot();
  const ProgramEnd text = box.Run(arguments, options);
  const std::string report = Report(arguments, text);
  EXPECT_EQ(text.exit_code, static_cast<int>(code)) << report;
  EXPECT_EQ(text.out, "") << report;
  const std::string line = text.last_error_line();
  EXPECT_TRUE(line.starts_with("trimma: ")) << report;
  EXPECT_EQ(Count("\n" + text.err, "\ntrimma: "), 1U) << "one sentence: " << report;
  EXPECT_NE(line.find(words), std::string::npos) << "wanted: " << words << "\n" << report;

  std::vector<std::string> with_json = arguments;
  with_json.emplace_back("--json");
  const ProgramEnd json = box.Run(with_json, options);
  const std::string json_report = Report(with_json, json);
  EXPECT_EQ(json.exit_code, static_cast<int>(code)) << json_report;
  const Json document = json.document();
  ASSERT_TRUE(document.is_object() && document.contains("error")) << json_report;
  const Json& error = document["error"];
  EXPECT_EQ(error.value("code", ""), CodeName(code)) << json_report;
  EXPECT_NE(error.value("what", "").find_first_not_of(' '), std::string::npos) << json_report;
  EXPECT_TRUE(error.contains("hint") && error["hint"].is_string()) << json_report;
  const std::string both = error.value("what", "") + " (" + error.value("hint", "") + ")";
  EXPECT_NE(both.find(words), std::string::npos) << "wanted: " << words << "\n" << json_report;
  EXPECT_EQ(both.find('\n'), std::string::npos) << "one sentence: " << json_report;

  const auto after = box.Snapshot();
  std::vector<std::string> written;
  for (const auto& [name, content] : after) {
    if (name.starts_with("home/.local")) continue;  // what was measured of the machine is kept
    const auto was = before.find(name);
    if (was == before.end() || was->second != content) written.push_back(name);
  }
  for (const auto& [name, content] : before) {
    if (after.count(name) == 0) written.push_back("removed: " + name);
  }
  EXPECT_EQ(written, std::vector<std::string>{}) << report;
}

Json ExpectDocument(const Sandbox& box, std::vector<std::string> arguments,
                    const RunOptions& options) {
  arguments.emplace_back("--json");
  const ProgramEnd end = box.Run(arguments, options);
  const std::string report = Report(arguments, end);
  EXPECT_EQ(end.exit_code, 0) << report;
  Json document = end.document();
  EXPECT_TRUE(document.is_object()) << "no single document: " << report;
  if (end.exit_code != 0 || !document.is_object()) return Json();
  const std::string schema = fmt::format("{{\n  \"schema\": \"trimma.{}/1\"", arguments[0]);
  EXPECT_TRUE(end.out.starts_with(schema)) << report;
  EXPECT_EQ(end.err.find("trimma: "), std::string::npos) << report;
  return document;
}

std::string SomeText(int words) {
  std::mt19937 random(7);
  std::string text;
  for (int i = 0; i < words; ++i) {
    const uint32_t letters = 1 + random() % 7;
    for (uint32_t l = 0; l < letters; ++l) text += static_cast<char>('a' + random() % 26);
    text += random() % 12 == 0 ? ".\n" : " ";
  }
  return text;
}

}  // namespace trimma
