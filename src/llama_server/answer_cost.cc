#include "llama_server/answer_cost.h"

#include <algorithm>

namespace trimma {
namespace {

constexpr double kSlack = 5;
constexpr double kLeastSeconds = 60;
constexpr double kUnknownSeconds = 600;

}  // namespace

double AnswerSeconds(const AnswerCosts& costs, const std::string& prompt, int most_tokens) {
  return static_cast<double>(prompt.size()) / costs.prefill_tps + most_tokens / costs.decode_tps;
}

double MostAnswerSeconds(const AnswerCosts& costs, const std::vector<std::string>& prompts,
                         int most_tokens) {
  if (!costs.known()) return kUnknownSeconds;
  double longest = 0;
  for (const std::string& prompt : prompts)
    longest = std::max(longest, AnswerSeconds(costs, prompt, most_tokens));
  return std::max(kLeastSeconds, kSlack * longest);
}

size_t PromptsThatFit(const AnswerCosts& costs, const AnswerPlan& plan) {
  if (!costs.known()) return plan.prompts.size();
  double visit = costs.start_seconds;
  size_t fit = 0;
  for (const std::string& prompt : plan.prompts) {
    visit += AnswerSeconds(costs, prompt, plan.most_tokens);
    if (plan.starts * visit > plan.budget_seconds) break;
    ++fit;
  }
  return fit;
}

size_t AnswersThatFit(double visit_seconds, const std::vector<double>& answer_seconds,
                      const std::function<bool(double visit_seconds)>& fits) {
  for (size_t count = answer_seconds.size(); count > 0; --count) {
    if (fits(visit_seconds)) return count;
    visit_seconds -= answer_seconds[count - 1];
  }
  return answer_seconds.size();
}

}  // namespace trimma
