#include "plan/learning_text.h"

#include <fmt/format.h>

#include <algorithm>

namespace trimma {
namespace {

constexpr const char* kWritten = "text the model wrote";
constexpr size_t kHashDigits = 64;

}  // namespace

std::string NameOfText(const std::string& file, bool generated) {
  if (!generated) return file;
  return file.empty() ? kWritten : fmt::format("{} and {}", file, kWritten);
}

std::string DescribeLanguages(const LearningText& text) {
  std::string words;
  for (const LanguageShare& share : text.languages) {
    const std::string more =
        fmt::format("{}{} {:.0f} %", words.empty() ? "" : ", ",
                    share.language.empty() ? "unknown" : share.language,
                    100.0 * share.chunks / std::max<uint32_t>(1, text.chunks()));
    if (words.size() + more.size() > kLanguagesBytes) break;
    words += more;
  }
  return words;
}

void Tell(const LearningText& text, Metadata& metadata) {
  metadata.Set(kLearnedFromKey, fmt::format("{:<{}}", text.sha256, kHashDigits));
  metadata.Set("quantize.trimma.text.file_chunks", text.file_chunks);
  metadata.Set("quantize.trimma.text.generated_chunks", text.generated_chunks);
  metadata.Set("quantize.trimma.text.sequences", text.sequences);
  metadata.Set("quantize.trimma.text.chats", text.chats);
  metadata.Set("quantize.trimma.text.chunk_tokens", text.chunk_tokens);
  metadata.Set("quantize.trimma.text.first_seed", text.first_seed);
  metadata.Set("quantize.trimma.text.seeds", text.seeds);
  metadata.Set("quantize.trimma.text.languages",
               fmt::format("{:<{}}", DescribeLanguages(text), kLanguagesBytes));
}

Json ToJson(const LearningText& text) {
  Json languages = Json::array();
  for (const LanguageShare& share : text.languages)
    languages.push_back({{"language", share.language.empty() ? Json() : Json(share.language)},
                         {"chunks", share.chunks}});
  Json seeds = Json::array();
  for (uint32_t i = 0; i < text.seeds; ++i) seeds.push_back(text.first_seed + i);
  return {{"file", text.file.empty() ? Json() : Json(text.file)},
          {"sha256", text.sha256.empty() ? Json() : Json(text.sha256)},
          {"file_chunks", text.file_chunks},
          {"generated_chunks", text.generated_chunks},
          {"sequences", text.sequences},
          {"chats", text.chats},
          {"chunk_tokens", text.chunk_tokens},
          {"seeds", seeds},
          {"prompted_in", text.prompted_in},
          {"languages", languages}};
}

LearningText LearningTextFromJson(const Json& json) {
  LearningText text;
  if (!json.at("file").is_null()) text.file = json["file"].get<std::string>();
  // Moments that an earlier version kept don't have it.
  if (json.contains("sha256") && !json["sha256"].is_null())
    text.sha256 = json["sha256"].get<std::string>();
  text.file_chunks = json.at("file_chunks");
  text.generated_chunks = json.at("generated_chunks");
  text.sequences = json.at("sequences");
  text.chats = json.at("chats");
  text.chunk_tokens = json.at("chunk_tokens");
  text.seeds = static_cast<uint32_t>(json.at("seeds").size());
  if (text.seeds > 0) text.first_seed = json["seeds"][0];
  text.prompted_in = json.at("prompted_in").get<std::vector<std::string>>();
  for (const Json& share : json.at("languages")) {
    const Json& language = share.at("language");
    text.languages.push_back(
        {language.is_null() ? "" : language.get<std::string>(), share.at("chunks")});
  }
  return text;
}

}  // namespace trimma
