// Edits config.toml in its bytes: toml++ says where a value stands, exactly those bytes are
// replaced, and the result is parsed again and compared with what it ought to be.
#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <utility>
#include <variant>

#include "base/text.h"
#include "settings/files.h"
#include "settings/quoting.h"
#include "settings/toml_document.h"

namespace trimma {
namespace {

using Value = std::variant<std::string, int64_t, double>;

// A key of the file, and what it gets.
struct Key {
  const std::vector<std::string>& path;
  Value value;

  std::string name() const { return TomlKey(path); }
  const std::string& last() const { return path.back(); }
};

std::optional<Value> Whole(std::optional<int64_t> number) {
  if (!number) return std::nullopt;
  return Value(*number);
}

struct Setting {
  const char* name;
  std::optional<Value> (*value)(const Applied&);  // nullopt: leave the key as it is
};

// What can be written. An application's names for them are a ConfigMap.
const Setting kSettings[] = {
    {"model.name", [](const Applied& a) { return std::optional<Value>(a.name); }},
    {"model.context_length", [](const Applied& a) { return Whole(a.settings.context); }},
    {"model.temperature",
     [](const Applied& a) { return std::optional<Value>(a.sampling.temperature); }},
    {"model.top_p", [](const Applied& a) { return std::optional<Value>(a.sampling.top_p); }},
    {"model.path", [](const Applied& a) { return std::optional<Value>(a.model_path); }},
    {"runtime.threads", [](const Applied& a) { return Whole(a.settings.threads); }},
    {"runtime.threads_batch", [](const Applied& a) { return Whole(a.settings.threads_batch); }},
    {"runtime.batch", [](const Applied& a) { return Whole(a.settings.batch); }},
    {"runtime.ubatch", [](const Applied& a) { return Whole(a.settings.ubatch); }},
    {"runtime.flash_attention",
     [](const Applied& a) { return std::optional<Value>(NameOf(a.settings.flash_attention)); }},
    {"runtime.kv_k", [](const Applied& a) { return std::optional<Value>(a.settings.kv_k); }},
    {"runtime.kv_v", [](const Applied& a) { return std::optional<Value>(a.settings.kv_v); }},
    {"runtime.gpu_layers",
     [](const Applied& a) { return a.settings.use_gpu ? Whole(a.settings.gpu_layers) : Whole(0); }},
};

std::optional<Value> ValueOf(const std::string& setting, const Applied& applied) {
  for (const Setting& known : kSettings) {
    if (setting == known.name) return known.value(applied);
  }
  return std::nullopt;
}

std::string Literal(const Value& value) {
  if (const auto* text = std::get_if<std::string>(&value)) return TomlString(*text);
  if (const auto* whole = std::get_if<int64_t>(&value)) return std::to_string(*whole);
  return FloatText(std::get<double>(value));
}

// An integer serves where a float is wanted (temperature = 1), not the other way round.
bool Equals(const toml::node& node, const Value& value) {
  if (const auto* text = std::get_if<std::string>(&value)) {
    return node.is_string() && node.as_string()->get() == *text;
  }
  if (const auto* whole = std::get_if<int64_t>(&value)) {
    return node.is_integer() && node.as_integer()->get() == *whole;
  }
  return node.is_number() && node.value<double>() == std::get<double>(value);
}

Error CantEdit(const Key& key, const toml::node& at, const std::string& is, const char* hint) {
  return Error{Code::kInvalid,
               fmt::format("line {}: can't set {}: {}", at.source().begin.line, key.name(), is),
               hint};
}

// The begin of the first [header] or [[header]] after `from`; the largest position if none.
toml::source_position NextHeader(const TomlDocument& document, const toml::table& table,
                                 const toml::source_position& from) {
  constexpr toml::source_index kLast = std::numeric_limits<toml::source_index>::max();
  toml::source_position next{kLast, kLast};
  const auto visit = [&](const toml::table& inner) {
    if (inner.is_inline()) return;  // and so is all that is in it
    const toml::source_position begin = inner.source().begin;
    if (from < begin && document.text()[document.Offset(begin)] == '[')
      next = std::min(next, begin);
    next = std::min(next, NextHeader(document, inner, from));
  };
  for (const auto& [name, node] : table) {
    if (const toml::table* inner = node.as_table()) visit(*inner);
    if (const toml::array* array = node.as_array()) {
      for (const toml::node& element : *array) {
        if (const toml::table* inner = element.as_table()) visit(*inner);
      }
    }
  }
  return next;
}

struct Span {
  toml::source_position begin;
  toml::source_position end;  // exclusive
};

// The last value of `table` that begins in `span`, dotted keys included.
const toml::node* LastValue(const toml::table& table, const Span& span) {
  const toml::node* last = nullptr;
  for (const auto& [name, node] : table) {
    const toml::table* inner = node.as_table();
    const toml::node* candidate =
        inner != nullptr && !inner->is_inline() ? LastValue(*inner, span) : &node;
    if (candidate == nullptr) continue;
    const toml::source_position at = candidate->source().begin;
    if (at < span.begin || !(at < span.end)) continue;
    if (last == nullptr || last->source().begin < at) last = candidate;
  }
  return last;
}

enum class Written { kHeader, kDottedKeys, kOnlyImplied };

// How the table at `path` (one part at least) came to be: by [path], by `path.key = ...`, or only
// by [path.other].
Written HowWritten(const TomlDocument& document, const toml::table& table,
                   std::span<const std::string> path) {
  const size_t begin = document.Offset(table.source().begin);
  if (document.text()[begin] != '[') return Written::kDottedKeys;
  const std::string_view line = document.Line(begin);
  const std::string_view header = line.substr(line.find('['));
  const toml::table alone = toml::parse(header);  // a line of a valid document
  const toml::table* inner = &alone;
  for (const std::string& part : path) {
    inner = inner == nullptr ? nullptr : inner->get_as<toml::table>(part);
  }
  return inner != nullptr && inner->empty() ? Written::kHeader : Written::kOnlyImplied;
}

std::string_view LineBreak(const std::string& text) {
  const size_t first = text.find('\n');
  const bool crlf = first != std::string::npos && first > 0 && text[first - 1] == '\r';
  return crlf ? "\r\n" : "\n";
}

// Inserts `line` (no break) as a line of its own after the one that holds `offset`. A file whose
// last line has no break keeps it so.
void InsertLineAfter(std::string& text, size_t offset, const std::string& line) {
  const std::string_view line_break = LineBreak(text);
  const size_t end = text.find('\n', offset);
  if (end == std::string::npos) {
    text += fmt::format("{}{}", line_break, line);
  } else {
    text.insert(end + 1, fmt::format("{}{}", line, line_break));
  }
}

// A new table at the end, after one blank line. A file whose last line has no break keeps it so.
std::string AppendTable(const std::string& text, const Key& key, const std::string& literal) {
  const std::string line_break(LineBreak(text));
  const bool closed = text.empty() || text.ends_with('\n');
  std::string result = text;
  if (!closed) result += line_break;
  if (!text.empty() && !text.ends_with(line_break + line_break)) result += line_break;
  const auto table = std::span(key.path).first(key.path.size() - 1);
  result += fmt::format("[{}]{}{} = {}", TomlKey(table), line_break,
                        TomlKey(std::span(&key.last(), 1)), literal);
  if (closed) result += line_break;
  return result;
}

// A key of the whole document, before its first table.
std::string InsertAtTheTop(const TomlDocument& document, const std::string& line) {
  const toml::source_position begin{1, 1};
  const toml::node* last = LastValue(
      document.root(), {begin, NextHeader(document, document.root(), toml::source_position{1, 0})});
  std::string text = document.text();
  if (last != nullptr) {
    InsertLineAfter(text, document.Range(*last).end, line);
  } else {
    const std::string_view line_break = LineBreak(text);
    text.insert(document.Offset(begin), fmt::format("{}{}", line, line_break));
  }
  return text;
}

// The tables that lead to a key: from the root, as far as they are there.
struct Way {
  std::vector<const toml::table*> tables;  // [0]: the root
  const toml::node* obstacle = nullptr;    // what stands where a table is needed
};

Way WayTo(const TomlDocument& document, const Key& key) {
  Way way{{&document.root()}, nullptr};
  for (size_t i = 0; i + 1 < key.path.size(); ++i) {
    const toml::node* next = way.tables.back()->get(key.path[i]);
    if (next == nullptr) return way;
    if (!next->is_table()) {
      way.obstacle = next;
      return way;
    }
    way.tables.push_back(next->as_table());
  }
  return way;
}

// Under the deepest table of `way` that can be added to.
std::string InsertKey(const TomlDocument& document, const Way& way, const Key& key,
                      const std::string& literal) {
  const std::span<const std::string> path = key.path;
  const size_t deepest = way.tables.size() - 1;
  if (path.size() == 1)
    return InsertAtTheTop(document, fmt::format("{} = {}", TomlKey(path), literal));
  if (deepest == 0) return AppendTable(document.text(), key, literal);
  const toml::table& table = *way.tables[deepest];
  const Written written = HowWritten(document, table, path.first(deepest));
  // A new [table] serves where nothing but tables is above it.
  const bool whole = deepest + 1 == path.size();
  if (written == Written::kOnlyImplied || (written == Written::kHeader && !whole))
    return AppendTable(document.text(), key, literal);
  // Dotted keys are relative to the header that they stand under.
  size_t above = deepest;
  while (above > 0 &&
         (HowWritten(document, *way.tables[above], path.first(above)) != Written::kHeader)) {
    --above;
  }
  const toml::source_position begin = table.source().begin;
  const toml::node* last = LastValue(table, {begin, NextHeader(document, document.root(), begin)});
  std::string indent;
  size_t after = document.Offset(begin);
  if (last != nullptr) {
    const TextSpan range = document.Range(*last);
    const std::string_view line = document.Line(range.begin);
    indent = line.substr(0, std::min(line.find_first_not_of(" \t"), line.size()));
    after = range.end;
  }
  std::string text = document.text();
  InsertLineAfter(text, after,
                  fmt::format("{}{} = {}", indent, TomlKey(path.subspan(above)), literal));
  return text;
}

// `document` is edit.text, parsed.
Status SetKey(const TomlDocument& document, const Key& key, ConfigEdit& edit) {
  const std::string literal = Literal(key.value);
  ConfigChange change{key.name(), "", literal};
  const Way way = WayTo(document, key);
  const size_t deepest = way.tables.size() - 1;
  const auto name_of = [&](size_t parts) { return TomlKey(std::span(key.path).first(parts)); };
  if (way.obstacle != nullptr) {
    return CantEdit(key, *way.obstacle, fmt::format("\"{}\" is not a table", name_of(deepest + 1)),
                    "rename it there, or write the settings by hand");
  }
  const toml::table& table = *way.tables.back();
  const bool whole = deepest + 1 == key.path.size();
  const toml::node* node = whole ? table.get(key.last()) : nullptr;
  if (node != nullptr && Equals(*node, key.value)) return {};
  if (table.is_inline()) {
    return CantEdit(key, table, fmt::format("\"{}\" is an inline table", name_of(deepest)),
                    "write it as a [table] with one key a line");
  }
  if (node != nullptr && !node->is_value()) {
    return CantEdit(key, *node, "it holds a table or an array, not one value",
                    "rename it there, or write the settings by hand");
  }
  if (node == nullptr) {
    edit.text = InsertKey(document, way, key, literal);
  } else {
    const TextSpan range = document.Range(*node);
    change.before = edit.text.substr(range.begin, range.end - range.begin);
    edit.text.replace(range.begin, range.end - range.begin, literal);
  }
  edit.changes.push_back(std::move(change));
  return {};
}

// Sets the same keys in the parsed original, where no byte positions are involved.
toml::table Expected(toml::table root, const std::vector<Key>& keys) {
  for (const Key& key : keys) {
    toml::table* table = &root;
    for (size_t i = 0; i + 1 < key.path.size(); ++i)
      table = table->insert(key.path[i], toml::table{}).first->second.as_table();
    const toml::node* node = table->get(key.last());
    if (node != nullptr && Equals(*node, key.value)) continue;
    std::visit([&](const auto& plain) { table->insert_or_assign(key.last(), plain); }, key.value);
  }
  return root;
}

}  // namespace

Result<ConfigEdit> EditConfigToml(const std::string& text, const Applied& applied,
                                  const ConfigMap& map) {
  TRY_STATUS(CheckApplied(applied));
  if (!IsUtf8(applied.name) || !IsUtf8(applied.model_path)) {
    return Error{Code::kInvalid, "the model's name is not UTF-8, and a TOML file is",
                 "give the model another name"};
  }
  std::vector<Key> keys;
  for (const ConfigPlace& place : map) {
    if (auto value = ValueOf(place.setting, applied)) keys.push_back({place.path, *value});
  }
  TRY(const TomlDocument before, TomlDocument::Parse(text));
  const Error botched{Code::kInternal, "editing the file would have changed more than was meant",
                      "nothing was written; please report this with the file"};
  ConfigEdit edit{text, {}};
  for (const Key& key : keys) {
    const Result<TomlDocument> document = TomlDocument::Parse(edit.text);
    if (!document) return botched;
    TRY_STATUS(SetKey(*document, key, edit));
  }
  const Result<TomlDocument> after = TomlDocument::Parse(edit.text);
  if (!after || !SameToml(after->root(), Expected(before.root(), keys))) return botched;
  return edit;
}

std::vector<std::string> ConfigSettings() {
  std::vector<std::string> names;
  for (const Setting& setting : kSettings) names.emplace_back(setting.name);
  return names;
}

}  // namespace trimma
