#include "quantize/allocation/mix.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "base/units.h"

namespace trimma {
namespace {

constexpr double kFewestBitsOfVocabulary = 4;

uint64_t PaddedBytes(const GgufFile& source, const TensorInfo& tensor, TensorType type) {
  const uint64_t bytes = *RowBytes(type, tensor.row_length()) * tensor.rows();
  return (bytes + source.alignment - 1) / source.alignment * source.alignment;
}

bool IsVocabulary(const std::string& name) {
  return name == "token_embd.weight" || name == "output.weight";
}

TypeChoices ChoicesOf(const GgufFile& source, const TensorInfo& tensor, const TensorWorth& worth,
                      bool compensated) {
  TypeChoices choices = {{tensor.type, PaddedBytes(source, tensor, tensor.type), 0}};
  for (size_t i = 0; i < worth.types.size(); ++i) {
    const TensorType type = worth.types[i];
    if (IsVocabulary(tensor.name) && BitsOf(type) < kFewestBitsOfVocabulary) continue;
    choices.push_back({type, PaddedBytes(source, tensor, type), worth.LossOf(i, compensated)});
  }
  return choices;
}

// The one choice that a forced type leaves. Its loss is known where the type was measured, or holds
// all that the source does.
TypeChoices ForcedChoice(const TypeChoice& type_and_bytes, const TensorWorth* worth,
                         const MixGoal& goal, size_t& unmeasured) {
  TypeChoice choice = type_and_bytes;
  if (worth != nullptr) {
    for (size_t t = 0; t < worth->types.size(); ++t) {
      if (worth->types[t] != choice.type) continue;
      choice.loss = worth->LossOf(t, goal.compensated);
      return {choice};
    }
  }
  ++unmeasured;
  return {choice};
}

uint64_t LeastBytes(const std::vector<TypeChoices>& tensors) {
  uint64_t least = 0;
  for (const TypeChoices& choices : tensors) {
    least += std::min_element(choices.begin(), choices.end(), [](const auto& a, const auto& b) {
               return a.bytes < b.bytes;
             })->bytes;
  }
  return least;
}

Error TooSmall(uint64_t file_bytes, uint64_t least) {
  return {Code::kNoFit,
          fmt::format("{} are too few for this model: {} ({} bytes) is the least",
                      FormatBytes(file_bytes), FormatBytes(least), least),
          "choose a larger size"};
}

// The recipe whose base type holds most of the weights.
const FileType* Label(const GgufFile& source, const std::vector<TensorType>& types) {
  std::map<TensorType, uint64_t> weights;
  for (size_t i = 0; i < types.size(); ++i) {
    if (InfoOf(types[i]).quantized) weights[types[i]] += source.tensors[i].elements();
  }
  const FileType* best = nullptr;
  for (const FileType& recipe : FileTypes()) {
    const auto found = weights.find(recipe.base);
    if (found == weights.end()) continue;
    if (best == nullptr || found->second > weights.at(best->base)) best = &recipe;
  }
  return best != nullptr ? best : FindFileType("F16");
}

// Of every tensor of the source.
std::vector<TypeChoices> AllChoices(const GgufFile& source, const std::vector<TensorWorth>& worths,
                                    const MixGoal& goal, size_t& unmeasured) {
  std::map<std::string, const TensorWorth*> by_name;
  for (const TensorWorth& worth : worths) by_name[worth.name] = &worth;
  std::vector<TypeChoices> tensors;
  for (size_t i = 0; i < source.tensors.size(); ++i) {
    const TensorInfo& tensor = source.tensors[i];
    const auto found = by_name.find(tensor.name);
    const TensorWorth* worth = found == by_name.end() ? nullptr : found->second;
    const auto forced = goal.forced.find(i);
    const TensorType only = forced == goal.forced.end() ? tensor.type : forced->second;
    const TypeChoice choice = {only, PaddedBytes(source, tensor, only), 0};
    if (only != tensor.type && only != tensor_type::kF32) {
      tensors.push_back(ForcedChoice(choice, worth, goal, unmeasured));
    } else if (worth == nullptr || forced != goal.forced.end()) {
      tensors.push_back({choice});
    } else {
      tensors.push_back(ChoicesOf(source, tensor, *worth, goal.compensated));
    }
  }
  return tensors;
}

// Without the choices whose time nobody knows, unless no other is left; and what the others take.
TimeLimit LimitTime(const GgufFile& source, const SpeedGoal& speed,
                    std::vector<TypeChoices>& tensors) {
  TimeLimit limit;
  limit.allowed = speed.allowed;
  for (size_t i = 0; i < source.tensors.size(); ++i) {
    TypeChoices known;
    std::vector<Seconds> extra;
    for (const TypeChoice& choice : tensors[i]) {
      const auto seconds = speed.extra(i, choice.type);
      if (!seconds) continue;
      known.push_back(choice);
      extra.push_back(*seconds);
    }
    if (known.empty()) {
      extra.assign(tensors[i].size(), Seconds{});
    } else {
      tensors[i] = std::move(known);
    }
    limit.extra.push_back(std::move(extra));
  }
  return limit;
}

Result<Allocation> Allocate(const GgufFile& source, const MixGoal& goal, uint64_t header_bytes,
                            std::vector<TypeChoices>& tensors, bool& in_time) {
  if (!goal.file_bytes) return AllocateUnderLoss(tensors, *goal.loss);
  const uint64_t bytes = *goal.file_bytes > header_bytes ? *goal.file_bytes - header_bytes : 0;
  if (!goal.speed) return AllocateWithin(tensors, bytes);
  const TimeLimit limit = LimitTime(source, *goal.speed, tensors);
  TRY(TimedAllocation timed, AllocateInTime(tensors, bytes, limit));
  in_time = timed.in_time;
  return std::move(timed.allocation);
}

// The types chosen, and what follows from them.
void Take(const GgufFile& source, const std::vector<TypeChoices>& tensors,
          const std::vector<size_t>& chosen, ChosenMix& mix) {
  mix.expected_loss = 0;
  mix.assignment.types.clear();
  mix.assignment.changes = false;
  for (size_t i = 0; i < tensors.size(); ++i) {
    const TypeChoice& choice = tensors[i][chosen[i]];
    mix.expected_loss += choice.loss;
    mix.assignment.types.push_back(choice.type);
    mix.assignment.changes |= choice.type != source.tensors[i].type;
  }
  mix.label = Label(source, mix.assignment.types);
}

}  // namespace

uint64_t LeastFileBytes(const GgufFile& source, const std::vector<TensorWorth>& worths,
                        const MixGoal& goal, uint64_t header_bytes) {
  size_t unmeasured = 0;
  return header_bytes + LeastBytes(AllChoices(source, worths, goal, unmeasured));
}

Result<ChosenMix> ChooseMix(const GgufFile& source, const std::vector<TensorWorth>& worths,
                            const MixGoal& goal, uint64_t header_bytes) {
  ChosenMix mix;
  std::vector<TypeChoices> tensors = AllChoices(source, worths, goal, mix.unmeasured);
  Result<Allocation> allocation = Allocate(source, goal, header_bytes, tensors, mix.in_time);
  if (!allocation.ok() && goal.file_bytes)
    return TooSmall(*goal.file_bytes, header_bytes + LeastBytes(tensors));
  if (!allocation.ok()) return allocation.error();

  Take(source, tensors, allocation->chosen, mix);
  if (goal.file_bytes && !goal.speed) {
    mix.choices = MixChoices{std::move(tensors), std::move(allocation->chosen),
                             *goal.file_bytes - header_bytes - allocation->bytes};
  }
  return mix;
}

void Rechoose(const GgufFile& source, const std::vector<size_t>& chosen, ChosenMix& mix) {
  CHECK(mix.choices && mix.choices->chosen.size() == chosen.size());
  for (size_t i = 0; i < chosen.size(); ++i) {
    const TypeChoices& choices = mix.choices->tensors[i];
    mix.choices->spare_bytes += choices[mix.choices->chosen[i]].bytes;
    mix.choices->spare_bytes -= choices[chosen[i]].bytes;
  }
  mix.choices->chosen = chosen;
  Take(source, mix.choices->tensors, chosen, mix);
}

}  // namespace trimma
