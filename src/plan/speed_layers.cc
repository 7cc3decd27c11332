// What a model is to the prediction: its layers, their matrices and where they lie.
#include <algorithm>
#include <cmath>
#include <regex>

#include "plan/kv.h"
#include "plan/speed.h"

namespace trimma {
namespace {

// A model reads its weights so much faster than single matrices in turn are read. Fitted to
// decoding on 4 threads of a Xeon (Sapphire Rapids): gemma3 270M as Q8_0 and Q4_K_M, 4 layers of
// llama 3B as Q6_K and Q3_K_M; on 2 cores of another machine, models of over 100 MB came out as
// much too slow without it.
constexpr double kHostReadGain = 1.1;

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

}  // namespace

SpeedModel::SpeedModel(const GgufFile& file, const std::vector<TensorType>& types,
                       std::vector<DeviceKernels> gpus, DeviceKernels host)
    : gpus_(std::move(gpus)), host_(std::move(host)) {
  CHECK(types.empty() || types.size() == file.tensors.size());
  if (host_.measured) {
    for (auto& [name, kernel] : host_.weights) kernel.matvec_bytes_per_s *= kHostReadGain;
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
  placement.uses_gpu = !gpus_.empty() && settings.use_gpu;
  const int64_t wanted =
      placement.uses_gpu ? settings.gpu_layers.value_or(static_cast<int>(all)) : 0;
  placement.gpu_from = static_cast<size_t>(std::clamp<int64_t>(all - wanted, 0, all));
  return placement;
}

const DeviceKernels& SpeedModel::DeviceOf(const Placement& placement, size_t layer) const {
  if (layer < placement.gpu_from || !placement.uses_gpu) return host_;
  return gpus_[(layer - placement.gpu_from) * gpus_.size() / (layers_.size() - placement.gpu_from)];
}

}  // namespace trimma
