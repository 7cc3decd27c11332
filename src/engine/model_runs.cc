#include "engine/model_runs.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>

#include "base/interrupt.h"
#include "base/stats.h"
#include "engine/memory_file.h"
#include "engine/model.h"
#include "gguf/writer.h"

namespace trimma {
namespace {

using Clock = std::chrono::steady_clock;
using tensor_type::kF32;

constexpr uint32_t kHead = 64;
constexpr uint32_t kQueriesPerHead = 4;
constexpr uint32_t kVocabulary = 256;
constexpr uint32_t kPromptTokens = 512;
constexpr uint32_t kDecoded = 8;  // before the clock starts
constexpr size_t kFewest = 16;    // tokens, whatever they take
constexpr size_t kMost = 256;

// Starts alone; both; weights from memory, in the two types that recipes give most.
const std::vector<ModelRun>& Shapes() {
  static const std::vector<ModelRun> shapes = {{"q8_0", 16, 256, 768},
                                               {"q4_K", 24, 512, 1536},
                                               {"q8_0", 6, 1024, 2816},
                                               {"q8_0", 3, 2048, 5632},
                                               {"q4_K", 4, 2048, 5632}};
  return shapes;
}

// Products of 512 tokens with more weights than this take too long.
constexpr double kMostPromptWeights = 8e7;

double Weights(const ModelRun& run) {
  return run.layers * run.width * (2.5 * run.width + 3 * run.feed_forward);
}

double Since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

GgufLayout Layout(const ModelRun& run) {
  const auto type = TensorTypeByName(run.type);
  CHECK(type);
  const auto width = static_cast<uint32_t>(run.width);
  const auto feed_forward = static_cast<uint32_t>(run.feed_forward);
  const auto layers = static_cast<uint32_t>(run.layers);
  Metadata metadata;
  metadata.Set("general.architecture", std::string("llama"));
  metadata.Set("llama.block_count", layers);
  metadata.Set("llama.context_length", uint32_t{4096});
  metadata.Set("llama.embedding_length", width);
  metadata.Set("llama.feed_forward_length", feed_forward);
  metadata.Set("llama.attention.head_count", width / kHead);
  metadata.Set("llama.attention.head_count_kv", width / kHead / kQueriesPerHead);
  metadata.Set("llama.attention.layer_norm_rms_epsilon", 1e-5F);
  metadata.Set("llama.vocab_size", kVocabulary);
  metadata.Set("tokenizer.ggml.model", std::string("none"));
  std::vector<TensorPlan> tensors = {{"token_embd.weight", *type, {width, kVocabulary}},
                                     {"output_norm.weight", kF32, {width}}};
  for (uint32_t i = 0; i < layers; ++i) {
    const auto add = [&](const char* name, TensorType of, std::vector<uint64_t> shape) {
      tensors.push_back({fmt::format("blk.{}.{}.weight", i, name), of, std::move(shape)});
    };
    add("attn_norm", kF32, {width});
    add("attn_q", *type, {width, width});
    add("attn_k", *type, {width, width / kQueriesPerHead});
    add("attn_v", *type, {width, width / kQueriesPerHead});
    add("attn_output", *type, {width, width});
    add("ffn_norm", kF32, {width});
    add("ffn_gate", *type, {width, feed_forward});
    add("ffn_up", *type, {width, feed_forward});
    add("ffn_down", *type, {feed_forward, width});
  }
  const auto layout = LayOutGguf(metadata, tensors);
  CHECK(layout.ok());
  return *layout;
}

// Token by token, from `run.depth` tokens on, while the budget lasts.
Status TimeTokens(Context& context, double budget, ModelRun& run) {
  const Token token = 1;
  for (uint32_t i = 0; i < kDecoded; ++i) TRY_STATUS(context.Append({&token, 1}));
  std::vector<double> samples;
  const auto start = Clock::now();
  while (samples.size() < kMost && (samples.size() < kFewest || Since(start) < budget)) {
    TRY_STATUS(CheckInterrupted());
    const auto before = Clock::now();
    TRY_STATUS(context.Append({&token, 1}));
    context.Synchronize();
    samples.push_back(Since(before));
  }
  run.depth = kDecoded + static_cast<double>(samples.size()) / 2;
  std::sort(samples.begin(), samples.end());
  run.token_seconds = Quantile(samples, 0.5);
  return {};
}

Status TimePrompts(Context& context, double budget, ModelRun& run) {
  const std::vector<Token> prompt(kPromptTokens, 1);
  std::vector<double> samples;
  const auto start = Clock::now();
  // The first makes room for the graph.
  for (int i = 0; i < 2 || (Since(start) < budget && i < 12); ++i) {
    TRY_STATUS(CheckInterrupted());
    context.Clear();
    const auto before = Clock::now();
    TRY_STATUS(context.Append(prompt));
    context.Synchronize();
    if (i > 0) samples.push_back(Since(before));
  }
  std::sort(samples.begin(), samples.end());
  run.prompt_seconds = Quantile(samples, 0.5);
  return {};
}

Result<ModelRun> Run(ModelRun run, int threads, double budget) {
  const GgufLayout layout = Layout(run);
  TRY(const MemoryFile zeros, MemoryFile::Create(layout.header, layout.file_bytes));
  Model::Options options;
  options.gpu_layers = 0;
  options.devices.emplace();  // none, so that no prompt's batch goes to a card
  TRY(const Model model, Model::Load(zeros.path(), options));
  Context::Options with;
  with.settings.context = 1024;
  with.settings.gpu_layers = 0;
  with.settings.threads = threads;
  with.settings.threads_batch = threads;
  with.outputs = 1;
  TRY(Context context, Context::Create(model, with));
  if (Weights(run) <= kMostPromptWeights) TRY_STATUS(TimePrompts(context, budget / 2, run));
  context.Clear();
  TRY_STATUS(TimeTokens(context, budget / 2, run));
  return run;
}

}  // namespace

GgufFile FileOfRun(const ModelRun& shape) {
  const GgufLayout layout = Layout(shape);
  auto file = ParseGguf(layout.header, layout.file_bytes, "a model of zeros");
  CHECK(file.ok());
  return std::move(*file);
}

Result<std::vector<ModelRun>> RunModels(int threads, double seconds,
                                        const std::function<bool(double)>& go) {
  std::vector<ModelRun> runs;
  const auto all = static_cast<double>(Shapes().size());
  for (const ModelRun& shape : Shapes()) {
    if (!go(static_cast<double>(runs.size()) / all)) break;
    TRY(ModelRun run, Run(shape, threads, seconds / all));
    runs.push_back(std::move(run));
  }
  return runs;
}

}  // namespace trimma
