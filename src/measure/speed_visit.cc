#include "measure/speed_visit.h"

#include <algorithm>
#include <random>

#include "base/clock.h"
#include "base/interrupt.h"
#include "engine/rewind.h"

namespace trimma {
namespace {

constexpr int kMaxWarmUps = 10;
constexpr int kWarmUpDecode = 8;

std::optional<double> Difference(const std::optional<double>& before,
                                 const std::optional<double>& after) {
  if (!before || !after) return std::nullopt;
  return *after - *before;
}

}  // namespace

bool UsesCard(const RuntimeSettings& settings) {
  return settings.use_gpu && settings.gpu_layers != 0;
}

SpeedVisitor::SpeedVisitor(const SpeedOptions& options, Beat& beat)
    : options_(options), beat_(beat) {}

double SpeedVisitor::Now() const { return SecondsSince(start_); }

// Any tokens will do: the time of a matrix product doesn't depend on its values. The first is
// BOS where the model wants one, as llama-bench does it.
const std::vector<Token>& SpeedVisitor::Words(const Model& model, int n) {
  if (words_of_ != &model || words_.size() < static_cast<size_t>(n)) {
    std::mt19937 random(1);
    std::uniform_int_distribution<Token> pick(0, model.vocabulary() - 1);
    words_.resize(static_cast<size_t>(n));
    for (Token& token : words_) token = pick(random);
    if (model.adds_bos() && n > 0) words_[0] = model.bos();
    words_of_ = &model;
  }
  return words_;
}

// Brings every sequence to `depth` tokens, once; visits go back to it.
Status SpeedVisitor::Fill(Resident& resident, int parallel) {
  if (resident.filled == options_.depth) return {};
  resident.context->Clear();
  const std::vector<Token>& words = Words(*resident.model, options_.depth);
  const auto batch = static_cast<int>(resident.subject.settings.batch);
  std::vector<BatchToken> tokens;
  for (int sequence = 0; sequence < parallel; ++sequence) {
    for (int at = 0; at < options_.depth; at += batch) {
      beat_.Alive();
      tokens.clear();
      for (int i = at; i < std::min(at + batch, options_.depth); ++i)
        tokens.push_back({words[static_cast<size_t>(i)], i, sequence, false});
      TRY_STATUS(resident.context->Decode(tokens));
    }
  }
  resident.context->Synchronize();
  resident.filled = options_.depth;
  return {};
}

void SpeedVisitor::Return(Resident& resident, int parallel) const {
  if (!Rewind(*resident.model, *resident.context, options_.depth, parallel)) resident.filled = -1;
}

// To the logits of the last token.
Result<double> SpeedVisitor::Prefill(Resident& resident, int n) {
  const std::vector<Token>& words = Words(*resident.model, n);
  const auto batch = static_cast<int>(resident.subject.settings.batch);
  const auto start = Clock::now();
  for (int at = 0; at < n; at += batch) {
    beat_.Alive();
    TRY_STATUS(resident.context->Append(
        {words.data() + at, static_cast<size_t>(std::min(batch, n - at))}));
  }
  resident.context->Synchronize();
  return SecondsSince(start);
}

Result<double> SpeedVisitor::Decode(Resident& resident, int parallel, int n) {
  const std::vector<Token>& words = Words(*resident.model, n);
  const auto start = Clock::now();
  std::vector<BatchToken> step(static_cast<size_t>(parallel));
  for (int i = 0; i < n; ++i) {
    const Token token = words[static_cast<size_t>(i)];
    if (parallel == 1) {
      TRY_STATUS(resident.context->Append({&token, 1}));
    } else {
      for (int s = 0; s < parallel; ++s)
        step[static_cast<size_t>(s)] = {token, options_.depth + i, s, true};
      TRY_STATUS(resident.context->Decode(step));
    }
    resident.context->Synchronize();
  }
  return SecondsSince(start);
}

Result<int> SpeedVisitor::WarmUp(Resident& resident, const SpeedSubject& subject, bool is_first) {
  SpeedOptions full = options_;
  const auto ubatch = static_cast<int>(subject.settings.ubatch);
  options_.prompt_tokens = std::min(full.prompt_tokens, ubatch);
  options_.decode_tokens = std::min(full.decode_tokens, kWarmUpDecode);
  std::vector<double> seconds;
  Result<int> done = 0;
  while (seconds.size() < kMaxWarmUps && !Settled(seconds, is_first ? 2 : 1)) {
    const auto visit = Measure(resident, subject, subject.phases);
    if (!visit.ok()) {
      done = visit.error();
      break;
    }
    seconds.push_back(visit->prefill.value_or(0) + visit->decode.value_or(0));
    done = static_cast<int>(seconds.size());
  }
  options_ = full;
  return done;
}

Result<Visit> SpeedVisitor::Measure(Resident& resident, const SpeedSubject& subject,
                                    Phases phases) {
  TRY_STATUS(CheckInterrupted());
  const RuntimeSettings& settings = subject.settings;
  const int threads = settings.threads.value_or(DefaultThreads());
  resident.context->SetThreads(threads, settings.threads_batch.value_or(threads));
  resident.fresh = false;
  TRY_STATUS(Fill(resident, settings.parallel));
  TRY_STATUS(Decode(resident, settings.parallel, 1));
  Return(resident, settings.parallel);
  Visit visit;
  const bool on_card = meter_ && UsesCard(settings);
  const auto joules = [&] { return on_card ? meter_->Joules() : std::nullopt; };
  beat_.Alive();
  visit.at = Now();
  if (phases != Phases::kDecode) {
    TRY_STATUS(Fill(resident, settings.parallel));
    const auto before = joules();
    TRY(visit.prefill, Prefill(resident, options_.prompt_tokens));
    visit.prefill_joules = Difference(before, joules());
    Return(resident, settings.parallel);
  }
  if (phases != Phases::kPrefill) {
    TRY_STATUS(Fill(resident, settings.parallel));
    beat_.Alive();
    const auto before = joules();
    TRY(visit.decode, Decode(resident, settings.parallel, options_.decode_tokens));
    visit.decode_joules = Difference(before, joules());
    Return(resident, settings.parallel);
  }
  return visit;
}

}  // namespace trimma
