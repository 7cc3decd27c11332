// A child process that does the engine's work: this same program, started anew.
//
// Untrusted files and gigabytes of weights meet ggml only there, so that a crash, an abort,
// a hang or the out-of-memory killer becomes an Error here. The child is started by
// posix_spawn (never by fork: we may hold threads or a GPU), reads one JSON request from
// its standard input and answers in JSON lines on file descriptor 3:
//   {"event": {...}}    any number, in order
//   {"result": {...}}   or   {"error": {"code","what","hint"}}   once, last
// Its standard error is read and kept for diagnosis.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "base/result.h"

namespace trimma {

using Json = nlohmann::json;

struct ChildLimits {
  double stall_seconds = 300;                // without a word from the child: it hangs, kill it
  std::optional<double> timeout_seconds;     // over all
  std::optional<uint64_t> max_memory_bytes;  // anonymous memory (mapped files don't count)
};

using OnEvent = std::function<void(const Json&)>;

// Runs job `name` with `request`, and returns its result. An interrupt of this process stops
// the child first (SIGTERM, then SIGKILL after 10 s).
Result<Json> RunChild(const std::string& name, const Json& request, const OnEvent& on_event = {},
                      const ChildLimits& limits = {});

// The same in two steps: a child that gets ready (loads the engine) while its request is not known
// yet.
class Child {
 public:
  static Result<Child> Start(const std::string& name);
  Child(Child&&) noexcept;
  Child& operator=(Child&&) = delete;
  ~Child();  // ends it, if it was never asked

  Result<Json> Ask(const Json& request, const OnEvent& on_event = {},
                   const ChildLimits& limits = {}) &&;

 private:
  struct Process;
  explicit Child(std::unique_ptr<Process> process);
  std::unique_ptr<Process> process_;
};

// The child's side. `job` gets the request and a way to send events; whatever it returns is sent.
// Returns the process's exit status.
using Emit = std::function<void(const Json&)>;
using Job = std::function<Result<Json>(const Json& request, const Emit& emit)>;
// `get_ready` is called before the request is waited for.
int ServeChild(const Job& job, const std::function<void()>& get_ready = {});

// {"code","what","hint"} and back.
Json ErrorToJson(const Error& error);
Error ErrorFromJson(const Json& json);

// The first argument that tells this program to be a child; the job's name is the second.
inline constexpr const char* kChildArgument = "__child";

}  // namespace trimma
