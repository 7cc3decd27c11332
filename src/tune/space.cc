#include "tune/space.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "gguf/types.h"
#include "plan/kv.h"

namespace trimma {
namespace {

// A setting that can change less than this of a phase can't be felt in it.
constexpr double kFeltShare = 0.01;

class Maker {
 public:
  Maker(const SpaceOptions& options, const ModelFacts& model)
      : o_(options), base_(options.defaults), model_(model) {}

  Space Make() {
    Placements();
    Ubatch();
    PrefillThreads();
    Threads();
    Parallel();
    Flash();
    Kv();
    Repack();
    Loading();
    Batch();
    return std::move(space_);
  }

 private:
  void Try(Knob knob, Phases phases, const std::string& what, const RuntimeSettings& settings) {
    if (settings == base_) return;
    space_.variations.push_back({what, settings, phases, knob});
  }
  void Skip(const std::string& what, const std::string& why) {
    space_.not_tried.push_back({what, why});
  }

  void Ubatch() {
    for (const uint32_t ubatch : {64U, 128U, 256U, 512U, 1024U, 2048U, 4096U}) {
      // A physical batch beyond the prompt, or beyond the logical one, changes nothing.
      if (ubatch > base_.batch || ubatch >= 2 * static_cast<uint32_t>(o_.prompt_tokens)) continue;
      const auto prompt = static_cast<uint32_t>(o_.prompt_tokens);
      if (ubatch >= prompt && base_.ubatch >= prompt) continue;
      RuntimeSettings settings = base_;
      settings.ubatch = ubatch;
      Try(Knob::kUbatch, Phases::kPrefill, fmt::format("ubatch {}", ubatch), settings);
    }
  }

  // A quarter, halves, three quarters (decoding waits for memory, and often needs no more), one
  // less than all (the system needs a core too), all cores, all logical processors.
  std::set<int> ThreadCounts() const {
    const int cores = o_.machine.cores;
    std::set<int> counts = {std::max(1, cores / 4),
                            std::max(1, cores / 2),
                            std::max(1, 3 * cores / 4),
                            std::max(1, cores - 1),
                            cores,
                            o_.machine.threads};
    return counts;
  }
  int DecodeThreads() const { return base_.threads.value_or(o_.machine.cores); }
  int PromptThreads() const { return base_.threads_batch.value_or(DecodeThreads()); }
  // Whether the host's processors have anything to do.
  bool AllOnGpu() const {
    const bool all = !base_.gpu_layers || (model_.layers > 0 && *base_.gpu_layers >= model_.layers);
    return o_.machine.has_gpu && base_.use_gpu && all && base_.host_tensors.empty();
  }

  void PrefillThreads() {
    if (AllOnGpu()) return Skip("prefill threads", "all layers are on the GPU");
    for (const int threads : ThreadCounts()) {
      // Arithmetic limits a prompt, so that half the cores take twice as long.
      if (threads == PromptThreads() || 2 * threads <= o_.machine.cores) continue;
      RuntimeSettings settings = base_;
      settings.threads_batch = threads;
      Try(Knob::kPrefillThreads, Phases::kPrefill, fmt::format("prefill threads {}", threads),
          settings);
    }
  }

  void Threads() {
    if (o_.purpose == TuneFor::kDocuments)
      return Skip("decode threads", "only the prompt's time was asked for");
    if (AllOnGpu()) return Skip("decode threads", "all layers are on the GPU");
    for (const int threads : ThreadCounts()) {
      if (threads == DecodeThreads()) continue;
      RuntimeSettings settings = base_;
      settings.threads = threads;
      settings.threads_batch = PromptThreads();
      Try(Knob::kThreads, Phases::kDecode, fmt::format("decode threads {}", threads), settings);
    }
  }

  void Parallel() {
    for (int parallel = 1; parallel <= o_.users; parallel *= 2) {
      if (parallel == base_.parallel) continue;
      RuntimeSettings settings = base_;
      settings.parallel = parallel;
      Try(Knob::kParallel, Phases::kBoth, fmt::format("parallel {}", parallel), settings);
    }
  }

