// A server that we start and end: it never outlives us, and its last words are kept.
#pragma once

#include <sys/types.h>

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace trimma {

// Its own process group (Ctrl-C reaches us alone), ended with the object; the kernel ends it
// where we are killed ourselves.
class TiedProcess {
 public:
  // A program's path and its arguments. Variables that would be settings of llama-server
  // (LLAMA_ARG_..., LLAMA_API_KEY) are not handed on: what is measured is what the arguments say.
  static Result<TiedProcess> Start(const std::vector<std::string>& words);
  TiedProcess(TiedProcess&&) noexcept;
  TiedProcess& operator=(TiedProcess&&) = delete;
  ~TiedProcess();

  bool IsRunning();
  // The last lines of what it wrote, at most 64 KiB.
  std::string LastWords() const;
  // Why it ended; only after IsRunning() said false.
  Error WhyItEnded() const;

 private:
  struct State;
  explicit TiedProcess(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

// From a wait status and its last words (pure). kNoFit where memory, its own or a card's, was the
// reason.
Error WhyServerEnded(int status, std::string_view last_words);

// Whether somebody else had the port.
bool PortWasTaken(std::string_view last_words);

}  // namespace trimma
