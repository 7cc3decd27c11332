#include "llama_server/arguments.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <optional>

#include "settings/files.h"

namespace trimma {
namespace {

// One option of the pinned version's command line.
struct Word {
  std::string name;                  // "--flash-attn"
  std::optional<std::string> value;  // nullopt: a switch
};

std::vector<Word> WordsOf(const Applied& applied) {
  std::vector<Word> words;
  for (const std::string& word : LlamaServerArguments(applied)) {
    // A value that looks like an option could only be a path, which is absolute.
    if (word.starts_with("--")) {
      words.push_back({word, std::nullopt});
    } else {
      words.back().value = word;
    }
  }
  return words;
}

class Fitting {
 public:
  Fitting(const LlamaServerProgram& program, const Applied& applied)
      : program_(program), applied_(applied) {}

  Result<ServerArguments> Run() {
    for (const Word& word : WordsOf(applied_)) {
      if (word.name == "--temp" || word.name == "--top-p") continue;
      TRY_STATUS(Add(word));
    }
    return std::move(fitted_);
  }

 private:
  void Put(const std::string& name, const std::optional<std::string>& value = std::nullopt) {
    fitted_.words.push_back(name);
    if (value) fitted_.words.push_back(*value);
  }
  Status Add(const Word& word) {
    if (word.name == "--flash-attn") return AddFlashAttention(*word.value);
    if (program_.Knows(word.name)) {
      Put(word.name, word.value);
      return {};
    }
    if (word.name == "--load-mode") return AddLoadMode();
    // What every version does unless it is told otherwise.
    if (word.name == "--parallel" && applied_.settings.parallel == 1) return {};
    return Error{Code::kUsage,
                 fmt::format("this llama-server ({}) knows no {}", program_.version, word.name),
                 "leave that setting at its default, or take a newer llama-server"};
  }
  // Older versions have a switch that is off by itself, and no "auto".
  Status AddFlashAttention(const std::string& value) {
    const auto known = program_.options.find("--flash-attn");
    if (known != program_.options.end() && !known->second.value.empty()) {
      Put("--flash-attn", value);
    } else if (known != program_.options.end() && value == "on") {
      Put("--flash-attn");
    } else if (value == "auto") {
      fitted_.notes.emplace_back(
          "this version of llama-server has no automatic flash attention: it is off by default");
    } else if (value == "on") {
      return Error{Code::kUsage, "this llama-server has no flash attention", "leave it at auto"};
    }
    return {};
  }
  // Before there was one option for it, there were two switches.
  Status AddLoadMode() {
    const LoadMode mode = applied_.settings.load_mode;
    if (mode == LoadMode::kMapped) return {};
    const char* name = mode == LoadMode::kRead ? "--no-mmap" : "--mlock";
    if (!program_.Knows(name)) {
      return Error{Code::kUsage,
                   fmt::format("this llama-server ({}) knows no {}", program_.version, name),
                   "leave --load-mode at its default"};
    }
    Put(name);
    return {};
  }

