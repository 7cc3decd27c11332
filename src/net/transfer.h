// One answer as it arrives: its head read, its body counted and handed on. Without curl, so that
// any bytes can be fed to it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "net/http.h"

namespace trimma {

class Transfer {
 public:
  Transfer(const HttpRequest& request, const Url& url, const OnBytes& on_bytes);

  // A line of the head. False: stop, failure() says why.
  bool OnHeader(std::string_view line);
  // Bytes of the body. False: stop; failure() says why, or whole_instead is set.
  bool OnBody(std::string_view bytes);
  // After the last byte, with the status that curl knows.
  void OnEnd();

  // Once in a while: an interrupt, a stall, the time limit.
  bool MayGoOn();

  const std::optional<Error>& failure() const { return failure_; }
  bool may_pass() const { return may_pass_; }
  HttpAnswer& answer() { return answer_; }

 private:
  bool Fail(Error error, bool may_pass = false);
  bool CheckHead();
  bool CheckRange();
  std::string Who() const;

  const HttpRequest& request_;
  const OnBytes& on_bytes_;
  HttpAnswer answer_;
  std::optional<Error> failure_;
  bool may_pass_ = false;
  bool head_checked_ = false;
  uint64_t head_bytes_ = 0;
  uint64_t body_bytes_ = 0;
  Clock::time_point start_ = Clock::now();
  Clock::time_point window_start_ = start_;
  uint64_t window_bytes_ = 0;
};

}  // namespace trimma
