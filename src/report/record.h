// The record of one `trimma optimize`: everything found, measured and chosen, as plain values.
// It is written as JSON (schema trimma.optimize/1), shown in the terminal and as a page.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/child.h"
#include "engine/runtime.h"
#include "hardware/machine.h"
#include "measure/quality.h"
#include "measure/speed.h"

namespace trimma {

// A state of the model: before or after.
struct Outcome {
  std::string label;  // "Q4_K_M, engine's defaults"
  std::string type;   // "Q4_K_M", "F16"
  uint64_t file_bytes = 0;
  double bits_per_weight = 0;
  uint64_t memory_bytes = 0;  // weights + KV cache + compute buffers, by the engine's allocator
  RuntimeSettings settings;
  Speed speed;
  std::optional<Quality> quality;  // absent for the reference itself
};

// A measured point of the size-quality-speed plot.
struct PlotPoint {
  std::string type;
  uint64_t file_bytes = 0;
  double decode_tps = 0;
  double prefill_tps = 0;
  std::optional<double> mean_kld;  // absent for the reference
  double kld_low = 0, kld_high = 0;
  bool chosen = false;
};

// Memory at one context length and KV-cache type.
struct MemoryRow {
  uint32_t context = 0;
  std::string kv_k, kv_v;
  uint64_t weights_bytes = 0;
  uint64_t kv_bytes = 0;
  uint64_t compute_bytes = 0;
  bool fits = false;
};

// One measured candidate of tuning.
struct TuneTrial {
  std::string what;  // "threads 2", "ubatch 1024": the difference from the defaults
  RuntimeSettings settings;
  double decode_tps = 0, decode_low = 0, decode_high = 0;
  double prefill_tps = 0, prefill_low = 0, prefill_high = 0;
  std::string outcome;  // "faster", "no difference", "slower", "failed: ..."
};

struct WrittenFiles {
  std::string model, config, modelfile, env, llama_server, report, record;
  std::vector<std::string> undo;  // one shell command a line
  std::string projector;          // beside the model; "" if there is none
  std::string ollama_model;       // where Ollama reads another file than `model`; else ""
};

struct Step {
  std::string name;  // "measure quality"
  double seconds = 0;
};

struct OptimizeRecord {
  std::string created;  // RFC 3339
  std::string trimma_version, engine_version, engine_commit, engine_backends;
  std::string model_name;      // general.name of the file: foreign text, never trust it
  std::string model_argument;  // as the user named it
  std::string model_path;
  std::string architecture;
  uint64_t parameters = 0;
  Machine machine;
  Outcome before, after;
  std::vector<PlotPoint> points;
  std::vector<MemoryRow> memory;
  std::vector<TuneTrial> trials;
  std::string weights_verdict;     // one or two sentences: quantised to what, or kept, and why
  std::string tuning_verdict;      // "the default is already best", or what was gained
  std::string quality_text;        // what the quality was judged on
  std::vector<std::string> notes;  // fallbacks and warnings, one sentence each
  Sampling sampling;
  WrittenFiles files;
  std::vector<Step> steps;  // where the time went
  double seconds = 0;

  bool weights_kept() const {
    return files.model == model_path || files.ollama_model == model_path;
  }
};

Json ToJson(const OptimizeRecord& record);

}  // namespace trimma
