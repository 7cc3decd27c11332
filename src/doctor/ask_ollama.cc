#include "doctor/ask_ollama.h"

#include <cpp-httplib/httplib.h>
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <exception>

#include "base/text.h"

namespace trimma {
namespace {

// /api/show of a model with a licence and a large vocabulary stays below this.
constexpr size_t kMostBodyBytes = 16 << 20;

Error Nonsense(const OllamaAddress& address, const char* path) {
  return {
      Code::kInvalid,
      fmt::format("what answers at {} is no Ollama, or a broken one ({})", address.Text(), path),
      ""};
}

// The JSON object that answers; `body` "" is a GET.
Result<Json> Ask(const OllamaAddress& address, const char* path, const std::string& body,
                 double timeout_s) {
  const auto timeout =
      std::chrono::microseconds(static_cast<int64_t>(std::clamp(timeout_s, 0.001, 3600.0) * 1e6));
  std::string answer;
  int status = 0;
  try {
    httplib::Client client(address.host, address.port);
    client.set_connection_timeout(timeout);
    client.set_read_timeout(timeout);
    client.set_write_timeout(timeout);
    client.set_max_timeout(std::chrono::duration_cast<std::chrono::milliseconds>(timeout));
    const auto receive = [&](const char* data, size_t bytes) {
      if (answer.size() + bytes > kMostBodyBytes) return false;
      answer.append(data, bytes);
      return true;
    };
    const httplib::Result result =
        body.empty() ? client.Get(path, receive)
                     : client.Post(path, httplib::Headers{}, body, "application/json", receive);
    if (!result)
      return Error{Code::kNetwork, fmt::format("no Ollama answers at {}", address.Text()), ""};
    status = result->status;
  } catch (const std::exception&) {  // of httplib
    return Error{Code::kNetwork, fmt::format("no Ollama answers at {}", address.Text()), ""};
  }
  Json json = Json::parse(answer, nullptr, /*allow_exceptions=*/false);
  if (status != 200 || !json.is_object()) return Nonsense(address, path);
  return json;
}

uint64_t Bytes(const Json& object, const char* field) {
  const auto found = object.find(field);
  return found != object.end() && found->is_number_unsigned() ? found->get<uint64_t>() : 0;
}

// The array "models" of an answer, and the name of each.
Result<std::vector<std::pair<std::string, Json>>> Models(const OllamaAddress& address,
                                                         const char* path, double timeout_s) {
  TRY(const Json json, Ask(address, path, "", timeout_s));
  const auto models = json.find("models");
  if (models == json.end() || !models->is_array()) return Nonsense(address, path);
  std::vector<std::pair<std::string, Json>> list;
  for (const Json& model : *models) {
    if (!model.is_object() || !model.contains("name") || !model["name"].is_string())
      return Nonsense(address, path);
    list.emplace_back(model["name"].get<std::string>(), model);
  }
  return list;
}

}  // namespace

Result<std::string> AskVersion(const OllamaAddress& address, double timeout_s) {
  TRY(const Json json, Ask(address, "/api/version", "", timeout_s));
  const auto version = json.find("version");
  if (version == json.end() || !version->is_string()) return Nonsense(address, "/api/version");
  return SafeText(version->get<std::string>(), 64);
}

Result<std::vector<LoadedModel>> AskLoaded(const OllamaAddress& address, double timeout_s) {
  TRY(const auto models, Models(address, "/api/ps", timeout_s));
  std::vector<LoadedModel> loaded;
  for (const auto& [name, json] : models) {
    LoadedModel model;
    model.name = SafeText(name, 200);
    model.bytes = Bytes(json, "size");
    model.vram_bytes = Bytes(json, "size_vram");
    if (const uint64_t context = Bytes(json, "context_length"); context > 0)
      model.context = context;
    if (model.bytes == 0 || model.vram_bytes > model.bytes) return Nonsense(address, "/api/ps");
    loaded.push_back(model);
  }
  return loaded;
}

Result<std::vector<std::string>> AskNames(const OllamaAddress& address, double timeout_s) {
  TRY(const auto models, Models(address, "/api/tags", timeout_s));
  std::vector<std::string> names;
  for (const auto& [name, json] : models) names.push_back(name);
  return names;
}

Result<Json> AskModel(const OllamaAddress& address, const std::string& name, double timeout_s) {
  return Ask(address, "/api/show",
             Json{{"model", name}}.dump(-1, ' ', false, Json::error_handler_t::replace), timeout_s);
}

std::map<std::string, std::string> ParameterLines(std::string_view text) {
  std::map<std::string, std::string> parameters;
  for (const std::string& line : Split(text, '\n')) {
    const std::string_view trimmed = Trim(line);
    const size_t blank = trimmed.find_first_of(" \t");
    if (blank == std::string_view::npos) continue;
    parameters[std::string(trimmed.substr(0, blank))] = Trim(trimmed.substr(blank));
  }
  return parameters;
}

}  // namespace trimma
