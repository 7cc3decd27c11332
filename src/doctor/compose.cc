// Docker compose files, read by their indentation.
#include <algorithm>
#include <map>
#include <optional>

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

class ComposeReader {
 public:
  void Add(int number, const std::string& whole) {
    const std::string_view trimmed = Trim(whole);
    if (trimmed.empty() || trimmed.starts_with('#')) return;
    const Line line = Parse(whole);
    // What stands deeper than an entry of an environment goes on with its value.
    if (entry_ && line.indent > entry_->indent) {
      if (entry_->kept) file_.environment.back().stands_alone = false;
      return;
    }
    entry_.reset();
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

  // "- 11434:11434", or the long form: "- target: 11434", and "published:", "host_ip:" below it.
  void Port(int number, const std::string& whole, const Line& line) {
    std::vector<EnvAssignment>& ports = file_.services.back().ports;
    if (line.item && line.key.empty()) {
      ports.push_back({"", line.value, number, whole, false, file_.services.back().name, 0});
      return;
    }
    if (line.item) {
      long_port_ = {};
      ports.push_back({"", "", number, whole, false, file_.services.back().name, 0});
    }
    if (ports.empty()) return;
    if (line.key == "target") long_port_.target = line.value;
    if (line.key == "published") long_port_.published = line.value;
    if (line.key == "host_ip") long_port_.host = line.value;
    ports.back().value = (long_port_.host.empty() ? "" : long_port_.host + ":") +
                         (long_port_.published.empty() ? "" : long_port_.published + ":") +
                         long_port_.target;
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
      // A block's text, an anchor that others refer to, or a value on the lines below would be left
      // without its key.
      const bool simple = !line.in_flow && !value.empty() &&
                          std::string_view("|>&*!").find(value.front()) == std::string_view::npos &&
                          whole.find(" &") == std::string::npos;
      if (IsOfInterest(name))
        file_.environment.push_back({name, value, number, whole, simple, service.name, 0});
      ++entries_[service.name];
      if (!line.in_flow) entry_ = Below{line.indent, IsOfInterest(name)};
    } else if (section == "env_file" && line.item) {
      service.env_files.push_back(line.value);
    } else if (section == "ports") {
      Port(number, whole, line);
    }
  }

  struct Below {
    size_t indent = 0;
    bool kept = false;  // the last of file_.environment
  };
  ComposeFile file_;
  std::vector<Level> levels_;
  std::optional<Below> entry_;  // of an environment, on the line before

  struct LongPort {
    std::string target, published, host;
  };
  LongPort long_port_;
  std::map<std::string, int> entries_;  // of each service's environment
};

}  // namespace

const ComposeFile::Service* ComposeFile::Find(std::string_view name) const {
  for (const Service& service : services)
    if (service.name == name) return &service;
  return nullptr;
}

ComposeFile ParseCompose(std::string_view text) {
  ComposeReader reader;
  int number = 0;
  for (const std::string& line : Split(text, '\n')) reader.Add(++number, line);
  return reader.Take();
}

std::string WithDefaults(std::string_view text) {
  std::string result;
  while (!text.empty()) {
    const size_t start = text.find("${");
    result += text.substr(0, start);
    if (start == std::string_view::npos) break;
    const size_t end = text.find('}', start);
    if (end == std::string_view::npos) break;
    const std::string_view inner = text.substr(start + 2, end - start - 2);
    if (const size_t dash = inner.find('-'); dash != std::string_view::npos)
      result += inner.substr(dash + 1);
    text.remove_prefix(end + 1);
  }
  return result;
}

bool PublishesOllama(std::string_view written) {
  const std::string resolved = WithDefaults(written);
  std::string_view mapping = resolved;
  mapping = mapping.substr(0, mapping.find('/'));  // "/tcp"
  const size_t inner = mapping.rfind(':');
  // Alone, a free port of every address is taken for it.
  if (inner == std::string_view::npos) return mapping == "11434";
  if (mapping.substr(inner + 1) != "11434") return false;
  const std::string_view outer = mapping.substr(0, inner);
  const size_t colon = outer.rfind(':');
  if (colon == std::string_view::npos) return true;
  const std::string_view address = outer.substr(0, colon);
  return !address.starts_with("127.") && address != "localhost" && address != "[::1]" &&
         address != "::1";
}

}  // namespace trimma
