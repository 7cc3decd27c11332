#include "engine/token_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <filesystem>
#include <random>
#include <thread>

#include "base/file.h"
#include "base/text.h"

namespace trimma {
namespace {

constexpr int kShortestChunk = 64;
constexpr size_t kFewestChunks = 2;
constexpr uint64_t kMaxTextBytes = 256ULL << 20;

// Draws from softmax(logits), end-of-generation tokens left out.
class Sampler {
 public:
  Sampler(const Model& model, uint32_t seed) : vocabulary_(model.vocabulary()), random_(seed) {
    for (Token t = 0; t < vocabulary_; ++t) {
      if (model.IsEndOfGeneration(t)) barred_.push_back(t);
    }
  }

  Token AnyToken() {
    std::uniform_int_distribution<Token> pick(0, vocabulary_ - 1);
    return pick(random_);
  }

  // One token for each row of logits; rows are worked on by several threads.
  std::vector<Token> Draw(const std::vector<const float*>& rows) {
    std::vector<double> uniform(rows.size());
    for (double& u : uniform) u = std::uniform_real_distribution<double>(0, 1)(random_);
    std::vector<Token> drawn(rows.size());
    std::atomic<size_t> next{0};
    const auto work = [&] {
      for (size_t i = next++; i < rows.size(); i = next++) drawn[i] = DrawOne(rows[i], uniform[i]);
    };
    std::vector<std::thread> workers;
    for (int t = 1; t < DefaultThreads(); ++t) workers.emplace_back(work);
    work();
    for (std::thread& worker : workers) worker.join();
    return drawn;
  }

 private:
  Token DrawOne(const float* logits, double uniform) const {
    std::vector<float> weights(logits, logits + vocabulary_);
    for (const Token t : barred_) weights[static_cast<size_t>(t)] = -INFINITY;
    const float max = *std::max_element(weights.begin(), weights.end());
    double sum = 0;
    for (float& w : weights) {
      w = std::exp(w - max);
      sum += w;
    }
    double left = uniform * sum;
    Token last = 0;
    for (Token t = 0; t < vocabulary_; ++t) {
      const float w = weights[static_cast<size_t>(t)];
      if (w == 0) continue;
      last = t;
      left -= w;
      if (left <= 0) return t;
    }
    return last;  // rounding may leave a little of `left`
  }

  int vocabulary_;
  std::vector<Token> barred_;
  std::mt19937 random_;
};

}  // namespace

Result<TokenText> TextFromFile(const Model& model, const std::string& path, int chunk_tokens,
                               int max_chunks) {
  TRY(const std::string content, ReadSmallFile(path, kMaxTextBytes));
  const std::vector<Token> tokens = model.Tokenize(content, /*add_special=*/true);
  const auto chunk = static_cast<size_t>(chunk_tokens);
  size_t count = tokens.size() / chunk;
  if (count < kFewestChunks) {
    return Error{Code::kInvalid,
                 fmt::format("{} has {} tokens, too short: at least {} chunks of {} are needed",
                             SafeText(path), tokens.size(), kFewestChunks, chunk),
                 "give a longer text, or a smaller --chunk"};
  }
  if (max_chunks > 0) count = std::min(count, static_cast<size_t>(max_chunks));
  TokenText text;
  text.description = std::filesystem::path(path).filename().string();
  for (size_t i = 0; i < count; ++i) {
    const auto begin = tokens.begin() + static_cast<ptrdiff_t>(i * chunk);
    text.chunks.emplace_back(begin, begin + static_cast<ptrdiff_t>(chunk));
    if (model.adds_bos()) text.chunks.back()[0] = model.bos();
  }
  return text;
}

Result<TokenText> GenerateText(const Model& model, const RuntimeSettings& settings,
                               const GenerateOptions& options,
                               const std::function<void(double)>& beat) {
  Context::Options context_options;
  context_options.settings = settings;
  context_options.settings.context = static_cast<uint32_t>(options.chunk * kGeneratedSequences);
  context_options.settings.batch = std::max<uint32_t>(settings.batch, kGeneratedSequences);
  context_options.sequences = kGeneratedSequences;
  context_options.outputs = kGeneratedSequences;
  TRY(Context context, Context::Create(model, context_options));

  Sampler sampler(model, options.seed);
  TokenText text;
  text.description = kGeneratedText;
  for (int s = 0; s < kGeneratedSequences; ++s)
    text.chunks.push_back({model.adds_bos() ? model.bos() : sampler.AnyToken()});

  const auto start = std::chrono::steady_clock::now();
  const auto seconds = [&] {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  };
  int length = 1;
  for (; length < options.chunk; ++length) {
    if (length >= kShortestChunk && seconds() > options.seconds) break;
    std::vector<BatchToken> batch;
    for (int s = 0; s < kGeneratedSequences; ++s) {
      batch.push_back({text.chunks[static_cast<size_t>(s)].back(), length - 1, s, true});
    }
    TRY_STATUS(context.Decode(batch));
    std::vector<const float*> rows;
    for (int s = 0; s < kGeneratedSequences; ++s) rows.push_back(context.Logits(s));
    const std::vector<Token> drawn = sampler.Draw(rows);
    for (size_t s = 0; s < drawn.size(); ++s) text.chunks[s].push_back(drawn[s]);
    if (length % 8 == 0)
      beat(std::max(static_cast<double>(length) / options.chunk, seconds() / options.seconds));
  }
  // Even, so that "the second half" means the same for all.
  const auto even = static_cast<size_t>(length / 2 * 2);
  for (auto& chunk : text.chunks) chunk.resize(even);
  return text;
}

}  // namespace trimma
