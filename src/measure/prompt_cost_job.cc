// The child's side of measuring what a system prompt costs.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <random>

#include "base/clock.h"
#include "base/divergence.h"
#include "base/interrupt.h"
#include "engine/chat.h"
#include "engine/greedy.h"
#include "engine/prefix_state.h"
#include "measure/beat.h"
#include "measure/prompt_cost.h"

namespace trimma {
namespace {

constexpr int kMinRounds = 3;
constexpr int kTimedLoads = 2;
// Of the progress bar: timing, then comparing answers.
constexpr double kTimingShare = 0.7;

struct Loaded {
  Model model;
  std::vector<double> load_ms;
};

// One load brings the file into the page cache; those after it are what a user waits for who comes
// back. One model lies in memory at a time.
Result<Loaded> LoadTimed(const std::string& path, const RuntimeSettings& settings, Beat& beat) {
  std::vector<double> load_ms;
  for (int i = 0;; ++i) {
    TRY_STATUS(CheckInterrupted());
    beat.Alive();
    const auto start = Clock::now();
    TRY(Model model, Model::Load(path, Model::Options::PlacedAs(settings)));
    {
      TRY(const Context context, Context::Create(model, {settings}));
      if (i > 0) load_ms.push_back(MillisecondsSince(start));
    }
    if (i == kTimedLoads) return Loaded{std::move(model), load_ms};
  }
}

// A context that takes prompts of any length, batch by batch.
struct Reader {
  Context context;
  size_t batch;
  Beat& beat;

  Status Append(std::span<const Token> tokens) {
    for (size_t at = 0; at < tokens.size(); at += batch) {
      TRY_STATUS(context.Append(tokens.subspan(at, std::min(batch, tokens.size() - at))));
      beat.Alive();
    }
    context.Synchronize();
    return {};
  }
  // From an empty cache.
  Status Read(std::span<const Token> tokens) {
    context.Clear();
    return Append(tokens);
  }
};

// A prompt with the first question behind it.
struct Subject {
  std::string text;
  std::vector<Token> tokens;
  size_t prefix = 0;  // tokens of it that any question finds there
  std::optional<PrefixState> state;
  std::vector<double> cold_ms, warm_ms, restore_ms;
};

class PromptRun {
 public:
  PromptRun(const Model& model, Reader reader) : model_(model), reader_(std::move(reader)) {}

  // The first evaluations allocate graphs and, on a GPU, choose kernels for these very shapes.
  Status WarmUp(Subject& subject) {
    TRY_STATUS(reader_.Read(std::span(subject.tokens).first(subject.prefix)));
    TRY(subject.state, KeptState());
    TRY_STATUS(TimeCold(subject));
    TRY_STATUS(TimeWarm(subject));
    subject.cold_ms.clear();
    subject.warm_ms.clear();
    subject.restore_ms.clear();
    return {};
  }

  Status TimeCold(Subject& subject) {
    reader_.context.Clear();
    TRY(const double ms, TimeToFirst(subject.tokens));
    subject.cold_ms.push_back(ms);
    return {};
  }

  Status TimeWarm(Subject& subject) {
    const auto start = Clock::now();
    TRY_STATUS(subject.state->Restore(reader_.context));
    const double restore = MillisecondsSince(start);
    TRY(const double ms, TimeToFirst(std::span(subject.tokens).subspan(subject.prefix)));
    subject.restore_ms.push_back(restore);
    subject.warm_ms.push_back(ms);
    return {};
  }

  // Milliseconds of each token of a greedy answer.
  Result<std::vector<double>> TimeAnswer(const Subject& subject, int tokens) {
    TRY_STATUS(reader_.Read(subject.tokens));
    std::vector<double> ms;
    for (int i = 0; i < tokens; ++i) {
      const auto start = Clock::now();
      TRY(const Token token, MostLikely(reader_.context.Logits(-1), model_.vocabulary()));
      TRY_STATUS(reader_.Append({&token, 1}));
      ms.push_back(MillisecondsSince(start));
    }
    return ms;
  }

 private:
  Result<std::optional<PrefixState>> KeptState() {
    TRY(PrefixState state, PrefixState::Save(reader_.context));
    return std::optional<PrefixState>(std::move(state));
  }

  Result<double> TimeToFirst(std::span<const Token> tokens) {
    const auto start = Clock::now();
    TRY_STATUS(reader_.Append(tokens));
    TRY(const Token first, MostLikely(reader_.context.Logits(-1), model_.vocabulary()));
    (void)first;
    return MillisecondsSince(start);
  }

