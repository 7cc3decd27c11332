#include "net/transfer.h"

#include <fmt/format.h>

#include "base/interrupt.h"
#include "base/text.h"
#include "base/units.h"

namespace trimma {
namespace {

constexpr uint64_t kMostHeadBytes = uint64_t{64} << 10;
constexpr uint64_t kMostErrorBytes = uint64_t{64} << 10;
constexpr uint64_t kLeastBytesInWindow = 1024;

bool IsContent(int status) { return status == 200 || status == 206; }

double Seconds(std::chrono::steady_clock::duration duration) {
  return std::chrono::duration<double>(duration).count();
}

}  // namespace

Transfer::Transfer(const HttpRequest& request, const Url& url, const OnBytes& on_bytes)
    : request_(request), on_bytes_(on_bytes) {
  answer_.url = url;
}

bool Transfer::Fail(Error error, bool may_pass) {
  if (!failure_) {
    failure_ = std::move(error);
    may_pass_ = may_pass;
  }
  return false;
}

std::string Transfer::Who() const { return SafeText(answer_.url.Origin(), 100); }

bool Transfer::OnHeader(std::string_view line) {
  head_bytes_ += line.size();
  if (head_bytes_ > kMostHeadBytes)
    return Fail({Code::kNetwork, fmt::format("{} sends headers without end", Who()), ""});
  if (line.starts_with("HTTP/")) {
    answer_.headers.clear();  // of an interim answer before
    const size_t blank = line.find(' ');
    const auto status = ParseCount(Trim(line.substr(std::min(blank, line.size()))).substr(0, 3));
    answer_.status = static_cast<int>(status.value_or(0));
    return true;
  }
  const size_t colon = line.find(':');
  if (colon == std::string_view::npos) return true;
  answer_.headers.emplace(ToLower(Trim(line.substr(0, colon))),
                          std::string(Trim(line.substr(colon + 1))));
  return true;
}

bool Transfer::CheckRange() {
  const ByteRange& wanted = *request_.range;
  answer_.range = ParseContentRange(answer_.Header("content-range"));
  const bool sound =
      answer_.range && answer_.range->first == wanted.first &&
      answer_.range->last == wanted.first + wanted.count - 1 &&
      (!wanted.total || answer_.range->total.value_or(*wanted.total) == *wanted.total);
  if (sound) return true;
  return Fail(
      {Code::kNetwork,
       fmt::format("{} was asked for bytes {}-{} and answers with \"{}\"", Who(), wanted.first,
                   wanted.first + wanted.count - 1, SafeText(answer_.Header("content-range"), 80)),
       "the server, or a proxy before it, is broken"});
}

// Before the first byte of the body is looked at.
bool Transfer::CheckHead() {
  head_checked_ = true;
  if (!IsContent(answer_.status)) return true;
  const std::string coding = ToLower(answer_.Header("content-encoding"));
  if (!coding.empty() && coding != "identity") {
    return Fail({Code::kNetwork,
                 fmt::format("{} answers in the coding \"{}\", which nobody asked for", Who(),
                             SafeText(coding, 40)),
                 "the server, or a proxy before it, is broken"});
  }
  if (request_.range && answer_.status == 200) {
    answer_.whole_instead = true;
    return false;
  }
  if (request_.range && !CheckRange()) return false;
  if (!request_.range && answer_.status == 206)
    return Fail({Code::kNetwork, fmt::format("{} answers with a part, unasked", Who()), ""});
  const std::string etag = answer_.Header("etag");
  if (!request_.etag.empty() && !etag.empty() && etag != request_.etag) {
    return Fail({Code::kNetwork, fmt::format("the file changed on {} while it was fetched", Who()),
                 "fetch it again"});
  }
  const std::string said = answer_.Header("content-length");
  const auto length = ParseCount(said);
  if (!said.empty() && !length) {
    return Fail(
        {Code::kNetwork, fmt::format("{} says a length of \"{}\"", Who(), SafeText(said, 40)), ""});
  }
  if (length && !request_.range && *length > request_.limits.body_bytes) {
    return Fail({Code::kNetwork,
                 fmt::format("{} answers with {} bytes, at most {} were expected", Who(), *length,
                             request_.limits.body_bytes),
                 ""});
  }
  return true;
}

bool Transfer::OnBody(std::string_view bytes) {
  if (!head_checked_ && !CheckHead()) return false;
  body_bytes_ += bytes.size();
  window_bytes_ += bytes.size();
  if (!IsContent(answer_.status)) {
    if (answer_.body.size() + bytes.size() <= kMostErrorBytes) answer_.body += bytes;
    return body_bytes_ <= request_.limits.body_bytes ||
           Fail({Code::kNetwork, fmt::format("{} sends an error without end", Who()), ""});
  }
  const uint64_t most = request_.range ? request_.range->count : request_.limits.body_bytes;
  if (body_bytes_ > most) {
    return Fail({Code::kNetwork,
                 fmt::format("{} sends more than the {} bytes that were expected", Who(), most),
                 ""});
  }
  if (!on_bytes_) {
    answer_.body += bytes;
    return true;
  }
  const Status taken = on_bytes_(bytes);
  return taken.ok() || Fail(taken.error());
}

void Transfer::OnEnd() {
  if (!head_checked_) (void)CheckHead();
  if (failure_ || answer_.whole_instead) return;
  if (request_.range && answer_.status == 206 && body_bytes_ != request_.range->count) {
    Fail({Code::kNetwork,
          fmt::format("{} ended after {} of {} bytes", Who(), body_bytes_, request_.range->count),
          ""},
         /*may_pass=*/true);
  }
}

bool Transfer::MayGoOn() {
  const Status interrupted = CheckInterrupted();
  if (!interrupted.ok()) return Fail(interrupted.error());
  if (request_.stop != nullptr && request_.stop->load())
    return Fail({Code::kInterrupted, "stopped", ""});
  const Clock::time_point now = Clock::now();
  const HttpLimits& limits = request_.limits;
  if (limits.total_seconds && Seconds(now - start_) > *limits.total_seconds) {
    return Fail({Code::kNetwork,
                 fmt::format("{} took longer than {} to answer", Who(),
                             FormatSeconds(*limits.total_seconds)),
                 "try again later"},
                /*may_pass=*/true);
  }
  if (Seconds(now - window_start_) > limits.stall_seconds) {
    if (window_bytes_ < kLeastBytesInWindow) {
      return Fail({Code::kNetwork,
                   fmt::format("{} sent next to nothing for {}", Who(),
                               FormatSeconds(limits.stall_seconds)),
                   "try again later; what was fetched is kept"},
                  /*may_pass=*/true);
    }
    window_start_ = now;
    window_bytes_ = 0;
  }
  return true;
}

}  // namespace trimma
