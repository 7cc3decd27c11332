// The lines of /api/generate and /api/chat, put together into one answer.
#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "ollama/types.h"

namespace trimma {

struct AnswerWish {
  std::string model;
  std::optional<double> most_seconds, deadline_s;  // OllamaPrompt says what they mean
  std::function<void(std::string_view)> on_text;   // gets each piece, also of thinking
};

// For one request, which is sent right after this is made: our clock runs from then on.
class AnswerStream {
 public:
  explicit AnswerStream(AnswerWish wish);
  const AnswerWish& wish() const { return wish_; }

  // An error ends the stream: the server's own, kInvalid for what is no line of Ollama's, or that
  // the time is over. `version` is the server's.
  Status Take(std::string_view line, const std::string& version);

  // `ended`: how the stream ended. kNetwork for an answer that was not finished, unless it may be
  // cut.
  Result<OllamaAnswer> Finish(const Status& ended);

 private:
  double Since() const;
  void TakePiece(const Json& from, const char* key, std::string& to);

  AnswerWish wish_;
  std::chrono::steady_clock::time_point start_;
  OllamaAnswer answer_;
  bool done_ = false;
  bool cut_ = false;
};

// {"error": "..."} may come in the middle of a stream of lines.
Status ErrorInLine(const Json& line, const std::string& version);

}  // namespace trimma
