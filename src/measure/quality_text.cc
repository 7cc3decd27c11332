#include "measure/quality_text.h"

#include <fmt/format.h>

#include <filesystem>

#include "base/text.h"

namespace trimma {

std::optional<std::string> CalibratedOn(const Metadata& metadata, const JudgingText& text) {
  if (text.kind != "file") return std::nullopt;
  const auto hash = metadata.String(kLearnedFromKey);
  if (hash && !Trim(*hash).empty()) {
    if (Trim(*hash) != text.sha256) return std::nullopt;
    return fmt::format("was calibrated on this very text ({})", SafeText(text.file));
  }
  // llama-quantize keeps a path there; we, a name, and after it perhaps what the model wrote.
  const auto dataset = metadata.String("quantize.imatrix.dataset");
  if (!dataset) return std::nullopt;
  const std::string name = std::filesystem::path(*dataset).filename().string();
  if (name != text.file && *dataset != NameOfText(text.file, true)) return std::nullopt;
  return fmt::format("was calibrated on a text of the same name ({})", SafeText(text.file));
}

Json ToJson(const JudgingText& text) {
  Json languages = Json::array();
  for (const LanguageShare& share : text.languages)
    languages.push_back({{"language", share.language.empty() ? Json() : Json(share.language)},
                         {"chunks", share.chunks}});
  return {{"kind", text.kind},
          {"name", text.name},
          {"file", text.file.empty() ? Json() : Json(text.file)},
          {"sha256", text.sha256.empty() ? Json() : Json(text.sha256)},
          {"seeds", text.seeds},
          {"prompted_in", text.prompted_in},
          {"languages", languages},
          {"tokens", text.tokens},
          {"overlap", text.overlap},
          {"notes", text.notes}};
}

JudgingText JudgingTextFromJson(const Json& json) {
  JudgingText text;
  text.kind = json.at("kind");
  text.name = json.at("name");
  if (!json.at("file").is_null()) text.file = json["file"].get<std::string>();
  if (!json.at("sha256").is_null()) text.sha256 = json["sha256"].get<std::string>();
  text.seeds = json.at("seeds").get<std::vector<uint32_t>>();
  text.prompted_in = json.at("prompted_in").get<std::vector<std::string>>();
  for (const Json& share : json.at("languages")) {
    const Json& language = share.at("language");
    text.languages.push_back(
        {language.is_null() ? "" : language.get<std::string>(), share.at("chunks")});
  }
  text.tokens = json.at("tokens");
  text.overlap = json.at("overlap");
  if (json.contains("notes")) text.notes = json["notes"].get<std::vector<std::string>>();
  return text;
}

}  // namespace trimma
