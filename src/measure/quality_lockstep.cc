#include "measure/quality_lockstep.h"

#include <fmt/format.h>
#include <malloc.h>

#include <algorithm>
#include <optional>
#include <thread>

#include "base/clock.h"
#include "engine/engine.h"
#include "engine/mapped_pages.h"
#include "gguf/reader.h"
#include "gguf/soundness.h"
#include "gguf/vocabulary.h"

namespace trimma {
namespace {

// Logits of one piece. A context holds them twice (its own copy, and the graph's result), so that
// two models on the CPU take four times this: a third of the 200 MiB that a measurement may take
// besides the models. On a GPU, where small batches waste the device, 1 GiB is allowed.
constexpr uint64_t kHostLogitBytes = 16ULL << 20;
constexpr uint64_t kDeviceLogitBytes = 96ULL << 20;
constexpr uint32_t kHostBatch = 128;
constexpr uint64_t kFewestRows = 16;  // fewer leave threads without work

bool SamePlace(const RuntimeSettings& a, const RuntimeSettings& b) {
  return a.gpu_layers == b.gpu_layers && a.use_gpu == b.use_gpu && a.host_tensors == b.host_tensors;
}

bool IsOnDevice(const RuntimeSettings& settings) {
  return settings.use_gpu && settings.gpu_layers != 0 && !EngineGpus().empty();
}

int PieceRows(int vocabulary, bool on_device, int most) {
  const uint64_t row = static_cast<uint64_t>(vocabulary) * sizeof(float);
  const uint64_t bytes = on_device ? kDeviceLogitBytes : kHostLogitBytes;
  return static_cast<int>(
      std::min<uint64_t>(std::max(bytes / row, kFewestRows), static_cast<uint64_t>(most)));
}

Error DifferentVocabularies(const std::string& path, const std::string& reference) {
  return {Code::kInvalid,
          fmt::format("{} and {} have different vocabularies; their predictions can't be compared",
                      path, reference),
          "compare a model with the file it was made from"};
}

}  // namespace

Result<Lockstep> Lockstep::Load(const Json& reference, const Json& candidates) {
  Lockstep lockstep;
  Json all = Json::array({reference});
  all.insert(all.end(), candidates.begin(), candidates.end());
  std::vector<std::string> paths;
  std::optional<GgufFile> of_reference;
  for (const Json& item : all) {
    Runner runner;
    paths.push_back(item.at("path"));
    TRY(runner.settings, RuntimeSettingsFromJson(item.at("settings")));
    for (size_t i = 0; i < lockstep.runners_.size(); ++i) {
      if (paths[i] == paths.back() && SamePlace(lockstep.runners_[i].settings, runner.settings))
        runner.model = lockstep.runners_[i].model;
    }
    if (runner.model == nullptr) {
      TRY(GgufFile file, ReadGguf(paths.back()));
      TRY_STATUS(CheckModel(file));
      Model::Options options = Model::Options::PlacedAs(runner.settings);
      // Only the reference tokenises.
      options.texts = !of_reference || !SameTokens(*of_reference, file);
      TRY(Model model, Model::Load(file, options));
      if (options.texts && of_reference && !model.SameVocabulary(lockstep.reference()))
        return DifferentVocabularies(paths.back(), paths[0]);
      runner.model = std::make_shared<Model>(std::move(model));
      ReleaseMappedPages(file.paths);
      if (!of_reference) of_reference = std::move(file);
    }
    lockstep.runners_.push_back(std::move(runner));
  }
  of_reference.reset();
  // Headers with hundreds of thousands of texts were read, each a piece of its own: without this
  // the pages stay ours.
  malloc_trim(0);
  return lockstep;
}

Status Lockstep::Open(int length, int first) {
  first_ = first;
  bool on_device = false;
  for (const Runner& runner : runners_) on_device |= IsOnDevice(runner.settings);
  piece_ = PieceRows(reference().vocabulary(), on_device, length);
  for (Runner& runner : runners_) {
    Context::Options options;
    options.settings = runner.settings;
    options.settings.context = static_cast<uint32_t>(length);
    options.settings.batch = std::max(options.settings.batch, static_cast<uint32_t>(piece_));
    // On the CPU a larger one is no faster, and its buffers are there once for each model.
    if (!on_device) options.settings.ubatch = std::min(options.settings.ubatch, kHostBatch);
    options.settings.parallel = 1;
    options.outputs = static_cast<uint32_t>(piece_);
    TRY(Context context, Context::Create(*runner.model, options));
    runner.settings = options.settings;
    runner.context = std::make_unique<Context>(std::move(context));
  }
  return {};
}

// Tokens of a chunk that stand at `begin` and behind it; logits from first_ on.
Status Lockstep::Evaluate(Runner& runner, std::span<const Token> tokens, int begin,
                          const std::function<void()>& beat) {
  const auto start = Clock::now();
  if (begin == 0) runner.context->Clear();
  const size_t most = runner.settings.batch;
  for (size_t at = 0; at < tokens.size(); at += most) {
    std::vector<BatchToken> batch;
    for (size_t i = at; i < std::min(tokens.size(), at + most); ++i) {
      const int position = begin + static_cast<int>(i);
      batch.push_back({tokens[i], position, 0, position >= first_});
    }
    TRY_STATUS(runner.context->Decode(batch));
    beat();
  }
  runner.context->Synchronize();
  forward_seconds_ += SecondsSince(start);
  return {};
}

// Positions spread over threads: a vocabulary of 262 144 makes this a good part of the work.
void Lockstep::Score(const std::vector<const float*>& expected,
                     const std::vector<const float*>& actual, const Token* next,
                     std::vector<PositionScore>& scores) {
  const auto start = Clock::now();
  const int vocabulary = reference().vocabulary();
  const size_t n = expected.size();
  const size_t base = scores.size();
  scores.resize(base + n);
  const size_t threads = std::min<size_t>(static_cast<size_t>(DefaultThreads()), n);
  const auto work = [&](size_t t) {
    for (size_t i = t; i < n; i += threads)
      scores[base + i] = ScorePosition(expected[i], actual[i], vocabulary, next[i]);
  };
  std::vector<std::thread> workers;
  for (size_t t = 1; t < threads; ++t) workers.emplace_back(work, t);
  work(0);
  for (std::thread& worker : workers) worker.join();
  scoring_seconds_ += SecondsSince(start);
}

Status Lockstep::JudgeChunk(const std::vector<Token>& tokens, std::vector<DivergenceSums>& sums,
                            const std::function<void()>& beat) {
  const std::span<const Token> all = tokens;
  const auto scored = static_cast<size_t>(first_);
  for (Runner& runner : runners_) TRY_STATUS(Evaluate(runner, all.first(scored), 0, beat));
  std::vector<std::vector<PositionScore>> scores(sums.size());
  for (size_t from = scored; from + 1 < all.size();) {
    const size_t count = std::min(static_cast<size_t>(piece_), all.size() - 1 - from);
    std::vector<const float*> expected;
    for (size_t r = 0; r < runners_.size(); ++r) {
      TRY_STATUS(Evaluate(runners_[r], all.subspan(from, count), static_cast<int>(from), beat));
      std::vector<const float*> logits;
      for (size_t i = 0; i < count; ++i)
        logits.push_back(runners_[r].context->Logits(static_cast<int>(i)));
      if (r == 0) {
        expected = std::move(logits);
      } else {
        Score(expected, logits, &tokens[from + 1], scores[r - 1]);
      }
    }
    from += count;
  }
  for (size_t c = 0; c < sums.size(); ++c) sums[c].AddChunk(scores[c]);
  return {};
}

}  // namespace trimma
