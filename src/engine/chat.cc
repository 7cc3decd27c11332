#include "engine/chat.h"

#include <llama.h>

namespace trimma {
namespace {

constexpr const char* kAnswer = "<answer>";  // stands for one, to find where it ends

std::optional<std::string> Render(const char* chat_template,
                                  const std::vector<llama_chat_message>& messages) {
  std::string text(1024, '\0');
  for (int attempt = 0; attempt < 2; ++attempt) {
    const int32_t n =
        llama_chat_apply_template(chat_template, messages.data(), messages.size(),
                                  /*add_ass=*/true, text.data(), static_cast<int32_t>(text.size()));
    if (n < 0) return std::nullopt;
    const bool whole = static_cast<size_t>(n) <= text.size();
    text.resize(static_cast<size_t>(n));
    if (whole) return text;
  }
  return std::nullopt;
}

}  // namespace

std::optional<ChatTokens> ChatWith(const Model& model, const std::string& message) {
  const char* chat_template = llama_model_chat_template(model.get(), /*name=*/nullptr);
  if (chat_template == nullptr) return std::nullopt;
  const llama_chat_message user = {"user", message.c_str()};
  const auto opening = Render(chat_template, {user});
  const auto longer = Render(chat_template, {user, {"assistant", kAnswer}, user});
  if (!opening || !longer) return std::nullopt;
  const size_t answer = longer->rfind(kAnswer);
  if (answer == std::string::npos) return std::nullopt;
  return ChatTokens{model.TokenizeTemplate(*opening, /*begins=*/true),
                    model.TokenizeTemplate(longer->substr(answer + std::string(kAnswer).size()),
                                           /*begins=*/false)};
}

}  // namespace trimma
