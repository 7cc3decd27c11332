// What text a quantiser has learned from: kept in the record and in the file's header.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/child.h"
#include "gguf/value.h"

namespace trimma {

// Chunks that look like one language (base/language.h).
struct LanguageShare {
  std::string language;
  uint32_t chunks = 0;
  bool operator==(const LanguageShare&) const = default;
};

struct LearningText {
  std::string file;                      // the user's, by name; "": none
  std::string sha256;                    // of that file; "" where it isn't known
  uint32_t file_chunks = 0;              // of it
  uint32_t generated_chunks = 0;         // that the model wrote itself, in
  uint32_t sequences = 0;                //   so many sequences (short ones share a chunk),
  uint32_t chats = 0;                    //   of which so many answer prompts by its chat template
  uint32_t first_seed = 0;               //   drawn with this seed
  uint32_t seeds = 0;                    //   and those that follow it, so many in all
  uint32_t chunk_tokens = 0;             // tokens of every chunk
  std::vector<std::string> prompted_in;  // languages of the prompts
  std::vector<LanguageShare> languages;  // what all of it looks like, most first

  uint32_t chunks() const { return file_chunks + generated_chunks; }
  bool operator==(const LearningText&) const = default;
};

// A name for the text, known before there is one: "notes.txt", "text the model wrote", or both.
std::string NameOfText(const std::string& file, bool generated);

// "English 80 %, code 15 %, unknown 5 %"; at most so many bytes: the rarest are left out.
inline constexpr size_t kLanguagesBytes = 96;
std::string DescribeLanguages(const LearningText& text);

// The key under which a file's header keeps LearningText::sha256.
inline constexpr const char* kLearnedFromKey = "quantize.trimma.text.sha256";

// Keys quantize.trimma.text.*, which take the same number of bytes whatever the text: the size of a
// file is known before its text is.
void Tell(const LearningText& text, Metadata& metadata);

Json ToJson(const LearningText& text);
LearningText LearningTextFromJson(const Json& json);  // throws what nlohmann throws

}  // namespace trimma
