// Reference and candidates evaluating the same tokens, position by position (the child's side).
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "base/child.h"
#include "base/divergence.h"
#include "engine/model.h"

namespace trimma {

class Lockstep {
 public:
  // `reference`, and each of `candidates`: {"path", "settings"}. Models of the same file at the
  // same place are loaded once. kInvalid where vocabularies differ.
  static Result<Lockstep> Load(const Json& reference, const Json& candidates);

  const Model& reference() const { return *runners_[0].model; }
  const RuntimeSettings& reference_settings() const { return runners_[0].settings; }

  // For chunks of so many tokens, of which those from `first` on are scored; the last predicts one
  // that isn't there, and isn't evaluated.
  Status Open(int length, int first);
  // Every candidate's scores of the chunk, added to its `sums`. `beat` is called now and then: a
  // deep chunk takes minutes.
  Status JudgeChunk(const std::vector<Token>& tokens, std::vector<DivergenceSums>& sums,
                    const std::function<void()>& beat);

  double forward_seconds() const { return forward_seconds_; }
  double scoring_seconds() const { return scoring_seconds_; }

 private:
  struct Runner {
    std::shared_ptr<const Model> model;
    RuntimeSettings settings;
    std::unique_ptr<Context> context;
  };
  Status Evaluate(Runner& runner, std::span<const Token> tokens, int begin,
                  const std::function<void()>& beat);
  void Score(const std::vector<const float*>& expected, const std::vector<const float*>& actual,
             const Token* next, std::vector<PositionScore>& scores);

  std::vector<Runner> runners_;  // the reference first
  int first_ = 0;
  int piece_ = 0;  // positions whose logits are held at once
  double forward_seconds_ = 0;
  double scoring_seconds_ = 0;
};

}  // namespace trimma
