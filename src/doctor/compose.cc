// Docker compose files, read by their indentation.
#include <algorithm>
#include <map>

#include "base/text.h"
#include "doctor/assignments.h"

namespace trimma {
namespace {

struct Line {
  size_t indent = 0;
  bool item = false;       // "- ..."
  bool in_flow = false;    // in brackets, beside others
  std::string key, value;  // "key: value"; an item without a key is all value
};

std::string_view Bare(std::string_view text) {
  text = Trim(text);
  const bool quoted = text.size() >= 2 && (text.front() == '"' || text.front() == '\'') &&
                      text.back() == text.front();
  return quoted ? text.substr(1, text.size() - 2) : text;
}

Line Parse(std::string_view text) {
  Line line;
  line.indent = std::min(text.find_first_not_of(' '), text.size());
  if (const size_t comment = text.find(" #"); comment != std::string_view::npos)
    text = text.substr(0, comment);
  text = Trim(text);
  if (text.starts_with("- ") || text == "-") {
    line.item = true;
    text = Trim(text.substr(1));
  }
  const size_t colon = text.find(':');
  const bool keyed = colon != std::string_view::npos && !text.starts_with('"') &&
                     !text.starts_with('\'') &&
                     (colon + 1 == text.size() || text[colon + 1] == ' ');
  if (keyed) line.key = Bare(text.substr(0, colon));
  line.value = Bare(keyed ? text.substr(colon + 1) : text);
  return line;
}

// "[a, b]" and "{a: 1, b: 2}" on one line.
std::vector<Line> FlowItems(std::string_view value) {
  const bool list = value.starts_with('[') && value.ends_with(']');
  const bool map = value.starts_with('{') && value.ends_with('}');
  std::vector<Line> items;
  if (!list && !map) return items;
  for (const std::string& piece : Split(value.substr(1, value.size() - 2), ',')) {
    if (Trim(piece).empty()) continue;
    Line item = list ? Line{} : Parse(piece);
    if (list) item.value = Bare(piece);
    item.item = list;
    item.in_flow = true;
    items.push_back(item);
  }
  return items;
}

// Where the reader is: the keys above the current line, each with its indentation.
struct Level {
  size_t indent;
  std::string key;
};

class Reader {
 public:
  void Add(int number, const std::string& whole) {
    const std::string_view trimmed = Trim(whole);
    if (trimmed.empty() || trimmed.starts_with('#')) return;
    const Line line = Parse(whole);
    // Items of a list may stand as deep as their key.
    while (!levels_.empty() && (levels_.back().indent > line.indent ||
                                (levels_.back().indent == line.indent && !line.item)))
      levels_.pop_back();
    if (InService()) Entry(number, whole, line);
    if (line.key.empty() || line.item) return;
    if (levels_.size() == 1 && levels_[0].key == "services")
      file_.services.push_back({line.key, "", {}, {}});
    levels_.push_back({line.indent, line.key});
  }
  ComposeFile Take() {
    for (EnvAssignment& one : file_.environment) one.siblings = entries_[one.service];
    return std::move(file_);
  }

 private:
  bool InService() const {
    return levels_.size() >= 2 && levels_[0].key == "services" && !file_.services.empty();
  }

  void Entry(int number, const std::string& whole, const Line& line) {
    ComposeFile::Service& service = file_.services.back();
    const std::string section = levels_.size() >= 3 ? levels_[2].key : "";
    if (section.empty()) {
      if (line.key == "image") service.image = line.value;
      if (line.key == "env_file" && !line.value.empty()) service.env_files.push_back(line.value);
      for (const Line& item : FlowItems(line.value)) Item(line.key, number, whole, item);
    } else {
      Item(section, number, whole, line);
    }
  }

  // One of a service's ports, variables or env files.
  void Item(const std::string& section, int number, const std::string& whole, const Line& line) {
    ComposeFile::Service& service = file_.services.back();
    if (section == "environment") {
      std::string name = line.key;
      std::string value = line.value;
      if (line.item) {
        const size_t equals = line.value.find('=');
        if (equals == std::string::npos) return;  // handed on from the shell
        name = line.value.substr(0, equals);
        value = line.value.substr(equals + 1);
      }
      if (IsOfInterest(name))
        file_.environment.push_back({name, value, number, whole, !line.in_flow, service.name, 0});
      ++entries_[service.name];
    } else if (section == "env_file" && line.item) {
      service.env_files.push_back(line.value);
    } else if (section == "ports" && line.item && line.key.empty()) {
      service.ports.push_back({"", line.value, number, whole, false, service.name, 0});
    }
  }

  ComposeFile file_;
  std::vector<Level> levels_;

  std::map<std::string, int> entries_;  // of each service's environment
};

}  // namespace

const ComposeFile::Service* ComposeFile::Find(std::string_view name) const {
  for (const Service& service : services)
    if (service.name == name) return &service;
  return nullptr;
}

ComposeFile ParseCompose(std::string_view text) {
  Reader reader;
  int number = 0;
  for (const std::string& line : Split(text, '\n')) reader.Add(++number, line);
  return reader.Take();
}

bool PublishesOllama(std::string_view mapping) {
  mapping = mapping.substr(0, mapping.find('/'));  // "/tcp"
  const size_t inner = mapping.rfind(':');
  if (inner == std::string_view::npos || mapping.substr(inner + 1) != "11434") return false;
  const std::string_view outer = mapping.substr(0, inner);
  const size_t colon = outer.rfind(':');
  if (colon == std::string_view::npos) return true;
  const std::string_view address = outer.substr(0, colon);
  return !address.starts_with("127.") && address != "localhost" && address != "[::1]" &&
         address != "::1";
}

}  // namespace trimma
