// What the last apply replaced, so that it can be taken back: one JSON file in the state directory.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/child.h"
#include "base/result.h"

namespace trimma {

struct FileUndo {
  std::string target;                 // absolute
  std::optional<std::string> before;  // nullopt: it was made anew
  std::string after;
};

// A model of a running Ollama. Digests are those of /api/tags.
struct ModelUndo {
  std::string host;           // "127.0.0.1:11434"
  std::string name;           // "gemma3:4b"
  std::string kept;           // the former model's copy; "": there was none of that name
  std::string digest_before;  // "" as above
  std::string digest_after;   // "" until it is made
  // What it is to be made of, by which one is known that Ollama made unobserved. "": not noted.
  std::string weights;
  Json parameters = Json::object();
};

struct UndoNote {
  std::vector<FileUndo> files;
  std::optional<ModelUndo> model;
};

std::string UndoNotePath();

// kNotFound: there is nothing to take back. kInvalid: the note is damaged.
Result<UndoNote> ReadUndoNote();
Status WriteUndoNote(const UndoNote& note);
void RemoveUndoNote();

}  // namespace trimma
