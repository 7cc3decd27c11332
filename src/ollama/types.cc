#include "ollama/types.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <filesystem>

#include "base/text.h"
#include "net/json.h"

namespace trimma {
namespace {

constexpr size_t kHexDigits = 64;
constexpr size_t kMostNameBytes = 400;
// What Ollama's names, and so its API, are made of is short; what is longer is none of it.
constexpr size_t kMostModels = 100000;

Error NotOllama(const char* what) {
  return {Code::kInvalid, fmt::format("the server's {} is not what Ollama answers", what),
          "see that OLLAMA_HOST names an Ollama"};
}

std::string Text(const Json& object, const char* key) {
  const auto field = object.find(key);
  return field != object.end() && field->is_string() ? field->get<std::string>() : "";
}

uint64_t Number(const Json& object, const char* key) {
  const auto field = object.find(key);
  if (field == object.end() || !field->is_number_integer()) return 0;
  return field->is_number_unsigned() ? field->get<uint64_t>()
                                     : static_cast<uint64_t>(std::max<int64_t>(0, *field));
}

const Json& Object(const Json& object, const char* key) {
  static const Json empty = Json::object();
  const auto field = object.find(key);
  return field != object.end() && field->is_object() ? *field : empty;
}

// "name" of new servers, "model" of some.
std::string NameIn(const Json& object) {
  const std::string name = Text(object, "name");
  const std::string found = name.empty() ? Text(object, "model") : name;
  return found.size() <= kMostNameBytes && SafeText(found, kMostNameBytes) == found ? found : "";
}

// Rows of {"models": [...]}.
Result<const Json*> Rows(const Json& json, const char* what) {
  if (!json.is_object()) return NotOllama(what);
  const auto models = json.find("models");
  if (models == json.end()) return NotOllama(what);
  if (models->is_null()) {  // a Go list without elements
    static const Json none = Json::array();
    return &none;
  }
  if (!models->is_array() || models->size() > kMostModels) return NotOllama(what);
  const auto is_row = [](const Json& row) { return row.is_object() && !NameIn(row).empty(); };
  if (!std::all_of(models->begin(), models->end(), is_row)) return NotOllama(what);
  return &*models;
}

// ".../blobs/sha256-<hex>" as "sha256:<hex>"; "" for another file.
std::string DigestOfBlobPath(std::string_view path) {
  const size_t slash = path.find_last_of("/\\");
  std::string name(slash == std::string_view::npos ? path : path.substr(slash + 1));
  if (name.starts_with("sha256-")) name[6] = ':';
  return IsOllamaDigest(name) ? name : "";
}

// The instructions of a Modelfile that /api/show gives no field for. A value in """ may hold lines
// that look like instructions.
void ReadModelfile(const std::string& text, OllamaShow& show) {
  bool quoted = false;
  for (const std::string& line : Split(text, '\n')) {
    const bool was_quoted = quoted;
    for (size_t at = line.find("\"\"\""); at != std::string::npos; at = line.find("\"\"\"", at + 3))
      quoted = !quoted;
    if (was_quoted) continue;
    const size_t blank = line.find(' ');
    if (blank == std::string::npos) continue;
    const std::string word = line.substr(0, blank);
    const std::string value(Trim(std::string_view(line).substr(blank)));
    if (word == "FROM") {
      const std::string digest = DigestOfBlobPath(value);
      if (digest.empty()) continue;
      if (show.weights_digest.empty()) {
        show.weights_digest = digest;
      } else {
        show.projector_digests.push_back(digest);
      }
    } else if (word == "ADAPTER") {
      show.has_adapter = true;
    } else if (word == "RENDERER" && show.renderer.empty()) {
      show.renderer = value;
    } else if (word == "PARSER" && show.parser.empty()) {
      show.parser = value;
    }
  }
}

// Text quoted as Go's %#v does; nullopt for other forms.
std::optional<std::string> Unquoted(const std::string& text) {
  if (text.size() >= 2 && text.front() == '`' && text.back() == '`')
    return text.substr(1, text.size() - 2);
  if (text.size() < 2 || text.front() != '"' || text.back() != '"') return std::nullopt;
  // \a, \v, \x and \U are Go's and not JSON's.
  std::string json;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '\\' || i + 1 >= text.size()) {
      json += text[i];
      continue;
    }
    const char escape = text[++i];
    if (escape == 'a') {
      json += "\\u0007";
    } else if (escape == 'v') {
      json += "\\u000b";
    } else if (escape == 'x') {
      json += "\\u00";
    } else if (escape == 'U') {
      return std::nullopt;
    } else {
      json += '\\';
      json += escape;
    }
  }
  const Json parsed = Json::parse(json, nullptr, false);
  if (!parsed.is_string()) return std::nullopt;
  return parsed.get<std::string>();
}

std::optional<Json> ParameterValue(const std::string& text) {
  if (auto quoted = Unquoted(text)) return Json(*quoted);
  if (text == "true" || text == "false") return Json(text == "true");
  const char* end = text.data() + text.size();
  int64_t whole = 0;
  if (const auto r = std::from_chars(text.data(), end, whole); r.ec == std::errc() && r.ptr == end)
    return Json(whole);
  double number = 0;
  if (const auto r = std::from_chars(text.data(), end, number); r.ec == std::errc() && r.ptr == end)
    return Json(number);
  return std::nullopt;
}

}  // namespace

