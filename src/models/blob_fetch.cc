#include "models/blob_fetch.h"

#include <fmt/format.h>

#include <chrono>

#include "base/interrupt.h"
#include "base/text.h"

namespace trimma {
namespace {

// Tries in a row that bring nothing, with a longer wait before each.
class Tries {
 public:
  Tries(const DownloadOptions& options, const std::atomic<bool>* stop)
      : options_(options), stop_(stop) {
    Renew();
  }
  void Renew() {
    left_ = options_.tries;
    wait_ = options_.first_wait_seconds;
  }
  // False: there is none left.
  bool WaitForNext() {
    if (--left_ <= 0) return false;
    const auto until = std::chrono::steady_clock::now() + std::chrono::duration<double>(wait_);
    wait_ *= 2;
    while (std::chrono::steady_clock::now() < until) {
      if (InterruptSignal() != 0 || (stop_ != nullptr && stop_->load())) return false;
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
    return true;
  }

 private:
  const DownloadOptions& options_;
  const std::atomic<bool>* stop_;
  int left_ = 0;
  double wait_ = 0;
};

// The source's token, and once another one where the server says that it is none (401): they last
// for minutes, a pull for hours.
class Token {
 public:
  explicit Token(const BlobSource& source) : source_(source), text_(source.token) {}
  const std::string& text() const { return text_; }
  bool Renewed(int status) {
    if (status != 401 || renewed_ || !source_.renew_token) return false;
    renewed_ = true;
    Result<std::string> fresh = source_.renew_token(text_);
    if (!fresh.ok()) return false;
    text_ = *std::move(fresh);
    return true;
  }

 private:
  const BlobSource& source_;
  std::string text_;
  bool renewed_ = false;
};

std::string Named(const BlobSource& source) { return "sha256:" + source.sha256.substr(0, 12); }

}  // namespace

bool MayPass(int status) { return status == 408 || status == 429 || status >= 500; }

Error StatusError(const HttpAnswer& answer, const std::string& what) {
  const std::string host = SafeText(answer.url.host, 100);
  // Hugging Face lists such a repository's files to anybody, and gives this for each of them.
  const bool refused = answer.status == 401 || answer.status == 403;
  if (refused && answer.Header("x-error-code") == "GatedRepo") {
    const std::string& path = answer.url.path;
    const size_t end = path.find("/resolve/");
    const std::string page = end == std::string::npos ? "/" : SafeText(path.substr(0, end), 300);
    return {Code::kPermission,
            fmt::format("{} is given only to those who accepted its terms",
                        end == std::string::npos ? what : page.substr(1)),
            fmt::format("accept them at {}{}, then set HF_TOKEN", answer.url.Origin(), page)};
  }
  switch (answer.status) {
    case 401:
    case 403:
      return {Code::kPermission,
              fmt::format("{} doesn't hand out {} (HTTP {})", host, what, answer.status), ""};
    case 404:
    case 410:
      return {Code::kNotFound, fmt::format("{} has no {}", host, what), ""};
    default:
      return {Code::kNetwork, fmt::format("{} answers HTTP {} for {}", host, answer.status, what),
              MayPass(answer.status) ? "try again later; what was fetched is kept" : ""};
  }
}

Result<BlobLocation> Locate(const BlobSource& source, const DownloadOptions& options,
                            const std::atomic<bool>* stop) {
  HttpClient client({options.insecure});
  Tries tries(options, stop);
  Token token(source);
  while (true) {
    HttpRequest request;
    request.url = source.url;
    request.token = token.text();
    request.range = ByteRange{0, 1, source.bytes};
    request.limits = options.limits;
    request.stop = stop;
    Result<HttpAnswer> answer = client.Fetch(request);
    if (answer.ok() && (answer->status == 206 || answer->whole_instead)) {
      const std::string url = answer->url.Text();
      const bool moved = url != source.url;
      // Over another origin the token was dropped; an address on the same one needs it still.
      TRY(const Url asked, ParseUrl(source.url));
      const bool same_origin = asked.Origin() == answer->url.Origin();
      return BlobLocation{moved ? url : source.url, same_origin ? token.text() : "",
                          answer->Header("etag"), !answer->whole_instead};
    }
    if (answer.ok() && token.Renewed(answer->status)) continue;
    const bool may_pass = answer.ok() ? MayPass(answer->status) : client.may_pass();
    if (!may_pass || !tries.WaitForNext()) {
      TRY_STATUS(CheckInterrupted());
      return answer.ok() ? StatusError(*answer, Named(source)) : answer.error();
    }
  }
}

Status FetchWhole(const BlobSource& source, const DownloadOptions& options,
                  const std::function<Status()>& on_restart, const OnBytes& on_bytes) {
  HttpClient client({options.insecure});
  Tries tries(options, nullptr);
  Token token(source);
  while (true) {
    TRY_STATUS(on_restart());
    HttpRequest request;
    request.url = source.url;
    request.token = token.text();
    request.limits = options.limits;
    request.limits.body_bytes = source.bytes;
    uint64_t bytes = 0;
    Result<HttpAnswer> answer = client.Fetch(request, [&](std::string_view piece) {
      bytes += piece.size();
      return on_bytes(piece);
    });
    if (answer.ok() && answer->status == 200) {
      if (bytes == source.bytes) return {};
      return Error{Code::kNetwork,
                   fmt::format("{} sent {} bytes for {}, which is said to have {}",
                               SafeText(answer->url.host, 100), bytes, Named(source), source.bytes),
                   "the server's lists and files differ"};
    }
    if (answer.ok() && token.Renewed(answer->status)) continue;
    const bool may_pass = answer.ok() ? MayPass(answer->status) : client.may_pass();
    if (!may_pass || !tries.WaitForNext()) {
      TRY_STATUS(CheckInterrupted());
      return answer.ok() ? StatusError(*answer, Named(source)) : answer.error();
    }
  }
}

BlobFetch::BlobFetch(const BlobSource& source, const DownloadOptions& options,
                     BlobLocation location, PartLedger& ledger, OutputFile& output)
    : source_(source),
      options_(options),
      ledger_(ledger),
      output_(output),
      location_(std::move(location)) {
  for (int i = 0; i < options.connections; ++i) threads_.emplace_back([this] { Work(); });
}

BlobFetch::~BlobFetch() {
  stop_ = true;
  for (std::thread& thread : threads_) thread.join();
}

std::optional<Error> BlobFetch::failure() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return failure_;
}

BlobLocation BlobFetch::location() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return location_;
}

