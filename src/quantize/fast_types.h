// `--types fast`: an allocation that is to run no slower than llama.cpp's own file of its size.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "quantize/allocation/mix.h"
#include "quantize/allocation/type_speed.h"
#include "quantize/quantize.h"

namespace trimma {

class FastTypes {
 public:
  // `header_bytes`: of the output. Asks the engine for all recipes' types.
  static Result<FastTypes> Create(const SpeedWish& wish, const GgufFile& source,
                                  uint64_t header_bytes);

  // As ChooseMix for a goal of bytes, but no slower than kShare of the baseline's speed: of the
  // recipe that the wish names, else of the largest that is no larger than the goal.
  static constexpr double kShare = 0.98;
  Result<ChosenMix> Choose(const std::vector<TensorWorth>& worths, MixGoal goal) const;

  // Speeds of a mix beside the baseline's for this goal, predicted.
  std::optional<SpeedBeside> Beside(const std::vector<TensorType>& types,
                                    uint64_t file_bytes) const;

 private:
  struct Baseline {
    const FileType* recipe = nullptr;
    uint64_t file_bytes = 0;
    std::vector<TensorType> types;
    std::shared_ptr<TypeSpeed> speed;
  };
  FastTypes(const GgufFile& source, uint64_t header_bytes)
      : source_(source), header_bytes_(header_bytes) {}
  const Baseline& For(uint64_t file_bytes) const;

  const GgufFile& source_;
  uint64_t header_bytes_;
  std::vector<Baseline> baselines_;  // from the smallest file on; one where the wish names it
};

}  // namespace trimma
