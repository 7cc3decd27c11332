#include "support/tiny_model.h"

#include <fmt/format.h>

#include <bit>
#include <cmath>
#include <random>
#include <utility>

#include "base/file.h"
#include "base/result.h"

namespace trimma {
namespace {

constexpr uint32_t kControlTokens = 3;  // <unk>, <s>, </s>
constexpr uint32_t kBytes = 256;
constexpr const char* kSpace = "\xE2\x96\x81";  // U+2581, SentencePiece's space

// Rounds to nearest even; magnitudes below the smallest normal half become 0.
uint16_t ToHalf(float value) {
  const auto bits = std::bit_cast<uint32_t>(value);
  const uint32_t sign = (bits >> 16) & 0x8000;
  const uint32_t magnitude = bits & 0x7FFFFFFF;
  constexpr uint32_t kLeastNormal = 0x38800000;  // 2^-14
  if (magnitude < kLeastNormal) return static_cast<uint16_t>(sign);
  CHECK(std::abs(value) < 65504.0F);
  const uint32_t rebiased = magnitude - ((127 - 15) << 23);
  return static_cast<uint16_t>(sign | ((rebiased + 0x0FFF + ((rebiased >> 13) & 1)) >> 13));
}

class ModelMaker {
 public:
  explicit ModelMaker(const TinyModelOptions& options) : o_(options), random_(options.seed) {
    CHECK(o_.architecture == "llama" || gemma() || bert());
    CHECK(o_.vocab > kControlTokens + kBytes && o_.heads > 0 && o_.kv_heads > 0);
    CHECK(o_.embedding % o_.heads == 0 && o_.heads % o_.kv_heads == 0);
    CHECK(gemma() || o_.head_size == 0);
    CHECK(o_.experts == 0 || (!gemma() && o_.experts_used <= o_.experts));
  }

  TinyModel Make() {
    AddShape();
    AddTokenizer();
    // Tied or not, the output matrix multiplies vectors of length sqrt(embedding).
    const float output_deviation = 2.0F / std::sqrt(static_cast<float>(o_.embedding));
    AddMatrix("token_embd", o_.embedding, o_.vocab, output_deviation);
    if (bert()) {
      // The engine adds them as they are, so they can't be F16.
      AddNoise("token_types", {o_.embedding, 1}, {0.1F, tensor_type::kF32});
      AddNoise("position_embd", {o_.embedding, o_.context}, {0.1F, tensor_type::kF32});
      AddNorm("token_embd_norm");
    } else {
      AddVector("output_norm", o_.embedding);
    }
    if (!o_.tied && !bert()) AddMatrix("output", o_.embedding, o_.vocab, output_deviation);
    for (uint32_t i = 0; i < o_.layers; ++i) AddLayer(fmt::format("blk.{}.", i));
    return std::move(model_);
  }

 private:
  bool gemma() const { return o_.architecture == "gemma3"; }
  bool bert() const { return o_.architecture == "bert"; }
  uint32_t head_size() const { return o_.head_size != 0 ? o_.head_size : o_.embedding / o_.heads; }

  void Set(std::string_view key, Value value) {
    model_.metadata.Set(std::string(key), std::move(value));
  }
  void SetShape(std::string_view key, Value value) {
    Set(fmt::format("{}.{}", o_.architecture, key), std::move(value));
  }

