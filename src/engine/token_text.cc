#include "engine/token_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <filesystem>
#include <optional>
#include <random>
#include <thread>

#include "base/clock.h"
#include "base/file.h"
#include "base/text.h"
#include "engine/greedy.h"

namespace trimma {
namespace {

constexpr int kShortestChunk = 64;
constexpr size_t kStretch = 24;  // tokens; less than half of the shortest chunk
constexpr size_t kFewestChunks = 2;
constexpr uint64_t kMaxTextBytes = 256ULL << 20;

// Draws from softmax(logits).
class TokenSampler {
 public:
  TokenSampler(const Model& model, uint32_t seed) : vocabulary_(model.vocabulary()), random_(seed) {
    for (Token t = 0; t < vocabulary_; ++t) {
      if (model.IsEndOfGeneration(t)) ends_.push_back(t);
    }
  }

  Token AnyToken() {
    std::uniform_int_distribution<Token> pick(0, vocabulary_ - 1);
    return pick(random_);
  }

  struct Row {
    const float* logits = nullptr;
    bool may_end = false;  // or the end of generation is not drawn
  };
  // One token for each row of logits; rows are worked on by several threads.
  Result<std::vector<Token>> Draw(const std::vector<Row>& rows) {
    std::vector<double> uniform(rows.size());
    for (double& u : uniform) u = std::uniform_real_distribution<double>(0, 1)(random_);
    std::vector<std::optional<Token>> drawn(rows.size());
    std::atomic<size_t> next{0};
    const auto work = [&] {
      for (size_t i = next++; i < rows.size(); i = next++) drawn[i] = DrawOne(rows[i], uniform[i]);
    };
    std::vector<std::thread> workers;
    for (int t = 1; t < DefaultThreads(); ++t) workers.emplace_back(work);
    work();
    for (std::thread& worker : workers) worker.join();
    std::vector<Token> tokens;
    for (const std::optional<Token>& token : drawn) {
      if (!token) return NotFinite();
      tokens.push_back(*token);
    }
    return tokens;
  }

 private:
  // nullopt: the logits are no numbers.
  std::optional<Token> DrawOne(const Row& row, double uniform) const {
    std::vector<float> weights(row.logits, row.logits + vocabulary_);
    if (!row.may_end) {
      for (const Token t : ends_) weights[static_cast<size_t>(t)] = -INFINITY;
    }
    const float max = *std::max_element(weights.begin(), weights.end());
    double sum = 0;
    for (float& w : weights) {
      w = std::exp(w - max);
      sum += w;
    }
    if (!std::isfinite(sum) || sum <= 0) return std::nullopt;
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
  std::vector<Token> ends_;
  std::mt19937 random_;
};

// One of the texts that grow side by side.
class Sequence {
 public:
  Sequence(Beginning beginning, Token first) : beginning_(std::move(beginning)) {
    if (beginning_.tokens.empty()) beginning_.tokens = {first};
    due_ = beginning_.tokens;
    std::reverse(beginning_.answers_to_end.begin(), beginning_.answers_to_end.end());
    Grow(first);
  }

  const std::vector<Token>& tokens() const { return tokens_; }
  bool may_end() const { return !beginning_.answers_to_end.empty(); }

  // By the token that is due or else by the one drawn.
  void Add(Token drawn, bool is_end) {
    if (next_ == due_.size() && is_end && may_end()) {
      due_ = std::move(beginning_.answers_to_end.back());
      beginning_.answers_to_end.pop_back();
      next_ = 0;
    }
    Grow(drawn);
  }

 private:
  void Grow(Token drawn) { tokens_.push_back(next_ < due_.size() ? due_[next_++] : drawn); }

