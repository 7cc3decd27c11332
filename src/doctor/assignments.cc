#include "doctor/assignments.h"

#include <algorithm>
#include <array>

#include "base/text.h"

namespace trimma {
namespace {

bool IsNameCharacter(char c) {
  return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
}

bool IsBlank(char c) { return c == ' ' || c == '\t' || c == '\r'; }

// A shell word from `at` on, without its quotes; moves `at` behind it. `plain` turns false where
// the shell would do more than read it.
std::string Word(std::string_view line, size_t& at, bool& plain) {
  std::string word;
  char quote = 0;
  for (; at < line.size(); ++at) {
    const char c = line[at];
    if (quote != 0) {
      if (c == quote) {
        quote = 0;
        continue;
      }
    } else if (c == '"' || c == '\'') {
      quote = c;
      continue;
    } else if (IsBlank(c) || std::string_view(";&|()<>").find(c) != std::string_view::npos) {
      break;
    }
    if (c == '`' || c == '\\' || (c == '$' && at + 1 < line.size() && line[at + 1] == '('))
      plain = false;
    word += c;
  }
  if (quote != 0) plain = false;
  return word;
}

// The line without its comment.
std::string_view WithoutComment(std::string_view line) {
  char quote = 0;
  for (size_t i = 0; i < line.size(); ++i) {
    const char c = line[i];
    if (quote != 0) {
      if (c == quote) quote = 0;
    } else if (c == '"' || c == '\'') {
      quote = c;
    } else if (c == '#' && (i == 0 || IsBlank(line[i - 1]))) {
      return line.substr(0, i);
    }
  }
  return line;
}

// Brackets that the line opens less those it closes, outside of quotes: an array or a subshell over
// several lines. A `)` of a case's pattern closes none.
int OpenedBrackets(std::string_view line) {
  int open = 0;
  char quote = 0;
  for (const char c : line) {
    if (quote != 0) {
      if (c == quote) quote = 0;
    } else if (c == '"' || c == '\'') {
      quote = c;
    } else if (c == '(') {
      ++open;
    } else if (c == ')') {
      --open;
    }
  }
  return open;
}

bool LeavesQuoteOpen(std::string_view line) {
  return std::count(line.begin(), line.end(), '"') % 2 != 0 ||
         std::count(line.begin(), line.end(), '\'') % 2 != 0;
}

// Blanks and a word that declares, before an assignment that stands alone.
bool IsDeclaration(std::string_view before) {
  before = Trim(before);
  constexpr std::array<std::string_view, 4> kWords = {"", "export", "declare -x", "typeset -x"};
  return std::find(kWords.begin(), kWords.end(), before) != kWords.end();
}

// The words of a systemd line: blanks part them, quotes hold them together.
std::vector<std::string> UnitWords(std::string_view text) {
  std::vector<std::string> words;
  for (size_t at = 0; at < text.size();) {
    if (IsBlank(text[at])) {
      ++at;
      continue;
    }
    std::string word;
    char quote = 0;
    for (; at < text.size() && (quote != 0 || !IsBlank(text[at])); ++at) {
      const char c = text[at];
      if (quote != 0 && c == quote)
        quote = 0;
      else if (quote == 0 && (c == '"' || c == '\''))
        quote = c;
      else
        word += c;
    }
    words.push_back(word);
  }
  return words;
}

}  // namespace

bool IsOfInterest(std::string_view name) {
  return name.starts_with("OLLAMA_") || name.starts_with("LLAMA_ARG_") || name == "LLAMA_API_KEY" ||
         name == "CUDA_VISIBLE_DEVICES" || name == "HIP_VISIBLE_DEVICES" ||
         name == "ROCR_VISIBLE_DEVICES" || name == "GGML_VK_VISIBLE_DEVICES";
}

std::vector<EnvAssignment> ShellAssignments(std::string_view text) {
  std::vector<EnvAssignment> found;
  bool simple = true;  // so far: no here-document, nothing quoted over several lines
  bool continued = false;
  int brackets = 0;
  int number = 0;
  for (const std::string& whole : Split(text, '\n')) {
    ++number;
    const std::string_view line = WithoutComment(whole);
    const bool goes_on = line.ends_with('\\');
    for (size_t at = 0; at < line.size();) {
      if (!IsNameCharacter(line[at]) ||
          (at > 0 && !IsBlank(line[at - 1]) &&
           std::string_view(";&|(\"'").find(line[at - 1]) == std::string_view::npos)) {
        ++at;
        continue;
      }
      const size_t start = at;
      while (at < line.size() && IsNameCharacter(line[at])) ++at;
      const std::string_view name = line.substr(start, at - start);
      if (at >= line.size() || line[at] != '=' || !IsOfInterest(name)) continue;
      ++at;
      bool plain = true;
      EnvAssignment& one = found.emplace_back();
      one.name = name;
      one.value = Word(line, at, plain);
      one.line = number;
      one.text = whole;
      const std::string_view rest = Trim(line.substr(at));
      one.stands_alone = simple && plain && !continued && !goes_on && brackets == 0 &&
                         (rest.empty() || rest == ";") && IsDeclaration(line.substr(0, start));
    }
    if (line.find("<<") != std::string_view::npos || LeavesQuoteOpen(line)) simple = false;
    brackets = std::max(0, brackets + OpenedBrackets(line));
    continued = goes_on;
  }
  return found;
}

std::vector<EnvAssignment> FishAssignments(std::string_view text) {
  std::vector<EnvAssignment> found;
  int number = 0;
  for (const std::string& whole : Split(text, '\n')) {
    ++number;
    const std::string_view line = WithoutComment(whole);
    std::vector<std::string> words;
    bool plain = true;
    for (size_t at = 0; at < line.size();) {
      if (IsBlank(line[at]))
        ++at;
      else if (const size_t before = at; words.push_back(Word(line, at, plain)), at == before)
        ++at;
    }
    if (words.size() < 3 || words[0] != "set") continue;
    size_t name = 1;
    while (name < words.size() && words[name].starts_with('-')) ++name;
    if (name + 1 >= words.size() || !IsOfInterest(words[name])) continue;
    found.push_back({words[name], words[name + 1], number, whole,
                     plain && name + 2 == words.size() && !line.ends_with('\\'), "", 0});
  }
  return found;
}

std::vector<EnvAssignment> EnvFileAssignments(std::string_view text) {
  std::vector<EnvAssignment> found;
  int number = 0;
  for (const std::string& whole : Split(text, '\n')) {
    ++number;
    std::string_view line = Trim(whole);
    if (line.starts_with('#') || line.starts_with(';')) continue;
    if (line.starts_with("export ")) line = Trim(line.substr(7));
    const size_t equals = line.find('=');
    if (equals == std::string_view::npos || !IsOfInterest(Trim(line.substr(0, equals)))) continue;
    std::string_view value = Trim(line.substr(equals + 1));
    const bool quoted = value.size() >= 2 && (value.front() == '"' || value.front() == '\'') &&
                        value.back() == value.front();
    if (quoted) value = value.substr(1, value.size() - 2);
    found.push_back({std::string(Trim(line.substr(0, equals))), std::string(value), number, whole,
                     !line.ends_with('\\') && (quoted || !LeavesQuoteOpen(value)), "", 0});
  }
  return found;
}

std::vector<EnvAssignment> ProcessAssignments(std::string_view block) {
  std::vector<EnvAssignment> found;
  for (const std::string& entry : Split(block, '\0')) {
    const size_t equals = entry.find('=');
    if (equals == std::string::npos || equals == 0) continue;
    found.push_back({entry.substr(0, equals), entry.substr(equals + 1), 0, "", false, "", 0});
  }
  return found;
}

UnitFile ParseUnit(std::string_view text) {
  UnitFile unit;
  bool in_service = false;
  const std::vector<std::string> lines = Split(text, '\n');
  for (size_t i = 0; i < lines.size(); ++i) {
    const int number = static_cast<int>(i) + 1;
    const std::string first = lines[i];
    std::string line(Trim(first));
    const bool goes_on = line.ends_with('\\');
    while (line.ends_with('\\') && i + 1 < lines.size()) {
      line.back() = ' ';
      line += Trim(lines[++i]);
    }
    if (line.empty() || line[0] == '#' || line[0] == ';') continue;
    if (line[0] == '[') {
      in_service = line == "[Service]";
      continue;
    }
    const size_t equals = line.find('=');
    if (!in_service || equals == std::string::npos) continue;
    const std::string key(Trim(std::string_view(line).substr(0, equals)));
    const std::string_view value = Trim(std::string_view(line).substr(equals + 1));
    if (key == "ExecStart" && !value.empty()) unit.exec_start = value;
    if (key == "EnvironmentFile" && !value.empty())
      unit.environment_files.emplace_back(value.starts_with('-') ? value.substr(1) : value);
    if (key != "Environment") continue;
    const std::vector<std::string> words = UnitWords(value);
    if (words.empty()) {
      unit.resets = true;
      unit.environment.clear();
    }
    for (const std::string& word : words) {
      const size_t at = word.find('=');
      if (at == std::string::npos || !IsOfInterest(word.substr(0, at))) continue;
      unit.environment.push_back({word.substr(0, at), word.substr(at + 1), number, first,
                                  words.size() == 1 && !goes_on, "", 0});
    }
  }
  return unit;
}

}  // namespace trimma
