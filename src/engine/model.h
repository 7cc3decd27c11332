// A loaded model and a context to run it in, without ggml's headers.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "engine/runtime.h"
#include "gguf/reader.h"

struct ggml_backend_device;
struct llama_model;
struct llama_context;
struct ggml_tensor;

namespace trimma {

using Token = int32_t;

class Model {
 public:
  struct Options {
    // Where `settings` lay a model: which layers and tensors on which devices,
    // and how they get there.
    static Options PlacedAs(const RuntimeSettings& settings);

    std::optional<int> gpu_layers;  // nullopt: all
    bool no_alloc = false;          // price only: nothing is read, no weights exist
    bool writable =
        false;  // weights in memory of our own, as in the file: not mapped, not repacked
    // Without the texts of its tokens: it evaluates numbers, and can't tokenise. Of a large
    // vocabulary they are 100 MB and more, which a second model of the same vocabulary needn't
    // hold.
    bool texts = true;
    bool repack = true;  // weights rearranged for the CPU's kernels, as the engine's default
    std::vector<std::string> host_tensors;  // RuntimeSettings::host_tensors
    LoadMode load_mode = LoadMode::kAuto;   // of weights that are not no_alloc or writable
    // The GPUs to use; nullopt: all that the engine sees; empty: none. Phantoms (engine/phantom.h)
    // only with no_alloc.
    std::optional<std::vector<ggml_backend_device*>> devices;
  };
  // `file` was accepted by our own reader; its shards are loaded. kInvalid with the engine's words
  // where it can't run the model.
  static Result<Model> Load(const GgufFile& file, const Options& options);
  static Result<Model> Load(const std::string& path,
                            const Options& options);  // reads and checks first

  llama_model* get() const { return model_.get(); }
  int vocabulary() const;
  int trained_context() const;
  int layers() const;  // as -ngl counts: repeating layers and the output layer
  bool adds_bos() const;
  Token bos() const;
  bool IsEndOfGeneration(Token token) const;
  // Same tokens with the same texts: a divergence between the two has a meaning.
  bool SameVocabulary(const Model& other) const;
  std::vector<Token> Tokenize(const std::string& text, bool add_special) const;
  // The same where control tokens may be written out, as chat templates do. `begins`: a sequence,
  // so that BOS comes first where the model adds one.
  std::vector<Token> TokenizeTemplate(const std::string& text, bool begins) const;
  std::string Detokenize(const std::vector<Token>& tokens) const;

 private:
  struct Free {
    void operator()(llama_model* model) const;
  };
  explicit Model(llama_model* model) : model_(model) {}
  enum class ControlTokens { kAsText, kParsed };
  std::vector<Token> Tokens(const std::string& text, bool add_special, ControlTokens control) const;
  std::unique_ptr<llama_model, Free> model_;
};

// One token of a batch.
struct BatchToken {
  Token token = 0;
  int position = 0;
  int sequence = 0;
  bool want_logits = false;
};

class Context {
 public:
  struct Options {
    RuntimeSettings settings;
    int sequences = 1;  // besides the settings' own; the larger counts
    // Rows of logits a batch may ask for: 0 is "every token" as the engine's tools reserve;
    // llama-server reserves one per slot.
    uint32_t outputs = 0;
    // Sees each evaluated node: asked first (ask = true), then called with the data. Slows
    // evaluation.
    std::function<bool(ggml_tensor* node, bool ask)> tap;
  };
  static Result<Context> Create(const Model& model, const Options& options);
  Context(Context&&) noexcept;
  Context& operator=(Context&&) = delete;
  ~Context();

  llama_context* get() const { return context_.get(); }
  Status Decode(std::span<const BatchToken> tokens);
  // Tokens of sequence 0 at the next positions; logits of the last only.
  Status Append(std::span<const Token> tokens);
  const float* Logits(int batch_index) const;  // [vocabulary] of that token of the last Decode
  void Clear();                                // empties the KV cache
  void Synchronize();                          // waits for the device
  void SetThreads(int decode, int prefill);

 private:
  struct Free {
    void operator()(llama_context* context) const;
  };
  struct Tap;
  Context(llama_context* context, std::unique_ptr<Tap> tap);
  std::unique_ptr<Tap> tap_;
  std::unique_ptr<llama_context, Free> context_;
};

// Threads that llama-server would take: the physical cores this process may use.
int DefaultThreads();

}  // namespace trimma
