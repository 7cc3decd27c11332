#include "engine/chat.h"

#include <llama.h>

#include <algorithm>

#include "engine/jinja.h"

namespace trimma {
namespace {

constexpr const char* kAnswer = "<answer>";  // stands for one, to find where it ends
// Nobody's own words: found again in what a template makes of them, they weren't dropped.
constexpr const char* kProbe = "trimma-probe";

std::string TextOf(const llama_vocab* vocab, Token token) {
  const char* text = token < 0 ? nullptr : llama_vocab_get_text(vocab, token);
  return text == nullptr ? "" : text;
}

bool Holds(const std::optional<std::string>& text, const char* words) {
  return text && text->find(words) != std::string::npos;
}

void ShortenToCommon(std::vector<Token>& prefix, const std::vector<Token>& other) {
  const auto differ = std::mismatch(prefix.begin(), prefix.end(), other.begin(), other.end()).first;
  prefix.erase(differ, prefix.end());
}

}  // namespace

std::optional<ChatTemplate> ChatTemplate::Of(const Model& model) {
  const char* source = llama_model_chat_template(model.get(), /*name=*/nullptr);
  if (source == nullptr) return std::nullopt;
  const llama_vocab* vocab = llama_model_get_vocab(model.get());
  ChatTemplate made;
  made.source_ = source;
  made.bos_ = TextOf(vocab, llama_vocab_bos(vocab));
  made.eos_ = TextOf(vocab, llama_vocab_eos(vocab));
  for (const bool by_jinja : {true, false}) {
    made.by_jinja_ = by_jinja;
    if (Holds(made.Render({{"user", kProbe}}), kProbe)) return made;
  }
  return std::nullopt;
}

std::optional<std::string> ChatTemplate::Render(const std::vector<ChatMessage>& messages) const {
  if (!by_jinja_) return RenderFromList(messages);
  Json list = Json::array();
  for (const ChatMessage& message : messages)
    list.push_back({{"role", message.role}, {"content", message.text}});
  auto text = RenderJinja(source_, {{"messages", list},
                                    {"bos_token", bos_},
                                    {"eos_token", eos_},
                                    {"add_generation_prompt", true}});
  if (!text.ok()) return std::nullopt;
  return std::move(text).value();
}

std::optional<std::string> ChatTemplate::RenderFromList(
    const std::vector<ChatMessage>& messages) const {
  std::vector<llama_chat_message> list;
  for (const ChatMessage& message : messages)
    list.push_back({message.role.c_str(), message.text.c_str()});
  std::string text(1024, '\0');
  for (int attempt = 0; attempt < 2; ++attempt) {
    const int32_t n =
        llama_chat_apply_template(source_.c_str(), list.data(), list.size(),
                                  /*add_ass=*/true, text.data(), static_cast<int32_t>(text.size()));
    if (n < 0) return std::nullopt;
    const bool whole = static_cast<size_t>(n) <= text.size();
    text.resize(static_cast<size_t>(n));
    if (whole) return text;
  }
  return std::nullopt;
}

const char* NameOf(SystemRole role) {
  switch (role) {
    case SystemRole::kOfTemplate:
      return "template";
    case SystemRole::kFirstMessage:
      return "first message";
    case SystemRole::kPlainText:
      return "plain text";
  }
  return "";
}

SystemPromptFormat::SystemPromptFormat(const Model& model)
    : model_(model), template_(ChatTemplate::Of(model)) {
  if (!template_) return;
  const auto text = template_->Render({{"system", kProbe}, {"user", "Hello"}});
  role_ = Holds(text, kProbe) && Holds(text, "Hello") ? SystemRole::kOfTemplate
                                                      : SystemRole::kFirstMessage;
}

std::vector<Token> SystemPromptFormat::Tokens(const std::string& system,
                                              const std::string& question) const {
  if (template_) {
    const auto text = role_ == SystemRole::kOfTemplate
                          ? template_->Render({{"system", system}, {"user", question}})
                          : template_->Render({{"user", system + "\n" + question}});
    if (text) return model_.TokenizeTemplate(*text, /*begins=*/true);
  }
  return model_.Tokenize(system + "\n\n" + question, /*add_special=*/true);
}

std::vector<Token> SystemPromptFormat::Prefix(const std::string& system,
                                              const std::string& question) const {
  std::vector<Token> prefix = Tokens(system, question);
  if (!prefix.empty()) prefix.pop_back();  // the last one's logits have to be computed
  // Two more questions that begin unlike each other, so unlike any question in at least one.
  for (const char* other : {"Why?", "10 + 1"}) ShortenToCommon(prefix, Tokens(system, other));
  return prefix;
}

std::optional<ChatTokens> ChatWith(const Model& model, const std::string& message) {
  const auto chat_template = ChatTemplate::Of(model);
  if (!chat_template) return std::nullopt;
  const ChatMessage user = {"user", message};
  const auto opening = chat_template->Render({user});
  const auto longer = chat_template->Render({user, {"assistant", kAnswer}, user});
  if (!opening || !longer) return std::nullopt;
  const size_t answer = longer->rfind(kAnswer);
  if (answer == std::string::npos) return std::nullopt;
  return ChatTokens{model.TokenizeTemplate(*opening, /*begins=*/true),
                    model.TokenizeTemplate(longer->substr(answer + std::string(kAnswer).size()),
                                           /*begins=*/false)};
}

}  // namespace trimma