  Beginning beginning_;
  std::vector<Token> tokens_;
  std::vector<Token> due_;  // tokens that are not drawn
  size_t next_ = 0;         // of them
};

}  // namespace

Result<TokenText> TextFromFile(const Model& model, const std::string& path, int chunk_tokens,
                               int max_chunks) {
  TRY(const std::vector<Token> tokens, TokensOfFile(model, path));
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

Result<std::vector<Token>> TokensOfFile(const Model& model, const std::string& path) {
  TRY(const std::string content, ReadSmallFile(path, kMaxTextBytes));
  return model.Tokenize(content, /*add_special=*/true);
}

Result<WindowedText> WindowsOf(const Model& model, const std::vector<Token>& tokens,
                               const WindowWish& wish, const std::string& name) {
  constexpr size_t kApart = 4;
  constexpr size_t kOverlapping = 8;
  const size_t apart = tokens.size() / wish.window;
  size_t count = apart;
  if (apart < kApart && tokens.size() >= wish.window)
    count = std::min(kOverlapping, 1 + (tokens.size() - wish.window) / wish.step);
  if (wish.most > 0) count = std::min(count, wish.most);
  // Who asks for one chunk gets one.
  const size_t fewest = wish.most == 1 ? 1 : kFewestChunks;
  if (count < fewest) {
    return Error{Code::kInvalid,
                 fmt::format("{} has {} tokens, too short: at least {} are needed", SafeText(name),
                             tokens.size(), wish.window + (fewest - 1) * wish.step),
                 "give a longer text, or a smaller depth"};
  }
  const size_t spread = tokens.size() - wish.window;
  WindowedText windows;
  windows.text.description = name;
  for (size_t i = 0; i < count; ++i) {
    const size_t at = count > 1 ? spread * i / (count - 1) : 0;
    const auto begin = tokens.begin() + static_cast<ptrdiff_t>(at);
    windows.text.chunks.emplace_back(begin, begin + static_cast<ptrdiff_t>(wish.window));
    if (model.adds_bos()) windows.text.chunks.back()[0] = model.bos();
  }
  if (count == 1) return windows;
  const double stride = static_cast<double>(spread) / static_cast<double>(count - 1);
  windows.overlap = std::max(0.0, 1 - stride / static_cast<double>(wish.window));
  return windows;
}

Result<TokenText> GenerateText(const Model& model, const RuntimeSettings& settings,
                               const GenerateOptions& options,
                               const std::function<void(double)>& beat) {
  Context::Options context_options;
  context_options.settings = settings;
  context_options.settings.context = static_cast<uint32_t>(options.chunk * kSequences);
  context_options.settings.batch = std::max<uint32_t>(settings.batch, kSequences);
  context_options.sequences = kSequences;
  context_options.outputs = kSequences;
  TRY(Context context, Context::Create(model, context_options));

  TokenSampler sampler(model, options.seed);
  std::vector<Sequence> sequences;
  for (size_t s = 0; s < kSequences; ++s) {
    sequences.emplace_back(s < options.beginnings.size() ? options.beginnings[s] : Beginning{},
                           model.adds_bos() ? model.bos() : sampler.AnyToken());
  }

  const auto start = std::chrono::steady_clock::now();
  const auto seconds = [&] { return SecondsSince(start); };
  int length = 1;
  for (; length < options.chunk; ++length) {
    if (length >= kShortestChunk && seconds() > options.seconds) break;
    std::vector<BatchToken> batch;
    for (int s = 0; s < kSequences; ++s) {
      batch.push_back({sequences[static_cast<size_t>(s)].tokens().back(), length - 1, s, true});
    }
    TRY_STATUS(context.Decode(batch));
    std::vector<TokenSampler::Row> rows;
    for (int s = 0; s < kSequences; ++s)
      rows.push_back({context.Logits(s), sequences[static_cast<size_t>(s)].may_end()});
    TRY(const std::vector<Token> drawn, sampler.Draw(rows));
    for (size_t s = 0; s < drawn.size(); ++s)
      sequences[s].Add(drawn[s], model.IsEndOfGeneration(drawn[s]));
    if (length % 8 == 0)
      beat(std::max(static_cast<double>(length) / options.chunk, seconds() / options.seconds));
  }
  // Even, so that "the second half" means the same for all.
  const auto even = static_cast<size_t>(length / 2 * 2);
  TokenText text;
  text.description = kGeneratedText;
  for (const Sequence& sequence : sequences) {
    text.chunks.push_back(sequence.tokens());
    text.chunks.back().resize(even);
  }
  return text;
}

std::vector<Beginning> BeginningsOf(const Model& model, const std::string& text) {
  const std::vector<Token> tokens = model.Tokenize(text, /*add_special=*/false);
  std::vector<Beginning> beginnings(kSequences);
  if (tokens.empty()) return beginnings;
  const size_t stretch = std::min(kStretch, tokens.size());
  const size_t last = tokens.size() - stretch;
  for (size_t s = 0; s < kSequences; s += 2) {
    std::vector<Token>& to = beginnings[s].tokens;
    if (model.adds_bos()) to.push_back(model.bos());
    const auto from = tokens.begin() + static_cast<ptrdiff_t>(last * s / kSequences);
    to.insert(to.end(), from, from + static_cast<ptrdiff_t>(stretch));
  }
  return beginnings;
}

}  // namespace trimma
