#include "net/http.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cstdlib>

#include "base/build_info.h"
#include "base/text.h"
#include "net/curl_api.h"
#include "net/transfer.h"

namespace trimma {
namespace {

constexpr int kPollMilliseconds = 100;
// The protocols by name came with this version; before, they were bits of a number, whose option is
// deprecated since (Ubuntu 22.04 has 7.81).
constexpr unsigned kProtocolNames = 0x075500;
constexpr auto kProtocolBits = static_cast<CURLoption>(CURLOPTTYPE_LONG + 181);

size_t WriteHeader(char* data, size_t size, size_t count, void* transfer) {
  const std::string_view line(data, size * count);
  return static_cast<Transfer*>(transfer)->OnHeader(line) ? line.size() : 0;
}

size_t WriteBody(char* data, size_t size, size_t count, void* transfer) {
  const std::string_view bytes(data, size * count);
  return static_cast<Transfer*>(transfer)->OnBody(bytes) ? bytes.size() : 0;
}

std::string NumberOf(const sockaddr* address) {
  std::array<char, INET6_ADDRSTRLEN> text{};
  const void* bytes = nullptr;
  if (address->sa_family == AF_INET)
    bytes = &reinterpret_cast<const sockaddr_in*>(address)->sin_addr;
  if (address->sa_family == AF_INET6)
    bytes = &reinterpret_cast<const sockaddr_in6*>(address)->sin6_addr;
  if (bytes == nullptr) return "";
  return inet_ntop(address->sa_family, bytes, text.data(), text.size()) == nullptr ? ""
                                                                                   : text.data();
}

// A public name may stand for a private number: what a redirect leads to is looked at once more
// where the connection is made.
curl_socket_t OpenPublicSocket(void*, curlsocktype, curl_sockaddr* address) {
  if (IsPrivate(NumberOf(&address->addr))) return CURL_SOCKET_BAD;
  return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

bool ProxyIsSet() {
  for (const char* name : {"http_proxy", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"}) {
    const char* value = std::getenv(name);
    if (value != nullptr && *value != '\0') return true;
  }
  return false;
}

Error Unreachable(const Url& url, CURLcode code, const std::string& why) {
  std::string hint = "check the network connection, or the proxy in the environment";
  if (code == CURLE_PEER_FAILED_VERIFICATION) hint = "its certificate can't be trusted";
  return {Code::kNetwork,
          fmt::format("{} can't be asked: {}", SafeText(url.Origin(), 100), SafeText(why, 200)),
          hint};
}

}  // namespace

std::string HttpAnswer::Header(const std::string& name) const {
  const auto at = headers.find(name);
  return at == headers.end() ? "" : at->second;
}

struct HttpClient::Curl {
  const CurlApi& api;
  CURLM* multi;
  CURL* easy;
  curl_slist* lines = nullptr;
  std::array<char, CURL_ERROR_SIZE> words{};

  explicit Curl(const CurlApi& loaded)
      : api(loaded), multi(loaded.multi_init()), easy(loaded.easy_init()) {
    CHECK(multi != nullptr && easy != nullptr);
  }
  ~Curl() {
    api.slist_free_all(lines);
    api.easy_cleanup(easy);
    api.multi_cleanup(multi);
  }
  Curl(const Curl&) = delete;
  Curl& operator=(const Curl&) = delete;

  template <typename T>
  void Set(CURLoption option, T value) {
    CHECK(api.easy_setopt(easy, option, value) == CURLE_OK);
  }
  void Line(const std::string& line) { lines = api.slist_append(lines, line.c_str()); }

  void Prepare(const HttpRequest& request, const Url& url, bool with_token) {
    api.easy_reset(easy);
    api.slist_free_all(lines);
    lines = nullptr;
    words[0] = '\0';
    Set(CURLOPT_URL, url.Text().c_str());
    if (api.version >= kProtocolNames) {
      Set(CURLOPT_PROTOCOLS_STR, "http,https");
    } else {
      Set(kProtocolBits, static_cast<long>(CURLPROTO_HTTP | CURLPROTO_HTTPS));
    }
    // A proxy would ask its own machine, and see in clear what is meant for nobody else. A libcurl
    // that knows no proxies refuses the option, and needs none.
    if (IsLoopback(url.host)) (void)api.easy_setopt(easy, CURLOPT_PROXY, "");
    Set(CURLOPT_SSLVERSION, static_cast<long>(CURL_SSLVERSION_TLSv1_2));
    Set(CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_1_1));
    Set(CURLOPT_NOSIGNAL, 1L);
    Set(CURLOPT_FOLLOWLOCATION, 0L);
    Set(CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
    Set(CURLOPT_HEADEROPT, static_cast<long>(CURLHEADER_SEPARATE));
    Set(CURLOPT_USERAGENT, fmt::format("trimma/{}", build_info::kVersion).c_str());
    Set(CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(request.limits.connect_seconds * 1000));
    Set(CURLOPT_ERRORBUFFER, words.data());
    Line("Accept: " + request.accept);
    Line("Accept-Encoding: identity");
    if (with_token) Line("Authorization: Bearer " + request.token);
    if (request.range) {
      const ByteRange& range = *request.range;
      Set(CURLOPT_RANGE, fmt::format("{}-{}", range.first, range.first + range.count - 1).c_str());
    }
    if (request.post) {
      Line("Content-Type: application/json");
      Set(CURLOPT_POSTFIELDSIZE, static_cast<long>(request.post->size()));
      Set(CURLOPT_COPYPOSTFIELDS, request.post->c_str());
    }
    Set(CURLOPT_HTTPHEADER, lines);
  }

  // The transfer to its end; CURLE_OK also where `transfer` stopped it.
  CURLcode Run(Transfer& transfer) {
    Set(CURLOPT_HEADERFUNCTION, WriteHeader);
    Set(CURLOPT_HEADERDATA, static_cast<void*>(&transfer));
    Set(CURLOPT_WRITEFUNCTION, WriteBody);
    Set(CURLOPT_WRITEDATA, static_cast<void*>(&transfer));
    api.multi_add_handle(multi, easy);
    CURLcode result = CURLE_OK;
    int running = 1;
    while (running > 0) {
      CURLMcode status = api.multi_perform(multi, &running);
      if (status == CURLM_OK && running > 0)
        status = api.multi_poll(multi, nullptr, 0, kPollMilliseconds, nullptr);
      if (status != CURLM_OK) result = CURLE_FAILED_INIT;
      if (status != CURLM_OK || !transfer.MayGoOn()) break;
    }
    int left = 0;
    while (const CURLMsg* message = api.multi_info_read(multi, &left)) {
      if (message->msg == CURLMSG_DONE) result = message->data.result;
    }
    api.multi_remove_handle(multi, easy);
    return result;
  }

  // The number of the machine (or proxy) that answered.
  std::string Peer() const {
    char* number = nullptr;
    api.easy_getinfo(easy, CURLINFO_PRIMARY_IP, &number);
    return number == nullptr ? "" : number;
  }
};

HttpClient::HttpClient(const Options& options) : options_(options) {}
HttpClient::~HttpClient() = default;

Result<HttpAnswer> HttpClient::Hop(const HttpRequest& request, const Url& url, bool check_private,
                                   const OnBytes& on_bytes) {
  const bool is_safe = url.scheme == "https" || IsLoopback(url.host);
  const bool with_token = !request.token.empty() && is_safe;
  curl_->Prepare(request, url, with_token);
  if (check_private) curl_->Set(CURLOPT_OPENSOCKETFUNCTION, OpenPublicSocket);
  Transfer transfer(request, url, on_bytes);
  const CURLcode code = curl_->Run(transfer);
  if (code == CURLE_OK) transfer.OnEnd();
  if (transfer.failure()) {
    may_pass_ = transfer.may_pass();
    return *transfer.failure();
  }
  if (transfer.answer().whole_instead) return std::move(transfer.answer());
  if (code != CURLE_OK) {
    no_tls_ = code == CURLE_SSL_CONNECT_ERROR || code == CURLE_COULDNT_CONNECT;
    may_pass_ = code != CURLE_PEER_FAILED_VERIFICATION && code != CURLE_URL_MALFORMAT;
    const std::string words = curl_->words.data();
    return Unreachable(url, code, words.empty() ? curl_->api.easy_strerror(code) : words);
  }
  return std::move(transfer.answer());
}

Result<HttpAnswer> HttpClient::Fetch(const HttpRequest& request, const OnBytes& on_bytes) {
  may_pass_ = false;
  no_tls_ = false;
  TRY(Url url, ParseUrl(request.url));
  if (!curl_) {
    TRY(const CurlApi* api, LoadCurl());
    curl_ = std::make_unique<Curl>(*api);
  }
  TRY_STATUS(CheckTransport(url, options_.insecure));
  if (!request.token.empty() && !IsToken(request.token)) {
    return Error{Code::kUsage, "the access token holds characters that no token has",
                 "check HF_TOKEN, or the file it is read from"};
  }
  HttpRequest hop = request;
  RedirectRules rules{options_.insecure, IsPrivate(url.host)};
  const bool proxied = ProxyIsSet();
  for (int redirects = 0;; ++redirects) {
    const bool check_private = redirects > 0 && !rules.from_private && !proxied;
    TRY(HttpAnswer answer, Hop(hop, url, check_private, on_bytes));
    const int status = answer.status;
    const bool moved =
        status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
    if (!moved) return answer;
    if (request.post) {
      return Error{Code::kNetwork, fmt::format("{} redirects a POST", SafeText(url.Origin(), 100)),
                   ""};
    }
    if (redirects >= request.limits.redirects) {
      return Error{Code::kNetwork,
                   fmt::format("{} redirects more than {} times", SafeText(url.Origin(), 100),
                               request.limits.redirects),
                   "the server is broken"};
    }
    if (redirects == 0 && !proxied) rules.from_private |= IsPrivate(curl_->Peer());
    TRY(Url next, NextHop(url, answer.Header("location"), rules));
    if (next.Origin() != url.Origin()) hop.token.clear();
    url = std::move(next);
  }
}

}  // namespace trimma
