#include "quantize/calibration/text_source.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <map>
#include <tuple>

#include "base/clock.h"
#include "base/file.h"
#include "base/language.h"
#include "engine/chat.h"
#include "plan/file_hash.h"
#include "quantize/calibration/prompts.h"

namespace trimma {
namespace {

constexpr int kShortestChunk = 64;
constexpr uint64_t kMaxTextBytes = 256ULL << 20;
constexpr double kOneLanguage = 0.9;  // of the chunks whose language is known

// The prompts as this model's template puts them; empty where it has none that is known.
std::vector<ChatTokens> Chats(const Model& model) {
  std::vector<ChatTokens> chats;
  for (const Prompt& prompt : Prompts()) {
    auto chat = ChatWith(model, prompt.text);
    if (!chat) return {};
    chats.push_back(std::move(*chat));
  }
  return chats;
}

class Writer {
 public:
  Writer(const Model& model, const std::string& own_text)
      : model_(model), chats_(Chats(model)), has_own_(!own_text.empty()) {
    if (has_own_) own_ = BeginningsOf(model, own_text);
  }

  // Rounds of sequences until there are enough, or the time is up. Sequences that it ended early
  // stand one after the other in a chunk.
  Status Write(const TextRequest& request, size_t chunks, ObtainedText& to,
               const std::function<void(double)>& beat) {
    RuntimeSettings settings;
    settings.context = settings.batch = kChunkTokens;
    const auto start = std::chrono::steady_clock::now();
    const auto spent = [&] { return SecondsSince(start); };
    to.record.first_seed = kCalibrationSeed;
    const size_t tokens = chunks * kChunkTokens;
    std::vector<Token> written;
    for (uint32_t round = 0; written.size() < tokens && (round == 0 || spent() < request.seconds);
         ++round) {
      GenerateOptions options;
      options.chunk = kChunkTokens;
      options.seconds = request.seconds - (round == 0 ? 0 : spent());
      options.seed = kCalibrationSeed + round;
      options.beginnings = Begin(round);
      const auto share = [&](double of_round) {
        const double done =
            static_cast<double>(written.size()) + of_round * kSequences * kChunkTokens;
        beat(
            std::min(1.0, std::max(done / static_cast<double>(tokens), spent() / request.seconds)));
      };
      TRY(const TokenText more, GenerateText(model_, settings, options, share));
      for (const std::vector<Token>& sequence : more.chunks)
        written.insert(written.end(), sequence.begin(), sequence.end());
      ++to.record.seeds;
      to.record.sequences += kSequences;
      to.record.chats += chats_.empty() ? 0 : kSequences / 2;
    }
    for (size_t at = 0; at + kChunkTokens <= std::min(tokens, written.size()); at += kChunkTokens) {
      const auto from = written.begin() + static_cast<ptrdiff_t>(at);
      to.generated.chunks.emplace_back(from, from + kChunkTokens);
    }
    to.record.prompted_in = Asked(to.record.seeds);
    return {};
  }

 private:
  bool IsChat(size_t sequence) const { return !chats_.empty() && sequence % 2 == 1; }
  // Of the chat sequences, in the order of the prompts, over all rounds.
  size_t PromptOf(uint32_t round, size_t sequence) const {
    return (round * kSequences / 2 + sequence / 2) % chats_.size();
  }

  std::vector<Beginning> Begin(uint32_t round) const {
    std::vector<Beginning> beginnings(kSequences);
    for (size_t s = 0; s < kSequences; ++s) {
      if (IsChat(s)) {
        const size_t first = PromptOf(round, s);
        beginnings[s].tokens = chats_[first].opening;
        for (size_t next = 1; next < chats_.size(); ++next)
          beginnings[s].answers_to_end.push_back(chats_[(first + next) % chats_.size()].following);
      } else if (has_own_ && (chats_.empty() ? s % 2 == 0 : s % 4 == 0)) {
        beginnings[s] = own_[s];
      }
    }
    return beginnings;
  }

  std::vector<std::string> Asked(uint32_t rounds) const {
    std::vector<std::string> languages;
    if (chats_.empty()) return languages;
    for (uint32_t round = 0; round < rounds; ++round) {
      for (size_t s = 1; s < kSequences; s += 2) {
        const std::string language = Prompts()[PromptOf(round, s)].language;
        if (std::find(languages.begin(), languages.end(), language) == languages.end())
          languages.push_back(language);
      }
    }
    return languages;
  }

