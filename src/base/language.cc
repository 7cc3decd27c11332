#include "base/language.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <map>
#include <set>
#include <vector>

namespace trimma {
namespace {

struct Script {
  const char* name;
  uint32_t first, last;  // of its characters, in Unicode
};

// Kana before Han: Japanese is written with both.
constexpr Script kScripts[] = {
    {"Japanese", 0x3040, 0x30FF},       {"Chinese", 0x4E00, 0x9FFF},
    {"Korean", 0xAC00, 0xD7AF},         {"Cyrillic script", 0x0400, 0x04FF},
    {"Arabic script", 0x0600, 0x06FF},  {"Devanagari script", 0x0900, 0x097F},
    {"Greek", 0x0370, 0x03FF},          {"Hebrew", 0x0590, 0x05FF},
    {"Bengali script", 0x0980, 0x09FF}, {"Thai", 0x0E00, 0x0E7F},
};

struct Words {
  const char* language;
  std::set<std::string_view> common;
};

// Frequent words that its neighbours don't share, as far as that goes.
const std::vector<Words>& Tables() {
  static const std::vector<Words> tables = {
      {"English", {"the", "of",  "and", "to", "is",  "that", "for",   "it",  "with", "as",   "this",
                   "be",  "are", "or",  "by", "not", "from", "which", "you", "was",  "have", "an"}},
      {"German",
       {"der", "die", "und",  "das", "ist", "nicht", "ein",  "eine", "mit",    "den", "zu",
        "von", "auf", "sich", "für", "dem", "wird",  "auch", "es",   "werden", "oder"}},
      {"French", {"le",  "les", "des",  "et", "est", "une",  "dans", "pour", "qui", "pas", "du",
                  "sur", "au",  "avec", "il", "ce",  "sont", "vous", "nous", "ou",  "plus"}},
      {"Spanish", {"el", "los", "las",  "que", "en", "es", "por",  "una", "con",  "para", "del",
                   "se", "su",  "como", "más", "al", "lo", "pero", "y",   "está", "muy"}},
      {"Portuguese", {"o",  "os", "não", "que", "em",   "um",  "uma", "para", "com",  "do", "da",
                      "no", "na", "é",   "são", "mais", "por", "se",  "ao",   "você", "dos"}},
      {"Italian",
       {"il",  "di",  "che",   "è",    "per", "non", "con",  "del", "della",  "sono", "una",
        "gli", "nel", "anche", "come", "più", "dei", "alla", "si",  "questo", "le"}},
      {"Dutch",
       {"het", "een", "van",   "en",   "dat", "niet", "zijn", "op",     "met", "voor", "er",
        "ook", "aan", "wordt", "naar", "bij", "deze", "maar", "worden", "om",  "de"}},
      {"Swedish", {"och", "att",  "det", "som", "är", "en",   "på",    "för", "av",  "inte",
                   "med", "till", "ett", "kan", "om", "från", "eller", "har", "när", "så"}},
      {"Danish or Norwegian",
       {"og", "at", "det", "som", "er", "en", "på", "for", "af", "av", "ikke", "med", "til", "et",
        "kan", "om", "fra", "eller", "har"}},
      {"Polish", {"w",   "i",   "na",    "nie", "się", "do", "jest", "że",   "z",   "to",
                  "jak", "dla", "przez", "po",  "są",  "od", "lub",  "może", "tym", "oraz"}},
      {"Czech", {"a",   "je",   "se",   "na",  "že",   "v",    "to",  "který", "pro",  "jako",
                 "ale", "nebo", "jsou", "být", "také", "jeho", "při", "které", "může", "od"}},
      {"Turkish",
       {"ve", "bir", "bu", "için", "ile", "da", "de", "olarak", "daha", "çok", "gibi", "olan", "ne",
        "var", "kadar", "sonra", "en", "veya", "değil"}},
      {"Finnish",
       {"ja", "on", "ei", "se", "että", "ovat", "kun", "myös", "tai", "mutta", "niin", "kuin",
        "hän", "joka", "oli", "jos", "voi", "sen", "ole"}},
      {"Indonesian",
       {"yang", "dan", "di", "untuk", "dengan", "ini", "itu", "dari", "tidak", "pada", "adalah",
        "dalam", "akan", "atau", "ke", "bisa", "juga", "anda"}},
      {"Vietnamese",
       {"và", "của", "là", "có", "không", "được", "cho", "một", "các", "trong", "những", "với",
        "này", "người", "để", "khi", "đã", "từ"}},
  };
  return tables;
}

// Rules of thumb, held by the samples of language_test.cc.
constexpr double kScriptShare = 0.3;   // of the letters
constexpr double kKanaShare = 0.1;     // kanji outnumber kana in some texts
constexpr double kCodeShare = 0.07;    // brackets and operators among the visible characters
constexpr double kCommonShare = 0.12;  // of the words
constexpr double kLead = 1.6;          // over the language that comes second
constexpr size_t kFewestWords = 12;

bool IsLetter(unsigned char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c >= 0x80;
}

char Lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

// The character that begins at `at`, which moves on; malformed bytes count as themselves.
uint32_t NextCharacter(std::string_view text, size_t& at) {
  const auto first = static_cast<unsigned char>(text[at++]);
  const int more = first >= 0xF0 ? 3 : first >= 0xE0 ? 2 : first >= 0xC0 ? 1 : 0;
  uint32_t character = more == 0 ? first : first & (0x3FU >> more);
  for (int i = 0; i < more && at < text.size(); ++i, ++at)
    character = character << 6 | (static_cast<unsigned char>(text[at]) & 0x3FU);
  return character;
}

// The script that the letters are of; "" for Latin ones.
std::string ScriptOf(std::string_view text) {
  std::array<size_t, std::size(kScripts)> counts{};
  size_t letters = 0;
  for (size_t at = 0; at < text.size();) {
    const uint32_t c = NextCharacter(text, at);
    letters += c >= 0x80 || IsLetter(static_cast<unsigned char>(c));
    for (size_t s = 0; s < counts.size(); ++s)
      counts[s] += c >= kScripts[s].first && c <= kScripts[s].last;
  }
  const auto share = [&](size_t s) {
    return static_cast<double>(counts[s]) / static_cast<double>(letters);
  };
  if (letters == 0) return "";
  if (share(0) + share(1) > kScriptShare && share(0) > kKanaShare) return kScripts[0].name;
  for (size_t s = 1; s < counts.size(); ++s) {
    if (share(s) > kScriptShare) return kScripts[s].name;
  }
  return "";
}

bool LooksLikeCode(std::string_view text) {
  size_t visible = 0;
  size_t marks = 0;
  for (const char c : text) {
    visible += static_cast<unsigned char>(c) > ' ';
    marks += std::string_view("{}()[];=<>_+*&|").find(c) != std::string_view::npos;
  }
  return visible > 0 && static_cast<double>(marks) > kCodeShare * static_cast<double>(visible);
}

std::vector<std::string> WordsOf(std::string_view text) {
  std::vector<std::string> words(1);
  for (const char c : text) {
    if (IsLetter(static_cast<unsigned char>(c))) {
      words.back() += Lower(c);
    } else if (!words.back().empty()) {
      words.emplace_back();
    }
  }
  if (words.back().empty()) words.pop_back();
  return words;
}

}  // namespace

std::string LanguageOf(std::string_view text) {
  const std::string script = ScriptOf(text);
  if (!script.empty()) return script;
  if (LooksLikeCode(text)) return kCode;
  const std::vector<std::string> words = WordsOf(text);
  if (words.size() < kFewestWords) return "";
  std::vector<std::pair<double, const char*>> scores;
  for (const Words& table : Tables()) {
    const auto found = std::count_if(words.begin(), words.end(), [&](const std::string& word) {
      return table.common.count(word) > 0;
    });
    scores.emplace_back(static_cast<double>(found) / static_cast<double>(words.size()),
                        table.language);
  }
  std::sort(scores.rbegin(), scores.rend());
  const bool clear = scores[0].first > kCommonShare && scores[0].first > kLead * scores[1].first;
  return clear ? scores[0].second : "";
}

}  // namespace trimma
