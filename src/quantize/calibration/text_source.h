// Where the text comes from that a quantiser learns from: the user's file, the model itself, or
// both.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/child.h"
#include "engine/token_text.h"
#include "plan/learning_text.h"

namespace trimma {

inline constexpr int kChunkTokens = 512;

struct TextRequest {
  std::optional<std::string> file;
  bool generate = false;  // besides the file; without one the model writes all of it
  double seconds = 20;    // of generating, at most
  size_t chunks = 128;    // of both together, at most
};

struct ObtainedText {
  TokenText file;       // one of these two may be empty
  TokenText generated;  // where there are both, their chunks are as long
  LearningText record;
  std::vector<std::string> notes;  // what is wrong with it

  TokenText All() const;
};

// The model writes in rounds of 16 sequences, each round with a seed of its own, until the chunks
// or the seconds are spent. Where its chat template is known, half of the sequences begin with a
// prompt, and when an answer ends the next prompt follows; with a file, a quarter begin with
// stretches of it (half, without a template): its language is learned from the model's own words
// too. The others begin with BOS.
//
// A file too short for two chunks of 512 tokens is cut into shorter ones, or, where the model
// writes too, only begins sequences. `beat` gets the share done.
Result<ObtainedText> ObtainText(const Model& model, const TextRequest& request,
                                const std::function<void(double)>& beat);

// "the calibration text looks like English alone ..."; "" where it doesn't, or where the model
// itself has written some of it.
std::string OneLanguageNote(const LearningText& text);

Json ToJson(const TextRequest& request);
TextRequest TextRequestFromJson(const Json& json);

}  // namespace trimma