bool IsOllamaDigest(std::string_view text) {
  constexpr std::string_view kStart = "sha256:";
  if (!text.starts_with(kStart) || text.size() != kStart.size() + kHexDigits) return false;
  return text.substr(kStart.size()).find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

std::optional<double> OllamaAnswer::PrefillRate() const {
  if (prompt_tokens < 2 || prompt_s <= 0) return std::nullopt;
  return static_cast<double>(prompt_tokens) / prompt_s;
}

std::optional<double> OllamaAnswer::DecodeRate() const {
  constexpr int64_t kFewest = 4;
  if (done_reason == "cut") {
    if (pieces < kFewest || last_text_s <= first_text_s) return std::nullopt;
    return static_cast<double>(pieces - 1) / (last_text_s - first_text_s);
  }
  if (answer_tokens < kFewest || answer_s <= 0) return std::nullopt;
  return static_cast<double>(answer_tokens) / answer_s;
}

Result<std::vector<OllamaTag>> ParseTags(const Json& json) {
  TRY(const Json* rows, Rows(json, "list of models"));
  std::vector<OllamaTag> tags;
  for (const Json& row : *rows) {
    tags.push_back({NameIn(row), Text(row, "digest"), Number(row, "size"),
                    Text(Object(row, "details"), "quantization_level")});
  }
  return tags;
}

Result<std::vector<OllamaLoaded>> ParseLoaded(const Json& json) {
  TRY(const Json* rows, Rows(json, "list of loaded models"));
  std::vector<OllamaLoaded> loaded;
  for (const Json& row : *rows) {
    const uint64_t context = Number(row, "context_length");
    loaded.push_back({NameIn(row), Text(row, "digest"), Number(row, "size"),
                      Number(row, "size_vram"),
                      context > 0 ? std::optional(context) : std::nullopt});
  }
  return loaded;
}

Result<OllamaShow> ParseShow(const Json& json) {
  if (!json.is_object() || !json.contains("details") || !json["details"].is_object())
    return NotOllama("description of a model");
  OllamaShow show;
  show.chat_template = Text(json, "template");
  show.system = Text(json, "system");
  show.license = Text(json, "license");
  show.renderer = Text(json, "renderer");
  show.parser = Text(json, "parser");
  show.needs_version = Text(json, "requires");
  show.parameters = ParseParameters(Text(json, "parameters"));
  const auto messages = json.find("messages");
  if (messages != json.end() && messages->is_array()) show.messages = *messages;
  show.type = Text(json["details"], "quantization_level");
  show.family = Text(json["details"], "family");
  const auto capabilities = json.find("capabilities");
  if (capabilities != json.end() && capabilities->is_array()) {
    for (const Json& capability : *capabilities)
      if (capability.is_string()) show.capabilities.push_back(capability);
  }
  ReadModelfile(Text(json, "modelfile"), show);
  const Json& info = Object(json, "model_info");
  show.architecture = Text(info, "general.architecture");
  show.layers = Number(info, (show.architecture + ".block_count").c_str());
  show.trained_context = Number(info, (show.architecture + ".context_length").c_str());
  show.has_projector = !Object(json, "projector_info").empty();
  return show;
}

Json ParseParameters(const std::string& text) {
  Json parameters = Json::object();
  for (const std::string& line : Split(text, '\n')) {
    const std::string_view trimmed = Trim(line);
    const size_t blank = trimmed.find(' ');
    if (blank == std::string_view::npos) continue;
    const std::string name(trimmed.substr(0, blank));
    const auto value = ParameterValue(std::string(Trim(trimmed.substr(blank))));
    if (!value) continue;
    // The one parameter that is a list, also with a single element.
    if (name == "stop" || parameters.contains(name)) {
      Json& list = parameters[name];
      if (!list.is_array()) list = list.is_null() ? Json::array() : Json::array({list});
      list.push_back(*value);
    } else {
      parameters[name] = *value;
    }
  }
  return parameters;
}

Json ToJson(const OllamaCreate& create) {
  Json json = {{"model", create.name}, {"parameters", create.parameters}};
  if (!create.from.empty()) json["from"] = create.from;
  for (size_t i = 0; i < create.file_digests.size(); ++i)
    json["files"][i == 0 ? "model.gguf" : fmt::format("projector-{}.gguf", i)] =
        create.file_digests[i];
  const auto add = [&](const char* key, const std::string& value) {
    if (!value.empty()) json[key] = value;
  };
  add("template", create.chat_template);
  add("system", create.system);
  add("license", create.license);
  add("renderer", create.renderer);
  add("parser", create.parser);
  add("requires", create.needs_version);
  if (!create.messages.empty()) json["messages"] = create.messages;
  return json;
}

Result<Json> ParseAnswer(std::string_view text) {
  auto json = ParseForeignJson(text, "the server's answer");
  if (!json.ok()) return NotOllama("answer");
  return *std::move(json);
}

}  // namespace trimma
