#include "hardware/cards.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <initializer_list>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "base/text.h"
#include "base/units.h"

namespace trimma {
namespace {

constexpr size_t kLongestName = 200;

using Words = std::vector<std::string>;

// A name taken apart: "GeForce RTX-2060 12GB" is {rtx, 2060}, 12.
struct Meaning {
  Words words;
  std::optional<uint32_t> memory_gib;
};

bool IsOneOf(std::string_view word, std::initializer_list<std::string_view> words) {
  return std::find(words.begin(), words.end(), word) != words.end();
}

bool IsNumber(std::string_view word) { return word.front() >= '0' && word.front() <= '9'; }

// Runs of letters and runs of digits, in lower case: "RTX2060-Ti" is {rtx, 2060, ti}.
Words Pieces(std::string_view text) {
  enum class Kind { kOther, kDigit, kLetter };
  Words pieces;
  Kind last = Kind::kOther;
  for (const char c : ToLower(text)) {
    const Kind kind = c >= '0' && c <= '9'   ? Kind::kDigit
                      : c >= 'a' && c <= 'z' ? Kind::kLetter
                                             : Kind::kOther;
    if (kind != Kind::kOther) {
      if (kind != last) pieces.emplace_back();
      pieces.back() += c;
    }
    last = kind;
  }
  return pieces;
}

// Words that tell no card from another.
bool IsNoise(std::string_view word) {
  return IsOneOf(
      word, {"nvidia", "geforce", "tesla", "amd", "radeon", "instinct", "intel", "r", "tm", "apple",
             "jetson", "gpu", "graphics", "card", "generation", "edition", "with", "design"});
}

void AddWord(std::string_view word, Words& words) {
  if (word == "tisuper") {
    words.insert(words.end(), {"ti", "super"});
  } else if (IsOneOf(word, {"mobile", "notebook"})) {
    words.emplace_back("laptop");
  } else if (word == "q" && !words.empty() && words.back() == "max") {
    words.back() = "laptop";  // Max-Q
  } else if (!IsNoise(word)) {
    words.emplace_back(word);
  }
}

Meaning Parse(std::string_view text) {
  const Words pieces = Pieces(text);
  Meaning meaning;
  bool has_number = false;  // the model's: what follows it is a size
  for (size_t i = 0; i < pieces.size(); ++i) {
    const std::string& piece = pieces[i];
    if (!IsNumber(piece)) {
      AddWord(piece, meaning.words);
      continue;
    }
    const bool generation = i > 0 && piece.size() == 1 && IsOneOf(pieces[i - 1], {"sxm", "hbm"});
    if (generation) continue;  // SXM5, HBM3
    const std::string_view next = i + 1 < pieces.size() ? std::string_view(pieces[i + 1]) : "";
    const bool unit = IsOneOf(next, {"gb", "gib"}) || (has_number && next == "g");
    uint32_t number = 0;
    const char* end = piece.data() + piece.size();
    const bool fits = std::from_chars(piece.data(), end, number).ec == std::errc();
    if (fits && (unit || has_number)) {
      meaning.memory_gib = number;
      if (unit) ++i;
    } else {
      meaning.words.push_back(piece);
      has_number = true;
    }
  }
  return meaning;
}

// The names of a card: without what stands in parentheses, that alone, and both.
std::vector<Words> NamesOf(const Card& card) {
  const std::string_view name = card.name;
  const size_t open = name.find('(');
  std::vector<Words> names = {Parse(name.substr(0, open)).words};
  if (open != std::string_view::npos) {
    names.push_back(Parse(name.substr(open)).words);
    names.push_back(Parse(name).words);
  }
  return names;
}

struct Entry {
  Card card;
  std::vector<Words> names;
};

const std::vector<Entry>& Entries() {
  static const std::vector<Entry> entries = [] {
    std::vector<Entry> all;
    for (const Card& card : Cards()) all.push_back({card, NamesOf(card)});
    return all;
  }();
  return entries;
}

enum class Match {
  kNone,
  kPart,    // the words are in the name, but it says more, or the memory is another
  kLaptop,  // the card, but it is a laptop's and that was not asked for
  kWhole,
};

Match MatchWords(const Words& asked, Words name) {
  for (const std::string& word : asked) {
    const auto at = std::find(name.begin(), name.end(), word);
    if (at == name.end()) return Match::kNone;
    name.erase(at);
  }
  // Without the model's number these words are all there is: "titan" is no TITAN RTX.
  if (std::any_of(asked.begin(), asked.end(), IsNumber)) {
    std::erase_if(name, [](const std::string& word) {
      return IsOneOf(word, {"rtx", "gtx", "rx", "arc", "sxm", "pcie", "nvl", "hbm", "blackwell",
                            "workstation"});
    });
  }
  if (name.empty()) return Match::kWhole;
  return name == Words{"laptop"} ? Match::kLaptop : Match::kPart;
}

Match MatchCard(const Meaning& asked, const Entry& entry) {
  Match best = Match::kNone;
  for (const Words& name : entry.names) best = std::max(best, MatchWords(asked.words, name));
  const bool other_size =
      asked.memory_gib && uint64_t{*asked.memory_gib} * 1024 != entry.card.memory_mib;
  return other_size ? std::min(best, Match::kPart) : best;
}

// Cards of which the name was said in part; after them those that are spelt much the same.
std::vector<std::string> NearestNames(const Meaning& asked) {
  constexpr size_t kMostNames = 3;
  std::vector<std::string> near;
  std::vector<std::pair<std::string, std::string>> forms;  // "rtx2060" or "2060"; name
  for (const Entry& entry : Entries()) {
    const std::string card = entry.card.name;
    if (near.size() < kMostNames && MatchCard(asked, entry) == Match::kPart) near.push_back(card);
    for (const Words& name : entry.names) {
      const std::string form = fmt::format("{}", fmt::join(name, ""));
      const bool known = std::any_of(forms.begin(), forms.end(),
                                     [&](const auto& other) { return other.first == form; });
      if (known) continue;  // another variant's
      forms.emplace_back(form, card);
      if (name.size() > 1 && IsOneOf(name.front(), {"rtx", "gtx", "rx", "arc"})) {
        forms.emplace_back(form.substr(name.front().size()), card);
      }
    }
  }
  const std::string word = fmt::format("{}", fmt::join(asked.words, ""));
  while (near.size() < kMostNames) {
    std::erase_if(forms, [&](const auto& form) {
      return std::find(near.begin(), near.end(), form.second) != near.end();
    });
    std::vector<std::string> candidates;
    for (const auto& [form, name] : forms) candidates.push_back(form);
    const std::optional<std::string> nearest = Nearest(word, candidates);
    if (!nearest) break;
    const auto at = std::find(candidates.begin(), candidates.end(), *nearest);
    near.push_back(forms[static_cast<size_t>(at - candidates.begin())].second);
  }
  return near;
}

Error NotFound(const std::string& name, const Meaning& asked) {
  Error error = {Code::kNotFound,
                 fmt::format("there is no card \"{}\" in the catalogue", SafeText(name)),
                 "--vram SIZE plans for a card of any size"};
  const std::vector<std::string> near = NearestNames(asked);
  if (!near.empty()) {
    error.hint = fmt::format("did you mean {}? {}", fmt::join(near, " or "), error.hint);
  }
  return error;
}

// What the driver keeps of NVIDIA's memory: a fixed part and one that grows with it. Fitted to
// the 62 readings of cards with their own memory, 4 to 180 GB: 57 are met within 60 MiB, the
// A30 and A100s have up to 85 MiB more, the B200 135 less. cards_test.cc holds it to them.
uint64_t EstimateNvidia(const Card& card) {
  uint64_t fixed_mib = 450;  // Blackwell: 484 of 8 GB, 507 to 559 of 16, 659 of 32, 1057 of 96
  double share = 0.006;
  if (card.compute_capability < 700) {  // Pascal: 58 of 4 GB, 86 of 8, 115 of 16
    fixed_mib = 45;
    share = 0.005;
  } else if (card.compute_capability < 750) {  // Volta: 224 of 16 GB, 274 of 32
    fixed_mib = 175;
    share = 0.003;
  } else if (card.compute_capability < 1000) {
    fixed_mib = 350;  // 328 to 384 of 4 GB, 342 to 398 of 8, 378 to 464 of 12, 412 to 496 of 24
  }
  const uint64_t memory_mib = card.memory_mib / 16 * (card.inline_ecc ? 15 : 16);
  return memory_mib - fixed_mib -
         static_cast<uint64_t>(share * static_cast<double>(card.memory_mib));
}

uint64_t EstimateMiB(const Card& card) {
  const uint64_t sold = card.memory_mib;
  switch (card.vendor) {
    case Vendor::kNvidia:
      return EstimateNvidia(card);
    case Vendor::kAmd:  // 16 MiB less on RX 6000, RX 7000 and MI200; 80 of 16 GB on RX 9000
      return sold - 16 - sold / 256;
    case Vendor::kIntel:  // SYCL: 94.4 % of the A770's 16 GB and of the B580's 12
      return sold * 944 / 1000;
    case Vendor::kApple:  // macOS: 2/3 of 16, 24 and 32 GB, 3/4 of 36; since macOS 15 somewhat
      break;              // more (74 % of 16 GB, 81 % of 64), and iogpu.wired_limit_mb sets it
  }
  return sold <= 32 * 1024 ? sold * 2 / 3 : sold * 3 / 4;
}

// Resident threads of a multiprocessor at most: CUDA programming guide, technical specifications.
uint64_t ThreadsPerMultiprocessor(int compute_capability) {
  switch (compute_capability) {
    case 750:
      return 1024;
    case 860:
    case 870:
    case 890:
      return 1536;
    default:
      return compute_capability >= 1200 ? 1536 : 2048;
  }
}

}  // namespace

Result<Card> FindCard(const std::string& name) {
  const Meaning asked = Parse(std::string_view(name).substr(0, kLongestName));
  if (asked.words.empty()) return NotFound(name, asked);
  const Card* found = nullptr;
  Match best = Match::kPart;
  for (const Entry& entry : Entries()) {
    const Match match = MatchCard(asked, entry);
    if (match <= best) continue;
    best = match;
    found = &entry.card;
  }
  if (found == nullptr) return NotFound(name, asked);
  return *found;
}

ReportedMemory ReportedBytes(const Card& card) {
  if (card.reported_mib != 0) return {card.reported_mib * kMiB, true};
  return {EstimateMiB(card) * kMiB, false};
}

uint64_t ContextStackBytes(const Card& card) {
  return card.multiprocessors * ThreadsPerMultiprocessor(card.compute_capability) * kKiB;
}

}  // namespace trimma
