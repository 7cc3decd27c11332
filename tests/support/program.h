// Runs the program as a user would: its own process, a home of its own, a time limit.
#pragma once

#include <sys/types.h>

#include <map>
#include <string>
#include <vector>

#include "base/child.h"
#include "base/result.h"

namespace trimma {

// How a run of the program ended.
struct ProgramEnd {
  int exit_code = -1;      // -1: it did not exit by itself
  int signal = 0;          // that ended it; 0: none
  bool timed_out = false;  // it was killed because it took too long
  std::string out;
  std::string err;
  double seconds = 0;

  // The document on standard output; discarded (is_discarded()) if it is not exactly one.
  Json document() const;
  // The last line of standard error: what an error says.
  std::string last_error_line() const;
};

// A program that was started; killed when the object goes away.
class Running {
 public:
  Running(pid_t pid, std::string out_path, std::string err_path, double seconds);
  Running(Running&& other) noexcept;
  Running& operator=(Running&&) = delete;
  Running(const Running&) = delete;
  Running& operator=(const Running&) = delete;
  ~Running();

  pid_t pid() const { return pid_; }
  std::vector<pid_t> Children() const;
  void Signal(int signal) const;
  bool Finished();  // without waiting
  ProgramEnd Wait();

 private:
  void Note(int status);
  pid_t pid_;
  std::string out_path_;
  std::string err_path_;
  double started_;
  double limit_;
  bool finished_ = false;
  ProgramEnd end_;
};

struct RunOptions {
  double seconds = 120;                            // sanitizers make the program 10 times slower
  std::map<std::string, std::string> environment;  // besides the sandbox's own
  std::string stdout_path;                         // instead of a file that is read back
  std::vector<std::string> wrapper;                // a command that is given the program's
};

// A new directory with a home and a working directory; removed at the end.
class Sandbox {
 public:
  Sandbox();
  ~Sandbox();
  Sandbox(const Sandbox&) = delete;
  Sandbox& operator=(const Sandbox&) = delete;

  // A path in the working directory.
  std::string operator/(const std::string& name) const;
  const std::string& home() const { return home_; }

  // Writes a file, with the folders above it; returns its path.
  std::string Write(const std::string& name, const std::string& content) const;
  std::string Read(const std::string& name) const;  // "" if it is absent
  bool Exists(const std::string& name) const;

  ProgramEnd Run(const std::vector<std::string>& arguments, const RunOptions& options = {}) const;
  Running Start(const std::vector<std::string>& arguments, const RunOptions& options = {}) const;

  // Every file below home and the working directory with its content, to tell whether a run
  // wrote something.
  std::map<std::string, std::string> Snapshot() const;

 private:
  std::string root_;
  std::string home_;
  std::string work_;
  mutable int runs_ = 0;
};

// The call is refused with this code in one sentence that holds `words`, as text and as JSON, and
// nothing is written. Failures are reported by GoogleTest.
void ExpectRefused(const Sandbox& box, const std::vector<std::string>& arguments, Code code,
                   const std::string& words, const RunOptions& options = {});

// The call succeeds: returns its document, whose first field is "schema": "trimma.NAME/1". A null
// document after a failure, which is reported by GoogleTest.
Json ExpectDocument(const Sandbox& box, std::vector<std::string> arguments,
                    const RunOptions& options = {});

// As many words as asked for, from a small vocabulary: text to judge or calibrate on.
std::string SomeText(int words);

}  // namespace trimma
