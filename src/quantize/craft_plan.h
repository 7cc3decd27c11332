// What the making of a file to measure would come to, told without measuring or writing anything.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "quantize/quantize.h"

namespace trimma {

struct CraftPlan {
  // Types and exact bytes: of a recipe, a recipe file, or measurements that were kept. nullopt:
  // they are known only when what the tensors are worth is measured.
  std::optional<QuantizeReport> report;
  std::string types_from;  // "the recipe Q4_K_M", "r.json", "kept measurements"; "" if not known
  // Where types are allocated: the goal (to fit somewhere: what does for sure), and the smallest
  // file that there can be.
  std::optional<uint64_t> most_bytes;
  std::optional<double> most_loss;
  std::optional<uint64_t> least_bytes;
  // Stages as the progress line calls them.
  std::vector<std::string> kept;
  std::vector<std::string> to_do;
  std::string directory;  // where they are kept
  // Over the calibration text, as the memory asks for: none where moments are kept. How many of the
  // model's inputs have diagonal blocks only.
  size_t passes = 0;
  size_t inputs = 0;
  size_t blocked = 0;
  std::vector<std::string> notes;
};

// Finds the model's inputs by one short evaluation where no moments are kept.
Result<CraftPlan> PlanCraft(const QuantizeOptions& options, const QuantizeProgress& progress = {});

// trimma.quantize/1: what is not known is null.
Json ToJson(const CraftPlan& plan);

}  // namespace trimma
