#include "quantize/forced_types.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>
#include <regex>
#include <string_view>

#include "base/text.h"

namespace trimma {
namespace {

// Long enough for any list of names; deeper nesting than this would exhaust the library's stack.
constexpr size_t kLongestPattern = 1000;

std::string Shown(const TypePattern& pattern) {
  return fmt::format("--tensor-type {}={}", SafeText(pattern.pattern, 80), NameOf(pattern.type));
}

Error BadPattern(const std::string& pattern, const std::string& why) {
  return {Code::kUsage,
          fmt::format("--tensor-type: \"{}\" is no regular expression: {}", SafeText(pattern, 80),
                      SafeText(why, 120)),
          R"(for example attn_v=Q6_K, or "blk\.[0-3]\.ffn=Q5_K")"};
}

Result<std::regex> Compile(const std::string& pattern) {
  if (pattern.size() > kLongestPattern)
    return BadPattern(pattern, fmt::format("longer than {} characters", kLongestPattern));
  try {
    return std::regex(pattern, std::regex::ECMAScript | std::regex::icase);
  } catch (const std::regex_error& error) {
    return BadPattern(pattern, error.what());
  }
}

// Integers, and the formats of activations (Q8_1, Q8_K), are in no file that is quantised.
bool CanBeMade(const TypeInfo& info) {
  const std::string name = info.name;
  if (!info.quantized) return name == "F32" || name == "F16" || name == "BF16";
  return name != "Q8_1" && name != "Q8_K";
}

Result<TensorType> ParseTensorType(const std::string& name) {
  const auto type = TensorTypeByName(name);
  if (type && CanBeMade(InfoOf(*type))) return *type;
  std::vector<std::string> names;
  for (const TypeInfo& info : TensorTypes()) {
    if (CanBeMade(info)) names.emplace_back(info.name);
  }
  const auto nearest = Nearest(name, names);
  const bool is_recipe = FindFileType(name) != nullptr;
  return Error{Code::kUsage,
               fmt::format("--tensor-type: {} {}", SafeText(name, 40),
                           is_recipe ? "is a recipe, not the type of a tensor"
                                     : "is no type that a tensor can be given"),
               nearest ? fmt::format("did you mean {}?", *nearest)
                       : "for example Q4_K, Q6_K, IQ4_XS, Q8_0, F16"};
}

// How one pattern fared.
struct Findings {
  size_t forced = 0;    // tensors that get its type
  size_t kept = 0;      // quantised already, with no more bits than its type
  size_t others = 0;    // which llama.cpp doesn't quantise
  size_t taken = 0;     // by an earlier pattern
  std::string example;  // of the others
};

Error FoundNothing(const TypePattern& pattern, const Findings& found) {
  if (found.taken > 0) {
    return {Code::kUsage,
            fmt::format("{} never counts: earlier patterns give all its tensors a type",
                        Shown(pattern)),
            "put the narrower pattern first"};
  }
  if (found.others > 0) {
    return {Code::kUsage,
            fmt::format("{} finds only tensors that llama.cpp doesn't quantise ({})",
                        Shown(pattern), SafeText(found.example, 80)),
            "name matrices, for example attn_v, ffn_down, token_embd"};
  }
  return {Code::kUsage, fmt::format("{} finds no tensor of this model", Shown(pattern)),
          "`trimma inspect MODEL` lists their names"};
}

std::string Note(const TypePattern& pattern, const Findings& found) {
  const auto tensors = [](size_t n) { return fmt::format("{} tensor{}", n, n == 1 ? "" : "s"); };
  std::string note = fmt::format("{}: {}", Shown(pattern), tensors(found.forced));
  if (found.kept > 0) {
    note +=
        fmt::format("; {} stay as they are, for more bits bring nothing back", tensors(found.kept));
  }
  if (found.others > 0)
    note += fmt::format("; {} that llama.cpp doesn't quantise stay", tensors(found.others));
  return note;
}

Result<bool> Finds(const std::regex& expression, const TypePattern& pattern,
                   const std::string& name) {
  try {
    return std::regex_search(name, expression);
  } catch (const std::regex_error& error) {
    return BadPattern(pattern.pattern, error.what());
  }
}

// What a tensor gets; nullopt: it is quantised already, with no more bits.
Result<std::optional<TensorType>> TypeFor(const TensorInfo& tensor, const TypePattern& pattern) {
  if (tensor.type == pattern.type) return std::optional(pattern.type);
  if (InfoOf(tensor.type).quantized && BitsOf(pattern.type) >= BitsOf(tensor.type))
    return std::optional<TensorType>();
  if (!RowBytes(pattern.type, tensor.row_length())) {
    return Error{
        Code::kUsage,
        fmt::format("{}: the rows of {} have {} weights, no multiple of {}", Shown(pattern),
                    SafeText(tensor.name, 80), tensor.row_length(), InfoOf(pattern.type).block),
        "give those tensors a type with blocks of 32 (Q4_0, Q5_1, Q8_0, ...), by a "
        "narrower pattern before this one"};
  }
  return std::optional(pattern.type);
}

}  // namespace

Result<TypePattern> ParseTypePattern(const std::string& text) {
  const size_t cut = text.rfind('=');
  if (cut == std::string::npos || cut == 0) {
    return Error{Code::kUsage,
                 fmt::format("--tensor-type takes PATTERN=TYPE, not \"{}\"", SafeText(text, 80)),
                 "for example attn_v=Q6_K"};
  }
  TypePattern pattern;
  pattern.pattern = text.substr(0, cut);
  TRY(pattern.type, ParseTensorType(text.substr(cut + 1)));
  TRY(const std::regex expression, Compile(pattern.pattern));
  return pattern;
}

Result<ForcedTypes> MatchPatterns(const std::vector<TypePattern>& patterns, const GgufFile& source,
                                  const std::vector<TensorType>& as_q8_0) {
  CHECK(as_q8_0.size() == source.tensors.size());
  std::vector<std::regex> expressions;
  for (const TypePattern& pattern : patterns) {
    TRY(std::regex expression, Compile(pattern.pattern));
    expressions.push_back(std::move(expression));
  }
  ForcedTypes forced;
  std::vector<Findings> found(patterns.size());
  for (size_t i = 0; i < source.tensors.size(); ++i) {
    const TensorInfo& tensor = source.tensors[i];
    bool taken = false;
    for (size_t p = 0; p < patterns.size(); ++p) {
      TRY(const bool finds, Finds(expressions[p], patterns[p], tensor.name));
      if (!finds) continue;
      if (!InfoOf(as_q8_0[i]).quantized) {
        if (found[p].others++ == 0) found[p].example = tensor.name;
      } else if (taken) {
        ++found[p].taken;
      } else {
        TRY(const auto type, TypeFor(tensor, patterns[p]));
        forced.types[i] = type.value_or(tensor.type);
        ++(type ? found[p].forced : found[p].kept);
        taken = true;
      }
    }
  }
  for (size_t p = 0; p < patterns.size(); ++p) {
    if (found[p].forced + found[p].kept == 0) return FoundNothing(patterns[p], found[p]);
    forced.notes.push_back(Note(patterns[p], found[p]));
  }
  return forced;
}

void Force(const ForcedTypes& forced, const GgufFile& source, Assignment& assignment) {
  for (const auto& [i, type] : forced.types) assignment.types[i] = type;
  assignment.changes = false;
  for (size_t i = 0; i < source.tensors.size(); ++i)
    assignment.changes |= assignment.types[i] != source.tensors[i].type;
  assignment.notes.insert(assignment.notes.end(), forced.notes.begin(), forced.notes.end());
}

Assignment AssignAround(const ForcedTypes& forced, const GgufFile& source, const FileType& recipe,
                        std::vector<TensorType> recipe_types) {
  // Nothing of what the recipe says of them is to be noted.
  for (const auto& [i, type] : forced.types) recipe_types[i] = source.tensors[i].type;
  Assignment assignment = Assign(source, recipe, recipe_types);
  Force(forced, source, assignment);
  return assignment;
}

bool NeedsImportance(TensorType type) {
  static constexpr std::array<std::string_view, 6> kNames = {"IQ3_XXS", "IQ2_S", "IQ2_XS",
                                                             "IQ2_XXS", "IQ1_M", "IQ1_S"};
  return std::find(kNames.begin(), kNames.end(), NameOf(type)) != kNames.end();
}

}  // namespace trimma