void BlobFetch::Work() {
  HttpClient client({options_.insecure});
  while (!stop_) {
    const std::optional<PartLedger::Part> part = ledger_.Claim();
    if (!part) return;
    const Status status = FetchPart(client, *part);
    if (status.ok()) continue;
    const std::lock_guard<std::mutex> lock(mutex_);
    if (!failure_) failure_ = status.error();
    stop_ = true;
  }
}

// Signed addresses and tokens expire; the registry gives new ones. The file has to be the same.
Status BlobFetch::Relocate(const BlobLocation& stale) {
  const BlobLocation now = location();
  if (now.url != stale.url || now.token != stale.token)
    return {};  // another connection has done it
  TRY(BlobLocation fresh, Locate(source_, options_, &stop_));
  const std::lock_guard<std::mutex> lock(mutex_);
  fresh.etag = location_.etag;
  location_ = std::move(fresh);
  return {};
}

Status BlobFetch::FetchPart(HttpClient& client, PartLedger::Part part) {
  Tries tries(options_, &stop_);
  while (part.count > 0) {
    const BlobLocation where = location();
    HttpRequest request;
    request.url = where.url;
    request.token = where.token;
    request.range = ByteRange{part.offset, part.count, source_.bytes};
    request.etag = where.etag;
    request.stop = &stop_;
    request.limits = options_.limits;
    const Result<HttpAnswer> answer = client.Fetch(request, [&](std::string_view bytes) -> Status {
      tries.Renew();
      TRY_STATUS(output_.WriteAt(part.offset, bytes.data(), bytes.size()));
      TRY_STATUS(ledger_.Add(part, bytes.size()));
      part.offset += bytes.size();
      part.count -= bytes.size();
      return {};
    });
    if (part.count == 0) break;
    bool may_pass = client.may_pass();
    Error error{Code::kNetwork, "", ""};
    if (!answer.ok()) {
      error = answer.error();
    } else if (answer->whole_instead) {
      error.what = fmt::format("{} no longer answers with ranges", SafeText(answer->url.host, 100));
    } else {
      error = StatusError(*answer, Named(source_));
      const bool expired = answer->status == 401 || answer->status == 403 ||
                           answer->status == 404 || answer->status == 410;
      const bool renewable = answer->status == 401 && source_.renew_token;
      may_pass = MayPass(answer->status) || (expired && (where.url != source_.url || renewable));
      if (expired && may_pass) TRY_STATUS(Relocate(where));
    }
    if (!may_pass || !tries.WaitForNext()) {
      TRY_STATUS(CheckInterrupted());
      return error;
    }
  }
  return {};
}

}  // namespace trimma
