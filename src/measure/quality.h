// Quality of a model against a reference: divergence of their next-token distributions.
//
// Both models run in lockstep over the same tokens and are compared in 32 bits over the full
// vocabulary; nothing is written to disk. The default protocol is llama-perplexity's: chunks of
// 512 tokens, each begun with BOS (where the model has one) and an empty cache, the second half
// scored (255 positions).
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/child.h"
#include "base/result.h"
#include "engine/runtime.h"

namespace trimma {

struct Quality {
  int64_t tokens = 0;       // scored positions
  double mean_kld = 0;      // KL(reference || model), nats
  double mean_kld_low = 0;  // 95 %, chunks resampled
  double mean_kld_high = 0;
  double p99_kld = 0;
  double p999_kld = 0;
  double same_top = 0;  // share of positions with the same most likely token, 0..1
  double ppl = 0;       // perplexity of the model on the text
  double reference_ppl = 0;
  int chunk = 512;             // the protocol: tokens per chunk,
  int chunks = 0;              // how many,
  std::string score = "half";  // "half" (second half of each chunk) or "all"
  std::string text;            // what was judged on: a file name, or kGeneratedText
};

Json ToJson(const Quality& quality);
Result<Quality> QualityFromJson(const Json& json);

struct QualityOptions {
  std::optional<std::string> text_file;  // nullopt: text that the reference generates,
  std::optional<std::string> own_text;   //   half of it going on from this file: in its language
  int chunk = 512;
  int chunks = 0;                // at most; 0: all the text has (16 of generated text)
  bool score_all = false;        // all positions, not just the second half
  double generate_seconds = 20;  // at most, for generating text
  double budget_seconds = 600;   // no new chunk is begun after it (at least 4 are scored)
};

// Tokens per chunk for a model: 512, or its context where that is shorter (0: unknown).
int JudgingChunk(uint32_t trained_context);

// A model file with the settings it runs under (KV-cache types and flash attention change what it
// answers).
struct Judged {
  std::string path;
  RuntimeSettings settings;
};

// Judges every candidate against the reference on the same tokens, in one child process; the result
// has their order. kInvalid: vocabularies differ, or the text is too short.
Result<std::vector<Quality>> MeasureQuality(const Judged& reference,
                                            const std::vector<Judged>& candidates,
                                            const QualityOptions& options,
                                            const std::function<void(double)>& progress = {});

// The child's side.
Result<Json> QualityJob(const Json& request, const Emit& emit);

}  // namespace trimma