  void Placements() {
    for (const Placed& placed : o_.machine.placements) {
      RuntimeSettings settings = base_;
      settings.gpu_layers = placed.gpu_layers;
      settings.host_tensors = placed.host_tensors;
      Try(Knob::kPlacement, Phases::kBoth, placed.what, settings);
    }
  }

  void Flash() {
    // "auto" is "on" wherever the engine can; only "off" is another program.
    if (base_.flash_attention == FlashAttention::kOff) {
      RuntimeSettings settings = base_;
      settings.flash_attention = FlashAttention::kOn;
      return Try(Knob::kFlashAttention, Phases::kBoth, "flash attention on", settings);
    }
    if (base_.kv_v != "f16" && base_.kv_v != "f32" && base_.kv_v != "bf16")
      return Skip("flash attention off", "a quantised V cache needs it");
    RuntimeSettings settings = base_;
    settings.flash_attention = FlashAttention::kOff;
    Try(Knob::kFlashAttention, Phases::kBoth, "flash attention off", settings);
  }

  void Kv() {
    if (base_.kv_k != "f16" || base_.kv_v != "f16") return;
    if (!o_.why_no_kv.empty()) return Skip("quantised KV cache", o_.why_no_kv);
    if (base_.flash_attention == FlashAttention::kOff)
      return Skip("quantised KV cache", "a quantised V cache needs flash attention");
    if (model_.kv_share < kFeltShare && model_.attention_share < kFeltShare) {
      return Skip(
          "quantised KV cache",
          fmt::format("the cache is {:.1f} % of what a token reads, attention {:.1f} % of a "
                      "prompt's arithmetic",
                      100 * model_.kv_share, 100 * model_.attention_share));
    }
    if (model_.kv_types.empty())
      return Skip("quantised KV cache", "no such type divides the model's heads");
    for (const std::string& type : model_.kv_types) {
      for (const auto& [k, v] : {std::pair(type, type), std::pair(type, std::string("f16")),
                                 std::pair(std::string("f16"), type)}) {
        RuntimeSettings settings = base_;
        settings.kv_k = k;
        settings.kv_v = v;
        Try(Knob::kKv, Phases::kBoth, fmt::format("KV cache {}/{}", k, v), settings);
      }
    }
  }

  // A second copy of the weights is loaded beside the first.
  bool HasRoomForTwo() const {
    return o_.machine.available_bytes == 0 || 2 * model_.file_bytes <= o_.machine.available_bytes;
  }

  void Repack() {
    if (!base_.repack) return;
    if (AllOnGpu()) return Skip("no weight repacking", "all layers are on the GPU");
    if (!model_.is_quantised)
      return Skip("no weight repacking", "only quantised weights are repacked");
    if (!HasRoomForTwo())
      return Skip("no weight repacking", "a second copy of the weights doesn't fit beside");
    RuntimeSettings settings = base_;
    settings.repack = false;
    Try(Knob::kRepack, Phases::kBoth, "no weight repacking", settings);
  }

  void Loading() {
    if (AllOnGpu()) return Skip("load mode", "all layers are on the GPU");
    if (base_.load_mode != LoadMode::kAuto) return;
    if (!HasRoomForTwo()) {
      Skip("weights read, not mapped", "a second copy of the weights doesn't fit beside");
    } else {
      RuntimeSettings settings = base_;
      settings.load_mode = LoadMode::kRead;
      Try(Knob::kLoading, Phases::kBoth, "weights read, not mapped", settings);
    }
    Skip("weights locked", "it keeps pages from being dropped, and makes none faster");
  }

  void Batch() {
    if (static_cast<uint32_t>(o_.prompt_tokens) <= base_.batch)
      return Skip("logical batch", "the prompt is no longer than one");
    for (const uint32_t batch : {base_.batch * 2, base_.batch * 4}) {
      RuntimeSettings settings = base_;
      settings.batch = batch;
      Try(Knob::kBatch, Phases::kPrefill, fmt::format("batch {}", batch), settings);
    }
  }

