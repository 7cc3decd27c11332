#include "llama_server/answers.h"

#include "llama_server/meter.h"

namespace trimma {

Result<std::vector<ModelAnswer>> AnswersThroughServer(const LlamaServerProgram& program,
                                                      const SpeedSubject& subject,
                                                      const ServedQuestions& questions,
                                                      const std::function<void(double)>& progress) {
  TRY(LlamaServer server, StartServer(program, subject, {}, questions.most_start_seconds));
  std::vector<ModelAnswer> answers;
  for (const std::string& prompt : questions.prompts) {
    if (progress) {
      progress(static_cast<double>(answers.size()) / static_cast<double>(questions.prompts.size()));
    }
    ServedRequest request;
    request.text = prompt;
    request.most_tokens = questions.most_tokens;
    ModelAnswer answer;
    if (questions.templated) {
      TRY(const auto templated, server.ApplyTemplate(prompt));
      answer.templated = templated.has_value();
      if (templated) request.text = *templated;
    }
    TRY(ServedAnswer said, server.Complete(request));
    answer.tokens = std::move(said.tokens);
    answer.text = std::move(said.text);
    answer.ended = said.ended;
    answer.prompt_tokens = static_cast<int>(said.prompt_tokens);
    answer.seconds = said.total_s;
    answers.push_back(std::move(answer));
  }
  return answers;
}

}  // namespace trimma
