// A llama-server that a test makes behave, and the real one where there is one.
#pragma once

#include <string>

#include "llama_server/program.h"

namespace trimma {

// Writes a program to `path` that is a llama-server of this mode (fake_llama_server.py), and
// returns it.
std::string WriteFakeLlamaServer(const std::string& path, const std::string& mode = "works");

// The same, asked what it knows.
LlamaServerProgram FakeLlamaServer(const std::string& path, const std::string& mode = "works");

// TRIMMA_TEST_LLAMA_SERVER, where that can be run; "" otherwise. Tests that need it skip without.
std::string RealLlamaServer();

}  // namespace trimma
