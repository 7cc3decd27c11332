#include "llama_server/server.h"

#include <fmt/format.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <thread>

#include "base/clock.h"
#include "base/file.h"
#include "base/interrupt.h"
#include "base/text.h"
#include "base/units.h"
#include "net/json.h"
#include "net/session.h"

namespace trimma {
namespace {

constexpr double kHealthSeconds = 2;
constexpr auto kFirstStep = std::chrono::milliseconds(2);
constexpr auto kLongestStep = std::chrono::milliseconds(50);
constexpr int kPorts = 3;  // that are tried, where somebody else takes them in between
constexpr double kShortSeconds = 60;

// A port that was free a moment ago.
Result<int> FreePort() {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return ErrnoError("open", "a socket", errno);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof address;
  auto* generic = reinterpret_cast<sockaddr*>(&address);
  const bool bound = bind(fd, generic, length) == 0 && getsockname(fd, generic, &length) == 0;
  const int failed = errno;
  close(fd);
  if (!bound) return ErrnoError("bind", "a port of the loopback", failed);
  return static_cast<int>(ntohs(address.sin_port));
}

std::vector<std::string> CommandLine(const LlamaServerProgram& program,
                                     const std::vector<std::string>& arguments, int port) {
  std::vector<std::string> words = {program.path, "--host", "127.0.0.1", "--port",
                                    std::to_string(port)};
  // No page, and nothing from the network.
  for (const char* option : {"--no-webui", "--offline"})
    if (program.Knows(option)) words.emplace_back(option);
  words.insert(words.end(), arguments.begin(), arguments.end());
  return words;
}

Peer PeerAt(int port) {
  return {
      "127.0.0.1",        port, "llama-server", "", "see that --llama-server names a llama-server",
      /*keep_open=*/false};
}

// Until /health says that the model is loaded.
Status WaitUntilReady(TiedProcess& process, int port, double most_seconds) {
  const auto start = Clock::now();
  auto step = kFirstStep;
  HttpSession session(PeerAt(port));
  HttpCall call;
  call.path = "/health";
  call.limits.connect_s = call.limits.silence_s = kHealthSeconds;
  call.limits.total_s = kHealthSeconds;
  call.limits.most_bytes = 64 << 10;
  while (true) {
    TRY_STATUS(CheckInterrupted());
    if (!process.IsRunning()) return process.WhyItEnded();
    const auto reply = session.Call(call);
    // What answers could be somebody else, while ours is about to end for want of the port.
    if (reply.ok() && reply->status == 200 && process.IsRunning()) return {};
    if (reply.ok() && reply->status != 200 && reply->status != 503)
      return ServerRefused(reply->status, reply->body);
    if (SecondsSince(start) > most_seconds) {
      return Error{Code::kFailure,
                   fmt::format("llama-server was not ready within {}", FormatSeconds(most_seconds)),
                   "it was ended; start it by hand with the same options to see what it waits for"};
    }
    std::this_thread::sleep_for(step);
    step = std::min(2 * step, kLongestStep);
  }
}

std::string Dump(const nlohmann::json& json) {
  return json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

nlohmann::json BodyOf(const ServedRequest& request) {
  nlohmann::json body = {{"n_predict", request.most_tokens},
                         {"temperature", 0},
                         {"seed", 1},
                         {"cache_prompt", false},
                         {"stream", request.stream},
                         {"return_tokens", true},
                         {"ignore_eos", request.ignore_end}};
  if (request.tokens.empty()) {
    body["prompt"] = request.text;
  } else {
    body["prompt"] = request.tokens;
  }
  return body;
}

}  // namespace

LlamaServer::LlamaServer(TiedProcess process, std::unique_ptr<HttpSession> session, double load_ms)
    : process_(std::move(process)), session_(std::move(session)), load_ms_(load_ms) {}
LlamaServer::LlamaServer(LlamaServer&&) noexcept = default;
LlamaServer::~LlamaServer() = default;

Result<LlamaServer> LlamaServer::Start(const LlamaServerProgram& program,
                                       const std::vector<std::string>& arguments,
                                       double most_seconds) {
  for (int attempt = 1;; ++attempt) {
    TRY(const int port, FreePort());
    const auto start = Clock::now();
    TRY(TiedProcess process, TiedProcess::Start(CommandLine(program, arguments, port)));
    const Status ready = WaitUntilReady(process, port, most_seconds);
    if (ready.ok()) {
      return LlamaServer(std::move(process), std::make_unique<HttpSession>(PeerAt(port)),
                         1000 * SecondsSince(start));
    }
    const bool again = !process.IsRunning() && PortWasTaken(process.LastWords());
    if (!again || attempt == kPorts) return ready.error();
  }
}

std::optional<std::pair<int, int>> ParseOffloaded(std::string_view log) {
  constexpr std::string_view kBefore = "offloaded ";
  const size_t at = log.rfind(kBefore);
  if (at == std::string_view::npos) return std::nullopt;
  const std::string_view rest = log.substr(at + kBefore.size());
  int layers = 0;
  int all = 0;
  const auto first = std::from_chars(rest.data(), rest.data() + rest.size(), layers);
  if (first.ec != std::errc() || first.ptr == rest.data() + rest.size() || *first.ptr != '/')
    return std::nullopt;
  const auto second = std::from_chars(first.ptr + 1, rest.data() + rest.size(), all);
  if (second.ec != std::errc() || layers < 0 || layers > all) return std::nullopt;
  return std::pair(layers, all);
}

std::optional<std::pair<int, int>> LlamaServer::OffloadedLayers() const {
  return ParseOffloaded(process_.LastWords());
}

Error LlamaServer::Because(const Error& error) {
  // One that dies is seen as a broken connection a moment before it can be reaped.
  constexpr int kLooks = 20;
  if (error.code != Code::kNetwork && error.code != Code::kInvalid) return error;
  for (int i = 0; i < kLooks; ++i) {
    if (!process_.IsRunning()) return process_.WhyItEnded();
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  return error;
}

Result<nlohmann::json> LlamaServer::Post(const std::string& path, const nlohmann::json& body,
                                         double most_seconds) {
  HttpCall call;
  call.method = "POST";
  call.path = path;
  call.body = Dump(body);
  call.limits.silence_s = most_seconds;
  call.limits.total_s = most_seconds;
  const auto reply = session_->Call(call);
  if (!reply.ok()) return Because(reply.error());
  if (reply->status != 200) return ServerRefused(reply->status, reply->body);
  return ParseForeignJson(reply->body, "llama-server's answer");
}

// Server-sent events: "data: {...}" lines; the last one has the figures.
Result<ServedAnswer> LlamaServer::Stream(const nlohmann::json& body, double most_seconds) {
  constexpr std::string_view kData = "data: ";
  HttpCall call;
  call.method = "POST";
  call.path = "/completion";
  call.body = Dump(body);
  call.limits.silence_s = most_seconds;
  call.limits.total_s = most_seconds;
  std::optional<ServedAnswer> last;
  std::optional<double> first_ms;
  std::string text;
  const auto start = Clock::now();
  const auto reply = session_->Lines(call, [&](std::string_view line) -> Status {
    if (line.starts_with("error: ")) return ServerRefused(500, std::string(line.substr(7)));
    if (!line.starts_with(kData) || line.substr(kData.size()) == "[DONE]") return {};
    const double now = 1000 * SecondsSince(start);
    TRY(const nlohmann::json piece,
        ParseForeignJson(line.substr(kData.size()), "llama-server's answer"));
    if (piece.is_object() && piece.contains("error"))
      return ServerRefused(500, std::string(line.substr(kData.size())));
    if (!first_ms) first_ms = now;
    text += piece.is_object() ? TextOf(piece, "content").value_or("") : "";
    const bool ends = piece.is_object() && piece.value("stop", nlohmann::json()) == true;
    if (!ends) return {};
    TRY(last, ParseCompletion(piece));
    return {};
  });
  if (!reply.ok()) return Because(reply.error());
  if (reply->status != 200) return ServerRefused(reply->status, reply->body);
  if (!last) {
    return Because({Code::kNetwork, "llama-server broke off in the middle of an answer", ""});
  }
  last->text = text;
  last->first_ms = first_ms;
  last->total_s = SecondsSince(start);
  return *std::move(last);
}

Result<ServedAnswer> LlamaServer::Complete(const ServedRequest& request) {
  const nlohmann::json body = BodyOf(request);
  if (request.stream) return Stream(body, request.most_seconds);
  const auto start = Clock::now();
  TRY(const nlohmann::json json, Post("/completion", body, request.most_seconds));
  TRY(ServedAnswer answer, ParseCompletion(json));
  answer.total_s = SecondsSince(start);
  return answer;
}

Result<std::vector<int32_t>> LlamaServer::Tokenize(const std::string& text) {
  TRY(const nlohmann::json json,
      Post("/tokenize", {{"content", text}, {"add_special", true}}, kShortSeconds));
  const Error nonsense{Code::kInvalid, "llama-server's tokens are no list of numbers",
                       "see that --llama-server names a llama-server"};
  const auto found = json.is_object() ? json.find("tokens") : json.end();
  if (!json.is_object() || found == json.end() || !found->is_array()) return nonsense;
  std::vector<int32_t> tokens;
  for (const nlohmann::json& token : *found) {
    if (!token.is_number_integer()) return nonsense;
    tokens.push_back(token.get<int32_t>());
  }
  return tokens;
}

Result<std::optional<std::string>> LlamaServer::ApplyTemplate(const std::string& message) {
  HttpCall call;
  call.method = "POST";
  call.path = "/apply-template";
  const nlohmann::json said = {{"role", "user"}, {"content", message}};
  call.body = Dump({{"messages", nlohmann::json::array({said})}});
  call.limits.silence_s = call.limits.total_s.emplace(kShortSeconds);
  const auto reply = session_->Call(call);
  if (!reply.ok()) return Because(reply.error());
  if (reply->status == 404) return std::optional<std::string>();
  if (reply->status != 200) return ServerRefused(reply->status, reply->body);
  TRY(const nlohmann::json json, ParseForeignJson(reply->body, "llama-server's answer"));
  const auto prompt = json.is_object() ? TextOf(json, "prompt") : std::nullopt;
  if (!prompt)
    return Error{Code::kInvalid, "llama-server applied a template and gave no prompt", ""};
  return std::optional(*prompt);
}

}  // namespace trimma
