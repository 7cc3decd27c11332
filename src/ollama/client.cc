#include "ollama/client.h"

#include <fmt/format.h>

#include <chrono>
#include <cstdlib>

#include "base/file.h"
#include "base/text.h"
#include "ollama/errors.h"
#include "ollama/http.h"

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

Result<std::string> AskVersion(HttpSession& session, double timeout_s) {
  HttpCall call;
  call.path = "/api/version";
  call.limits = {timeout_s, timeout_s, timeout_s, kMostVersionBytes};
  TRY(const HttpReply reply, session.Call(call));
  const Error other{Code::kInvalid, "what answers there is no Ollama",
                    "see that OLLAMA_HOST names an Ollama"};
  if (reply.status != 200) return other;
  TRY(const Json json, ParseForeignJson(reply.body));
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

double Seconds(const Json& json, const char* key) {
  const auto field = json.find(key);
  return field != json.end() && field->is_number() ? field->get<double>() / 1e9 : 0;
}

int64_t Count(const Json& json, const char* key) {
  const auto field = json.find(key);
  return field != json.end() && field->is_number_integer() ? field->get<int64_t>() : 0;
}

// {"error": "..."} may come in the middle of a stream of answers.
Status ErrorInLine(const Json& line, const std::string& version) {
  const auto error = line.find("error");
  if (error == line.end()) return {};
  const std::string text = error->is_string() ? error->get<std::string>() : error->dump();
  return OllamaSaid(500, text, version);
}

// Of an answer's last line.
void ReadFigures(const Json& line, OllamaAnswer& answer) {
  constexpr size_t kMostReason = 40;
  const auto reason = line.find("done_reason");
  if (reason != line.end() && reason->is_string())
    answer.done_reason = SafeText(reason->get<std::string>(), kMostReason);
  answer.prompt_tokens = Count(line, "prompt_eval_count");
  answer.answer_tokens = Count(line, "eval_count");
  answer.load_s = Seconds(line, "load_duration");
  answer.prompt_s = Seconds(line, "prompt_eval_duration");
  answer.answer_s = Seconds(line, "eval_duration");
}

}  // namespace

std::optional<OllamaInfo> FindOllama(double timeout_s) {
  const auto address = AddressFromEnvironment();
  if (!address.ok()) return std::nullopt;
  HttpSession session(*address);
  const auto version = AskVersion(session, timeout_s);
  if (!version.ok()) return std::nullopt;
  return OllamaInfo{*version, address->Text()};
}

OllamaClient::OllamaClient(const OllamaAddress& address, std::unique_ptr<HttpSession> session)
    : address_(address), session_(std::move(session)) {}
OllamaClient::OllamaClient(OllamaClient&&) noexcept = default;
OllamaClient::~OllamaClient() = default;

Result<OllamaClient> OllamaClient::Connect() {
  TRY(const OllamaAddress address, AddressFromEnvironment());
  return ConnectTo(address);
}

Result<OllamaClient> OllamaClient::ConnectTo(const OllamaAddress& address) {
  constexpr double kPatience = 5;
  OllamaClient client(address, std::make_unique<HttpSession>(address));
  auto version = AskVersion(*client.session_, kPatience);
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
  TRY(const HttpReply reply, session_->Call(call));
  if (reply.status < 200 || reply.status >= 300)
    return OllamaRefused(reply.status, reply.body, version_);
  if (reply.body.empty()) return Json();
  return ParseForeignJson(reply.body);
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
    TRY(const Json line, ParseForeignJson(text));
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

Result<OllamaAnswer> OllamaClient::Generate(const OllamaPrompt& prompt,
                                            const std::function<void(std::string_view)>& on_text) {
  Json body = {{"model", prompt.model}, {"stream", true}, {"options", prompt.options}};
  if (!prompt.text.empty()) {
    body["prompt"] = prompt.text;
    body["raw"] = prompt.raw;
  }
  if (prompt.keep_alive) body["keep_alive"] = *prompt.keep_alive;
  HttpCall call;
  call.method = "POST";
  call.path = "/api/generate";
  call.body = body.dump(-1, ' ', false, Json::error_handler_t::replace);
  call.limits.silence_s = kLoadSeconds;
  call.limits.total_s = prompt.deadline_s.value_or(kLongestAnswerSeconds);
  OllamaAnswer answer;
  bool done = false;
  bool cut = false;
  const auto start = std::chrono::steady_clock::now();
  const auto since = [&] {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  };
  const auto take = [&](std::string_view text) -> Status {
    TRY(const Json line, ParseForeignJson(text));
    if (!line.is_object())
      return Error{Code::kInvalid, "the server's answer is not what Ollama answers", ""};
    TRY_STATUS(ErrorInLine(line, version_));
    const auto piece = line.find("response");
    if (piece != line.end() && piece->is_string()) {
      const auto& words = piece->get_ref<const std::string&>();
      if (!words.empty()) {
        answer.last_text_s = since();
        if (++answer.pieces == 1) answer.first_text_s = answer.last_text_s;
        if (on_text) on_text(words);
      }
      answer.text += words;
    }
    done = line.contains("done") && line["done"].is_boolean() && line["done"].get<bool>();
    if (done) ReadFigures(line, answer);
    cut = !done && prompt.most_seconds && since() > *prompt.most_seconds;
    return cut ? Status(Error{Code::kFailure, "cut", ""}) : Status();
  };
  const auto reply = session_->Lines(call, take);
  cut = cut || (prompt.deadline_s && since() >= *prompt.deadline_s &&
                (reply.ok() || reply.error().code == Code::kNetwork));
  if (!reply.ok() && !cut) return reply.error();
  if (reply.ok() && reply->status != 200)
    return OllamaRefused(reply->status, reply->body, version_);
  if (!done && !cut && !prompt.most_seconds) {
    return Error{
        Code::kNetwork,
        fmt::format("Ollama broke off in the middle of an answer of {}", SafeText(prompt.model)),
        "look at its log"};
  }
  if (!done) answer.done_reason = "cut";
  answer.total_s = since();
  return answer;
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
