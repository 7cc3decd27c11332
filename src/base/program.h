// Other programs of this machine: where they are, and what they print.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "base/result.h"

namespace trimma {

// The first of that name on PATH that may be run; "" where there is none.
std::string FindProgram(const std::string& name);

struct ProgramLimits {
  double seconds = 10;
  size_t most_bytes = 64 << 10;  // of what it prints
  bool with_stderr = false;      // what it prints there is read too, in the order it comes
};

struct PrintedText {
  int status = 0;  // its exit status; 128 and the signal's number where one ended it
  std::string text;
};

// Runs a program (a path, and its arguments) without anything to read, and waits for it.
// kFailure where it takes too long or prints too much: it is killed then.
Result<PrintedText> RunProgram(const std::vector<std::string>& words,
                               const ProgramLimits& limits = {});

}  // namespace trimma
