// Messages that a model is asked to answer, so that quality is judged on answers: the user's own,
// or some of ours. None of ours is one that quantising learns from
// (quantize/calibration/prompts.h).
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/result.h"

namespace trimma {

struct JudgingPrompt {
  std::string language;  // ISO 639-1, "code", or "" (not known)
  std::string text;
};

// Ours; neighbours are of different languages. Those in `first` (ISO 639-1), if there are any, come
// before all others.
std::vector<JudgingPrompt> JudgingPrompts(const std::optional<std::string>& first);

// The user's, from a file: parted by lines "---" where there is such a line, else one a line. Blank
// ones are left out. kInvalid if there are none, or more than 1000.
Result<std::vector<JudgingPrompt>> ReadPrompts(const std::string& path);

// The questions of a comparison: of this file, or, where that is "", four of ours with the user's
// language first.
Result<std::vector<std::string>> QuestionTexts(const std::string& file);

// The user's language by the environment (LC_ALL, LC_MESSAGES, LANG, as POSIX orders them): "sv" of
// "sv_SE.UTF-8"; nullopt for "C" and the like.
std::optional<std::string> UserLanguage();

}  // namespace trimma
