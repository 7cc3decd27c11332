// A conversation in the words of a model's own chat template, as text and as tokens.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "engine/model.h"

namespace trimma {

struct ChatMessage {
  std::string role;  // "system", "user", "assistant"
  std::string text;
};

// The template that a model's file carries, run as llama-server runs it: by the engine's Jinja, or
// where that can't, as the one of libllama's fixed list that it is recognised as.
class ChatTemplate {
 public:
  // nullopt: the model has none, or one that neither way can render a message with.
  static std::optional<ChatTemplate> Of(const Model& model);

  // The conversation so far; the next answer is due. nullopt where the template refuses it.
  std::optional<std::string> Render(const std::vector<ChatMessage>& messages) const;

 private:
  ChatTemplate() = default;
  std::optional<std::string> RenderFromList(const std::vector<ChatMessage>& messages) const;
  std::string source_, bos_, eos_;
  bool by_jinja_ = false;
};

// How a system prompt reaches the model.
enum class SystemRole {
  kOfTemplate,    // the template has a place for it
  kFirstMessage,  // the template knows no system role: before the first message, after which it
                  // stands in a line of its own, as llama-server puts it
  kPlainText,     // there is no usable template: as it is, a blank line, the question
};
const char* NameOf(SystemRole role);  // "template", "first message", "plain text"

// A system prompt and a question as tokens, the answer being due.
class SystemPromptFormat {
 public:
  explicit SystemPromptFormat(const Model& model);
  SystemRole role() const { return role_; }
  std::vector<Token> Tokens(const std::string& system, const std::string& question) const;
  // What any question finds already there: the tokens of `system` that don't depend on what
  // follows, the template's own words up to the question included. A cache of prefixes keeps these.
  std::vector<Token> Prefix(const std::string& system, const std::string& question) const;

 private:
  const Model& model_;
  std::optional<ChatTemplate> template_;
  SystemRole role_ = SystemRole::kPlainText;
};

struct ChatTokens {
  std::vector<Token> opening;    // the conversation begins with a message; the answer is due
  std::vector<Token> following;  // an answer ends, the message follows; the next answer is due
};

// nullopt: the model has no template, or none that can be used.
std::optional<ChatTokens> ChatWith(const Model& model, const std::string& message);

}  // namespace trimma
