// The child's side of measuring quality: reference and candidates in lockstep.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <filesystem>
#include <thread>

#include "base/divergence.h"
#include "base/file.h"
#include "base/interrupt.h"
#include "engine/model.h"
#include "engine/token_text.h"
#include "measure/quality.h"

namespace trimma {
namespace {

// A batch of this many bytes of logits at most; a chunk is evaluated in as many pieces as that
// takes.
constexpr uint64_t kLogitBytes = 256ULL << 20;
constexpr int kMinChunks = 4;

int PieceTokens(int vocabulary, int chunk) {
  const uint64_t row = static_cast<uint64_t>(vocabulary) * sizeof(float);
  return static_cast<int>(
      std::clamp<uint64_t>(kLogitBytes / row, 32, static_cast<uint64_t>(chunk)));
}

// A model that evaluates chunks piece by piece.
class Runner {
 public:
  static Result<Runner> Create(const Json& judged, int chunk) {
    TRY(RuntimeSettings settings, RuntimeSettingsFromJson(judged.at("settings")));
    TRY(Model model,
        Model::Load(judged.at("path").get<std::string>(), Model::Options::PlacedAs(settings)));
    settings.context = static_cast<uint32_t>(chunk);
    return Runner(std::move(model), settings);
  }

  const Model& model() const { return model_; }
  const RuntimeSettings& settings() const { return settings_; }

  Status Open(int chunk) {
    const int piece = PieceTokens(model_.vocabulary(), chunk);
    Context::Options options;
    options.settings = settings_;
    options.settings.context = static_cast<uint32_t>(chunk);
    options.settings.batch = std::max(options.settings.batch, static_cast<uint32_t>(piece));
    options.outputs = static_cast<uint32_t>(piece);
    TRY(Context context, Context::Create(model_, options));
    context_.emplace(std::move(context));
    return {};
  }

  // Evaluates tokens [begin, end) of a chunk; logits from position `first` on.
  Status Evaluate(const std::vector<Token>& tokens, int begin, int end, int first) {
    if (begin == 0) context_->Clear();
    std::vector<BatchToken> batch;
    for (int i = begin; i < end; ++i)
      batch.push_back({tokens[static_cast<size_t>(i)], i, 0, i >= first});
    return context_->Decode(batch);
  }

  const float* Logits(int batch_index) const { return context_->Logits(batch_index); }

