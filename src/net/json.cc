#include "net/json.h"

#include <fmt/format.h>

namespace trimma {
namespace {

constexpr int kDeepest = 32;

// Counts brackets outside strings; what is no JSON is refused by the parser afterwards.
bool IsTooDeep(std::string_view text) {
  int depth = 0;
  bool quoted = false;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (quoted && c == '\\') {
      ++i;
    } else if (c == '"') {
      quoted = !quoted;
    } else if (!quoted && (c == '[' || c == '{')) {
      if (++depth > kDeepest) return true;
    } else if (!quoted && (c == ']' || c == '}')) {
      --depth;
    }
  }
  return false;
}

}  // namespace

Result<nlohmann::json> ParseForeignJson(std::string_view text, const std::string& what) {
  if (IsTooDeep(text)) {
    return Error{Code::kInvalid, fmt::format("{} is nested too deeply", what), ""};
  }
  nlohmann::json json = nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (json.is_discarded()) return Error{Code::kInvalid, fmt::format("{} is no JSON", what), ""};
  return json;
}

std::optional<std::string> TextOf(const nlohmann::json& object, const char* key) {
  if (!object.is_object()) return std::nullopt;
  const auto field = object.find(key);
  if (field == object.end() || !field->is_string()) return std::nullopt;
  return field->get<std::string>();
}

std::optional<uint64_t> CountOf(const nlohmann::json& object, const char* key) {
  if (!object.is_object()) return std::nullopt;
  const auto field = object.find(key);
  if (field == object.end() || !field->is_number_integer()) return std::nullopt;
  if (field->is_number_unsigned()) {
    const auto count = field->get<uint64_t>();
    if (count <= static_cast<uint64_t>(INT64_MAX)) return count;
  } else if (field->get<int64_t>() >= 0) {
    return static_cast<uint64_t>(field->get<int64_t>());
  }
  return std::nullopt;
}

}  // namespace trimma
