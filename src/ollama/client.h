// A running Ollama, if there is one, and what it can be asked.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "ollama/types.h"

namespace trimma {

struct OllamaInfo {
  std::string version;  // "0.12.3"
  std::string host;     // "127.0.0.1:11434", as it was asked
};

// Asks the server at OLLAMA_HOST, or at 127.0.0.1:11434, within `timeout_s`. nullopt without a
// sound answer.
std::optional<OllamaInfo> FindOllama(double timeout_s = 0.3);

struct OllamaAddress {
  std::string host = "127.0.0.1";
  int port = 11434;
  bool operator==(const OllamaAddress&) const = default;
  std::string Text() const;  // "127.0.0.1:11434", "[::1]:11434"
};

// OLLAMA_HOST as Ollama itself reads it: "", "host", "host:port", ":port", "[::1]:port", each also
// after "http://" (whose port is 80 unless given) and before a path. "Every address" (0.0.0.0, ::)
// becomes this machine. nullopt for https, which trimma does not speak.
std::optional<OllamaAddress> ParseOllamaHost(std::string_view text);

class AnswerStream;
class HttpSession;

// One server's API over one connection. Errors: kNetwork where nobody answers, kInvalid where what
// answers is no Ollama, kNotFound for a model or blob that isn't there, kBusy where it has no
// time, and the server's own sentence (made safe) where it says one. Not thread-safe.
class OllamaClient {
 public:
  // The server at OLLAMA_HOST, asked for its version.
  static Result<OllamaClient> Connect();
  // `patience_s`: each question, but for making models and for texts, gets so long in all; nullopt:
  // as long as an Ollama at work may take.
  static Result<OllamaClient> ConnectTo(const OllamaAddress& address,
                                        std::optional<double> patience_s = std::nullopt);
  OllamaClient(OllamaClient&&) noexcept;
  OllamaClient& operator=(OllamaClient&&) = delete;
  ~OllamaClient();

  const std::string& version() const { return version_; }
  const OllamaAddress& address() const { return address_; }

  Result<std::vector<OllamaTag>> Tags();
  Result<std::vector<OllamaLoaded>> Loaded();
  Result<OllamaShow> Show(const std::string& model);
  // The tag of this name, however it is written; nullopt: there is no such model.
  Result<std::optional<OllamaTag>> FindTag(const std::string& model);

  Result<bool> HasBlob(const std::string& digest);  // "sha256:..."
  // Sends a file whose digest is known. Ollama checks it.
  Status Upload(const std::string& digest, const std::string& path,
                const std::function<void(double share)>& progress);
  Status Create(const OllamaCreate& create, const std::function<void(const std::string&)>& status);
  Status Copy(const std::string& from, const std::string& to);
  Status Delete(const std::string& model);

  // Goes on from a text; `on_text` gets each piece as it arrives, and may be empty.
  Result<OllamaAnswer> Generate(const OllamaPrompt& prompt,
                                const std::function<void(std::string_view)>& on_text);
  // Answers as it would an application. kInvalid, with Ollama's sentence, for a model that can't.
  Result<OllamaAnswer> Chat(const OllamaChat& chat,
                            const std::function<void(std::string_view)>& on_text);
  // Loads without generating, under these options.
  Result<OllamaAnswer> Load(const std::string& model, const Json& options);
  Status Unload(const std::string& model);

  // For taking back what an interrupted command had begun: calls go on.
  void IgnoreInterrupts();

 private:
  OllamaClient(const OllamaAddress& address, std::unique_ptr<HttpSession> session);
  Result<Json> Ask(const char* method, const std::string& path, const Json& body);
  Result<OllamaAnswer> Answer(const char* path, const Json& body, AnswerStream& stream);
  OllamaAddress address_;
  std::string version_;
  std::optional<double> patience_s_;
  std::unique_ptr<HttpSession> session_;
};

}  // namespace trimma