  const Model& model_;
  Reader reader_;
};

PromptCost Summarise(const Subject& subject, const Model& model) {
  const auto tokenize = [&](const std::string& text) { return model.Tokenize(text, false); };
  PromptCost cost;
  cost.tokens = static_cast<int>(subject.prefix);
  cost.text_tokens = static_cast<int>(tokenize(subject.text).size());
  cost.question_tokens = static_cast<int>(subject.tokens.size() - subject.prefix);
  cost.kv_bytes = subject.state->bytes();
  cost.cold_ms = MedianSpread(subject.cold_ms);
  cost.warm_ms = MedianSpread(subject.warm_ms);
  cost.restore_ms = MedianSpread(subject.restore_ms);
  cost.cold_samples = subject.cold_ms;
  cost.warm_samples = subject.warm_ms;
  cost.repeats = FindRepeats(SplitPassages(subject.text), tokenize);
  return cost;
}

// Two prompts side by side along the first one's answers.
class AnswerComparison {
 public:
  AnswerComparison(const Model& model, Reader full, Reader brief)
      : model_(model), full_(std::move(full)), brief_(std::move(brief)) {}

  // `full`, `brief`: the same question behind either prompt.
  Result<PromptAnswer> Ask(const std::vector<Token>& full, const std::vector<Token>& brief,
                           int most) {
    TRY_STATUS(full_.Read(full));
    TRY_STATUS(brief_.Read(brief));
    const int vocabulary = model_.vocabulary();
    std::vector<Token> answer;
    std::vector<PositionScore> scores;
    PromptAnswer result;
    result.same = true;
    for (int i = 0; i < most; ++i) {
      TRY_STATUS(CheckInterrupted());
      const float* expected = full_.context.Logits(-1);
      TRY(const Token next, MostLikely(expected, vocabulary));
      const float* actual = brief_.context.Logits(-1);
      TRY(const Token its_own, MostLikely(actual, vocabulary));
      scores.push_back(ScorePosition(expected, actual, vocabulary, next));
      // As long as both agree, what is put before the shorter prompt is its own answer.
      result.same = result.same && its_own == next;
      if (result.same) ++result.same_tokens;
      if (model_.IsEndOfGeneration(next)) break;
      answer.push_back(next);
      TRY_STATUS(full_.Append({&next, 1}));
      TRY_STATUS(brief_.Append({&next, 1}));
    }
    sums_.AddChunk(scores);
    for (const PositionScore& score : scores) result.mean_kld += score.kld;
    result.tokens = static_cast<int>(scores.size());
    result.mean_kld /= result.tokens;
    result.answer = model_.Detokenize(answer);
    result.shorter_answer = result.answer;
    if (!result.same) {
      TRY(result.shorter_answer, AnswerOf(brief_, brief, most));
    }
    return result;
  }

  const DivergenceSums& sums() const { return sums_; }

 private:
  Result<std::string> AnswerOf(Reader& reader, const std::vector<Token>& prompt, int most) const {
    TRY_STATUS(reader.Read(prompt));
    std::vector<Token> answer;
    for (int i = 0; i < most; ++i) {
      TRY(const Token next, MostLikely(reader.context.Logits(-1), model_.vocabulary()));
      if (model_.IsEndOfGeneration(next)) break;
      answer.push_back(next);
      TRY_STATUS(reader.Append({&next, 1}));
    }
    return model_.Detokenize(answer);
  }

