// A real Ollama server of its own: on a free port of loopback, with its own store and home. Tests
// are skipped where there is none: $TRIMMA_TEST_OLLAMA, or `ollama` in PATH.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>

#include "base/child.h"
#include "hardware/temp_tree.h"

namespace trimma {

class RealOllama {
 public:
  // The program; nullopt where there is none.
  static std::optional<std::string> Program();

  explicit RealOllama(const std::string& program);  // started, and answering unless ok() is false
  ~RealOllama();
  RealOllama(const RealOllama&) = delete;
  RealOllama& operator=(const RealOllama&) = delete;

  bool ok() const { return ready_; }
  // Makes `name` of a GGUF; "" or what went wrong.
  std::string Create(const std::string& name, const std::string& gguf) const;
  Json Post(const std::string& path, const Json& body) const;  // null where it doesn't answer

 private:
  TempTree tree_;
  std::string program_;
  int port_ = 0;
  pid_t pid_ = -1;
  bool ready_ = false;
};

}  // namespace trimma
