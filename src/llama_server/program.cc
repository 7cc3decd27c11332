#include "llama_server/program.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cctype>
#include <cerrno>

#include "base/file.h"
#include "base/program.h"
#include "base/text.h"

namespace trimma {
namespace {

// A first start may load a card's libraries.
constexpr double kMostSeconds = 20;
constexpr size_t kMostHelpBytes = 1 << 20;

bool IsOptionName(std::string_view word) {
  return word.size() >= 2 && word[0] == '-' && (word[1] == '-' || std::isalpha(word[1]) != 0);
}

// One description: the names, what they take, and what is said about them.
struct Described {
  std::vector<std::string> names;
  std::string value;
  std::string words;
};

// The columns of a line that begins an option: names, value; at two blanks the description begins.
Described ParseHeading(std::string_view line) {
  Described option;
  while (!line.empty()) {
    const size_t begin = line.find_first_not_of(' ');
    if (begin == std::string_view::npos) break;
    // The first name is padded; after the value, a gap begins the description.
    const bool gap = begin >= 2 && (!option.value.empty() || !line.substr(begin).starts_with('-'));
    if (gap && !option.names.empty()) {
      option.words = line.substr(begin);
      break;
    }
    line.remove_prefix(begin);
    const size_t end = std::min(line.find(' '), line.size());
    std::string_view word = line.substr(0, end);
    line.remove_prefix(end);
    const bool more = word.ends_with(',');
    if (more) word.remove_suffix(1);
    if (IsOptionName(word) && option.value.empty()) {
      option.names.emplace_back(word);
    } else {
      option.value += fmt::format("{}{}", option.value.empty() ? "" : " ", word);
    }
  }
  return option;
}

// A switch may have its opposite beside it ("--repack, -nr, --no-repack"); all of them are names.
void Add(const Described& option, std::map<std::string, ServerOption>& to) {
  if (option.words.find("has been removed") != std::string::npos) return;
  for (const std::string& name : option.names) to[name] = {option.value};
}

Result<std::string> Ask(const std::string& program, const char* option) {
  ProgramLimits limits;
  limits.seconds = kMostSeconds;
  limits.most_bytes = kMostHelpBytes;
  limits.with_stderr = true;
  TRY(const PrintedText said, RunProgram({program, option}, limits));
  if (said.status != 0) {
    std::string last;
    for (const std::string& line : Split(said.text, '\n'))
      if (!Trim(line).empty()) last = Trim(line);
    return Error{Code::kInvalid,
                 fmt::format("{} {} ended with status {}{}", SafeText(program), option, said.status,
                             last.empty() ? "" : ": " + SafeText(last)),
                 "see that it is a llama-server that starts here"};
  }
  return said.text;
}

}  // namespace

std::map<std::string, ServerOption> ParseServerHelp(std::string_view text) {
  std::map<std::string, ServerOption> options;
  Described option;
  for (const std::string& line : Split(text, '\n')) {
    // "-----  common params  -----" is a section.
    if (line.starts_with("-----")) continue;
    if (line.starts_with('-')) {
      Add(option, options);
      option = ParseHeading(line);
    } else if (!option.names.empty()) {
      option.words += fmt::format(" {}", Trim(line));
    }
  }
  Add(option, options);
  return options;
}

std::string ParseServerVersion(std::string_view text) {
  constexpr std::string_view kKey = "version:";
  for (const std::string& line : Split(text, '\n')) {
    const std::string_view trimmed = Trim(line);
    if (trimmed.starts_with(kKey)) return SafeText(Trim(trimmed.substr(kKey.size())), 80);
  }
  return "";
}

std::vector<ServerDevice> ParseServerDevices(std::string_view text) {
  std::vector<ServerDevice> devices;
  bool listed = false;
  for (const std::string& line : Split(text, '\n')) {
    if (line.starts_with("Available devices:")) {
      listed = true;
      continue;
    }
    const std::string_view trimmed = Trim(line);
    const size_t colon = trimmed.find(": ");
    if (!listed || !line.starts_with("  ") || colon == std::string_view::npos) continue;
    std::string_view description = trimmed.substr(colon + 2);
    if (const size_t memory = description.rfind(" ("); memory != std::string_view::npos)
      description = description.substr(0, memory);
    devices.push_back({SafeText(trimmed.substr(0, colon), 40), SafeText(description, 100)});
  }
  return devices;
}

std::vector<std::string> ParseSpeculationTypes(std::string_view value) {
  std::vector<std::string> types;
  std::string word;
  for (const char c : std::string(value) + "|") {
    const bool of_word = std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '-';
    if (of_word) {
      word += c;
    } else {
      if (!word.empty() && word != "none") types.push_back(word);
      word.clear();
    }
  }
  return types;
}

Result<LlamaServerProgram> FindLlamaServer(const std::string& named) {
  LlamaServerProgram program;
  program.path = named.empty() ? FindProgram("llama-server") : named;
  if (program.path.empty()) {
    return Error{Code::kNotFound, "llama-server is not on PATH",
                 "name it with --llama-server PATH, or install it"};
  }
  if (access(program.path.c_str(), X_OK) != 0) return ErrnoError("run", program.path, errno);
  TRY(const std::string help, Ask(program.path, "--help"));
  program.options = ParseServerHelp(help);
  if (!program.Knows("--model") || !program.Knows("--port")) {
    return Error{Code::kInvalid,
                 fmt::format("{} is no llama-server: its --help knows no --model and --port",
                             SafeText(program.path)),
                 "name one with --llama-server PATH"};
  }
  TRY(const std::string version, Ask(program.path, "--version"));
  program.version = ParseServerVersion(version);
  if (program.Knows("--spec-type"))
    program.speculation_types = ParseSpeculationTypes(program.options["--spec-type"].value);
  if (program.Knows("--list-devices")) {
    TRY(const std::string devices, Ask(program.path, "--list-devices"));
    program.devices = ParseServerDevices(devices);
  }
  return program;
}

}  // namespace trimma