  const Model& model_;
  Reader full_, brief_;
  DivergenceSums sums_;
};

Result<PromptChange> Summarise(std::vector<PromptAnswer> answers, const DivergenceSums& sums) {
  PromptChange change;
  const MeanInterval mean = sums.MeanKld();
  change.tokens = sums.tokens();
  change.mean_kld = mean.mean;
  if (answers.size() > 1) change.interval = mean;
  change.p99_kld = sums.KldQuantile(0.99);
  change.same_top = sums.SameTop();
  change.answers_same = static_cast<int>(
      std::count_if(answers.begin(), answers.end(), [](const PromptAnswer& a) { return a.same; }));
  change.answers = std::move(answers);
  if (std::isfinite(change.mean_kld)) return change;
  return NotFinite();
}

// Cells that the longest of all conversations needs.
Result<uint32_t> NeededContext(const SystemPromptFormat& format, const Json& request, int trained) {
  size_t longest = 0;
  for (const Json& prompt : request.at("prompts")) {
    for (const Json& question : request.at("questions"))
      longest = std::max(longest, format.Tokens(prompt, question).size());
  }
  const size_t needed = longest + request.at("answer_tokens").get<size_t>();
  if (trained > 0 && needed > static_cast<size_t>(trained)) {
    return Error{Code::kNoFit,
                 fmt::format("prompt, question and answer are {} tokens; the model's context "
                             "holds {}",
                             needed, trained),
                 "shorten the prompt, or ask for a shorter answer (--answer-tokens)"};
  }
  return static_cast<uint32_t>(needed);
}

Status Time(PromptRun& run, std::vector<Subject>& subjects, const Json& request, Beat& beat) {
  for (Subject& subject : subjects) TRY_STATUS(run.WarmUp(subject));
  const int rounds = request.at("rounds");
  const double budget = request.at("budget_seconds");
  std::vector<std::pair<size_t, bool>> order;  // which prompt, warm
  for (size_t i = 0; i < subjects.size(); ++i) order.insert(order.end(), {{i, false}, {i, true}});
  std::mt19937 random(7);
  const auto start = Clock::now();
  for (int round = 0; round < rounds; ++round) {
    const double seconds = MillisecondsSince(start) / 1000;
    if (round >= kMinRounds && seconds > budget) break;
    std::shuffle(order.begin(), order.end(), random);
    for (const auto& [i, warm] : order) {
      TRY_STATUS(CheckInterrupted());
      TRY_STATUS(warm ? run.TimeWarm(subjects[i]) : run.TimeCold(subjects[i]));
    }
    const double share = std::max((round + 1.0) / rounds, std::min(1.0, seconds / budget));
    beat.Progress(kTimingShare * share);
  }
  return {};
}

Result<std::vector<Subject>> SubjectsOf(const SystemPromptFormat& format, const Json& request) {
  const std::string question = request.at("questions").at(0);
  std::vector<Subject> subjects;
  for (const Json& prompt : request.at("prompts")) {
    Subject& subject = subjects.emplace_back();
    subject.text = prompt;
    subject.tokens = format.Tokens(subject.text, question);
    subject.prefix = format.Prefix(subject.text, question).size();
    if (subject.prefix == 0) {
      return Error{Code::kFailure, "the model's chat template puts the question before the prompt",
                   "nothing of the prompt could be kept; put it into the question"};
    }
  }
  return subjects;
}

Result<Reader> OpenReader(const Model& model, const RuntimeSettings& settings, Beat& beat) {
  TRY(Context context, Context::Create(model, {settings}));
  return Reader{std::move(context), settings.batch, beat};
}

// Both prompts' answers to every question; the context is given back at the end.
Result<PromptChange> CompareAnswers(AnswerComparison comparison, const SystemPromptFormat& format,
                                    const Json& request, Beat& beat) {
  const auto questions = request.at("questions").get<std::vector<std::string>>();
  const std::string full = request.at("prompts").at(0);
  const std::string brief = request.at("prompts").at(1);
  std::vector<PromptAnswer> answers;
  for (const std::string& question : questions) {
    TRY(PromptAnswer answer,
        comparison.Ask(format.Tokens(full, question), format.Tokens(brief, question),
                       request.at("answer_tokens").get<int>()));
    answer.question = question;
    answers.push_back(std::move(answer));
    beat.Progress(kTimingShare + (1 - kTimingShare) * static_cast<double>(answers.size()) /
                                     static_cast<double>(questions.size()));
  }
  return Summarise(std::move(answers), comparison.sums());
}

}  // namespace

Result<Json> PromptJob(const Json& request, const Emit& emit) {
  Beat beat(emit);
  TRY(RuntimeSettings settings, RuntimeSettingsFromJson(request.at("settings")));
  TRY(const Loaded loaded, LoadTimed(request.at("path"), settings, beat));
  const Model& model = loaded.model;
  const SystemPromptFormat format(model);
  PromptReport report;
  report.system_role = NameOf(format.role());
  report.load_ms = MedianSpread(loaded.load_ms);
  report.trained_context = model.trained_context();
  TRY(settings.context, NeededContext(format, request, model.trained_context()));
  TRY(std::vector<Subject> subjects, SubjectsOf(format, request));
  {
    TRY(Reader reader, OpenReader(model, settings, beat));
    PromptRun run(model, std::move(reader));
    TRY_STATUS(Time(run, subjects, request, beat));
    TRY(const std::vector<double> decode,
        run.TimeAnswer(subjects[0], request.at("answer_tokens").get<int>()));
    report.decode_ms = MedianSpread(decode);
  }
  report.prompt = Summarise(subjects[0], model);
  if (subjects.size() > 1) {
    report.shorter = Summarise(subjects[1], model);
    TRY(Reader full, OpenReader(model, settings, beat));
    TRY(Reader brief, OpenReader(model, settings, beat));
    TRY(report.change, CompareAnswers(AnswerComparison(model, std::move(full), std::move(brief)),
                                      format, request, beat));
  }
  return ToJson(report);
}

}  // namespace trimma
