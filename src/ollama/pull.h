// Having a running Ollama pull a model, so that it lies in the server's own store and nothing the
// server does to its store comes as a surprise.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "ollama/client.h"

namespace trimma {

// One line of the server's report.
struct OllamaPullStep {
  std::string status;  // "pulling manifest", "pulling 8462e3d9de1b", "success"
  std::string digest;
  uint64_t completed = 0;
  uint64_t total = 0;
  std::string error;  // "" unless the server gave up
};
// kInvalid for what is no such line.
Result<OllamaPullStep> ParsePullStep(std::string_view line);

struct OllamaPullResult {
  uint64_t bytes = 0;  // of all that it named
};
// Of all files named so far: bytes the server had before, those fetched since, and all.
struct OllamaPullBytes {
  uint64_t there = 0;
  uint64_t fetched = 0;
  uint64_t of = 0;
};
using OnPullStep = std::function<void(const OllamaPullStep&, const OllamaPullBytes&)>;

// POST /api/pull, streamed to its end. `insecure` is passed on. kNotFound for a model that doesn't
// exist, kNetwork where the server, or what it asks, fails. Its own partial downloads go on the
// next time.
Result<OllamaPullResult> PullThroughOllama(const OllamaAddress& address, const std::string& name,
                                           bool insecure, const OnPullStep& on_step = {});

}  // namespace trimma
