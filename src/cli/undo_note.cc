#include "cli/undo_note.h"

#include <fmt/format.h>
#include <unistd.h>

#include "base/child.h"
#include "base/file.h"
#include "report/json_document.h"

namespace trimma {
namespace {

constexpr uint64_t kMostBytes = 64ULL << 20;

std::optional<FileUndo> FileFromJson(const Json& json) {
  const bool sound = json.is_object() && json.contains("target") && json["target"].is_string() &&
                     json.contains("before") &&
                     (json["before"].is_null() || json["before"].is_string()) &&
                     json.contains("after") && json["after"].is_string();
  if (!sound) return std::nullopt;
  FileUndo file{json["target"], std::nullopt, json["after"]};
  if (json["before"].is_string()) file.before = json["before"];
  return file;
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
  return model;
}

Json ToJson(const UndoNote& note) {
  Json files = Json::array();
  for (const FileUndo& file : note.files) {
    files.push_back({{"target", file.target},
                     {"before", file.before ? Json(*file.before) : Json()},
                     {"after", file.after}});
  }
  Json json = {{"schema", "trimma.undo/1"}, {"changes", files}};
  if (note.model) {
    json["ollama"] = {{"host", note.model->host},
                      {"name", note.model->name},
                      {"kept", note.model->kept},
                      {"digest_before", note.model->digest_before},
                      {"digest_after", note.model->digest_after}};
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
