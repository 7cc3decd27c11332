// What text quality was judged on: kept in the record.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/child.h"
#include "gguf/value.h"
#include "plan/learning_text.h"

namespace trimma {

struct JudgingText {
  std::string kind;    // "file", "generated" or "prompts" (the reference's answers to them)
  std::string name;    // as Quality::text
  std::string file;    // of the text or of the prompts, by name; "": none
  std::string sha256;  // of that file
  std::vector<uint32_t> seeds;           // of what was generated; calibration has others
  std::vector<std::string> prompted_in;  // languages of our own prompts, as far as used
  std::vector<LanguageShare> languages;  // what the chunks look like, most first
  int64_t tokens = 0;                    // evaluated, scored or not
  double overlap = 0;  // share of a deep chunk's tokens that it has in common with the next
  std::vector<std::string> notes;  // what its reader should know, one sentence each
  bool operator==(const JudgingText&) const = default;
};

// Why figures on this text flatter a file with such metadata: it was calibrated on the same text,
// by its hash or, where the header has none, by its name. nullopt: nothing says so.
std::optional<std::string> CalibratedOn(const Metadata& metadata, const JudgingText& text);

Json ToJson(const JudgingText& text);
JudgingText JudgingTextFromJson(const Json& json);  // throws what nlohmann throws

}  // namespace trimma
