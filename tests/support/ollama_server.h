// A real Ollama for a test: on a free port of this machine, with a store and a home of its own.
// Tests that need one call GTEST_SKIP where there is none: `ollama` in TRIMMA_TEST_OLLAMA (a path)
// or on PATH.
#pragma once

#include <sys/types.h>

#include <map>
#include <optional>
#include <string>

#include "ollama/client.h"

namespace trimma {

// The program; "" where there is none.
std::string OllamaProgram();

class OllamaServer {
 public:
  // Starts the program and waits until it answers; nullptr, and a failure of GoogleTest, if it
  // doesn't. `environment` comes on top of its own.
  static std::unique_ptr<OllamaServer> Start(
      const std::map<std::string, std::string>& environment = {});
  ~OllamaServer();
  OllamaServer(const OllamaServer&) = delete;
  OllamaServer& operator=(const OllamaServer&) = delete;

  const OllamaAddress& address() const { return address_; }
  std::string host() const { return address_.Text(); }           // for OLLAMA_HOST
  std::string models() const { return directory_ + "/models"; }  // OLLAMA_MODELS
  std::string Log() const;
  OllamaClient Client() const;

 private:
  OllamaServer() = default;
  std::string directory_;
  OllamaAddress address_;
  pid_t pid_ = -1;
};

}  // namespace trimma
