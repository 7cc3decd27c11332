// What asking a model for answers takes, from speeds that were measured before (pure).
#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <vector>

namespace trimma {

// Of the server under the same settings; a rate of 0 is not known.
struct AnswerCosts {
  double start_seconds = 0;  // until it is ready
  double prefill_tps = 0;
  double decode_tps = 0;
  bool known() const { return prefill_tps > 0 && decode_tps > 0; }
};

// Of one answer of `most_tokens`. A token is a byte of the prompt at least, so that this is the
// most that is to be expected.
double AnswerSeconds(const AnswerCosts& costs, const std::string& prompt, int most_tokens);

// After which an answer has failed. Well above what is expected: a guess that is always wrong
// makes a server slower, and is a result.
double MostAnswerSeconds(const AnswerCosts& costs, const std::vector<std::string>& prompts,
                         int most_tokens);

// How many of the prompts, from the first on, can be answered in each of so many starts within the
// budget; all where the costs aren't known.
struct AnswerPlan {
  std::vector<std::string> prompts;
  int most_tokens = 0;
  int starts = 1;
  double budget_seconds = 0;
};
size_t PromptsThatFit(const AnswerCosts& costs, const AnswerPlan& plan);

// The same once a start has taken `visit_seconds`, these answers among them: how many of them, from
// the first on, make a start that `fits`; all where not even one does.
size_t AnswersThatFit(double visit_seconds, const std::vector<double>& answer_seconds,
                      const std::function<bool(double visit_seconds)>& fits);

}  // namespace trimma
