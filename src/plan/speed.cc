// What a model's layers cost on given kernels.
#include "plan/speed.h"

#include <algorithm>
#include <cmath>

#include "plan/cell.h"

namespace trimma {
namespace {

// The engine gives a GPU the products of layers that lie on the host from this many tokens on
// (ggml-cuda.cu, op_offload_min_batch_size).
constexpr double kOffloadTokens = 32;
// Rates are known for so many tokens (hardware/kernels.h), and in between by interpolation.
constexpr double kFewTokens = 32;
constexpr double kPromptTokens = 512;
// The host writes out which cells each token sees: for those of the batch itself a loop with
// comparisons, the others are copied from the token before. Seconds a cell, read off such loops on
// a Xeon at 2.6 GHz (0.35 ns in all at 2048 cells and 512 tokens), and a cell's bytes.
constexpr double kMaskSeconds = 1.1e-9;
constexpr double kMaskCopySeconds = 0.08e-9;
constexpr double kMaskBytes = 2;
// Half-widths of the intervals, as ratios: chosen so that they hold at least 9 of 10 of the cells
// measured so far (24 of 25 on an H100, 8 of 8 on 4 threads of its host; ./dev bench plan_speed).
constexpr double kDecodeWidth = 0.25;
constexpr double kPrefillWidth = 0.35;
constexpr double kSplitWidth = 0.4;
// For a card that only its data sheet is known of (card_speed.cc says what the figures rest on).
constexpr double kCardDecodeWidth = 0.4;
constexpr double kCardPrefillWidth = 0.7;

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
  seconds +=
      (windowed ? 2 : 1) * tokens * (tokens * kMaskSeconds + (before + tokens) * kMaskCopySeconds);
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

// Of the devices that take part: what was timed at one moment is run at another.
double SpeedModel::Unsteadiness(bool host, bool gpu) const {
  double most = host ? host_.unsteadiness : 0;
  for (const DeviceKernels& device : gpus_) most = std::max(most, gpu ? device.unsteadiness : 0);
  return most;
}

SpeedPrediction SpeedModel::Predict(const RuntimeSettings& settings) const {
  SpeedPrediction out;
  if (!predictable_) return out;
  const Placement placement = Place(settings);
  const bool host = !placement.uses_gpu || placement.gpu_from > 0 || !settings.host_tensors.empty();
  const bool gpus_measured =
      std::all_of(gpus_.begin(), gpus_.end(), [](const DeviceKernels& d) { return d.measured; });
  // With no layer on them, GPUs compute large batches, and no single token.
  const bool decodes_there = placement.uses_gpu && placement.gpu_from < layers_.size();
  struct Width {
    double alone, split, unmeasured;
  };
  const auto within = [&](double value, bool gpu, const Width& width) {
    const bool measured = (!host || host_.measured) && (!gpu || gpus_measured);
    const double steady = !measured ? width.unmeasured : host && gpu ? width.split : width.alone;
    const double w = (1 + steady) * (1 + Unsteadiness(host, gpu)) - 1;
    return Estimate{value, value / (1 + w), value * (1 + w), measured};
  };
  if (const auto token = TokenSeconds(settings, settings.context / 2.0)) {
    out.decode_tps =
        within(1 / *token, decodes_there, {kDecodeWidth, kSplitWidth, kCardDecodeWidth});
  }
  const uint32_t prompt = std::max(1U, PromptTokens(settings.context));
  const auto seconds = PromptSeconds(settings, prompt);
  if (seconds) {
    const Width width = {kPrefillWidth, kSplitWidth, kCardPrefillWidth};
    out.prefill_tps = within(prompt / *seconds, placement.uses_gpu, width);
    out.ttft_ms = within(*seconds * 1000, placement.uses_gpu, width);
  }
  return out;
}

}  // namespace trimma
