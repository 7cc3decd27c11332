// Fetching over HTTP(S) from servers that are not trusted (libcurl).
//
// Every answer is bounded in time and bytes, and is checked before a byte of it is handed on.
// Redirects are followed here, not by curl: a token never goes to another host, https never becomes
// http. Proxies are taken from the environment as curl does, but for this machine itself. An
// interrupt ends a fetch within 0.2 s.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "net/headers.h"
#include "net/url.h"

namespace trimma {

struct HttpLimits {
  double connect_seconds = 15;
  double stall_seconds = 30;  // with fewer than 1 KiB arriving in it
  std::optional<double> total_seconds;
  uint64_t body_bytes = uint64_t{4} << 20;
  int redirects = 5;
};

struct ByteRange {
  uint64_t first = 0;
  uint64_t count = 0;             // at least 1
  std::optional<uint64_t> total;  // of the whole, where that is known
};

struct HttpRequest {
  std::string url;
  std::string accept = "*/*";
  std::string
      token;  // sent to the url's own origin, and only where nobody listens (https, loopback)
  std::optional<ByteRange> range;
  std::string etag;  // of the same file asked for before: another one now is an error
  const std::atomic<bool>* stop = nullptr;  // set by another thread: end with kInterrupted
  std::optional<std::string> post;          // a JSON body: POST instead of GET
  HttpLimits limits;
};

struct HttpAnswer {
  int status = 0;
  Url url;  // that answered in the end
  Headers headers;
  std::string body;  // where no OnBytes took it, or of another status than 200, 206
  std::optional<ContentRange> range;  // of a 206, checked against what was asked for
  bool whole_instead = false;         // a range was asked for, 200 came: the body was not read

  std::string Header(const std::string& name) const;  // "" if absent
};

// Takes the body of a 200 or 206 piece by piece; an error ends the fetch and is its result.
using OnBytes = std::function<Status(std::string_view)>;

// One connection at a time, kept open between calls. Not thread-safe: one for each thread.
class HttpClient {
 public:
  struct Options {
    bool insecure = false;  // plain http to other machines than this one
  };
  explicit HttpClient(const Options& options);
  ~HttpClient();
  HttpClient(const HttpClient&) = delete;
  HttpClient& operator=(const HttpClient&) = delete;

  // An answer of any status; kNetwork without one, or where the server breaks the rules above.
  Result<HttpAnswer> Fetch(const HttpRequest& request, const OnBytes& on_bytes = {});

  // Whether the last error was of the kind that goes away (a lost connection, a stall).
  bool may_pass() const { return may_pass_; }
  // Whether the last error was that nobody speaks TLS there: no connection, or no handshake. A
  // certificate that can't be trusted is another matter.
  bool no_tls() const { return no_tls_; }

 private:
  struct Curl;
  Result<HttpAnswer> Hop(const HttpRequest& request, const Url& url, bool check_private,
                         const OnBytes& on_bytes);

  Options options_;
  bool may_pass_ = false;
  bool no_tls_ = false;
  std::unique_ptr<Curl> curl_;
};

}  // namespace trimma
