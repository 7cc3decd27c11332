// Several models side by side: speed, divergence where their vocabularies are the same, answers.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "gguf/reader.h"
#include "measure/answers.h"
#include "measure/quality.h"
#include "measure/speed.h"

namespace trimma {

struct ComparedModel {
  std::string name;  // as the user calls it
  std::string path;
  std::string type;  // "Q4_K_M"
  uint64_t file_bytes = 0;
  std::optional<Speed> speed;
  std::vector<std::string> errors;  // what of it can't be measured, and why
};

// What `b` loses against `a`; indices among the models.
struct QualityPair {
  size_t a = 0;
  size_t b = 0;
  Quality quality;
};

// What `a` loses against the reference over what `b` loses against it.
struct ModelRatio {
  size_t reference = 0;
  size_t a = 0;
  size_t b = 0;
  MeanInterval ratio;
};

struct ComparedAnswer {
  size_t model = 0;
  ModelAnswer answer;
  std::optional<Parting> parting;  // from the first model's answer; nullopt: it is the first
};

struct PromptAnswers {
  std::string prompt;
  std::vector<ComparedAnswer> answers;  // of the models that answered
};

struct Comparison {
  std::vector<ComparedModel> models;  // the reference first
  std::vector<QualityPair> pairs;
  std::vector<ModelRatio> ratios;
  std::vector<PromptAnswers> answers;
  std::vector<JudgingText> texts;  // judged on, one for each vocabulary
  std::vector<std::string> notes;  // what was not compared, and why
};

// Models in groups whose tokens are the same, in the order of their first.
std::vector<std::vector<size_t>> VocabularyGroups(const std::vector<const GgufFile*>& files);

// `answers`: of each model, or nothing where it gave none; all over the same prompts.
std::vector<PromptAnswers> SideBySide(
    const std::vector<std::string>& prompts,
    const std::vector<std::optional<std::vector<ModelAnswer>>>& answers,
    const std::vector<std::vector<size_t>>& groups);

// Models by name: "models", "pairs", "ratios", "answers", "texts", "notes".
Json ToJson(const Comparison& comparison);

}  // namespace trimma