  const LlamaServerProgram& program_;
  const Applied& applied_;
  ServerArguments fitted_;
};

// Names of one thing over the versions; nullopt where this one has none of them.
std::optional<std::string> KnownAs(const LlamaServerProgram& program,
                                   const std::vector<const char*>& names) {
  for (const char* name : names)
    if (program.Knows(name)) return name;
  return std::nullopt;
}

bool HasType(const LlamaServerProgram& program, const std::string& type) {
  return std::find(program.speculation_types.begin(), program.speculation_types.end(), type) !=
         program.speculation_types.end();
}

// How far an n-gram reaches back, and how much is copied from where it stood before.
struct NGram {
  const char* type;
  const char* looked_up;  // the options' names
  int tokens;
  const char* copied;
  int most;
  int rank;  // what promises most is tried first
};
// The defaults of the pinned version, and one that finds shorter repeats.
constexpr NGram kNGrams[] = {
    {"ngram-simple", "--spec-ngram-simple-size-n", 12, "--spec-ngram-simple-size-m", 48, 3},
    {"ngram-simple", "--spec-ngram-simple-size-n", 4, "--spec-ngram-simple-size-m", 12, 1},
    {"ngram-map-k", "--spec-ngram-map-k-size-n", 4, "--spec-ngram-map-k-size-m", 12, 6},
    {"ngram-mod", "--spec-ngram-mod-n-match", 24, "--spec-ngram-mod-n-max", 64, 5},
};
// Tokens ahead, and the rank.
constexpr std::pair<int, int> kDrafts[] = {{3, 0}, {8, 2}, {16, 4}};

using Ranked = std::map<int, Speculation>;

void AddNGrams(const LlamaServerProgram& program, Ranked& ranked, Speculations& to) {
  bool any = false;
  for (const NGram& ngram : kNGrams) {
    if (!HasType(program, ngram.type) || !program.Knows(ngram.looked_up) ||
        !program.Knows(ngram.copied))
      continue;
    any = true;
    Speculation speculation;
    speculation.type = ngram.type;
    speculation.options = {{ngram.looked_up, std::to_string(ngram.tokens)},
                           {ngram.copied, std::to_string(ngram.most)}};
    speculation.what = fmt::format("{}: {} tokens looked up, up to {} copied", ngram.type,
                                   ngram.tokens, ngram.most);
    ranked.emplace(ngram.rank, std::move(speculation));
  }
  if (!any)
    to.not_tried.emplace_back("speculation by n-grams", "this llama-server has no such option");
}

void AddDrafts(const LlamaServerProgram& program, const std::string& draft, Ranked& ranked,
               Speculations& to) {
  if (draft.empty()) {
    to.not_tried.emplace_back("speculation by a small model",
                              "none was named: --draft FILE, of the same vocabulary");
    return;
  }
  const auto most = KnownAs(program, {"--spec-draft-n-max", "--draft-max"});
  if (!program.Knows("--model-draft") || !most) {
    to.not_tried.emplace_back("speculation by a small model",
                              "this llama-server has no such option");
    return;
  }
  for (const auto& [tokens, rank] : kDrafts) {
    Speculation speculation;
    speculation.type = "draft-simple";
    speculation.draft = draft;
    speculation.options = {{*most, std::to_string(tokens)}};
    speculation.what = fmt::format("draft model, up to {} tokens ahead", tokens);
    ranked.emplace(rank, std::move(speculation));
  }
}

}  // namespace

Result<ServerArguments> FitArguments(const LlamaServerProgram& program, const Applied& applied) {
  return Fitting(program, applied).Run();
}

Json ToJson(const Speculation& speculation) {
  Json options = Json::object();
  for (const auto& [name, value] : speculation.options) options[name] = value;
  return {{"type", speculation.type},
          {"what", speculation.what},
          {"draft", speculation.draft.empty() ? Json() : Json(speculation.draft)},
          {"options", options}};
}

std::vector<std::string> SpeculationWords(const LlamaServerProgram& program,
                                          const Speculation& speculation) {
  std::vector<std::string> words;
  if (HasType(program, speculation.type)) words = {"--spec-type", speculation.type};
  if (!speculation.draft.empty()) {
    words.emplace_back("--model-draft");
    words.push_back(speculation.draft);
  }
  for (const auto& [name, value] : speculation.options) {
    words.push_back(name);
    words.push_back(value);
  }
  return words;
}

Speculations SpeculationsToTry(const LlamaServerProgram& program, const std::string& draft) {
  Speculations all;
  Ranked ranked;
  AddDrafts(program, draft, ranked, all);
  AddNGrams(program, ranked, all);
  for (auto& [rank, speculation] : ranked) all.tried.push_back(std::move(speculation));
  return all;
}

}  // namespace trimma