 private:
  Runner(Model model, const RuntimeSettings& settings)
      : model_(std::move(model)), settings_(settings) {}
  Model model_;
  RuntimeSettings settings_;
  std::optional<Context> context_;
};

// Positions of one piece, spread over threads: a vocabulary of 262 144 makes this a good part of
// the work.
void ScorePiece(const std::vector<const float*>& reference, const std::vector<const float*>& model,
                int vocabulary, const Token* next, std::vector<PositionScore>& scores) {
  const size_t n = reference.size();
  const size_t base = scores.size();
  scores.resize(base + n);
  const size_t threads =
      std::min<size_t>(static_cast<size_t>(DefaultThreads()), std::max<size_t>(n, 1));
  std::vector<std::thread> workers;
  for (size_t t = 0; t < threads; ++t) {
    workers.emplace_back([&, t] {
      for (size_t i = t; i < n; i += threads)
        scores[base + i] = ScorePosition(reference[i], model[i], vocabulary, next[i]);
    });
  }
  for (std::thread& worker : workers) worker.join();
}

// One chunk through the reference and every candidate; candidates' scores are added to `sums`.
Status JudgeChunk(Runner& reference, std::vector<Runner>& candidates,
                  const std::vector<Token>& tokens, int first, std::vector<DivergenceSums>& sums) {
  const int vocabulary = reference.model().vocabulary();
  const auto length = static_cast<int>(tokens.size());
  const int piece = PieceTokens(vocabulary, length);
  std::vector<std::vector<PositionScore>> scores(candidates.size());
  for (int begin = 0; begin < length; begin += piece) {
    const int end = std::min(begin + piece, length);
    // The last token predicts one that isn't there.
    const int from = std::max(begin, first);
    const int to = std::min(end, length - 1);
    TRY_STATUS(reference.Evaluate(tokens, begin, end, first));
    std::vector<const float*> expected;
    for (int i = from; i < to; ++i) expected.push_back(reference.Logits(i - begin));
    for (size_t c = 0; c < candidates.size(); ++c) {
      TRY_STATUS(candidates[c].Evaluate(tokens, begin, end, first));
      std::vector<const float*> actual;
      for (int i = from; i < to; ++i) actual.push_back(candidates[c].Logits(i - begin));
      if (!expected.empty())
        ScorePiece(expected, actual, vocabulary, &tokens[static_cast<size_t>(from) + 1], scores[c]);
    }
  }
  for (size_t c = 0; c < candidates.size(); ++c) sums[c].AddChunk(scores[c]);
  return {};
}

Quality Summarise(const DivergenceSums& sums, const TokenText& text, bool score_all) {
  const MeanInterval mean = sums.MeanKld();
  Quality q;
  q.tokens = sums.tokens();
  q.mean_kld = mean.mean;
  q.mean_kld_low = mean.low;
  q.mean_kld_high = mean.high;
  q.p99_kld = sums.KldQuantile(0.99);
  q.p999_kld = sums.KldQuantile(0.999);
  q.same_top = sums.SameTop();
  q.ppl = sums.Perplexity();
  q.reference_ppl = sums.ReferencePerplexity();
  q.chunk = static_cast<int>(text.chunks[0].size());
  q.chunks = sums.chunks();
  q.score = score_all ? "all" : "half";
  q.text = text.description;
  return q;
}

Status CheckFinite(const Quality& quality, const std::string& path) {
  if (!std::isfinite(quality.ppl) || !std::isfinite(quality.reference_ppl)) {
    return Error{Code::kInvalid, fmt::format("{}: its predictions are not finite numbers", path),
                 "the model, or the reference, is damaged; make or fetch it again"};
  }
  if (std::isfinite(quality.mean_kld)) return {};
  return Error{Code::kInvalid, fmt::format("{} rules out tokens that the reference allows", path),
               "the model is damaged; make or fetch it again"};
}

QualityOptions OptionsFromJson(const Json& request) {
  QualityOptions options;
  if (!request.at("text_file").is_null())
    options.text_file = request["text_file"].get<std::string>();
  if (!request.at("own_text").is_null()) options.own_text = request["own_text"].get<std::string>();
  options.chunk = request.at("chunk");
  options.chunks = request.at("chunks");
  options.score_all = request.at("score_all");
  options.generate_seconds = request.at("generate_seconds");
  options.budget_seconds = request.at("budget_seconds");
  return options;
}

Result<TokenText> Generate(const Runner& reference, const QualityOptions& options,
                           const std::function<void(double)>& beat) {
  GenerateOptions generate = {options.chunk, options.generate_seconds, kJudgingSeed, {}};
  std::string goes_on;
  if (options.own_text) {
    TRY(const std::string own, ReadSmallFile(*options.own_text));
    generate.beginnings = BeginningsOf(reference.model(), own);
    goes_on = fmt::format(", half of it going on from {}",
                          std::filesystem::path(*options.own_text).filename().string());
  }
  TRY(TokenText text, GenerateText(reference.model(), reference.settings(), generate, beat));
  text.description += goes_on;
  return text;
}

}  // namespace

Result<Json> QualityJob(const Json& request, const Emit& emit) {
  const QualityOptions options = OptionsFromJson(request);
  TRY(Runner reference, Runner::Create(request.at("reference"), options.chunk));
  if (options.chunk > reference.model().trained_context()) {
    return Error{Code::kUsage,
                 fmt::format("chunks of {} tokens are longer than the model's context of {}",
                             options.chunk, reference.model().trained_context()),
                 "give a smaller --chunk"};
  }
  std::vector<Runner> candidates;
  for (const Json& item : request.at("candidates")) {
    TRY(Runner candidate, Runner::Create(item, options.chunk));
    if (!candidate.model().SameVocabulary(reference.model())) {
      return Error{
          Code::kInvalid,
          fmt::format("{} and {} have different vocabularies; their predictions can't be compared",
                      item.at("path").get<std::string>(),
                      request["reference"].at("path").get<std::string>()),
          "compare a model with the file it was made from"};
    }
    candidates.push_back(std::move(candidate));
  }

  // A third of the bar for generating, the rest for judging.
  const double head = options.text_file ? 0 : 1.0 / 3;
  Result<TokenText> text =
      options.text_file
          ? TextFromFile(reference.model(), *options.text_file, options.chunk, options.chunks)
          : Generate(reference, options,
                     [&](double share) { emit({{"progress", head * std::min(share, 1.0)}}); });
  if (!text.ok()) return text.error();
  if (options.chunks > 0)
    text->chunks.resize(std::min(text->chunks.size(), static_cast<size_t>(options.chunks)));

  const auto length = static_cast<int>(text->chunks[0].size());
  TRY_STATUS(reference.Open(length));
  for (Runner& candidate : candidates) TRY_STATUS(candidate.Open(length));
  const int first = options.score_all ? 0 : length / 2;
  std::vector<DivergenceSums> sums(candidates.size());
  const auto start = std::chrono::steady_clock::now();
  for (size_t i = 0; i < text->chunks.size(); ++i) {
    TRY_STATUS(CheckInterrupted());
    const double seconds =
        std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    if (static_cast<int>(i) >= kMinChunks && seconds > options.budget_seconds) break;
    TRY_STATUS(JudgeChunk(reference, candidates, text->chunks[i], first, sums));
    emit({{"progress", head + (1 - head) * static_cast<double>(i + 1) /
                                  static_cast<double>(text->chunks.size())}});
  }
  Json qualities = Json::array();
  for (size_t c = 0; c < sums.size(); ++c) {
    const Quality quality = Summarise(sums[c], *text, options.score_all);
    TRY_STATUS(CheckFinite(quality, request.at("candidates")[c].at("path")));
    qualities.push_back(ToJson(quality));
  }
  return Json{{"qualities", qualities}};
}

}  // namespace trimma
