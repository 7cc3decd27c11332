#include "plan/speed.h"

#include <algorithm>
#include <cmath>
#include <regex>

#include "plan/cell.h"
#include "plan/kv.h"

namespace trimma {
namespace {

// The engine gives a GPU the products of layers that lie on the host from this many tokens on
// (ggml-cuda.cu, op_offload_min_batch_size).
constexpr double kOffloadTokens = 32;
// Rates are known for so many tokens (hardware/kernels.h), and in between by interpolation.
constexpr double kFewTokens = 32;
constexpr double kPromptTokens = 512;

// The host's work for one token and one cell of the mask, in one thread, and what it is then.
constexpr double kMaskSeconds = 1e-9;
constexpr double kMaskBytes = 2;
// Of what starts and barriers cost on a host in graphs of nothing else, a model's own graph shows
// this share, and it reads weights so much faster than single matrices in turn are read. Fitted to
// decoding on 4 threads of a Xeon (Sapphire Rapids): gemma3 270M as Q8_0 and Q4_K_M, 4 layers of
// llama 3B as Q6_K and Q3_K_M.
constexpr double kHostStartShare = 0.4;
constexpr double kHostReadGain = 1.1;
// Half-widths of the intervals, as ratios: they hold 9 of 10 cells that were held out (25 on an
// H100, 8 on 4 threads of its host), those between GPU and host theirs.
constexpr double kDecodeWidth = 0.25;
constexpr double kPrefillWidth = 0.35;
constexpr double kSplitWidth = 0.4;
// For a card that only its data sheet is known of (card_speed.cc says what the figures rest on).
constexpr double kCardDecodeWidth = 0.4;
constexpr double kCardPrefillWidth = 0.7;

bool Contains(const std::string& name, const char* part) {
  return name.find(part) != std::string::npos;
}
bool EndsWith(const std::string& name, const std::string& end) {
  return name.size() >= end.size() && name.compare(name.size() - end.size(), end.size(), end) == 0;
}

// "blk.12.ffn_up.weight" -> 12
std::optional<size_t> LayerOf(const std::string& name) {
  if (name.rfind("blk.", 0) != 0) return std::nullopt;
  size_t layer = 0;
  size_t at = 4;
  for (; at < name.size() && name[at] >= '0' && name[at] <= '9' && layer < 100000; ++at)
    layer = layer * 10 + static_cast<size_t>(name[at] - '0');
  if (at == 4 || at >= name.size() || name[at] != '.') return std::nullopt;
  return layer;
}

std::string KernelName(TensorType type) {
  // ggml's own spelling, by which kernels are listed, is lower case but for the K of its types.
  std::string name = NameOf(type);
  const bool k = EndsWith(name, "_K");
  std::transform(name.begin(), name.end(), name.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  if (k) name.back() = 'K';
  return name;
}

// A state instead of a cache, wholly or in some layers; or no text to decode.
bool IsBeyondPrediction(const GgufFile& file) {
  const std::string arch = file.architecture();
  for (const char* key :
       {".ssm.state_size", ".ssm.inner_size", ".wkv.head_size", ".shortconv.l_cache"}) {
    if (file.metadata.Has(arch + key)) return true;
  }
  if (file.metadata.Bool(arch + ".attention.causal") == false || Contains(arch, "bert") ||
      arch == "t5" || arch == "t5encoder")
    return true;
  return !file.metadata.Has(arch + ".attention.head_count") ||
         !file.metadata.Has(arch + ".block_count");
}

// Seconds a byte when weights of `working_set` bytes take turns.
double SecondsPerByte(const std::vector<MemoryPoint>& memory, double working_set) {
  const auto above = std::find_if(memory.begin(), memory.end(), [&](const MemoryPoint& p) {
    return p.working_set_bytes >= working_set;
  });
  if (above == memory.end()) return 1 / memory.back().bytes_per_s;
  if (above == memory.begin()) return 1 / above->bytes_per_s;
  const auto below = std::prev(above);
  const double share = std::log(working_set / below->working_set_bytes) /
                       std::log(above->working_set_bytes / below->working_set_bytes);
  return (1 - share) / below->bytes_per_s + share / above->bytes_per_s;
}

}  // namespace

SpeedModel::SpeedModel(const GgufFile& file, const std::vector<TensorType>& types,
                       std::vector<DeviceKernels> gpus, DeviceKernels host)
    : gpus_(std::move(gpus)), host_(std::move(host)) {
  CHECK(types.empty() || types.size() == file.tensors.size());
  if (host_.measured) {
    host_.op_seconds *= kHostStartShare;
    host_.norm_op_seconds *= kHostStartShare;
    host_.graph_seconds *= kHostStartShare;
    for (auto& [name, kernel] : host_.weights) {
      kernel.matvec_seconds *= kHostStartShare;
      kernel.matvec_bytes_per_s *= kHostReadGain;
    }
    for (auto& [name, kernel] : host_.attention) kernel.token_seconds *= kHostStartShare;
  }
  if (IsBeyondPrediction(file)) return;
  const std::string arch = file.architecture();
  const Metadata& m = file.metadata;
  const int64_t blocks = m.Integer(arch + ".block_count").value_or(0);
  const int64_t next_n = m.Integer(arch + ".nextn_predict_layers").value_or(0);
  if (blocks <= 0 || blocks > 100000 || next_n < 0 || next_n >= blocks) return;
  const auto n = static_cast<size_t>(blocks - next_n);  // layers that predict further are not run
  embedding_ = static_cast<double>(m.Integer(arch + ".embedding_length").value_or(0));
  window_ = static_cast<double>(m.Integer(arch + ".attention.sliding_window").value_or(0));
  const auto heads = m.PerLayer(arch + ".attention.head_count", n);
  auto kv_heads = m.PerLayer(arch + ".attention.head_count_kv", n);
  if (!heads) return;
  if (!kv_heads) kv_heads = heads;
  const int64_t latent = m.Integer(arch + ".attention.kv_lora_rank").value_or(0);
  layers_.resize(n + 1);
  for (size_t i = 0; i < n; ++i) {
    Layer& layer = layers_[i];
    layer.attends = (*heads)[i] > 0 && (*kv_heads)[i] > 0;
    if (!layer.attends) continue;
    layer.heads = static_cast<double>((*heads)[i]);
    const double head = embedding_ / layer.heads;
    const auto length = [&](const char* key) {
      const auto set = m.Integer(arch + key);
      return set ? static_cast<double>(*set) : head;
    };
    layer.key = length(".attention.key_length");
    layer.value = length(".attention.value_length");
    layer.windowed = IsWindowedLayer(file, i);
    const auto shared = static_cast<double>((*kv_heads)[i]);
    layer.kv_elements = shared * (layer.key + layer.value);
    if (latent > 0) {  // one compressed head, that all query heads see (MLA)
      layer.key =
          static_cast<double>(latent + m.Integer(arch + ".rope.dimension_count").value_or(64));
      layer.value = static_cast<double>(latent);
      layer.kv_elements = layer.key;
    }
    layer.ropes = (layer.heads + shared) * (latent > 0 ? layer.key - layer.value : layer.key);
    layer.stores = layer.kv_elements;
    layer.adds = 2 * embedding_;
    layer.ops += 2 /* rope */ + 2 /* into the cache */ + 2 /* residuals */;
  }
  for (size_t i = 0; i < file.tensors.size(); ++i) {
    tensor_names_.push_back(file.tensors[i].name);
    AddTensor(file, file.tensors[i], types.empty() ? file.tensors[i].type : types[i], i);
  }
  if (vocabulary_ == 0) return;  // no output: an encoder
  layers_.back().ops += 2;
  predictable_ = true;
}

SpeedModel::Matrices& SpeedModel::MatricesOf(Layer& layer, TensorType type, double share,
                                             bool after_attention) {
  const std::string name = KernelName(type);
  auto at = std::find(type_names_.begin(), type_names_.end(), name);
  if (at == type_names_.end()) at = type_names_.insert(at, name);
  const auto index = static_cast<size_t>(at - type_names_.begin());
  for (Matrices& m : layer.matrices) {
    if (m.type == index && m.share == share && m.after_attention == after_attention) return m;
  }
  Matrices fresh;
  fresh.type = index;
  fresh.share = share;
  fresh.after_attention = after_attention;
  layer.matrices.push_back(std::move(fresh));
  return layer.matrices.back();
}

void SpeedModel::AddTensor(const GgufFile& file, const TensorInfo& tensor, TensorType type,
                           size_t index) {
  const std::string& name = tensor.name;
  const std::string arch = file.architecture();
  const auto number = [&](const char* key) {
    return static_cast<double>(file.metadata.Integer(arch + key).value_or(0));
  };
  const auto in_layer = LayerOf(name);
  if (in_layer && *in_layer + 1 >= layers_.size()) return;  // of layers that are not run
  Layer& layer = layers_[in_layer.value_or(layers_.size() - 1)];
  const auto elements = static_cast<double>(tensor.elements());
  const bool matrix = tensor.shape.size() >= 2 && tensor.shape[1] > 1 &&
                      EndsWith(name, ".weight") && !Contains(name, "norm") &&
                      !Contains(name, "rope_");
  if (!matrix) {
    if (Contains(name, "norm") && EndsWith(name, ".weight")) {
      // Norms of a head are applied to every head.
      const double times = Contains(name, "attn_q_norm") && elements == layer.key ? layer.heads
                           : Contains(name, "attn_k_norm") && elements == layer.key
                               ? layer.kv_elements / (layer.key + layer.value)
                               : 1;
      layer.norm_ops += 1;  // backends join a norm and its weights
      layer.norms += elements * times;
    } else if (EndsWith(name, ".bias")) {
      layer.ops += 1;
      layer.adds += elements;
    }
    return;
  }
  const bool lookup = name == "per_layer_token_embd.weight" || name == "position_embd.weight" ||
                      name == "token_types.weight" ||
                      (name == "token_embd.weight" && file.FindTensor("output.weight") != nullptr);
  const bool output = name == "output.weight" || name == "token_embd.weight";
  if (output) vocabulary_ = static_cast<double>(tensor.rows());
  if (lookup) {
    layer.ops += 1;
    return;
  }
  const bool experts = tensor.shape.size() == 3 && Contains(name, "_exps");
  const double all = number(".expert_count");
  const double used = number(".expert_used_count");
  const double share = experts && all > 0 && used > 0 ? used / all : 1;
  const bool after_attention = Contains(name, ".ffn_") || output;
  Matrices& m = MatricesOf(layer, type, share, after_attention);
  const double bytes = static_cast<double>(RowBytes(type, tensor.row_length()).value_or(0)) *
                       static_cast<double>(tensor.rows());
  m.count += 1;
  m.bytes += bytes * share;
  m.stored += bytes;
  m.flops += 2 * elements * share;
  m.tensors.push_back(index);
  if (experts) has_experts_ = true;
  // One activation for each gate, or for each up-projection without one.
  const bool gate = Contains(name, "ffn_gate") && !Contains(name, "ffn_gate_inp");
  const bool lone_up =
      Contains(name, "ffn_up") && in_layer &&
      file.FindTensor("blk." + std::to_string(*in_layer) + ".ffn_gate.weight") == nullptr &&
      file.FindTensor("blk." + std::to_string(*in_layer) + ".ffn_gate_exps.weight") == nullptr;
  if (gate || lone_up) {
    layer.ops += 1;
    layer.glus += elements * share / static_cast<double>(tensor.row_length());
  }
  if (Contains(name, "ffn_gate_inp.weight")) {
    // Choosing experts: softmax, sort, rows, their sum, two more to normalise; the weights on what
    // they gave, and its sum (llama-graph.cpp, build_moe_ffn).
    layer.ops += 7 + used;
    layer.adds += 2 * used * embedding_;
  }
}

const std::vector<std::vector<bool>>& SpeedModel::HostMatrices(
    const std::vector<std::string>& patterns) const {
  const std::lock_guard<std::mutex> lock(mutex_);
  const auto known = host_matrices_.find(patterns);
  if (known != host_matrices_.end()) return known->second;
  std::vector<std::regex> expressions;
  for (const std::string& pattern : patterns) {
    try {
      expressions.emplace_back(pattern);
    } catch (const std::regex_error&) {  // settings are checked where they come in
    }
  }
  std::vector<std::vector<bool>> on_host;
  for (const Layer& layer : layers_) {
    std::vector<bool> row;
    for (const Matrices& m : layer.matrices) {
      // Together or not at all: patterns name kinds of matrices. The majority decides.
      size_t hits = 0;
      for (const size_t tensor : m.tensors) {
        hits += std::any_of(expressions.begin(), expressions.end(), [&](const std::regex& e) {
          return std::regex_search(tensor_names_[tensor], e);
        });
      }
      row.push_back(2 * hits > m.tensors.size());
    }
    on_host.push_back(std::move(row));
  }
  return host_matrices_.emplace(patterns, std::move(on_host)).first->second;
}

SpeedModel::Placement SpeedModel::Place(const RuntimeSettings& settings) const {
  Placement placement;
  placement.on_host = &HostMatrices(settings.host_tensors);
  // As the engine counts (llama-model.cpp): the output layer is one of them, and goes first.
  const auto all = static_cast<int64_t>(layers_.size());
  const int64_t wanted = gpus_.empty() ? 0 : settings.gpu_layers.value_or(static_cast<int>(all));
  placement.gpu_from = static_cast<size_t>(std::clamp<int64_t>(all - wanted, 0, all));
  placement.uses_gpu = wanted > 0;
  return placement;
}

const DeviceKernels& SpeedModel::DeviceOf(const Placement& placement, size_t layer) const {
  if (layer < placement.gpu_from || !placement.uses_gpu) return host_;
  return gpus_[(layer - placement.gpu_from) * gpus_.size() / (layers_.size() - placement.gpu_from)];
}

std::optional<SpeedModel::Attention> SpeedModel::AttentionOf(const DeviceKernels& device,
                                                             const RuntimeSettings& settings) {
  const auto k = device.attention.find(settings.kv_k);
  const auto v = device.attention.find(settings.kv_v);
  const auto type_k = TensorTypeByName(settings.kv_k);
  const auto type_v = TensorTypeByName(settings.kv_v);
  if (k == device.attention.end() || v == device.attention.end() || !type_k || !type_v)
    return std::nullopt;
  const auto bytes = [](TensorType type) {
    return static_cast<double>(InfoOf(type).block_bytes) / InfoOf(type).block;
  };
  Attention out;
  out.token_seconds = std::max(k->second.token_seconds, v->second.token_seconds);
  out.token_cell = std::max(k->second.token_cell_seconds, v->second.token_cell_seconds);
  out.token_key = k->second.token_element_seconds;
  out.token_value = v->second.token_element_seconds;
  out.prompt_cell = std::max(k->second.prompt_cell_seconds, v->second.prompt_cell_seconds);
  out.prompt_key = k->second.prompt_element_seconds;
  out.prompt_value = v->second.prompt_element_seconds;
  out.bytes_per_element = (bytes(*type_k) + bytes(*type_v)) / 2;
  return out;
}

double SpeedModel::HostWorkingSet(const Placement& placement, double cache_bytes) const {
  double bytes = cache_bytes;
  for (size_t i = 0; i < layers_.size(); ++i) {
    const bool host = &DeviceOf(placement, i) == &host_;
    for (size_t j = 0; j < layers_[i].matrices.size(); ++j) {
      if (host || (*placement.on_host)[i][j]) bytes += layers_[i].matrices[j].bytes;
    }
  }
  return bytes;
}

namespace {

// Seconds to read a byte of weights of this kind.
double ReadSeconds(const DeviceKernels& device, const WeightKernel& kernel, double working_set) {
  const double far = 1 / kernel.matvec_bytes_per_s;
  if (device.memory.empty() || kernel.cached_bytes_per_s <= 0) return far;
  // Arithmetic is what limits while caches hold the weights, memory when they don't.
  const double memory =
      SecondsPerByte(device.memory, working_set) * device.memory.back().bytes_per_s;
  return std::max(1 / kernel.cached_bytes_per_s, far * memory);
}

// Operations a second of a product with so many tokens.
double MatmulFlops(const WeightKernel& kernel, double tokens) {
  if (kernel.small_matmul_flops <= 0 || tokens >= kPromptTokens) return kernel.matmul_flops;
  if (tokens <= kFewTokens) return kernel.small_matmul_flops;
  const double share = std::log(tokens / kFewTokens) / std::log(kPromptTokens / kFewTokens);
  return std::exp((1 - share) * std::log(kernel.small_matmul_flops) +
                  share * std::log(kernel.matmul_flops));
}

// Cells that queries at positions before, before + 1, ... see, all together.
double CellsSeen(double before, double queries, double window) {
  const auto sum = [](double n) { return n * (n + 1) / 2; };  // 1 + ... + n
  const auto up_to = [&](double n) {
    return window > 0 && n > window ? sum(window) + (n - window) * window : sum(n);
  };
  return up_to(before + queries) - up_to(before);
}

// Small operations of one token run in one thread, and were measured in all of them.
double ElementFactor(const DeviceKernels& device, double tokens) {
  return tokens > 1 ? tokens : std::max(1, device.threads);
}

}  // namespace

std::optional<double> SpeedModel::TokenSeconds(const RuntimeSettings& settings,
                                               double depth) const {
  if (!predictable_) return std::nullopt;
  const Placement placement = Place(settings);
  double cache_bytes = 0;
  const auto host_attention = AttentionOf(host_, settings);
  const auto cells_of = [&](const Layer& layer) {
    return layer.windowed ? std::min(depth + 1, window_) : depth + 1;
  };
  for (size_t i = 0; i < layers_.size() && host_attention; ++i) {
    if (&DeviceOf(placement, i) == &host_)
      cache_bytes +=
          cells_of(layers_[i]) * layers_[i].kv_elements * host_attention->bytes_per_element;
  }
  const double working_set = HostWorkingSet(placement, cache_bytes);

  double seconds = 0;
  const DeviceKernels* before = &host_;  // the embedding is looked up there
  for (size_t i = 0; i < layers_.size(); ++i) {
    const Layer& layer = layers_[i];
    const DeviceKernels& device = DeviceOf(placement, i);
    if (&device != before || i == 0) seconds += device.graph_seconds;
    if (&device != before) seconds += std::max(device.sync_seconds, before->sync_seconds);
    before = &device;
    for (size_t j = 0; j < layer.matrices.size(); ++j) {
      const Matrices& m = layer.matrices[j];
      const bool away = &device != &host_ && (*placement.on_host)[i][j];
      const DeviceKernels& at = away ? host_ : device;
      const auto kernel = at.weights.find(type_names_[m.type]);
      if (kernel == at.weights.end() || kernel->second.matvec_bytes_per_s <= 0) return std::nullopt;
      seconds += m.count * kernel->second.matvec_seconds +
                 m.bytes * ReadSeconds(at, kernel->second, working_set);
    }
    // One trip to the host and back for a layer's experts, or whatever else stays there.
    if (&device != &host_ &&
        std::count((*placement.on_host)[i].begin(), (*placement.on_host)[i].end(), true) > 0)
      seconds += 2 * device.sync_seconds + host_.graph_seconds + device.graph_seconds;
    seconds += layer.ops * device.op_seconds + layer.norm_ops * device.norm_op_seconds;
    seconds +=
        ElementFactor(device, 1) *
        (layer.norms * device.elements.norm_seconds + layer.ropes * device.elements.rope_seconds +
         layer.glus * device.elements.glu_seconds + layer.adds * device.elements.add_seconds +
         layer.stores * device.elements.store_seconds);
    if (!layer.attends) continue;
    const auto attention = &device == &host_ ? host_attention : AttentionOf(device, settings);
    if (!attention) return std::nullopt;
    const double cells = cells_of(layer);
    const double compute = layer.heads * cells *
                           (attention->token_cell + layer.key * attention->token_key +
                            layer.value * attention->token_value);
    const auto f16 = device.weights.find("f16");
    const double read = f16 == device.weights.end() || f16->second.matvec_bytes_per_s <= 0
                            ? 0
                            : cells * layer.kv_elements * attention->bytes_per_element *
                                  ReadSeconds(device, f16->second, working_set);
    seconds += attention->token_seconds + std::max(compute, read);
  }
  // The logits' way to whoever chooses the next token.
  if (before != &host_) {
    seconds += before->sync_seconds;
    if (before->copy_bytes_per_s > 0)
      seconds += vocabulary_ * sizeof(float) / before->copy_bytes_per_s;
  } else if (!host_.memory.empty()) {
    seconds += 2 * vocabulary_ * sizeof(float) / host_.memory.back().bytes_per_s;
  }
  return seconds;
}

std::optional<double> SpeedModel::BatchSeconds(const RuntimeSettings& settings,
                                               const Placement& placement, double before,
                                               double tokens, bool last) const {
  double seconds = host_.graph_seconds;
  const bool offloads = placement.uses_gpu && tokens >= kOffloadTokens;
  bool windowed = false;
  for (size_t i = 0; i < layers_.size(); ++i) {
    const Layer& layer = layers_[i];
    const DeviceKernels& home = DeviceOf(placement, i);
    const DeviceKernels& device = &home == &host_ && offloads ? gpus_[0] : home;
    const bool visits = &device != &home;  // computed on a GPU, kept on the host
    if (visits) seconds += device.sync_seconds;
    const bool trimmed = i + 2 >= layers_.size();  // the last layer and the output
    for (size_t j = 0; j < layer.matrices.size(); ++j) {
      const Matrices& m = layer.matrices[j];
      const bool stays = (*placement.on_host)[i][j];
      const DeviceKernels& at = stays && !offloads ? host_ : device;
      const double n = trimmed && m.after_attention ? (last ? 1 : 0) : tokens;
      if (n == 0) continue;
      const auto kernel = at.weights.find(type_names_[m.type]);
      if (kernel == at.weights.end() || kernel->second.matmul_flops <= 0 ||
          kernel->second.matvec_bytes_per_s <= 0)
        return std::nullopt;
      const WeightKernel& k = kernel->second;
      if (&at != &host_ && (visits || stays) && n >= kOffloadTokens && at.copy_bytes_per_s > 0)
        seconds += m.stored / at.copy_bytes_per_s;
      if (n <= 1) {
        seconds += m.count * k.matvec_seconds + m.bytes / k.matvec_bytes_per_s;
        continue;
      }
      // Each expert sees a share of the tokens; all that are in use are read.
      const double each = std::max(1.0, n * m.share);
      const double read = m.stored * std::min(1.0, n * m.share) / k.matvec_bytes_per_s;
      seconds += std::max({m.count * k.matmul_seconds, read, m.flops * n / MatmulFlops(k, each)});
    }
    seconds += (layer.ops + layer.norm_ops) * device.new_op_seconds;
    seconds +=
        ElementFactor(device, tokens) *
        (layer.norms * device.elements.norm_seconds + layer.ropes * device.elements.rope_seconds +
         layer.glus * device.elements.glu_seconds * (trimmed ? 1 / tokens : 1) +
         layer.adds * device.elements.add_seconds + layer.stores * device.elements.store_seconds);
    if (!layer.attends) continue;
    windowed = windowed || layer.windowed;
    const auto attention = AttentionOf(device, settings);
    if (!attention || attention->prompt_cell + attention->prompt_key <= 0) return std::nullopt;
    const double pairs = CellsSeen(before, tokens, layer.windowed ? window_ : 0);
    seconds +=
        attention->token_seconds + layer.heads * pairs *
                                       (attention->prompt_cell + layer.key * attention->prompt_key +
                                        layer.value * attention->prompt_value);
    if (visits && device.copy_bytes_per_s > 0) {
      seconds += layer.kv_elements * attention->bytes_per_element * (before + tokens) /
                 device.copy_bytes_per_s;
    }
  }
  // Which cells each token sees is written out for every batch, once more for layers with a window.
  const double mask = tokens * (before + tokens) * (windowed ? 2 : 1);
  seconds += mask * kMaskSeconds;
  if (placement.uses_gpu && gpus_[0].copy_bytes_per_s > 0)
    seconds += mask * kMaskBytes / gpus_[0].copy_bytes_per_s;
  return seconds;
}

std::optional<double> SpeedModel::PromptSeconds(const RuntimeSettings& settings,
                                                uint32_t tokens) const {
  if (!predictable_) return std::nullopt;
  const Placement placement = Place(settings);
  const uint32_t step = std::max(1U, std::min(settings.ubatch, settings.batch));
  double seconds = 0;
  for (uint32_t at = 0; at < tokens; at += step) {
    const uint32_t n = std::min(step, tokens - at);
    const auto batch = BatchSeconds(settings, placement, at, n, at + n == tokens);
    if (!batch) return std::nullopt;
    seconds += *batch;
  }
  return seconds;
}

SpeedPrediction SpeedModel::Predict(const RuntimeSettings& settings) const {
  SpeedPrediction out;
  if (!predictable_) return out;
  const Placement placement = Place(settings);
  const bool host = !placement.uses_gpu || placement.gpu_from > 0 || !settings.host_tensors.empty();
  const bool measured =
      (!host || host_.measured) &&
      (!placement.uses_gpu ||
       std::all_of(gpus_.begin(), gpus_.end(), [](const DeviceKernels& d) { return d.measured; }));
  const auto within = [&](double value, double width) {
    return Estimate{value, value / (1 + width), value * (1 + width), measured};
  };
  const auto token = TokenSeconds(settings, settings.context / 2.0);
  const bool split = host && placement.uses_gpu;
  if (token) {
    out.decode_tps = within(1 / *token, !measured ? kCardDecodeWidth
                                        : split   ? kSplitWidth
                                                  : kDecodeWidth);
  }
  const uint32_t prompt = std::max(1U, PromptTokens(settings.context));
  const auto seconds = PromptSeconds(settings, prompt);
  if (seconds) {
    const double width = !measured ? kCardPrefillWidth : split ? kSplitWidth : kPrefillWidth;
    out.prefill_tps = within(prompt / *seconds, width);
    out.ttft_ms = within(*seconds * 1000, width);
  }
  return out;
}

}  // namespace trimma