  const SpaceOptions& o_;
  const RuntimeSettings& base_;
  const ModelFacts& model_;
  Space space_;
};

}  // namespace

const char* NameOf(TuneFor purpose) {
  switch (purpose) {
    case TuneFor::kChat:
      return "chat";
    case TuneFor::kDocuments:
      return "documents";
    case TuneFor::kBatch:
      return "batch";
  }
  CHECK(false);
  return "";
}

// Of a mixture of experts a token meets a few; the vocabulary's rows but one are left alone where
// the output has a matrix of its own, which is too little to matter here.
ActiveWeights ActiveOf(const GgufFile& file) {
  ActiveWeights active;
  const auto number = [&](const char* key) {
    return static_cast<double>(file.metadata.Integer(file.architecture() + key).value_or(0));
  };
  const double all = number(".expert_count");
  const double used = number(".expert_used_count");
  const double share = all > 0 && used > 0 ? std::min(1.0, used / all) : 1;
  for (const TensorInfo& tensor : file.tensors) {
    const bool expert = tensor.shape.size() == 3 && tensor.name.find("_exps") != std::string::npos;
    const double counted = expert ? share : 1;
    active.bytes += counted * static_cast<double>(tensor.bytes);
    active.parameters += counted * static_cast<double>(tensor.elements());
  }
  return active;
}

ModelFacts FactsOf(const GgufFile& file, int prompt_tokens, int depth) {
  ModelFacts facts;
  facts.file_bytes = file.file_bytes;
  // The output counts as one.
  const auto blocks = file.metadata.Integer(file.architecture() + ".block_count");
  facts.layers =
      blocks && *blocks > 0 ? static_cast<int>(std::min<int64_t>(*blocks, 1 << 20)) + 1 : 0;
  // Of f16, f32 and bf16 nothing is saved: 16 bits or more.
  facts.is_quantised = file.bits_per_weight() < 15;
  const ActiveWeights active = ActiveOf(file);
  if (const auto kv = KvBytesPerToken(file)) {
    const double tokens = depth + prompt_tokens;
    const auto windowed = static_cast<double>(kv->windowed_bytes_per_token);
    const auto whole = static_cast<double>(kv->bytes_per_token) - windowed;
    const double seen = kv->window > 0 ? std::min(tokens, static_cast<double>(kv->window)) : tokens;
    const double cache = whole * tokens + windowed * seen;
    facts.kv_share = cache / (cache + active.bytes);
    // A multiply-add with each element of K and V (2 bytes each there) that a token sees, half of
    // the prompt on average, by every query head; against one with each weight. Up to 8 query heads
    // share a KV head, so the share is no larger than this.
    constexpr double kHeadsInGroup = 8;
    const double attended = static_cast<double>(kv->bytes_per_token) / 2 *
                            (depth + prompt_tokens / 2.0) * kHeadsInGroup;
    facts.attention_share = attended / (attended + active.parameters);
  }
  if (KvTypeFitsHeads(file, tensor_type::kQ8_0)) facts.kv_types = {"q8_0"};
  return facts;
}

Space MakeSpace(const SpaceOptions& options, const ModelFacts& model) {
  return Maker(options, model).Make();
}

void Apply(Knob knob, const RuntimeSettings& from, RuntimeSettings& to) {
  switch (knob) {
    case Knob::kUbatch:
      to.ubatch = from.ubatch;
      break;
    case Knob::kPrefillThreads:
      to.threads_batch = from.threads_batch;
      break;
    case Knob::kThreads:
      to.threads = from.threads;
      if (!to.threads_batch) to.threads_batch = from.threads_batch;
      break;
    case Knob::kFlashAttention:
      to.flash_attention = from.flash_attention;
      break;
    case Knob::kKv:
      to.kv_k = from.kv_k;
      to.kv_v = from.kv_v;
      break;
    case Knob::kRepack:
      to.repack = from.repack;
      break;
    case Knob::kLoading:
      to.load_mode = from.load_mode;
      break;
    case Knob::kBatch:
      to.batch = from.batch;
      break;
    case Knob::kPlacement:
      to.gpu_layers = from.gpu_layers;
      to.host_tensors = from.host_tensors;
      break;
    case Knob::kParallel:
      to.parallel = from.parallel;
      break;
  }
}

}  // namespace trimma
