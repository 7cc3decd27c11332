// The child's side of pricing: ghosts of a file's mixes, loaded once and priced from several
// threads. Only a child process uses this.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <tuple>
#include <vector>

#include "engine/ghost.h"
#include "engine/price.h"
#include "engine/projector.h"
#include "plan/placement.h"
#include "plan/pricing.h"

namespace trimma {

class Pricer {
 public:
  // `file` and `mixes` outlive the pricer. Engine started, phantoms defined here.
  Pricer(const GgufFile& file, const std::vector<Mix>& mixes, const PricingTarget& target);

  bool has_gpu() const { return has_gpu_; }
  const Placements& placements() const { return *placements_; }
  // Loads the file as it is under these settings and prices the projector; the others below may be
  // called once it is there. All settings have this flash attention.
  Status Start(const RuntimeSettings& base);
  // Prices the projector on the host. Before settings that leave the GPUs out, if `base` didn't.
  Status LeaveGpusOut();

  // A mix under exactly these settings. Thread-safe.
  Result<PricedCell> At(size_t mix, const RuntimeSettings& settings);

  // The best placement that fits the GPUs, searched from the guess on; place 0 is known not to.
  // What fits nowhere is placed on the host. Thread-safe.
  Result<PricedCell> Place(size_t mix, const RuntimeSettings& settings, size_t guess);

  // On the GPUs; the host's memory is the plan's business.
  static bool Fits(const PricedCell& cell);

  // Where to begin the search for a cell that was priced whole and doesn't fit: each place frees
  // its share of weights and cache.
  size_t GuessPlace(const PricedCell& whole) const;

  // Which place these settings are, as Place() left them.
  size_t PlaceOf(const RuntimeSettings& settings) const;

  int layers() const { return layers_; }

 private:
  struct Ghost {
    std::once_flag once;
    std::optional<Result<Model>> model;
  };
  // Mix, whether GPUs are used, layers there, host tensors.
  using Key = std::tuple<size_t, bool, std::optional<int>, std::vector<std::string>>;
  Key KeyOf(size_t mix, const RuntimeSettings& settings) const;
  Result<const Model*> Load(size_t mix, const RuntimeSettings& settings);
  Result<const Model*> Load(Ghost& ghost, size_t mix, const RuntimeSettings& settings);

  const GgufFile& file_;
  const std::vector<Mix>& mixes_;
  const PricingTarget target_;
  std::optional<std::vector<ggml_backend_device*>> devices_;
  bool has_gpu_ = false;
  int layers_ = 0;
  std::unique_ptr<Placements> placements_;
  uint64_t widest_row_;
  std::vector<DeviceBytes> gpus_;  // with nothing on them
  FlashAttention flash_attention_ = FlashAttention::kAuto;
  ProjectorBytes projector_;
  ProjectorBytes host_projector_;  // where the GPUs are left out
  std::mutex mutex_;
  std::map<Key, std::unique_ptr<Ghost>> ghosts_;
};

}  // namespace trimma
