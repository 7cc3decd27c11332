// A conversation in the words of a model's own chat template, as tokens.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "engine/model.h"

namespace trimma {

struct ChatTokens {
  std::vector<Token> opening;    // the conversation begins with a message; the answer is due
  std::vector<Token> following;  // an answer ends, the message follows; the next answer is due
};

// nullopt: the model has no template, or none of those that the engine's library knows.
std::optional<ChatTokens> ChatWith(const Model& model, const std::string& message);

}  // namespace trimma
