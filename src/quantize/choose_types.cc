#include "quantize/choose_types.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>

#include "base/text.h"
#include "plan/pricing.h"
#include "quantize/allocation/candidates.h"
#include "quantize/allocation/fit_mix.h"
#include "quantize/allocation/mix.h"
#include "quantize/fast_types.h"
#include "quantize/learn_from.h"
#include "quantize/made_by.h"
#include "quantize/recipe_file.h"

namespace trimma {
namespace {

// Tensors as if nothing were lost by any type: how small they can be is known without measuring.
std::vector<TensorWorth> Imagined(const GgufFile& source, const std::vector<size_t>& tensors) {
  std::vector<TensorWorth> worths;
  for (const size_t i : tensors) {
    TensorWorth& worth = worths.emplace_back();
    worth.name = source.tensors[i].name;
    worth.types = CandidateTypes(source.tensors[i]);
    worth.errors.assign(worth.types.size(), 0);
    worth.shares.assign(worth.types.size(), 1);
  }
  return worths;
}

MixGoal GoalOf(const QuantizeOptions& options, const Eligible& eligible) {
  return {options.size_bytes, options.max_loss, options.compensate, eligible.forced.types};
}

// The smallest mix against where it is to run.
Status FindFittingBytes(const FitTarget& fit, const GgufFile& source,
                        const std::vector<TensorWorth>& imagined, const MixGoal& goal,
                        Eligible& eligible) {
  MixGoal smallest = goal;
  smallest.file_bytes = eligible.least_bytes;
  TRY(const ChosenMix mix, ChooseMix(source, imagined, smallest, eligible.header_bytes));
  TRY(const int64_t room, fit.room(mix.assignment));
  if (room < 0) return fit.refusal(mix.assignment, room);
  const Assignment as_is = {TypesOf(source), {}, false};
  TRY(const int64_t room_as_is, fit.room(as_is));
  if (room_as_is >= 0 && goal.forced.empty()) {
    return Error{Code::kUsage, "the model fits there as it is: nothing has to be quantised",
                 "choose a --size to make it smaller all the same"};
  }
  eligible.fitting_bytes = eligible.least_bytes + static_cast<uint64_t>(room);
  return {};
}

// Mixes for goals of bytes.
using Chooser = std::function<Result<ChosenMix>(const MixGoal& goal)>;

Result<FittedMix> LargestThatFits(const FitTarget& fit, const Chooser& choose, MixGoal goal,
                                  FitQuestion question) {
  question.choose = [&](uint64_t bytes) {
    goal.file_bytes = bytes;
    return choose(goal);
  };
  question.room = fit.room;
  TRY(std::optional<FittedMix> fitted, FitMix(question));
  if (fitted) return *std::move(fitted);
  TRY(const ChosenMix smallest, question.choose(question.least_bytes));
  TRY(const int64_t room, question.room(smallest.assignment));
  return fit.refusal(smallest.assignment, room);
}

void Adopt(const ChosenMix& mix, ChosenTypes& chosen) {
  chosen.assignment = mix.assignment;
  chosen.label = mix.label;
  chosen.expected_loss = mix.expected_loss;
}

}  // namespace

bool Allocates(const QuantizeOptions& options) {
  return options.recipe == nullptr && (options.size_bytes || options.max_loss || options.fit);
}

bool TriesExchanges(const QuantizeOptions& options) {
  return options.exchanges > 0 && Allocates(options) && !options.max_loss && !options.speed;
}

MadeBy MadeToMeasure(const QuantizeOptions& options) {
  const char* rounding = options.compensate ? kCompensated : "rounded plainly";
  MadeBy made;
  made.method = options.recipe != nullptr ? rounding : fmt::format("types allocated, {}", rounding);
  made.source_sha256.assign(64, '0');
  made.dataset = TextNameOf(options);
  made.text.emplace();
  return made;
}

bool Seen::Has(const std::string& tensor) const {
  return (moments != nullptr && moments->InputOf(tensor)) ||
         (experts != nullptr && experts->entries.contains(tensor));
}

Status CheckSeen(const QuantizeOptions& options, const GgufFile& source,
                 const Assignment& assignment, const Seen& seen) {
  const bool all_need_it = options.recipe != nullptr && options.recipe->needs_importance;
  for (size_t i = 0; i < source.tensors.size(); ++i) {
    const std::string& name = source.tensors[i].name;
    const TensorType type = assignment.types[i];
    if (type == source.tensors[i].type || seen.Has(name)) continue;
    if (!all_need_it && !NeedsImportance(type)) continue;
    return Error{Code::kUsage,
                 fmt::format("{} can't be made: nothing was seen of the inputs of {}",
                             all_need_it ? options.recipe->name : NameOf(type), SafeText(name, 80)),
                 all_need_it ? "choose --mode plain" : "choose a type with more bits for it"};
  }
  return {};
}

Result<const FileType*> LargestRecipe(const QuantizeOptions& options, const GgufFile& source,
                                      const ForcedTypes& forced) {
  std::vector<const FileType*> recipes;
  for (const FileType& recipe : FileTypes()) {
    if (!recipe.needs_importance) recipes.push_back(&recipe);
  }
  TRY(const auto types, AskRecipes(source, recipes, forced.types));
  MadeBy made = MadeToMeasure(options);
  made.dataset.clear();
  made.text.reset();
  const FileType* best = nullptr;
  uint64_t most = 0;
  for (size_t i = 0; i < recipes.size(); ++i) {
    const Assignment assignment = AssignAround(forced, source, *recipes[i], types[i]);
    TRY(const GgufLayout layout, LayOutOutput(source, assignment, *recipes[i], made));
    if (layout.file_bytes > *options.size_bytes || layout.file_bytes <= most) continue;
    most = layout.file_bytes;
    best = recipes[i];
  }
  if (best != nullptr) return best;
  return Error{Code::kNoFit,
               "no recipe is so small, and nothing else can be made without measuring",
               "choose a larger size"};
}

Result<Eligible> FindEligible(const QuantizeOptions& options, const GgufFile& source) {
  Eligible eligible;
  TRY(const auto types, AskRecipes(source, {FindFileType("Q8_0")}));
  TRY(eligible.forced, MatchPatterns(options.forced_types, source, types[0]));
  for (size_t i = 0; i < source.tensors.size(); ++i) {
    if (InfoOf(types[0][i]).quantized && ProbeType(source.tensors[i]))
      eligible.tensors.push_back(i);
  }
  if (Allocates(options) && eligible.tensors.empty()) {
    return Error{Code::kUsage, "no tensor of this model can be given fewer bits",
                 "choose an unquantised original"};
  }
  const Assignment as_is = {TypesOf(source), {}, true};
  TRY(const GgufLayout layout,
      LayOutOutput(source, as_is, *FindFileType("Q4_K_M"), MadeToMeasure(options)));
  eligible.header_bytes = layout.header.size();
  const std::vector<TensorWorth> imagined = Imagined(source, eligible.tensors);
  const MixGoal goal = GoalOf(options, eligible);
  eligible.least_bytes = LeastFileBytes(source, imagined, goal, eligible.header_bytes);
  if (options.size_bytes) TRY_STATUS(ChooseMix(source, imagined, goal, eligible.header_bytes));
  if (options.recipe == nullptr && options.fit)
    TRY_STATUS(FindFittingBytes(*options.fit, source, imagined, goal, eligible));
  return eligible;
}

Result<ChosenTypes> ChooseTypes(const QuantizeOptions& options, const GgufFile& source,
                                const Eligible& eligible, const std::vector<TensorWorth>& worths) {
  ChosenTypes chosen;
  if (options.recipe != nullptr) {
    TRY(const auto types, AskRecipes(source, {options.recipe}, eligible.forced.types));
    chosen.assignment = AssignAround(eligible.forced, source, *options.recipe, types[0]);
    chosen.label = options.recipe;
    return chosen;
  }
  if (!Allocates(options)) {
    TRY(const RecipeFile recipe, ReadRecipe(*options.recipe_file));
    TRY(chosen.assignment, ApplyRecipe(recipe, source));
    Force(eligible.forced, source, chosen.assignment);
    chosen.label = recipe.label;
    return chosen;
  }
  const MixGoal goal = GoalOf(options, eligible);
  std::optional<FastTypes> fast;
  if (options.speed) {
    TRY(FastTypes types, FastTypes::Create(*options.speed, source, eligible.header_bytes));
    fast.emplace(std::move(types));
  }
  const Chooser choose = [&](const MixGoal& for_goal) {
    return fast ? fast->Choose(worths, for_goal)
                : ChooseMix(source, worths, for_goal, eligible.header_bytes);
  };
  ChosenMix mix;
  chosen.budget_bytes = options.size_bytes;
  if (options.fit) {
    FitQuestion question;
    question.least_bytes = LeastFileBytes(source, worths, goal, eligible.header_bytes);
    question.most_bytes = std::max(source.file_bytes, question.least_bytes);
    TRY(FittedMix fitted, LargestThatFits(*options.fit, choose, goal, question));
    mix = std::move(fitted.mix);
    chosen.budget_bytes = fitted.budget_bytes;
  } else {
    TRY(mix, choose(goal));
  }
  if (fast) {
    chosen.speed = fast->Beside(mix.assignment.types, *chosen.budget_bytes);
    if (!chosen.speed) {
      chosen.notes.emplace_back(
          "the speed of this model can't be predicted: types as with --types all");
    } else if (std::min(chosen.speed->decode, chosen.speed->prefill) < FastTypes::kShare) {
      chosen.notes.push_back(
          fmt::format("no mix of so few bytes is as fast as {}'s file: this one comes near",
                      chosen.speed->baseline));
    }
  }
  if (worths.size() < eligible.tensors.size()) {
    chosen.notes.push_back(
        fmt::format("{} tensors stay as they are: the engine has no use for them",
                    eligible.tensors.size() - worths.size()));
  }
  if (mix.unmeasured > 0) {
    chosen.notes.push_back(
        fmt::format("the expected loss leaves out {} tensor{}: what the forced type costs was "
                    "not measured",
                    mix.unmeasured, mix.unmeasured == 1 ? "" : "s"));
  }
  Adopt(mix, chosen);
  chosen.assignment.notes = eligible.forced.notes;
  if (mix.choices) chosen.mix = std::move(mix);
  return chosen;
}

Status TakeExchanged(const QuantizeOptions& options, const GgufFile& source,
                     const Exchanged& exchanged, ChosenTypes& chosen) {
  CHECK(chosen.mix);
  Rechoose(source, exchanged.chosen, *chosen.mix);
  if (options.fit) {
    TRY(const int64_t room, options.fit->room(chosen.mix->assignment));
    if (room < 0) {
      chosen.notes.emplace_back(
          "exchanges of types were found, but with them the file doesn't fit");
      return {};
    }
  }
  const std::vector<std::string> notes = chosen.assignment.notes;
  Adopt(*chosen.mix, chosen);
  chosen.assignment.notes = notes;
  chosen.notes.push_back(
      fmt::format("{} exchange{} of types tried on the real divergence, {} kept: {:.4f} to {:.4f} "
                  "nats a token on "
                  "the text they were chosen on",
                  exchanged.trials, exchanged.trials == 1 ? "" : "s", exchanged.taken,
                  exchanged.before, exchanged.after));
  return {};
}

}  // namespace trimma
