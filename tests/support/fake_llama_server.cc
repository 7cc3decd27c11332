#include "support/fake_llama_server.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

namespace trimma {

namespace fs = std::filesystem;

std::string WriteFakeLlamaServer(const std::string& path, const std::string& mode) {
  std::ofstream(path) << fmt::format(
      "#!/bin/sh\nexec python3 -S '{}/tests/support/fake_llama_server.py' {} \"$@\"\n",
      TRIMMA_SOURCE_DIR, mode);
  fs::permissions(path, fs::perms::owner_all);
  return path;
}

LlamaServerProgram FakeLlamaServer(const std::string& path, const std::string& mode) {
  auto program = FindLlamaServer(WriteFakeLlamaServer(path, mode));
  EXPECT_TRUE(program.ok()) << program.error().what;
  return *std::move(program);
}

std::string RealLlamaServer() {
  const char* named = std::getenv("TRIMMA_TEST_LLAMA_SERVER");
  return named != nullptr && access(named, X_OK) == 0 ? named : "";
}

}  // namespace trimma
