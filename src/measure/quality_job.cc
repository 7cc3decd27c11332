// The child's side of measuring quality: reference and candidates in lockstep.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <numeric>
#include <random>

#include "base/divergence.h"
#include "base/interrupt.h"
#include "measure/quality.h"
#include "measure/quality_lockstep.h"
#include "measure/quality_request.h"
#include "measure/quality_source.h"

namespace trimma {
namespace {

constexpr uint32_t kOrderSeed = 7;

// Chunks [from, to) in random order: where measuring ends early, what was judged is spread over the
// text and not its beginning.
std::vector<size_t> Order(size_t from, size_t to) {
  std::vector<size_t> order(to - from);
  std::iota(order.begin(), order.end(), from);
  std::mt19937 random(kOrderSeed);
  std::shuffle(order.begin(), order.end(), random);
  return order;
}

std::vector<ChunkSums> KldsOf(const std::vector<DivergenceSums>& sums) {
  std::vector<ChunkSums> klds;
  for (const DivergenceSums& sum : sums) klds.push_back(sum.klds());
  return klds;
}

// Judges chunks until the questions are answered, the text or the time is spent.
class Measuring {
 public:
  Measuring(Lockstep& lockstep, JudgingSource& source, const QualityOptions& options)
      : lockstep_(lockstep), source_(source), options_(options), deciding_(options.questions) {}

  Status Run(size_t candidates, const std::function<void(double)>& progress) {
    sums_.resize(candidates);
    const auto start = std::chrono::steady_clock::now();
    const auto is_late = [&] {
      const std::chrono::duration<double> spent = std::chrono::steady_clock::now() - start;
      return static_cast<int>(judged_.size()) >= kFewestChunks &&
             spent.count() > options_.budget_seconds;
    };
    for (size_t known = 0;;) {
      const size_t count = source_.chunks().size();
      for (const size_t i : Order(known, count)) {
        TRY_STATUS(CheckInterrupted());
        if (is_late() || deciding_.settled()) break;
        TRY_STATUS(lockstep_.JudgeChunk(source_.chunks()[i], sums_, [&] { progress(0); }));
        judged_.push_back(i);
        // What isn't a number stays so, however much is judged: CheckFinite() says it.
        if (!IsFinite()) return {};
        deciding_.Look(KldsOf(sums_), /*last=*/false);
        progress(static_cast<double>(judged_.size()) / static_cast<double>(count));
      }
      known = count;
      if (!options_.questions.any() || deciding_.settled() || is_late()) break;
      TRY(const bool more, source_.More([&](double) { progress(0); }));
      if (!more) break;
    }
    deciding_.Look(KldsOf(sums_), /*last=*/true);
    return {};
  }

  const std::vector<DivergenceSums>& sums() const { return sums_; }
  const std::vector<size_t>& judged() const { return judged_; }  // chunks, in the order of judging
  const std::vector<Decision>& decisions() const { return deciding_.decisions(); }

 private:
  // Of the last chunk.
  bool IsFinite() const {
    return std::all_of(sums_.begin(), sums_.end(), [](const DivergenceSums& sums) {
      return std::isfinite(sums.klds().sums.back());
    });
  }

  Lockstep& lockstep_;
  JudgingSource& source_;
  const QualityOptions& options_;
  Deciding deciding_;
  std::vector<DivergenceSums> sums_;
  std::vector<size_t> judged_;
};

std::vector<double> InOrderOfText(const ChunkSums& klds, const std::vector<size_t>& judged) {
  std::vector<size_t> order(judged.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::sort(order.begin(), order.end(), [&](size_t a, size_t b) { return judged[a] < judged[b]; });
  std::vector<double> means;
  for (const size_t i : order) means.push_back(klds.sums[i] / klds.counts[i]);
  return means;
}

Quality Summarise(const DivergenceSums& sums, const QualityOptions& options) {
  const MeanInterval mean = sums.MeanKld();
  Quality q;
  q.tokens = sums.tokens();
  q.mean_kld = mean.mean;
  q.mean_kld_low = mean.low;
  q.mean_kld_high = mean.high;
  q.median_kld = sums.KldQuantile(0.5);
  q.p99_kld = sums.KldQuantile(0.99);
  q.p999_kld = sums.KldQuantile(0.999);
  q.same_top = sums.SameTop();
  q.ppl = sums.Perplexity();
  q.reference_ppl = sums.ReferencePerplexity();
  q.ppl_ratio = sums.PerplexityRatio();
  q.chunks = sums.chunks();
  q.score = options.last ? "last" : options.score_all ? "all" : "half";
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

}  // namespace

Result<Json> QualityJob(const Json& request, const Emit& emit) {
  const QualityOptions options = QualityOptionsFromJson(request);
  TRY(Lockstep lockstep, Lockstep::Load(request.at("reference"), request.at("candidates")));
  if (options.chunk > lockstep.reference().trained_context()) {
    return Error{Code::kUsage,
                 fmt::format("chunks of {} tokens are longer than the model's context of {}",
                             options.chunk, lockstep.reference().trained_context()),
                 options.last ? "give a smaller --depth" : "give a smaller --chunk"};
  }
  // A third of the bar for generating, the rest for judging.
  const double head = options.text_file ? 0 : 1.0 / 3;
  double shown = 0;
  const auto show = [&](double share) {
    shown = std::max(shown, std::min(share, 1.0));  // it never goes back
    emit({{"progress", shown}});
  };
  std::optional<std::string> language;
  if (!request.at("language").is_null()) language = request["language"].get<std::string>();
  TRY(JudgingSource source,
      JudgingSource::Open(lockstep.reference(), lockstep.reference_settings(), options, language,
                          [&](double share) { show(head * std::min(share, 1.0)); }));

  const auto length = static_cast<int>(source.chunks()[0].size());
  const int first = options.last ? length - 1 - *options.last : options.score_all ? 0 : length / 2;
  TRY_STATUS(lockstep.Open(length, first));
  Measuring measuring(lockstep, source, options);
  TRY_STATUS(measuring.Run(request.at("candidates").size(),
                           [&](double share) { show(head + (1 - head) * share); }));

  const JudgingText text = source.Record(measuring.judged().size());
  Json qualities = Json::array();
  Json ratios = Json::array();
  const std::vector<DivergenceSums>& sums = measuring.sums();
  for (size_t c = 0; c < sums.size(); ++c) {
    Quality quality = Summarise(sums[c], options);
    TRY_STATUS(CheckFinite(quality, request.at("candidates")[c].at("path")));
    quality.chunk = length;
    quality.text = text.name;
    quality.chunk_klds = InOrderOfText(sums[c].klds(), measuring.judged());
    qualities.push_back(ToJson(quality));
    for (size_t b = c + 1; b < sums.size(); ++b)
      ratios.push_back(ToJson(LossRatio{c, b, PairedRatio(sums[c].klds(), sums[b].klds())}));
  }
  Json decisions = Json::array();
  for (const Decision& decision : measuring.decisions()) decisions.push_back(ToJson(decision));
  return Json{{"qualities", qualities},
              {"ratios", ratios},
              {"decisions", decisions},
              {"text", ToJson(text)},
              {"forward_seconds", lockstep.forward_seconds()},
              {"scoring_seconds", lockstep.scoring_seconds()}};
}

}  // namespace trimma
