#include "measure/prompt_repeats.h"

#include <algorithm>
#include <array>
#include <map>
#include <optional>
#include <set>
#include <string_view>

#include "base/text.h"

namespace trimma {
namespace {

constexpr double kSame = 0.5;  // see the header
using Shingle = std::array<int32_t, 3>;

bool IsSpace(char c) { return c == ' ' || c == '\t' || c == '\r'; }

// Bytes beyond ASCII are letters of some script, or marks that stand beside them.
bool HasWords(std::string_view text) {
  return std::any_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           static_cast<unsigned char>(c) >= 0x80;
  });
}

// Bytes of the sentence's end that begins at `at`; 0 where there is none.
size_t EndOfSentence(std::string_view line, size_t at) {
  for (const std::string_view wide : {"\u3002", "\uff01", "\uff1f"}) {
    if (line.substr(at).starts_with(wide)) return wide.size();  // no space follows those
  }
  const bool stop = line[at] == '.' || line[at] == '!' || line[at] == '?';
  return stop && (at + 1 == line.size() || IsSpace(line[at + 1])) ? 1 : 0;
}

// What two passages are compared by: lower case, single spaces, no mark of a list before them.
std::string Normalised(std::string_view text) {
  const size_t first = text.find_first_not_of("-*#>+ \t");
  if (first == std::string_view::npos) return "";
  std::string plain;
  for (const char c : ToLower(text.substr(first))) {
    if (IsSpace(c) && (plain.empty() || plain.back() == ' ')) continue;
    plain += IsSpace(c) ? ' ' : c;
  }
  while (!plain.empty() && plain.back() == ' ') plain.pop_back();
  return plain;
}

std::set<Shingle> ShinglesOf(const std::vector<int32_t>& tokens) {
  std::set<Shingle> shingles;
  for (size_t i = 0; i + 3 <= tokens.size(); ++i)
    shingles.insert({tokens[i], tokens[i + 1], tokens[i + 2]});
  return shingles;
}

// Passages that were seen, found again by their words and by their shingles.
class Seen {
 public:
  void Add(int line, const std::string& normalised, const std::set<Shingle>& shingles) {
    by_text_.try_emplace(normalised, line);
    for (const Shingle& shingle : shingles) by_shingle_[shingle].push_back(sizes_.size());
    sizes_.push_back(shingles.size());
    lines_.push_back(line);
  }

  struct Match {
    int line;
    double resemblance;
    bool exact;
  };
  std::optional<Match> Find(const std::string& normalised,
                            const std::set<Shingle>& shingles) const {
    const auto same = by_text_.find(normalised);
    if (same != by_text_.end()) return Match{same->second, 1, true};
    std::map<size_t, size_t> shared;
    for (const Shingle& shingle : shingles) {
      const auto found = by_shingle_.find(shingle);
      if (found == by_shingle_.end()) continue;
      for (const size_t passage : found->second) ++shared[passage];
    }
    std::optional<Match> best;
    for (const auto& [passage, count] : shared) {
      const auto all = static_cast<double>(sizes_[passage] + shingles.size() - count);
      const double resemblance = static_cast<double>(count) / all;
      if (resemblance >= kSame && (!best || resemblance > best->resemblance))
        best = Match{lines_[passage], resemblance, false};
    }
    return best;
  }

 private:
  std::map<std::string, int> by_text_;
  std::map<Shingle, std::vector<size_t>> by_shingle_;
  std::vector<size_t> sizes_;
  std::vector<int> lines_;
};

}  // namespace

std::vector<Passage> SplitPassages(const std::string& text) {
  std::vector<Passage> passages;
  int number = 0;
  for (const std::string& line : Split(text, '\n')) {
    ++number;
    size_t begin = 0;
    const auto take = [&](size_t end) {
      const std::string_view piece = Trim(std::string_view(line).substr(begin, end - begin));
      if (HasWords(piece)) passages.push_back({number, std::string(piece)});
      begin = end;
    };
    for (size_t at = 0; at < line.size(); ++at) {
      const size_t bytes = EndOfSentence(line, at);
      if (bytes == 0) continue;
      take(at + bytes);
      at += bytes - 1;
    }
    take(line.size());
  }
  return passages;
}

std::vector<Repeat> FindRepeats(
    const std::vector<Passage>& passages,
    const std::function<std::vector<int32_t>(const std::string&)>& tokenize) {
  std::vector<Repeat> repeats;
  Seen seen;
  for (const Passage& passage : passages) {
    const std::string normalised = Normalised(passage.text);
    const std::set<Shingle> shingles = ShinglesOf(tokenize(normalised));
    // Less than one shingle ("Rules:", "1.") is no statement that could be said twice.
    if (shingles.empty()) continue;
    const auto match = seen.Find(normalised, shingles);
    if (match) {
      repeats.push_back({passage.line, match->line, match->exact, match->resemblance,
                         static_cast<int>(tokenize(passage.text).size()), passage.text});
    }
    seen.Add(passage.line, normalised, shingles);
  }
  return repeats;
}

}  // namespace trimma
