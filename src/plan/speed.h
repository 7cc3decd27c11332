// How fast a model will run, before it runs: from the bytes and operations that a token needs and
// what the machine's kernels do with them.
//
// A token costs, on each device, for every matrix its start and its bytes over the rate of its
// type, for every layer the attention over the tokens so far and the small operations in between;
// and a hand-over between devices. A prompt costs the same matrices at their rate for 512 tokens,
// attention that grows with the square of its length, and, for layers that lie on the host beside a
// GPU, the way of their weights to the GPU in every batch of 32 tokens or more.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "engine/runtime.h"
#include "gguf/reader.h"
#include "hardware/kernels.h"
#include "plan/estimate.h"

namespace trimma {

struct SpeedPrediction {
  std::optional<Estimate> decode_tps;   // at half the context filled
  std::optional<Estimate> prefill_tps;  // of PromptTokens(context) tokens, from an empty cache
  std::optional<Estimate> ttft_ms;      // the wait for that prompt
};

// What a plan may know of a card that it never ran on.
struct CardSpeed {
  std::string name;
  double bandwidth_bytes_per_s = 0;
  double tensor_flops = 0;     // FP16 with FP32 accumulation, dense; 0: not known
  int compute_capability = 0;  // times 100: 750; 0 where it is not NVIDIA's
};

// Kernels of a card as its data sheet lets expect them (measured = false).
DeviceKernels KernelsOfCard(const CardSpeed& card);

// Kernels of a host of which only the memory bandwidth was measured: decoding alone is predicted.
DeviceKernels KernelsOfBandwidth(double bytes_per_s, int threads);

// One file with one assignment of types, on one machine. Built once; predictions are cheap (a few
// microseconds) and may be asked for from several threads.
class SpeedModel {
 public:
  // `types`: one per tensor, or empty for the file's own. `gpus` in the engine's order, those that
  // the plan may use; several share the layers evenly. Both kinds of kernels may be measured or
  // not.
  SpeedModel(const GgufFile& file, const std::vector<TensorType>& types,
             std::vector<DeviceKernels> gpus, DeviceKernels host);

  // Empty where it would be a guess: recurrent and hybrid models, encoders, a type that was not
  // measured. settings.gpu_layers without a value counts as all.
  SpeedPrediction Predict(const RuntimeSettings& settings) const;

  // Seconds of one token when `depth` tokens are in the cache; of a prompt into an empty cache.
  std::optional<double> TokenSeconds(const RuntimeSettings& settings, double depth) const;
  std::optional<double> PromptSeconds(const RuntimeSettings& settings, uint32_t tokens) const;

 private:
  // Matrices of one type in one layer.
  struct Matrices {
    size_t type = 0;    // index into type_names_
    double count = 0;   // products a token
    double bytes = 0;   // read for a token: of experts, those used
    double stored = 0;  // bytes in memory
    double flops = 0;   // a token
    double share = 1;   // of a prompt's tokens that each of these sees: experts used over all
    bool after_attention =
        false;  // for tokens that nobody asks logits of, left out in the last layer
    std::vector<size_t> tensors;  // their indices in the file
  };
  struct Layer {
    std::vector<Matrices> matrices;
    double ops = 0;  // small operations a token, besides norms
    double norm_ops = 0;
    double norms = 0, ropes = 0, glus = 0, adds = 0, stores = 0;  // elements of them
    bool attends = false;
    bool windowed = false;
    double heads = 0;
    double key = 0, value = 0;  // elements of a cell per head
    double kv_elements = 0;     // elements that a token puts into the cache
  };
  struct Placement {
    size_t gpu_from = 0;    // layers from here on are on GPUs
    bool uses_gpu = false;  // without layers there: for large batches
    const std::vector<std::vector<bool>>*
        on_host;  // [layer][matrices]: there although the layer isn't
  };
  // The K and V types of a context, as kernels.
  struct Attention {
    double token_seconds = 0;
    double token_cell = 0, token_key = 0, token_value = 0;
    double prompt_cell = 0, prompt_key = 0, prompt_value = 0;
    double bytes_per_element = 0;  // of the cache
  };

  void AddTensor(const GgufFile& file, const TensorInfo& tensor, TensorType type, size_t index);
  Matrices& MatricesOf(Layer& layer, TensorType type, double share, bool after_attention);
  Placement Place(const RuntimeSettings& settings) const;
  double Unsteadiness(bool host, bool gpu) const;
  const std::vector<std::vector<bool>>& HostMatrices(
      const std::vector<std::string>& patterns) const;
  const DeviceKernels& DeviceOf(const Placement& placement, size_t layer) const;
  static std::optional<Attention> AttentionOf(const DeviceKernels& device,
                                              const RuntimeSettings& settings);
  double HostWorkingSet(const Placement& placement, double cache_bytes) const;
  std::optional<double> BatchSeconds(const RuntimeSettings& settings, const Placement& placement,
                                     double before, double tokens, bool last) const;

  std::vector<DeviceKernels> gpus_;
  DeviceKernels host_;
  std::vector<std::string> tensor_names_;
  std::vector<std::string> type_names_;
  std::vector<Layer> layers_;  // repeating layers, then one for what comes after them
  double embedding_ = 0;
  double vocabulary_ = 0;
  double window_ = 0;
  bool has_experts_ = false;
  bool predictable_ = false;

  mutable std::mutex mutex_;
  mutable std::map<std::vector<std::string>, std::vector<std::vector<bool>>> host_matrices_;
};

}  // namespace trimma