  void AddShape() {
    Set("general.architecture", o_.architecture);
    Set("general.type", std::string("model"));
    Set("general.name", o_.name);
    Set("general.file_type", uint32_t{o_.type == tensor_type::kF16 ? 1U : 0U});
    SetShape("block_count", o_.layers);
    SetShape("context_length", o_.context);
    SetShape("embedding_length", o_.embedding);
    SetShape("feed_forward_length", o_.feed_forward);
    SetShape("attention.head_count", o_.heads);
    SetShape("attention.head_count_kv", o_.kv_heads);
    SetShape("attention.layer_norm_rms_epsilon", 1e-5F);
    SetShape("rope.freq_base", 10000.0F);
    if (o_.experts > 0) {
      SetShape("expert_count", o_.experts);
      SetShape("expert_used_count", o_.experts_used);
    }
    if (bert()) {
      SetShape("attention.layer_norm_epsilon", 1e-5F);
      SetShape("attention.causal", false);
      Set("tokenizer.ggml.token_type_count", uint32_t{1});
    }
    if (!gemma()) return;
    SetShape("attention.key_length", head_size());
    SetShape("attention.value_length", head_size());
    SetShape("attention.sliding_window", o_.sliding_window);
  }

  void AddTokenizer() {
    enum : int32_t { kNormal = 1, kUnknown = 2, kControl = 3, kByte = 6 };
    Strings tokens = {"<unk>", "<s>", "</s>"};
    std::vector<int32_t> types = {kUnknown, kControl, kControl};
    for (uint32_t byte = 0; byte < kBytes; ++byte) {
      tokens.push_back(fmt::format("<0x{:02X}>", byte));
      types.push_back(kByte);
    }
    std::vector<float> scores(tokens.size(), 0.0F);
    for (uint32_t i = 0; tokens.size() < o_.vocab; ++i) {
      tokens.push_back(i == 0 ? std::string(kSpace) : Piece(i - 1));
      types.push_back(kNormal);
      scores.push_back(-static_cast<float>(i));
    }
    Set("tokenizer.ggml.model", std::string("llama"));
    Set("tokenizer.ggml.tokens", Array{std::move(tokens)});
    Set("tokenizer.ggml.scores", Array{std::move(scores)});
    Set("tokenizer.ggml.token_type", Array{std::move(types)});
    Set("tokenizer.ggml.unknown_token_id", uint32_t{0});
    Set("tokenizer.ggml.bos_token_id", uint32_t{1});
    Set("tokenizer.ggml.eos_token_id", uint32_t{2});
    Set("tokenizer.ggml.add_bos_token", true);
  }

  // a, b, ... z, aa, ab, ...: distinct for every i.
  static std::string Piece(uint32_t i) {
    std::string piece;
    for (++i; i > 0; i = (i - 1) / 26)
      piece.insert(piece.begin(), static_cast<char>('a' + (i - 1) % 26));
    return piece;
  }

  void AddLayer(const std::string& layer) {
    const uint32_t d = o_.embedding;
    const uint32_t q = o_.heads * head_size();
    const uint32_t kv = o_.kv_heads * head_size();
    if (!bert()) AddVector(layer + "attn_norm", d);
    AddMatrix(layer + "attn_q", d, q);
    AddMatrix(layer + "attn_k", d, kv);
    AddMatrix(layer + "attn_v", d, kv);
    AddMatrix(layer + "attn_output", q, d);
    if (gemma()) {
      AddVector(layer + "attn_q_norm", head_size());
      AddVector(layer + "attn_k_norm", head_size());
      AddVector(layer + "post_attention_norm", d);
    }
    if (bert()) {
      AddNorm(layer + "attn_output_norm");
      AddMatrix(layer + "ffn_up", d, o_.feed_forward);
      AddMatrix(layer + "ffn_down", o_.feed_forward, d);
      AddNorm(layer + "layer_output_norm");
      return;
    }
    AddVector(layer + "ffn_norm", d);
    if (o_.experts > 0) {
      AddMatrix(layer + "ffn_gate_inp", d, o_.experts);
      AddExperts(layer + "ffn_gate_exps", d, o_.feed_forward);
      AddExperts(layer + "ffn_up_exps", d, o_.feed_forward);
      AddExperts(layer + "ffn_down_exps", o_.feed_forward, d);
    } else {
      AddMatrix(layer + "ffn_gate", d, o_.feed_forward);
      AddMatrix(layer + "ffn_up", d, o_.feed_forward);
      AddMatrix(layer + "ffn_down", o_.feed_forward, d);
    }
    if (gemma()) AddVector(layer + "post_ffw_norm", d);
  }

