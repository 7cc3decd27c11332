// Edits config.toml in its bytes: toml++ says where a value stands, exactly those bytes are
// replaced, and the result is parsed again and compared with what it ought to be.
#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <limits>
#include <optional>
#include <variant>

#include "base/text.h"
#include "settings/files.h"
#include "settings/quoting.h"
#include "settings/toml_document.h"

namespace trimma {
namespace {

using Value = std::variant<std::string, int64_t, double>;

struct Key {
  const char* table;
  const char* key;
  std::optional<Value> (*value)(const Applied&);  // nullopt: leave the key as it is
};

std::optional<Value> Whole(std::optional<int64_t> number) {
  if (!number) return std::nullopt;
  return Value(*number);
}

// What is written where. Another application's names would be another such table.
const Key kKeys[] = {
    {"model", "name", [](const Applied& a) { return std::optional<Value>(a.name); }},
    {"model", "context_length", [](const Applied& a) { return Whole(a.settings.context); }},
    {"model", "temperature",
     [](const Applied& a) { return std::optional<Value>(a.sampling.temperature); }},
    {"model", "top_p", [](const Applied& a) { return std::optional<Value>(a.sampling.top_p); }},
    {"runtime", "threads", [](const Applied& a) { return Whole(a.settings.threads); }},
    {"runtime", "threads_batch", [](const Applied& a) { return Whole(a.settings.threads_batch); }},
    {"runtime", "batch", [](const Applied& a) { return Whole(a.settings.batch); }},
    {"runtime", "ubatch", [](const Applied& a) { return Whole(a.settings.ubatch); }},
    {"runtime", "flash_attention",
     [](const Applied& a) { return std::optional<Value>(NameOf(a.settings.flash_attention)); }},
    {"runtime", "kv_k", [](const Applied& a) { return std::optional<Value>(a.settings.kv_k); }},
    {"runtime", "kv_v", [](const Applied& a) { return std::optional<Value>(a.settings.kv_v); }},
    {"runtime", "gpu_layers",
     [](const Applied& a) { return a.settings.use_gpu ? Whole(a.settings.gpu_layers) : Whole(0); }},
};

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

Error CantEdit(const Key& key, const toml::node& at, const char* is, const char* hint) {
  return Error{
      Code::kInvalid,
      fmt::format("line {}: can't set {}.{}: {}", at.source().begin.line, key.table, key.key, is),
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

// How `table` came to be: by [table], by `table.key = ...`, or only by [table.other].
Written HowWritten(const TomlDocument& document, const toml::table& table, const char* name) {
  const size_t begin = document.Offset(table.source().begin);
  if (document.text()[begin] != '[') return Written::kDottedKeys;
  const std::string_view line = document.Line(begin);
  const std::string_view header = line.substr(line.find('['));
  const toml::table alone = toml::parse(header);  // a line of a valid document
  const toml::table* inner = alone[name].as_table();
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
  result += fmt::format("[{}]{}{} = {}", key.table, line_break, key.key, literal);
  if (closed) result += line_break;
  return result;
}

std::string InsertKey(const TomlDocument& document, const toml::table& table, const Key& key,
                      const std::string& literal) {
  const Written written = HowWritten(document, table, key.table);
  if (written == Written::kOnlyImplied) return AppendTable(document.text(), key, literal);
  const toml::source_position begin = table.source().begin;
  const toml::node* last = LastValue(table, {begin, NextHeader(document, document.root(), begin)});
  std::string indent;
  size_t after = document.Offset(begin);
  if (last != nullptr) {
    const ByteRange range = document.Range(*last);
    const std::string_view line = document.Line(range.begin);
    indent = line.substr(0, std::min(line.find_first_not_of(" \t"), line.size()));
    after = range.end;
  }
  const std::string prefix = written == Written::kDottedKeys ? fmt::format("{}.", key.table) : "";
  std::string text = document.text();
  InsertLineAfter(text, after, fmt::format("{}{}{} = {}", indent, prefix, key.key, literal));
  return text;
}

// `document` is edit.text, parsed.
Status SetKey(const TomlDocument& document, const Key& key, const Value& value, ConfigEdit& edit) {
  const std::string literal = Literal(value);
  ConfigChange change{fmt::format("{}.{}", key.table, key.key), "", literal};
  const toml::node* parent = document.root().get(key.table);
  if (parent == nullptr) {
    edit.text = AppendTable(edit.text, key, literal);
    edit.changes.push_back(std::move(change));
    return {};
  }
  const toml::table* table = parent->as_table();
  if (table == nullptr) {
    return CantEdit(key, *parent, fmt::format("\"{}\" is not a table", key.table).c_str(),
                    "rename it there, or write the settings by hand");
  }
  const toml::node* node = table->get(key.key);
  if (node != nullptr && Equals(*node, value)) return {};
  if (table->is_inline()) {
    return CantEdit(key, *table, fmt::format("\"{}\" is an inline table", key.table).c_str(),
                    "write it as a [table] with one key a line");
  }
  if (node != nullptr && !node->is_value()) {
    return CantEdit(key, *node, "it holds a table or an array, not one value",
                    "rename it there, or write the settings by hand");
  }
  if (node == nullptr) {
    edit.text = InsertKey(document, *table, key, literal);
  } else {
    const ByteRange range = document.Range(*node);
    change.before = edit.text.substr(range.begin, range.end - range.begin);
    edit.text.replace(range.begin, range.end - range.begin, literal);
  }
  edit.changes.push_back(std::move(change));
  return {};
}

// Sets the same keys in the parsed original, where no byte positions are involved.
toml::table Expected(toml::table root, const Applied& applied) {
  for (const Key& key : kKeys) {
    const std::optional<Value> value = key.value(applied);
    if (!value) continue;
    toml::table& table = *root.insert(key.table, toml::table{}).first->second.as_table();
    const toml::node* node = table.get(key.key);
    if (node != nullptr && Equals(*node, *value)) continue;
    std::visit([&](const auto& plain) { table.insert_or_assign(key.key, plain); }, *value);
  }
  return root;
}

}  // namespace

Result<ConfigEdit> EditConfigToml(const std::string& text, const Applied& applied) {
  TRY_STATUS(CheckApplied(applied));
  if (!IsUtf8(applied.name)) {
    return Error{Code::kInvalid, "the model's name is not UTF-8, and a TOML file is",
                 "give the model another name"};
  }
  TRY(const TomlDocument before, TomlDocument::Parse(text));
  const Error botched{Code::kInternal, "editing the file would have changed more than was meant",
                      "nothing was written; please report this with the file"};
  ConfigEdit edit{text, {}};
  for (const Key& key : kKeys) {
    const std::optional<Value> value = key.value(applied);
    if (!value) continue;
    const Result<TomlDocument> document = TomlDocument::Parse(edit.text);
    if (!document) return botched;
    TRY_STATUS(SetKey(*document, key, *value, edit));
  }
  const Result<TomlDocument> after = TomlDocument::Parse(edit.text);
  if (!after || !SameToml(after->root(), Expected(before.root(), applied))) return botched;
  return edit;
}

}  // namespace trimma
