// Which type each tensor of a file made to measure gets: a recipe's, those of a recipe file, or
// those that an allocation finds best.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "quantize/allocation/exchange_job.h"
#include "quantize/allocation/mix.h"
#include "quantize/allocation/sensitivity.h"
#include "quantize/calibration/moments_file.h"
#include "quantize/forced_types.h"
#include "quantize/quantize.h"

namespace trimma {

// Known before anything is measured.
struct Eligible {
  std::vector<size_t> tensors;  // may get other types
  ForcedTypes forced;
  uint64_t header_bytes = 0;  // of the output, before its data
  uint64_t least_bytes = 0;   // of the whole file, if every tensor gets its smallest type
  // With options.fit: that fits for sure. Where something of the file doesn't lie on the tightest
  // device, more does.
  std::optional<uint64_t> fitting_bytes;
};

// kNoFit where options.size_bytes or options.fit can't be had, with the least that can; kUsage
// where the source fits as it is.
Result<Eligible> FindEligible(const QuantizeOptions& options, const GgufFile& source);

// Whether an allocation is asked for, which needs measured worths.
bool Allocates(const QuantizeOptions& options);

// Whether an allocation is followed by trials on the real divergence: where bytes are the goal.
bool TriesExchanges(const QuantizeOptions& options);

struct ChosenTypes {
  Assignment assignment;
  const FileType* label = nullptr;  // for general.file_type
  std::optional<double> expected_loss;
  std::optional<ChosenMix> mix;  // where exchanges may better it
  std::optional<SpeedBeside> speed;
  std::optional<uint64_t> budget_bytes;
  std::vector<std::string> notes;
};

// `worths` may be empty unless Allocates(options).
Result<ChosenTypes> ChooseTypes(const QuantizeOptions& options, const GgufFile& source,
                                const Eligible& eligible, const std::vector<TensorWorth>& worths);

// The same with other choices of chosen.mix, and what was found by trying them. With options.fit
// they are taken only if they still fit.
Status TakeExchanged(const QuantizeOptions& options, const GgufFile& source,
                     const Exchanged& exchanged, ChosenTypes& chosen);

// What the calibration text has shown of the matrices' inputs; nullptr: nothing.
struct Seen {
  const MomentsFile* moments = nullptr;
  const Importance* experts = nullptr;
  bool Has(const std::string& tensor) const;
};

// ggml makes the smallest types only with importance. kUsage with the first tensor that can't have
// its type.
Status CheckSeen(const QuantizeOptions& options, const GgufFile& source,
                 const Assignment& assignment, const Seen& seen);

// Of those that need no importance the one whose file is the largest that options.size_bytes holds:
// for models that nothing can be measured of. kNoFit where there is none.
Result<const FileType*> LargestRecipe(const QuantizeOptions& options, const GgufFile& source,
                                      const ForcedTypes& forced);

// What the output's header says of its making, as far as it is known before: all lengths are.
MadeBy MadeToMeasure(const QuantizeOptions& options);

}  // namespace trimma
