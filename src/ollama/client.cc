#include "ollama/client.h"

#include <fmt/format.h>

#include <cstdlib>

#include "base/file.h"
#include "base/text.h"
#include "net/session.h"
#include "ollama/answer_stream.h"
#include "ollama/errors.h"

namespace trimma {
namespace {

constexpr size_t kMostVersionBytes = 64 << 10;
// A model may take as long to load as Ollama allows it (OLLAMA_LOAD_TIMEOUT, 5 minutes).
constexpr double kLoadSeconds = 330;
// Ollama hashes what was uploaded, and writes it to its disk, before it answers.
constexpr double kStoreSeconds = 600;
// However lively the server: no answer, and no making of a model, takes longer than this.
constexpr double kLongestAnswerSeconds = 3600;
constexpr double kLongestMakingSeconds = 4 * 3600;

Peer PeerAt(const OllamaAddress& address) {
  return {address.host,
          address.port,
          "Ollama",
          "start it (ollama serve), or set OLLAMA_HOST",
          "see that OLLAMA_HOST names an Ollama",
          /*keep_open=*/true};
}

Result<std::string> AskVersion(HttpSession& session, double timeout_s) {
  HttpCall call;
  call.path = "/api/version";
  call.limits = {timeout_s, timeout_s, timeout_s, kMostVersionBytes};
  TRY(const HttpReply reply, session.Call(call));
  const Error other{Code::kInvalid, "what answers there is no Ollama",
                    "see that OLLAMA_HOST names an Ollama"};
  if (reply.status != 200) return other;
  TRY(const Json json, ParseAnswer(reply.body));
  const auto version = json.is_object() ? json.find("version") : json.end();
  if (version == json.end() || !version->is_string()) return other;
  std::string text = SafeText(version->get<std::string>(), 64);
  if (text.empty()) return other;
  return text;
}

Result<OllamaAddress> AddressFromEnvironment() {
  const char* variable = std::getenv("OLLAMA_HOST");
  const auto address = ParseOllamaHost(variable == nullptr ? "" : variable);
  if (!address) {
    return Error{Code::kUsage, "OLLAMA_HOST names an https server, which trimma does not speak to",
                 "set it to http://HOST:PORT"};
  }
  return *address;
}

}  // namespace

std::optional<OllamaInfo> FindOllama(double timeout_s) {
  const auto address = AddressFromEnvironment();
  if (!address.ok()) return std::nullopt;
  const auto client = OllamaClient::ConnectTo(*address, timeout_s);
  if (!client.ok()) return std::nullopt;
  return OllamaInfo{client->version(), address->Text()};
}

OllamaClient::OllamaClient(const OllamaAddress& address, std::unique_ptr<HttpSession> session)
    : address_(address), session_(std::move(session)) {}
OllamaClient::OllamaClient(OllamaClient&&) noexcept = default;
OllamaClient::~OllamaClient() = default;

Result<OllamaClient> OllamaClient::Connect() {
  TRY(const OllamaAddress address, AddressFromEnvironment());
  return ConnectTo(address);
}

Result<OllamaClient> OllamaClient::ConnectTo(const OllamaAddress& address,
                                             std::optional<double> patience_s) {
  constexpr double kPatience = 5;
  OllamaClient client(address, std::make_unique<HttpSession>(PeerAt(address)));
  client.patience_s_ = patience_s;
  auto version = AskVersion(*client.session_, patience_s.value_or(kPatience));
  if (!version.ok()) {
    Error error = version.error();
    if (error.code == Code::kInvalid)
      error.what = fmt::format("what answers at {} is no Ollama", address.Text());
    return error;
  }
  client.version_ = *std::move(version);
  return client;
}

Result<Json> OllamaClient::Ask(const char* method, const std::string& path, const Json& body) {
  HttpCall call;
  call.method = method;
  call.path = path;
  if (!body.is_null()) call.body = body.dump(-1, ' ', false, Json::error_handler_t::replace);
  if (patience_s_) {
    call.limits.connect_s = call.limits.silence_s = *patience_s_;
    call.limits.total_s = patience_s_;
  }
  TRY(const HttpReply reply, session_->Call(call));
  if (reply.status < 200 || reply.status >= 300)
    return OllamaRefused(reply.status, reply.body, version_);
  if (reply.body.empty()) return Json();
  return ParseAnswer(reply.body);
}

Result<std::vector<OllamaTag>> OllamaClient::Tags() {
  TRY(const Json json, Ask("GET", "/api/tags", Json()));
  return ParseTags(json);
}

Result<std::vector<OllamaLoaded>> OllamaClient::Loaded() {
  TRY(const Json json, Ask("GET", "/api/ps", Json()));
  return ParseLoaded(json);
}

Result<OllamaShow> OllamaClient::Show(const std::string& model) {
  TRY(const Json json, Ask("POST", "/api/show", {{"model", model}}));
  return ParseShow(json);
}

Result<std::optional<OllamaTag>> OllamaClient::FindTag(const std::string& model) {
  TRY(const std::vector<OllamaTag> tags, Tags());
  const std::string wanted = ToLower(WithTag(model));
  for (const OllamaTag& tag : tags)
    if (ToLower(WithTag(tag.name)) == wanted) return std::optional(tag);
  return std::optional<OllamaTag>();
}

Result<bool> OllamaClient::HasBlob(const std::string& digest) {
  CHECK(IsOllamaDigest(digest));
  HttpCall call;
  call.method = "HEAD";
  call.path = "/api/blobs/" + digest;
  TRY(const HttpReply reply, session_->Call(call));
  if (reply.status == 200) return true;
  if (reply.status == 404) return false;
  return OllamaRefused(reply.status, reply.body, version_);
}

Status OllamaClient::Upload(const std::string& digest, const std::string& path,
                            const std::function<void(double share)>& progress) {
  CHECK(IsOllamaDigest(digest));
  TRY(const InputFile file, InputFile::Open(path));
  HttpCall call;
  call.method = "POST";
  call.path = "/api/blobs/" + digest;
  call.limits.silence_s = kStoreSeconds;
  const double whole = std::max<double>(1, static_cast<double>(file.bytes()));
  TRY(const HttpReply reply,
      session_->Upload(call, file.bytes(), [&](uint64_t offset, char* to, size_t bytes) -> Status {
        TRY_STATUS(file.ReadAt(offset, to, bytes));
        if (progress) progress(static_cast<double>(offset + bytes) / whole);
        return {};
      }));
  if (reply.status == 200 || reply.status == 201) return {};
  return OllamaRefused(reply.status, reply.body, version_);
}

Status OllamaClient::Create(const OllamaCreate& create,
                            const std::function<void(const std::string&)>& status) {
  HttpCall call;
  call.method = "POST";
  call.path = "/api/create";
  call.body = ToJson(create).dump(-1, ' ', false, Json::error_handler_t::replace);
  call.limits.silence_s = kStoreSeconds;
  call.limits.total_s = kLongestMakingSeconds;
  bool success = false;
  TRY(const HttpReply reply, session_->Lines(call, [&](std::string_view text) -> Status {
    TRY(const Json line, ParseAnswer(text));
    if (!line.is_object())
      return Error{Code::kInvalid, "the server's answer is not what Ollama answers", ""};
    TRY_STATUS(ErrorInLine(line, version_));
    const auto said = line.find("status");
    if (said == line.end() || !said->is_string()) return {};
    success = *said == "success";
    if (status) status(SafeText(said->get<std::string>()));
    return {};
  }));
  if (reply.status != 200) return OllamaRefused(reply.status, reply.body, version_);
  if (!success) {
    return Error{Code::kFailure,
                 fmt::format("Ollama did not finish making {}", SafeText(create.name)),
                 "look at its log"};
  }
  return {};
}

Status OllamaClient::Copy(const std::string& from, const std::string& to) {
  TRY_STATUS(Ask("POST", "/api/copy", {{"source", from}, {"destination", to}}));
  return {};
}

Status OllamaClient::Delete(const std::string& model) {
  TRY_STATUS(Ask("DELETE", "/api/delete", {{"model", model}}));
  return {};
}

Result<OllamaAnswer> OllamaClient::Answer(const char* path, const Json& body,
                                          AnswerStream& stream) {
  HttpCall call;
  call.method = "POST";
  call.path = path;
  call.body = body.dump(-1, ' ', false, Json::error_handler_t::replace);
  call.limits.silence_s = kLoadSeconds;
  call.limits.total_s = stream.wish().deadline_s.value_or(kLongestAnswerSeconds);
  const auto reply =
      session_->Lines(call, [&](std::string_view line) { return stream.Take(line, version_); });
  if (reply.ok() && reply->status != 200)
    return OllamaRefused(reply->status, reply->body, version_);
  return stream.Finish(reply.ok() ? Status() : Status(reply.error()));
}

Result<OllamaAnswer> OllamaClient::Generate(const OllamaPrompt& prompt,
                                            const std::function<void(std::string_view)>& on_text) {
  Json body = {{"model", prompt.model}, {"stream", true}, {"options", prompt.options}};
  if (!prompt.text.empty()) {
    body["prompt"] = prompt.text;
    body["raw"] = true;
  }
  if (prompt.keep_alive) body["keep_alive"] = *prompt.keep_alive;
  AnswerStream stream({prompt.model, prompt.most_seconds, prompt.deadline_s, on_text});
  return Answer("/api/generate", body, stream);
}

Result<OllamaAnswer> OllamaClient::Chat(const OllamaChat& chat,
                                        const std::function<void(std::string_view)>& on_text) {
  Json messages = Json::array();
  for (const OllamaMessage& message : chat.messages)
    messages.push_back({{"role", message.role}, {"content", message.content}});
  const Json body = {
      {"model", chat.model}, {"messages", messages}, {"stream", true}, {"options", chat.options}};
  AnswerStream stream({chat.model, chat.most_seconds, std::nullopt, on_text});
  return Answer("/api/chat", body, stream);
}

Result<OllamaAnswer> OllamaClient::Load(const std::string& model, const Json& options) {
  OllamaPrompt prompt;
  prompt.model = model;
  prompt.options = options;
  return Generate(prompt, {});
}

void OllamaClient::IgnoreInterrupts() { session_->IgnoreInterrupts(); }

Status OllamaClient::Unload(const std::string& model) {
  TRY_STATUS(Ask("POST", "/api/generate", {{"model", model}, {"keep_alive", 0}}));
  return {};
}

}  // namespace trimma
