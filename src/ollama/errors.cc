#include "ollama/errors.h"

#include <fmt/format.h>

#include "base/text.h"
#include "ollama/types.h"

namespace trimma {
namespace {

constexpr size_t kMostSentence = 600;

Code CodeOf(int status) {
  switch (status) {
    case 400:
      return Code::kInvalid;
    case 401:
    case 403:
      return Code::kPermission;
    case 404:
      return Code::kNotFound;
    case 409:
    case 429:
    case 503:
      return Code::kBusy;
    default:
      return Code::kFailure;
  }
}

// What Ollama says of a model that is too new for it: at pull (412), at load of an unknown
// architecture.
bool WantsNewerOllama(int status, const std::string& sentence) {
  const std::string lower = ToLower(sentence);
  return status == 412 || lower.find("newer version of ollama") != std::string::npos ||
         lower.find("unknown model architecture") != std::string::npos ||
         lower.find("unsupported model architecture") != std::string::npos;
}

}  // namespace

Error OllamaSaid(int status, const std::string& sentence, const std::string& version) {
  Error error{CodeOf(status), fmt::format("{}{}", kOllamaSays, SafeText(sentence, kMostSentence)),
              ""};
  if (WantsNewerOllama(status, sentence)) {
    error.hint = fmt::format("update Ollama, which is {} here: https://ollama.com/download",
                             version.empty() ? "of unknown version" : version);
  } else if (error.code == Code::kNotFound) {
    error.hint = "trimma models, or ollama list, names what is there";
  } else if (error.code == Code::kFailure) {
    error.hint = "look at its log";
  }
  return error;
}

Error OllamaRefused(int status, const std::string& body, const std::string& version) {
  const auto json = ParseAnswer(body);
  if (json.ok() && json->is_object() && json->contains("error") && (*json)["error"].is_string())
    return OllamaSaid(status, (*json)["error"].get<std::string>(), version);
  if (status == 404) return OllamaSaid(status, "not found", version);
  return {Code::kInvalid, fmt::format("the server answered with status {}, unlike Ollama", status),
          "see that OLLAMA_HOST names an Ollama"};
}

std::string WithTag(const std::string& model) {
  const size_t slash = model.rfind('/');
  const size_t colon = model.rfind(':');
  const bool has_tag = colon != std::string::npos && (slash == std::string::npos || colon > slash);
  return has_tag ? model : model + ":latest";
}

}  // namespace trimma
