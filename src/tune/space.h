// What tuning may try on this machine with this model (pure).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "gguf/reader.h"
#include "measure/speed.h"

namespace trimma {

enum class TuneFor {
  kChat,       // the time of a prompt and its answer
  kDocuments,  // the time of a prompt
  kBatch       // the time that all users' prompts and answers take
};
const char* NameOf(TuneFor purpose);  // "chat", "documents", "batch"

// What first principles need to know of a model.
struct ModelFacts {
  uint64_t file_bytes = 0;
  int layers = 0;             // as -ngl counts; 0: unknown
  bool is_quantised = false;  // of its matrices at least one
  // Of what decoding a token reads, the share of the KV cache in f16, at the depth asked about.
  double kv_share = 1;
  // Of a prompt's arithmetic, the share of attention.
  double attention_share = 1;
  std::vector<std::string> kv_types;  // quantised, that its heads allow
};
// Weights that a token meets: of experts, those used.
struct ActiveWeights {
  double bytes = 0;
  double parameters = 0;
};
ActiveWeights ActiveOf(const GgufFile& file);
// `depth`: tokens in the cache before a prompt of `prompt_tokens`.
ModelFacts FactsOf(const GgufFile& file, int prompt_tokens, int depth);

// Where layers lie: so many on the GPU, and what of those stays on the host. One choice, since each
// part means nothing without the other.
struct Placed {
  std::string what;  // "GPU layers 20"
  std::optional<int> gpu_layers;
  std::vector<std::string> host_tensors;
  bool operator==(const Placed&) const = default;
};

// What it needs to know of the machine.
struct MachineFacts {
  int cores = 1;
  int threads = 1;               // logical processors
  uint64_t available_bytes = 0;  // of memory; 0: unknown
  bool has_gpu = false;
  std::vector<Placed> placements;  // besides the defaults' own (tune/placements.h)
};

enum class Knob {
  kUbatch,
  kPrefillThreads,
  kThreads,
  kFlashAttention,
  kKv,
  kRepack,
  kLoading,
  kBatch,
  kPlacement,
  kParallel
};

// The defaults with one setting changed.
struct Variation {
  std::string what;  // "ubatch 1024"
  RuntimeSettings settings;
  Phases phases = Phases::kBoth;  // that the setting can change
  Knob knob = Knob::kUbatch;
};

// What isn't tried, because it can't help here.
struct NotTried {
  std::string what;
  std::string why;
};

struct Space {
  std::vector<Variation> variations;  // what promises most comes first
  std::vector<NotTried> not_tried;
};

struct SpaceOptions {
  RuntimeSettings defaults;
  TuneFor purpose = TuneFor::kChat;
  int users = 1;
  int prompt_tokens = 512;
  MachineFacts machine;
  std::string why_no_kv;  // no KV-cache type may be tried, for this reason; "": they may
};

Space MakeSpace(const SpaceOptions& options, const ModelFacts& model);

// `to` with the setting that `from` has for this knob.
void Apply(Knob knob, const RuntimeSettings& from, RuntimeSettings& to);

}  // namespace trimma
