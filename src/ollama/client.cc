#include "ollama/client.h"

#include <cpp-httplib/httplib.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <exception>

#include "base/child.h"
#include "base/text.h"

namespace trimma {
namespace {

constexpr size_t kMostBodyBytes = 64 << 10;

// The body of a successful answer, or nullopt.
std::optional<std::string> Get(const OllamaAddress& address, const char* path, double timeout_s) {
  const auto timeout =
      std::chrono::microseconds(static_cast<int64_t>(std::clamp(timeout_s, 0.001, 3600.0) * 1e6));
  httplib::Client client(address.host, address.port);
  client.set_connection_timeout(timeout);
  client.set_read_timeout(timeout);
  client.set_write_timeout(timeout);
  client.set_max_timeout(std::chrono::duration_cast<std::chrono::milliseconds>(timeout));
  const auto deadline = std::chrono::steady_clock::now() + timeout;
  std::string body;
  const httplib::Result result = client.Get(path, [&](const char* data, size_t bytes) {
    // A server that drips or never ends is cut off here.
    if (body.size() + bytes > kMostBodyBytes) return false;
    if (std::chrono::steady_clock::now() > deadline) return false;
    body.append(data, bytes);
    return true;
  });
  if (!result || result->status != 200) return std::nullopt;
  return body;
}

std::optional<OllamaInfo> Ask(const OllamaAddress& address, double timeout_s) {
  const std::optional<std::string> body = Get(address, "/api/version", timeout_s);
  if (!body) return std::nullopt;
  const Json json = Json::parse(*body, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) return std::nullopt;
  const auto version = json.find("version");
  if (version == json.end() || !version->is_string()) return std::nullopt;
  const std::string text = SafeText(version->get<std::string>(), 64);
  if (text.empty()) return std::nullopt;
  return OllamaInfo{text, address.Text()};
}

}  // namespace

std::optional<OllamaInfo> FindOllama(double timeout_s) {
  const char* variable = std::getenv("OLLAMA_HOST");
  const std::optional<OllamaAddress> address = ParseOllamaHost(variable == nullptr ? "" : variable);
  if (!address) return std::nullopt;
  try {
    return Ask(*address, timeout_s);
  } catch (const std::exception&) {  // of httplib: whatever it is, no Ollama answered
    return std::nullopt;
  }
}

}  // namespace trimma
