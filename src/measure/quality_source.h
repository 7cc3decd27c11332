// Where the chunks come from that quality is judged on (the child's side).
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "engine/chat.h"
#include "engine/token_text.h"
#include "measure/quality.h"
#include "measure/quality_prompts.h"

namespace trimma {

// A text's chunks, all at once from a file, or round after round from the reference: 16 sequences a
// round, with a seed of its own. Where the reference has a chat template, half of the sequences
// answer prompts of ours, and when an answer ends the next prompt follows; those in `language` come
// first. With prompts of the user's, all sequences answer them.
class JudgingSource {
 public:
  using Beat = std::function<void(double)>;

  // The first chunks are there afterwards: two at least. `model` and `settings` outlive the source.
  static Result<JudgingSource> Open(const Model& model, const RuntimeSettings& settings,
                                    const QualityOptions& options,
                                    const std::optional<std::string>& language, const Beat& beat);

  const std::vector<std::vector<Token>>& chunks() const { return text_.chunks; }
  // Another round of generated text; false where there is no more to be had.
  Result<bool> More(const Beat& beat);
  // `judged` chunks of it were used.
  JudgingText Record(size_t judged) const;

 private:
  JudgingSource(const Model& model, const RuntimeSettings& settings, const QualityOptions& options)
      : model_(model), settings_(settings), options_(options) {}
  Status ReadFile();
  Status PrepareToWrite(const std::optional<std::string>& language);
  Status CheckPromptLengths();
  int SequenceTokens() const;  // of those that are generated
  Status WriteRounds(const Beat& beat);
  Status WriteDeep(const Beat& beat);
  Result<TokenText> Round(double seconds, const Beat& beat);
  std::vector<Beginning> Begin();

  const Model& model_;
  const RuntimeSettings& settings_;
  const QualityOptions& options_;
  std::vector<JudgingPrompt> prompts_;
  std::vector<ChatTokens> chats_;  // of the prompts, as the model's template puts them
  bool has_template_ = false;
  std::vector<Beginning> own_;
  uint32_t rounds_ = 0;
  int length_ = 0;  // of generated sequences, once the first are there
  TokenText text_;
  JudgingText record_;
};

}  // namespace trimma
