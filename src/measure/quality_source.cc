#include "measure/quality_source.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <map>
#include <tuple>

#include "base/clock.h"
#include "base/file.h"
#include "base/language.h"
#include "base/text.h"
#include "plan/file_hash.h"

namespace trimma {
namespace {

constexpr int kGeneratedTokens = 512;  // of a sequence that becomes a part of a deep chunk
constexpr double kNoLimit = 1e9;       // seconds

std::string NameOfFile(const std::string& path) {
  return std::filesystem::path(path).filename().string();
}

Result<std::string> HashOf(const std::string& path) {
  TRY(const InputFile file, InputFile::Open(path));
  return HashFile(file);
}

class Watch {
 public:
  double seconds() const { return SecondsSince(start_); }

 private:
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

}  // namespace

Result<JudgingSource> JudgingSource::Open(const Model& model, const RuntimeSettings& settings,
                                          const QualityOptions& options,
                                          const std::optional<std::string>& language,
                                          const Beat& beat) {
  JudgingSource source(model, settings, options);
  if (options.text_file) {
    TRY_STATUS(source.ReadFile());
    return source;
  }
  TRY_STATUS(source.PrepareToWrite(language));
  TRY_STATUS(options.last ? source.WriteDeep(beat) : source.WriteRounds(beat));
  return source;
}

Status JudgingSource::ReadFile() {
  const std::string& path = *options_.text_file;
  record_.kind = "file";
  record_.file = record_.name = NameOfFile(path);
  TRY(record_.sha256, HashOf(path));
  if (options_.last) {
    TRY(const std::vector<Token> tokens, TokensOfFile(model_, path));
    const WindowWish wish = {static_cast<size_t>(options_.chunk),
                             static_cast<size_t>(*options_.last),
                             static_cast<size_t>(options_.chunks)};
    TRY(WindowedText windows, WindowsOf(model_, tokens, wish, record_.name));
    text_ = std::move(windows.text);
    record_.overlap = windows.overlap;
  } else {
    TRY(text_, TextFromFile(model_, path, options_.chunk, options_.chunks));
  }
  return {};
}

Status JudgingSource::PrepareToWrite(const std::optional<std::string>& language) {
  record_.name = kGeneratedText;
  record_.kind = "generated";
  prompts_ = JudgingPrompts(language);
  if (options_.prompts_file) {
    TRY(prompts_, ReadPrompts(*options_.prompts_file));
    record_.kind = "prompts";
    record_.file = NameOfFile(*options_.prompts_file);
    record_.name = fmt::format("the reference's answers to {}", record_.file);
    TRY(record_.sha256, HashOf(*options_.prompts_file));
  }
  has_template_ = ChatWith(model_, prompts_[0].text).has_value();
  for (const JudgingPrompt& prompt : prompts_) {
    if (auto chat = has_template_ ? ChatWith(model_, prompt.text) : std::nullopt) {
      chats_.push_back(std::move(*chat));
    } else if (options_.prompts_file) {
      chats_.push_back({model_.Tokenize(prompt.text, /*add_special=*/true), {}});
    }
  }
  if (options_.prompts_file) return CheckPromptLengths();
  if (!chats_.empty()) record_.name += ", half of it answers to prompts";
  if (options_.own_text) {
    TRY(const std::string own, ReadSmallFile(*options_.own_text));
    own_ = BeginningsOf(model_, own);
    record_.name +=
        fmt::format(", {} of it going on from {}", chats_.empty() ? "half" : "a quarter",
                    NameOfFile(*options_.own_text));
  }
  return {};
}

// A prompt that fills its sequence leaves no room for an answer to judge.
Status JudgingSource::CheckPromptLengths() {
  const auto room = static_cast<size_t>(SequenceTokens());
  const auto filling = std::count_if(chats_.begin(), chats_.end(), [&](const ChatTokens& chat) {
    return chat.opening.size() >= room;
  });
  if (filling == 0) return {};
  const std::string how_long = fmt::format("{} of {} prompts of {} fill a sequence of {} tokens",
                                           filling, chats_.size(), record_.file, room);
  if (static_cast<size_t>(filling) == chats_.size()) {
    return Error{Code::kInvalid,
                 how_long + ": there would be no answer to judge, only the prompts themselves",
                 options_.last ? "give shorter prompts" : "give a larger --chunk"};
  }
  record_.notes.push_back(how_long + ", so that of these the prompt itself is judged, no answer");
  return {};
}

int JudgingSource::SequenceTokens() const {
  return options_.last ? std::min(kGeneratedTokens, options_.chunk) : options_.chunk;
}

// Beginnings of the next round.
std::vector<Beginning> JudgingSource::Begin() {
  std::vector<Beginning> beginnings(kSequences);
  const bool all_answer = options_.prompts_file.has_value();
  const size_t every = all_answer ? 1 : 2;
  for (size_t s = 0; s < kSequences; ++s) {
    if (!chats_.empty() && (all_answer || s % 2 == 1)) {
      // The first prompt is the user's language's: it stands at the head of every round.
      const size_t nth = s / every;
      const size_t first =
          all_answer || nth > 0 ? (rounds_ * (kSequences / every) + nth) % chats_.size() : 0;
      beginnings[s].tokens = chats_[first].opening;
      const std::string& language = prompts_[first].language;
      auto& known = record_.prompted_in;
      if (!language.empty() && std::find(known.begin(), known.end(), language) == known.end())
        known.push_back(language);
      for (size_t next = 1; has_template_ && next < chats_.size(); ++next)
        beginnings[s].answers_to_end.push_back(chats_[(first + next) % chats_.size()].following);
    } else if (!own_.empty() && (chats_.empty() ? s % 2 == 0 : s % 4 == 0)) {
      beginnings[s] = own_[s];
    }
  }
  return beginnings;
}

Result<TokenText> JudgingSource::Round(double seconds, const Beat& beat) {
  GenerateOptions generate;
  generate.chunk = length_ > 0 ? length_ : SequenceTokens();
  generate.seconds = seconds;
  generate.seed = kJudgingSeed + rounds_;
  generate.beginnings = Begin();
  TRY(TokenText text, GenerateText(model_, settings_, generate, beat));
  record_.seeds.push_back(generate.seed);
  ++rounds_;
  length_ = static_cast<int>(text.chunks[0].size());
  return text;
}

Status JudgingSource::WriteRounds(const Beat& beat) {
  const Watch watch;
  // Where there are questions, more rounds follow as they are needed.
  const int rounds = options_.questions.any() ? 1 : std::max(1, options_.rounds);
  double longest = 0;
  for (int round = 0; round < rounds; ++round) {
    const double before = watch.seconds();
    if (round > 0 && before + longest > options_.generate_seconds) break;
    // Those after the first are as long as it, however long that takes.
    TRY(const TokenText more,
        Round(round == 0 ? options_.generate_seconds : kNoLimit,
              [&](double share) { beat((round + std::min(share, 1.0)) / rounds); }));
    text_.chunks.insert(text_.chunks.end(), more.chunks.begin(), more.chunks.end());
    longest = std::max(longest, watch.seconds() - before);
    if (options_.chunks > 0 && text_.chunks.size() >= static_cast<size_t>(options_.chunks)) break;
  }
  if (options_.chunks > 0)
    text_.chunks.resize(std::min(text_.chunks.size(), static_cast<size_t>(options_.chunks)));
  return {};
}

// Sequences one after the other, cut into deep chunks.
Status JudgingSource::WriteDeep(const Beat& beat) {
  const Watch watch;
  const WindowWish wish = {static_cast<size_t>(options_.chunk), static_cast<size_t>(*options_.last),
                           static_cast<size_t>(options_.chunks)};
  const size_t least = wish.window + 3 * wish.step;  // for four chunks that overlap
  const size_t enough = wish.window * (wish.most > 0 ? wish.most : 8);
  std::vector<Token> written;
  while (written.size() < least ||
         (written.size() < enough && watch.seconds() < options_.generate_seconds)) {
    TRY(const TokenText more, Round(kNoLimit, [&](double share) {
          const double tokens = static_cast<double>(written.size()) +
                                std::min(share, 1.0) * kSequences * kGeneratedTokens;
          beat(std::max(tokens / static_cast<double>(enough),
                        watch.seconds() / options_.generate_seconds));
        }));
    for (const std::vector<Token>& sequence : more.chunks)
      written.insert(written.end(), sequence.begin(), sequence.end());
  }
  TRY(WindowedText windows, WindowsOf(model_, written, wish, record_.name));
  text_ = std::move(windows.text);
  record_.overlap = windows.overlap;
  return {};
}

Result<bool> JudgingSource::More(const Beat& beat) {
  const bool is_full =
      options_.chunks > 0 && text_.chunks.size() >= static_cast<size_t>(options_.chunks);
  if (options_.text_file || options_.last || is_full) return false;
  TRY(TokenText more, Round(kNoLimit, beat));
  text_.chunks.insert(text_.chunks.end(), more.chunks.begin(), more.chunks.end());
  if (options_.chunks > 0)
    text_.chunks.resize(std::min(text_.chunks.size(), static_cast<size_t>(options_.chunks)));
  return true;
}

JudgingText JudgingSource::Record(size_t judged) const {
  JudgingText record = record_;
  record.tokens = static_cast<int64_t>(judged * text_.chunks[0].size());
  std::map<std::string, uint32_t> counts;
  for (const std::vector<Token>& chunk : text_.chunks)
    ++counts[LanguageOf(model_.Detokenize(chunk))];
  for (const auto& [language, chunks] : counts) record.languages.push_back({language, chunks});
  std::sort(record.languages.begin(), record.languages.end(),
            [](const LanguageShare& a, const LanguageShare& b) {
              return std::tie(b.chunks, a.language) < std::tie(a.chunks, b.language);
            });
  return record;
}

}  // namespace trimma
