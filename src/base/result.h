// Errors as values.
//
// What can go wrong in the world (a bad file, a full disk, a missing GPU) is an
// Error inside a Result; what can't happen is a CHECK. Nothing else: exceptions of
// libraries stop in the module that calls the library.
#pragma once

#include <cstdio>
#include <cstdlib>
#include <optional>
#include <string>
#include <utility>
#include <variant>

namespace trimma {

// What kind of failure. The number is the exit code of the program: never change one.
enum class Code : int {
  kFailure = 1,      // general failure
  kUsage = 2,        // the command line is wrong
  kInvalid = 3,      // the input is invalid or corrupt
  kNoFit = 4,        // no plan fits this machine
  kGate = 5,         // a quality or speed gate failed
  kNetwork = 6,      // the network, or a server on it
  kNotFound = 7,     // a named thing does not exist
  kBusy = 8,         // locked by another process
  kInternal = 70,    // a bug of ours, or of the engine
  kIo = 74,          // reading or writing failed (disk full)
  kPermission = 77,  // not allowed
  kInterrupted = 130,
  kTerminated = 143,
};

// A short stable name, as in the JSON field error.code ("invalid", "no-fit", ...).
const char* CodeName(Code code);
// The inverse; nullopt for an unknown name.
std::optional<Code> CodeFromName(const std::string& name);

struct Error {
  Code code = Code::kFailure;
  std::string what;  // one sentence: what, where
  std::string hint;  // what to do about it; may be empty
};

template <typename T>
class [[nodiscard]] Result {
 public:
  Result(T value) : v_(std::move(value)) {}      // NOLINT(google-explicit-constructor)
  Result(Error error) : v_(std::move(error)) {}  // NOLINT(google-explicit-constructor)

  bool ok() const { return v_.index() == 0; }
  explicit operator bool() const { return ok(); }
  T& value() & { return std::get<0>(v_); }
  const T& value() const& { return std::get<0>(v_); }
  T&& value() && { return std::get<0>(std::move(v_)); }
  T& operator*() & { return value(); }
  const T& operator*() const& { return value(); }
  T&& operator*() && { return std::move(*this).value(); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }
  Error& error() { return std::get<1>(v_); }
  const Error& error() const { return std::get<1>(v_); }

 private:
  std::variant<T, Error> v_;
};

template <>
class [[nodiscard]] Result<void> {
 public:
  Result() = default;
  Result(Error error) : error_(std::move(error)) {}  // NOLINT(google-explicit-constructor)

  bool ok() const { return !error_.has_value(); }
  explicit operator bool() const { return ok(); }
  Error& error() { return *error_; }
  const Error& error() const { return *error_; }

 private:
  std::optional<Error> error_;
};

using Status = Result<void>;

namespace internal {
[[noreturn]] inline void CheckFailed(const char* expression, const char* file, int line) {
  std::fprintf(stderr, "trimma: internal error: %s is false (%s:%d)\n", expression, file, line);
  std::abort();
}
}  // namespace internal

}  // namespace trimma

// A broken invariant: a bug, not an input. Active in every build.
#define CHECK(expression) \
  ((expression) ? (void)0 : ::trimma::internal::CheckFailed(#expression, __FILE__, __LINE__))

#define TRIMMA_CONCAT_(a, b) a##b
#define TRIMMA_CONCAT(a, b) TRIMMA_CONCAT_(a, b)

// TRY(auto x, F()) binds the value or returns the error; TRY_STATUS(F()) for Status.
#define TRY(declaration, expression) TRY_(TRIMMA_CONCAT(try_, __LINE__), declaration, expression)
#define TRY_(tmp, declaration, expression)      \
  auto tmp = (expression);                      \
  if (!tmp.ok()) return std::move(tmp).error(); \
  declaration = std::move(tmp).value()
#define TRY_STATUS(expression)                                    \
  do {                                                            \
    auto try_status_ = (expression);                              \
    if (!try_status_.ok()) return std::move(try_status_.error()); \
  } while (false)
