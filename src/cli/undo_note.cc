#include "cli/undo_note.h"

#include <fmt/format.h>
#include <unistd.h>

#include <charconv>

#include "base/child.h"
#include "base/file.h"
#include "base/text.h"
#include "report/json_document.h"

namespace trimma {
namespace {

constexpr uint64_t kMostBytes = 64ULL << 20;

// JSON holds UTF-8 alone: other bytes are {"hex": "..."}, so that they come back as they were.
Json TextToJson(const std::string& text) {
  if (IsUtf8(text)) return text;
  std::string hex;
  for (const char c : text) hex += fmt::format("{:02x}", static_cast<unsigned char>(c));
  return {{"hex", hex}};
}

std::optional<std::string> TextFromJson(const Json& json) {
  if (json.is_string()) return json.get<std::string>();
  if (!json.is_object() || !json.contains("hex") || !json["hex"].is_string()) return std::nullopt;
  const auto& hex = json["hex"].get_ref<const std::string&>();
  std::string text;
  for (size_t i = 0; i + 1 < hex.size(); i += 2) {
    unsigned byte = 0;
    const char* end = hex.data() + i + 2;
    const auto read = std::from_chars(hex.data() + i, end, byte, 16);
    if (read.ec != std::errc() || read.ptr != end) return std::nullopt;
    text += static_cast<char>(byte);
  }
  return hex.size() % 2 == 0 ? std::optional(text) : std::nullopt;
}

std::optional<FileUndo> FileFromJson(const Json& json) {
  if (!json.is_object() || !json.contains("target") || !json.contains("before") ||
      !json.contains("after")) {
    return std::nullopt;
  }
  const auto target = TextFromJson(json["target"]);
  const auto before = TextFromJson(json["before"]);
  const auto after = TextFromJson(json["after"]);
  if (!target || !after || (!before && !json["before"].is_null())) return std::nullopt;
  return FileUndo{*target, before, *after};
}

std::optional<ModelUndo> ModelFromJson(const Json& json) {
  if (!json.is_object()) return std::nullopt;
  ModelUndo model;
  const std::pair<const char*, std::string*> fields[] = {{"host", &model.host},
                                                         {"name", &model.name},
                                                         {"kept", &model.kept},
                                                         {"digest_before", &model.digest_before},
                                                         {"digest_after", &model.digest_after}};
  for (const auto& [key, to] : fields) {
    if (!json.contains(key) || !json[key].is_string()) return std::nullopt;
    *to = json[key];
  }
  const Json weights = json.value("weights", Json());
  const Json parameters = json.value("parameters", Json());
  if (weights.is_string()) model.weights = weights;
  if (parameters.is_object()) model.parameters = parameters;
  return model;
}

Json ToJson(const UndoNote& note) {
  Json files = Json::array();
  for (const FileUndo& file : note.files) {
    files.push_back({{"target", TextToJson(file.target)},
                     {"before", file.before ? TextToJson(*file.before) : Json()},
                     {"after", TextToJson(file.after)}});
  }
  Json json = {{"schema", "trimma.undo/1"}, {"changes", files}};
  if (note.model) {
    json["ollama"] = {{"host", note.model->host},
                      {"name", note.model->name},
                      {"kept", note.model->kept},
                      {"digest_before", note.model->digest_before},
                      {"digest_after", note.model->digest_after},
                      {"weights", note.model->weights},
                      {"parameters", note.model->parameters}};
  }
  return json;
}

}  // namespace

std::string UndoNotePath() { return StateDirectory() + "/last-apply.json"; }

Result<UndoNote> ReadUndoNote() {
  const auto text = ReadSmallFile(UndoNotePath(), kMostBytes);
  if (!text.ok()) return Error{Code::kNotFound, "there is no apply to take back", ""};
  const Error damaged{Code::kInvalid, fmt::format("{} is damaged", UndoNotePath()),
                      "restore FILE.bak by hand"};
  const Json json = Json::parse(*text, nullptr, false);
  if (!json.is_object() || !json.contains("changes") || !json["changes"].is_array()) return damaged;
  UndoNote note;
  for (const Json& change : json["changes"]) {
    auto file = FileFromJson(change);
    if (!file) return damaged;
    note.files.push_back(*std::move(file));
  }
  if (json.contains("ollama")) {
    note.model = ModelFromJson(json["ollama"]);
    if (!note.model) return damaged;
  }
  return note;
}

Status WriteUndoNote(const UndoNote& note) {
  TRY_STATUS(MakeDirectories(StateDirectory()));
  return WriteFileAtomically(UndoNotePath(), DumpDocument(ToJson(note)));
}

void RemoveUndoNote() { unlink(UndoNotePath().c_str()); }

}  // namespace trimma
