#include "measure/quality_prompts.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <cstdlib>

#include "base/file.h"
#include "base/text.h"

namespace trimma {
namespace {

constexpr size_t kMostPrompts = 1000;
constexpr uint64_t kMostBytes = 4ULL << 20;

struct Known {
  const char* language;
  const char* text;
};

constexpr Known kPrompts[] = {
    {"en", "What should I check before buying a used car?"},
    {"code", "Write a Python function that counts how often each word occurs in a file."},
    {"zh", "请用简单的话解释为什么天空是蓝色的。"},
    {"es", "¿Cómo puedo ahorrar agua en casa? Da cinco consejos."},
    {"de", "Erkläre den Unterschied zwischen Wetter und Klima."},
    {"fr", "Écris une lettre pour remercier un voisin de son aide."},
    {"ru", "Опиши осенний лес для человека, который его никогда не видел."},
    {"sv", "Förklara hur en kompass fungerar och varför den pekar mot norr."},
    {"ja", "引っ越しの準備で忘れやすいことを教えてください。"},
    {"code", "Show a C function that checks whether a string is a palindrome."},
    {"pt", "Descreve uma viagem de barco ao longo de um rio."},
    {"ar", "ما هي فوائد القراءة كل يوم؟"},
    {"en", "If three pens cost 4.20, what do eleven pens cost? Explain each step."},
    {"it", "Racconta come nasce un temporale estivo."},
    {"hi", "सुबह जल्दी उठने के क्या फायदे हैं?"},
    {"ko", "도서관을 처음 이용하는 사람에게 규칙을 설명해 주세요."},
    {"nl", "Leg uit hoe een sluis in een kanaal werkt."},
    {"pl", "Podaj przepis na prostą zupę warzywną."},
    {"code", "Write an SQL table for a library's books and a query for those that are late."},
    {"tr", "Eski bir bisikleti nasıl tamir edersin?"},
    {"vi", "Hãy giải thích vì sao lá cây đổi màu vào mùa thu."},
    {"id", "Ceritakan tentang pasar pagi di sebuah kota kecil."},
    {"en", "Summarise the rules of chess for a child in ten sentences."},
    {"uk", "Поясни, як правильно садити яблуню."},
};

bool IsSeparator(std::string_view line) { return Trim(line) == "---"; }

}  // namespace

std::vector<JudgingPrompt> JudgingPrompts(const std::optional<std::string>& first) {
  std::vector<JudgingPrompt> prompts;
  // Those in the first language, then the others, each in their order.
  for (const bool in_it : {true, false}) {
    for (const Known& known : kPrompts) {
      if ((known.language == first) == in_it) prompts.push_back({known.language, known.text});
    }
  }
  return prompts;
}

Result<std::vector<JudgingPrompt>> ReadPrompts(const std::string& path) {
  TRY(const std::string content, ReadSmallFile(path, kMostBytes));
  const std::vector<std::string> lines = Split(content, '\n');
  const bool parted = std::any_of(lines.begin(), lines.end(), IsSeparator);
  std::vector<JudgingPrompt> prompts;
  std::string prompt;
  const auto end = [&] {
    if (!Trim(prompt).empty()) prompts.push_back({"", std::string(Trim(prompt))});
    prompt.clear();
  };
  for (const std::string& line : lines) {
    if (parted && IsSeparator(line)) {
      end();
    } else {
      prompt += line + "\n";
      if (!parted) end();
    }
  }
  end();
  if (prompts.empty() || prompts.size() > kMostPrompts) {
    return Error{Code::kInvalid,
                 fmt::format("{} holds {} prompts; 1 to {} are possible", SafeText(path),
                             prompts.size(), kMostPrompts),
                 "write one a line, or several lines each with --- between them"};
  }
  if (!IsUtf8(content))
    return Error{Code::kInvalid, fmt::format("{} is not UTF-8", SafeText(path)), "convert it"};
  return prompts;
}

Result<std::vector<std::string>> QuestionTexts(const std::string& file) {
  constexpr size_t kOwnPrompts = 4;
  std::vector<JudgingPrompt> prompts = JudgingPrompts(UserLanguage());
  if (file.empty()) {
    prompts.resize(kOwnPrompts);
  } else {
    TRY(prompts, ReadPrompts(file));
  }
  std::vector<std::string> texts;
  for (JudgingPrompt& prompt : prompts) texts.push_back(std::move(prompt.text));
  return texts;
}

std::optional<std::string> UserLanguage() {
  for (const char* name : {"LC_ALL", "LC_MESSAGES", "LANG"}) {
    const char* value = std::getenv(name);
    if (value == nullptr || *value == '\0') continue;
    const std::string locale = value;
    const std::string language = locale.substr(0, locale.find_first_of("_.@"));
    const bool is_code =
        language.size() == 2 && std::islower(language[0]) != 0 && std::islower(language[1]) != 0;
    return is_code ? std::optional(language) : std::nullopt;
  }
  return std::nullopt;
}

}  // namespace trimma
