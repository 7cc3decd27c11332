// What a llama-server answers, read strictly (pure).
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"

namespace trimma {

// One completion, with its own clock's figures.
struct ServedAnswer {
  std::string text;
  std::vector<int32_t> tokens;  // empty where this version doesn't give them
  bool ended = false;           // by itself, before the limit
  int64_t prompt_tokens = 0;    // computed for it
  double prompt_ms = 0;
  int64_t answer_tokens = 0;
  double answer_ms = 0;  // from the first token to the last
  int64_t drafted = 0;   // tokens guessed ahead,
  int64_t accepted = 0;  // and of these right
  // By our clock, from the request on.
  std::optional<double> first_ms;  // to the first token; only of a stream
  double total_s = 0;

  // Tokens per second; nullopt where there is nothing to divide. The first token of an answer is
  // the prompt's work.
  std::optional<double> PrefillRate() const;
  std::optional<double> DecodeRate() const;
};

// kInvalid where it isn't what /completion answers. Of a stream: its last piece.
Result<ServedAnswer> ParseCompletion(const nlohmann::json& json);

// An answer of another status than 200: its own sentence, made safe.
Error ServerRefused(int status, const std::string& body);

}  // namespace trimma
