// MadeBy on its way to a child process.
#pragma once

#include "base/child.h"
#include "plan/assignment.h"

namespace trimma {

// MadeBy::method where errors make up for each other.
inline constexpr const char* kCompensated = "rounded with compensation";

inline Json ToJson(const MadeBy& made_by) {
  return {{"method", made_by.method},   {"source_sha256", made_by.source_sha256},
          {"dataset", made_by.dataset}, {"chunks", made_by.chunks},
          {"entries", made_by.entries}, {"text", made_by.text ? ToJson(*made_by.text) : Json()}};
}

inline MadeBy MadeByFromJson(const Json& json) {
  MadeBy made_by = {json.at("method"), json.at("source_sha256"), json.at("dataset"),
                    json.at("chunks"), json.at("entries"),       std::nullopt};
  if (!json.at("text").is_null()) made_by.text = LearningTextFromJson(json["text"]);
  return made_by;
}

}  // namespace trimma
