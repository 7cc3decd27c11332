#include "engine/model.h"

#include <fmt/format.h>
#include <ggml-backend.h>
#include <llama.h>

#include <cstring>

#include "base/interrupt.h"
#include "engine/engine.h"
#include "engine/flash_attention.h"
#include "engine/ggml_types.h"
#include "gguf/soundness.h"
#include "hardware/machine.h"

namespace trimma {
namespace {

std::string EngineSays(const std::string& words) {
  return words.empty() ? "" : fmt::format(" (the engine says: {})", words);
}
std::string EngineSays() { return EngineSays(TakeEngineWords().said); }

// The engine's API gives no reason for a failure; its log does.
Error CannotLoad(const std::string& path) {
  const EngineWords words = TakeEngineWords();
  const std::string said = EngineSays(words.said);
  if (words.no_room) {
    return {Code::kNoFit, fmt::format("{}: its weights don't fit in memory{}", path, said),
            "choose a smaller type, or put fewer layers on the device that is full (--gpu-layers)"};
  }
  return {Code::kInvalid, fmt::format("{}: the engine can't load this model{}", path, said),
          "its architecture may be newer than this engine; see `trimma inspect`"};
}

llama_load_mode ToEngine(LoadMode mode) {
  switch (mode) {
    case LoadMode::kAuto:
      return LLAMA_LOAD_MODE_AUTO;
    case LoadMode::kRead:
      return LLAMA_LOAD_MODE_NONE;
    case LoadMode::kMapped:
      return LLAMA_LOAD_MODE_MMAP;
    case LoadMode::kMappedLocked:
      return LLAMA_LOAD_MODE_MMAP_MLOCK;
  }
  CHECK(false);
  return LLAMA_LOAD_MODE_AUTO;
}

llama_model_kv_override Override(const std::string& key, llama_model_kv_override_type type) {
  llama_model_kv_override entry = {};
  entry.tag = type;
  key.copy(entry.key, sizeof entry.key - 1);
  return entry;
}

// What the header of a model without texts would say.
std::vector<llama_model_kv_override> WithoutTexts(const GgufFile& file) {
  const Array* tokens = file.metadata.FindArray("tokenizer.ggml.tokens");
  if (tokens == nullptr) return {};
  std::vector<llama_model_kv_override> overrides = {
      Override("tokenizer.ggml.model", LLAMA_KV_OVERRIDE_TYPE_STR),
      Override(file.architecture() + ".vocab_size", LLAMA_KV_OVERRIDE_TYPE_INT),
      llama_model_kv_override()};
  std::string("none").copy(overrides[0].val_str, sizeof overrides[0].val_str - 1);
  overrides[1].val_i64 = static_cast<int64_t>(tokens->size());
  return overrides;
}

bool AbortOnInterrupt(void*) { return InterruptSignal() != 0; }

}  // namespace

int DefaultThreads() {
  static const int cores = Probe().cpu.cores;
  return cores;
}

void Model::Free::operator()(llama_model* model) const { llama_model_free(model); }

Model::Options Model::Options::PlacedAs(const RuntimeSettings& settings) {
  Options options;
  options.gpu_layers = settings.gpu_layers;
  options.host_tensors = settings.host_tensors;
  options.load_mode = settings.load_mode;
  options.repack = settings.repack;
  if (!settings.use_gpu) options.devices.emplace();
  return options;
}

Result<Model> Model::Load(const std::string& path, const Options& options) {
  TRY(const GgufFile file, ReadGguf(path));
  TRY_STATUS(CheckModel(file));
  return Load(file, options);
}

Result<Model> Model::Load(const GgufFile& file, const Options& options) {
  TRY_STATUS(StartEngine());
  (void)TakeEngineWords();
  llama_model_params params = llama_model_default_params();
  if (options.gpu_layers) params.n_gpu_layers = *options.gpu_layers;
  params.load_mode = ToEngine(options.load_mode);
  params.use_extra_bufts = options.repack && !options.writable;
  if (options.writable) params.load_mode = LLAMA_LOAD_MODE_NONE;
  if (options.no_alloc) {
    params.no_alloc = true;
    params.load_mode = LLAMA_LOAD_MODE_NONE;
  }
  std::vector<ggml_backend_dev_t> devices;
  if (options.devices) {
    devices = *options.devices;
    devices.push_back(nullptr);
    params.devices = devices.data();
  }
  std::vector<llama_model_tensor_buft_override> places;
  for (const std::string& pattern : options.host_tensors)
    places.push_back({pattern.c_str(), ggml_backend_cpu_buffer_type()});
  if (!places.empty()) {
    places.push_back({nullptr, nullptr});
    params.tensor_buft_overrides = places.data();
  }
  std::vector<llama_model_kv_override> overrides;
  if (!options.texts) overrides = WithoutTexts(file);
  if (!overrides.empty()) params.kv_overrides = overrides.data();
  params.progress_callback = [](float, void*) { return InterruptSignal() == 0; };
  std::vector<const char*> paths;
  for (const std::string& path : file.paths) paths.push_back(path.c_str());
  llama_model* model = paths.size() == 1
                           ? llama_model_load_from_file(paths[0], params)
                           : llama_model_load_from_splits(paths.data(), paths.size(), params);
  TRY_STATUS(CheckInterrupted());
  if (model == nullptr) return CannotLoad(file.paths[0]);
  return Model(model);
}

int Model::vocabulary() const { return llama_vocab_n_tokens(llama_model_get_vocab(get())); }
int Model::trained_context() const { return llama_model_n_ctx_train(get()); }
int Model::layers() const { return llama_model_n_layer(get()) + 1; }
bool Model::adds_bos() const { return llama_vocab_get_add_bos(llama_model_get_vocab(get())); }
Token Model::bos() const { return llama_vocab_bos(llama_model_get_vocab(get())); }
bool Model::IsEndOfGeneration(Token token) const {
  return llama_vocab_is_eog(llama_model_get_vocab(get()), token);
}

bool Model::SameVocabulary(const Model& other) const {
  const int n = vocabulary();
  if (n != other.vocabulary()) return false;
  const llama_vocab* a = llama_model_get_vocab(get());
  const llama_vocab* b = llama_model_get_vocab(other.get());
  for (int i = 0; i < n; ++i) {
    if (std::strcmp(llama_vocab_get_text(a, i), llama_vocab_get_text(b, i)) != 0) return false;
  }
  return true;
}

std::vector<Token> Model::Tokenize(const std::string& text, bool add_special) const {
  return Tokens(text, add_special, ControlTokens::kAsText);
}

std::vector<Token> Model::TokenizeTemplate(const std::string& text, bool begins) const {
  std::vector<Token> tokens = Tokens(text, begins, ControlTokens::kParsed);
  // Some templates write BOS out.
  if (begins && adds_bos() && tokens.size() > 1 && tokens[1] == bos()) tokens.erase(tokens.begin());
  return tokens;
}

std::vector<Token> Model::Tokens(const std::string& text, bool add_special,
                                 ControlTokens control) const {
  const llama_vocab* vocab = llama_model_get_vocab(get());
  const auto bytes = static_cast<int32_t>(text.size());
  const bool parse = control == ControlTokens::kParsed;
  std::vector<Token> tokens(text.size() + 8);
  int32_t n = llama_tokenize(vocab, text.data(), bytes, tokens.data(),
                             static_cast<int32_t>(tokens.size()), add_special, parse);
  if (n < 0) {
    tokens.resize(static_cast<size_t>(-n));
    n = llama_tokenize(vocab, text.data(), bytes, tokens.data(),
                       static_cast<int32_t>(tokens.size()), add_special, parse);
  }
  tokens.resize(static_cast<size_t>(std::max(n, 0)));
  return tokens;
}

std::string Model::Detokenize(const std::vector<Token>& tokens) const {
  const llama_vocab* vocab = llama_model_get_vocab(get());
  std::string text(tokens.size() * 8 + 64, '\0');
  const auto count = static_cast<int32_t>(tokens.size());
  int32_t n = llama_detokenize(vocab, tokens.data(), count, text.data(),
                               static_cast<int32_t>(text.size()), true, false);
  if (n < 0) {
    text.resize(static_cast<size_t>(-n));
    n = llama_detokenize(vocab, tokens.data(), count, text.data(),
                         static_cast<int32_t>(text.size()), true, false);
  }
  text.resize(static_cast<size_t>(std::max(n, 0)));
  return text;
}

struct Context::Tap {
  std::function<bool(ggml_tensor*, bool)> see;
};

void Context::Free::operator()(llama_context* context) const { llama_free(context); }
Context::Context(llama_context* context, std::unique_ptr<Tap> tap)
    : tap_(std::move(tap)), context_(context) {}
Context::Context(Context&&) noexcept = default;
Context::~Context() = default;

Result<Context> Context::Create(const Model& model, const Options& options) {
  const RuntimeSettings& settings = options.settings;
  TRY(const ggml_type type_k, GgmlKvType(settings.kv_k));
  TRY(const ggml_type type_v, GgmlKvType(settings.kv_v));
  if (settings.flash_attention == FlashAttention::kOff && settings.kv_v != "f16" &&
      settings.kv_v != "f32" && settings.kv_v != "bf16") {
    return Error{Code::kUsage,
                 fmt::format("KV-cache type {} for V needs flash attention", settings.kv_v),
                 "leave flash attention on auto"};
  }
  llama_context_params params = llama_context_default_params();
  params.n_ctx = settings.context;
  params.n_batch = settings.batch;
  params.n_ubatch = settings.ubatch;
  params.n_seq_max = static_cast<uint32_t>(std::max(options.sequences, settings.parallel));
  params.n_outputs_max = options.outputs;
  params.n_outputs_max_per_seq = options.outputs;
  params.n_threads = settings.threads.value_or(DefaultThreads());
  params.n_threads_batch = settings.threads_batch.value_or(params.n_threads);
  params.flash_attn_type = ToEngine(settings.flash_attention);
  params.type_k = type_k;
  params.type_v = type_v;
  params.swa_full = false;  // as llama-server and llama-bench run it; the API's own default differs
  // The KV cache's cells are divided among the sequences, as parallel slots of llama-perplexity.
  params.kv_unified = false;
  params.abort_callback = AbortOnInterrupt;
  auto tap = std::make_unique<Tap>(Tap{options.tap});
  if (options.tap) {
    params.cb_eval = [](ggml_tensor* node, bool ask, void* user) {
      return static_cast<Tap*>(user)->see(node, ask);
    };
    params.cb_eval_user_data = tap.get();
  }
  (void)TakeEngineWords();
  llama_context* context = llama_init_from_model(model.get(), params);
  if (context == nullptr) {
    return Error{Code::kNoFit,
                 fmt::format("the engine can't create a context of {} tokens{}", settings.context,
                             EngineSays()),
                 "choose a shorter context or a smaller KV-cache type"};
  }
  return Context(context, std::move(tap));
}

Status Context::Decode(std::span<const BatchToken> tokens) {
  const auto n = static_cast<int32_t>(tokens.size());
  llama_batch batch = llama_batch_init(n, 0, 1);
  batch.n_tokens = n;
  for (int32_t i = 0; i < n; ++i) {
    const BatchToken& t = tokens[static_cast<size_t>(i)];
    batch.token[i] = t.token;
    batch.pos[i] = t.position;
    batch.n_seq_id[i] = 1;
    batch.seq_id[i][0] = t.sequence;
    batch.logits[i] = t.want_logits ? 1 : 0;
  }
  const int rc = llama_decode(get(), batch);
  llama_batch_free(batch);
  TRY_STATUS(CheckInterrupted());
  if (rc != 0)
    return Error{Code::kFailure,
                 fmt::format("the engine can't evaluate a batch of {} tokens{}", n, EngineSays()),
                 ""};
  return {};
}

Status Context::Append(std::span<const Token> tokens) {
  std::vector<Token> copy(tokens.begin(), tokens.end());  // the engine's API wants them mutable
  const int rc =
      llama_decode(get(), llama_batch_get_one(copy.data(), static_cast<int32_t>(copy.size())));
  TRY_STATUS(CheckInterrupted());
  if (rc != 0)
    return Error{Code::kFailure,
                 fmt::format("the engine can't evaluate {} tokens{}", tokens.size(), EngineSays()),
                 ""};
  return {};
}

const float* Context::Logits(int batch_index) const {
  return llama_get_logits_ith(get(), batch_index);
}
void Context::Clear() { llama_memory_clear(llama_get_memory(get()), false); }
void Context::Synchronize() { llama_synchronize(get()); }
void Context::SetThreads(int decode, int prefill) { llama_set_n_threads(get(), decode, prefill); }

}  // namespace trimma