  const Model& model_;
  std::vector<ChatTokens> chats_;
  bool has_own_;
  std::vector<Beginning> own_;
};

// A text too short for two chunks is cut into shorter ones, unless they are to `match` others.
Result<TokenText> CutFile(const Model& model, const std::string& path, bool match, size_t chunks) {
  for (int chunk = kChunkTokens;; chunk /= 2) {
    auto text = TextFromFile(model, path, chunk, static_cast<int>(chunks));
    if (text.ok() || text.error().code != Code::kInvalid) return text;
    if (match || chunk == kShortestChunk) {
      Error error = text.error();
      error.hint = "give a longer text, or let the model write the rest (--generate)";
      return error;
    }
  }
}

void TellLanguages(const Model& model, ObtainedText& obtained) {
  std::map<std::string, uint32_t> counts;
  for (const TokenText* text : {&obtained.file, &obtained.generated}) {
    for (const std::vector<Token>& chunk : text->chunks)
      ++counts[LanguageOf(model.Detokenize(chunk))];
  }
  for (const auto& [language, chunks] : counts)
    obtained.record.languages.push_back({language, chunks});
  std::sort(obtained.record.languages.begin(), obtained.record.languages.end(),
            [](const LanguageShare& a, const LanguageShare& b) {
              return std::tie(b.chunks, a.language) < std::tie(a.chunks, b.language);
            });
}

}  // namespace

TokenText ObtainedText::All() const {
  TokenText all = file;
  all.chunks.insert(all.chunks.end(), generated.chunks.begin(), generated.chunks.end());
  all.description = NameOfText(record.file, !generated.chunks.empty());
  return all;
}

Result<ObtainedText> ObtainText(const Model& model, const TextRequest& request,
                                const std::function<void(double)>& beat) {
  ObtainedText obtained;
  const bool generates = request.generate || !request.file;
  std::string own;
  if (request.file) {
    TRY(own, ReadSmallFile(*request.file, kMaxTextBytes));
    obtained.record.file = std::filesystem::path(*request.file).filename().string();
    TRY(const InputFile file, InputFile::Open(*request.file));
    TRY(obtained.record.sha256, HashFile(file));
  }
  if (generates) {
    const size_t chunks = request.file ? request.chunks / 2 : request.chunks;
    TRY_STATUS(Writer(model, own).Write(request, chunks, obtained, beat));
  }
  if (request.file) {
    const size_t chunks = request.chunks - obtained.generated.chunks.size();
    Result<TokenText> cut = CutFile(model, *request.file, generates, chunks);
    if (cut.ok()) {
      obtained.file = std::move(cut).value();
    } else if (!generates || cut.error().code != Code::kInvalid) {
      return cut.error();
    } else {
      obtained.notes.push_back(fmt::format(
          "{} is too short to learn from by itself: the model was made to go on from it",
          obtained.record.file));
    }
  }
  obtained.file.description = obtained.record.file;
  obtained.record.file_chunks = static_cast<uint32_t>(obtained.file.chunks.size());
  obtained.record.generated_chunks = static_cast<uint32_t>(obtained.generated.chunks.size());
  obtained.record.chunk_tokens = static_cast<uint32_t>(obtained.All().chunks[0].size());
  TellLanguages(model, obtained);
  const std::string note = OneLanguageNote(obtained.record);
  if (!note.empty()) obtained.notes.push_back(note);
  return obtained;
}

std::string OneLanguageNote(const LearningText& text) {
  if (text.generated_chunks > 0) return "";
  uint32_t known = 0;
  const LanguageShare* most = nullptr;
  for (const LanguageShare& share : text.languages) {
    if (share.language.empty()) continue;
    known += share.chunks;
    if (most == nullptr) most = &share;
  }
  // A text that is mostly of unknown language may be of many.
  if (most == nullptr || 2 * known < text.chunks() || most->chunks < kOneLanguage * known)
    return "";
  return fmt::format(
      "the calibration text looks like {} alone: what else the model is used for may lose more "
      "than "
      "the figures say; add text of that, or let the model write some (--generate)",
      most->language);
}

Json ToJson(const TextRequest& request) {
  return {{"file", request.file ? Json(*request.file) : Json()},
          {"generate", request.generate},
          {"seconds", request.seconds},
          {"chunks", request.chunks}};
}

TextRequest TextRequestFromJson(const Json& json) {
  TextRequest request;
  if (!json.at("file").is_null()) request.file = json["file"].get<std::string>();
  request.generate = json.at("generate");
  request.seconds = json.at("seconds");
  request.chunks = json.at("chunks");
  return request;
}

}  // namespace trimma