  // A norm's scale: near 1.
  void AddVector(const std::string& name, uint32_t n) { AddVector(name + ".weight", n, 1); }
  void AddNorm(const std::string& name) {
    AddVector(name + ".weight", o_.embedding, 1);
    AddVector(name + ".bias", o_.embedding, 0);
  }
  void AddVector(const std::string& tensor, uint32_t n, float mean) {
    std::string data;
    for (uint32_t i = 0; i < n; ++i) Append(mean + 0.1F * Noise(), tensor_type::kF32, &data);
    model_.tensors.push_back({tensor, tensor_type::kF32, {n}});
    model_.data.push_back(std::move(data));
  }

  // [columns, rows]; the default deviation keeps the length of what it multiplies.
  void AddMatrix(const std::string& name, uint32_t columns, uint32_t rows, float deviation = 0) {
    if (deviation == 0) deviation = 1.0F / std::sqrt(static_cast<float>(columns));
    AddNoise(name, {columns, rows}, {deviation, o_.type});
  }

  // One matrix for each expert.
  void AddExperts(const std::string& name, uint32_t columns, uint32_t rows) {
    const float deviation = 1.0F / std::sqrt(static_cast<float>(columns));
    AddNoise(name, {columns, rows, o_.experts}, {deviation, o_.type});
  }

  struct Weights {
    float deviation;
    TensorType type;
  };
  void AddNoise(const std::string& name, const std::vector<uint64_t>& shape, Weights weights) {
    std::string data;
    uint64_t elements = 1;
    for (const uint64_t n : shape) elements *= n;
    data.reserve(elements * sizeof(float));
    for (uint64_t i = 0; i < elements; ++i)
      Append(weights.deviation * Noise(), weights.type, &data);
    model_.tensors.push_back({name + ".weight", weights.type, shape});
    model_.data.push_back(std::move(data));
  }

  // Near normal, deviation 1, from integers alone: std::normal_distribution differs
  // between standard libraries.
  float Noise() {
    uint64_t bits = random_();
    float sum = 0;
    for (int i = 0; i < 4; ++i, bits >>= 16)
      sum += static_cast<float>(bits & 0xFFFF) / 65536.0F - 0.5F;
    return sum * 1.7320508F;  // four uniforms have a variance of 4/12
  }

  static void Append(float value, TensorType type, std::string* data) {
    CHECK(type == tensor_type::kF32 || type == tensor_type::kF16);
    if (type == tensor_type::kF32) {
      data->append(reinterpret_cast<const char*>(&value), sizeof value);
    } else {
      const uint16_t half = ToHalf(value);
      data->append(reinterpret_cast<const char*>(&half), sizeof half);
    }
  }

  const TinyModelOptions& o_;
  std::mt19937_64 random_;
  TinyModel model_;
};

}  // namespace

TinyModel MakeTinyModel(const TinyModelOptions& options) { return ModelMaker(options).Make(); }

std::string Assemble(const TinyModel& model) {
  const Result<GgufLayout> layout = LayOutGguf(model.metadata, model.tensors);
  CHECK(layout.ok());
  std::string bytes = layout->header;
  bytes.resize(layout->file_bytes, '\0');
  for (size_t i = 0; i < model.tensors.size(); ++i) {
    CHECK(model.data[i].size() == layout->sizes[i]);
    bytes.replace(layout->offsets[i], layout->sizes[i], model.data[i]);
  }
  return bytes;
}

std::string WriteTinyModel(const std::string& path, const TinyModelOptions& options) {
  const Status written = WriteFileAtomically(path, Assemble(MakeTinyModel(options)));
  CHECK(written.ok());
  return path;
}

}  // namespace trimma
