#include "net/session.h"

#include <cpp-httplib/httplib.h>
#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "base/interrupt.h"

namespace trimma {
namespace {

std::chrono::microseconds Micros(double seconds) {
  return std::chrono::microseconds(static_cast<int64_t>(std::clamp(seconds, 0.001, 1e6) * 1e6));
}

// Ends a client's call when the user interrupts, or when its time is up: a read that waits notices
// neither.
class Watch {
 public:
  Watch(httplib::Client& client, std::optional<double> total_s, bool heed)
      : client_(client), heed_(heed) {
    if (total_s) deadline_ = Clock::now() + Micros(*total_s);
    thread_ = std::thread([this] { Look(); });
  }
  ~Watch() {
    {
      const std::lock_guard lock(mutex_);
      done_ = true;
    }
    wake_.notify_one();
    thread_.join();
  }
  bool timed_out() const { return timed_out_; }

 private:
  void Look() {
    constexpr auto kBetween = std::chrono::milliseconds(100);
    std::unique_lock lock(mutex_);
    while (!done_) {
      timed_out_ = deadline_ && Clock::now() > *deadline_;
      if (timed_out_ || (heed_ && InterruptSignal() != 0)) client_.stop();
      wake_.wait_for(lock, kBetween);
    }
  }
  httplib::Client& client_;
  bool heed_;  // interrupts
  std::optional<Clock::time_point> deadline_;
  std::mutex mutex_;
  std::condition_variable wake_;
  bool done_ = false;
  std::atomic<bool> timed_out_ = false;
  std::thread thread_;
};

// Where an answer goes: to `on_line` if it is one that was asked for, else into a body.
struct Sink {
  const Peer& peer;
  const SessionLimits& limits;
  const std::function<Status(std::string_view)>& on_line;
  bool heed = true;  // interrupts
  int status = 0;
  std::string body;  // or the line that is not complete
  Status stopped;
  uint64_t taken = 0;  // bytes

  bool Take(const char* data, size_t bytes) {
    if (heed) stopped = CheckInterrupted();
    if (!stopped.ok()) return false;
    taken += bytes;
    const size_t before = body.size();
    body.append(data, bytes);
    if (on_line && status == 200) GiveLines(before);
    const bool too_long = body.size() > limits.most_bytes;
    if ((too_long || taken > limits.most_stream_bytes) && stopped.ok()) {
      stopped = Error{Code::kInvalid,
                      fmt::format("the server's answer is longer than {} bytes",
                                  too_long ? limits.most_bytes : limits.most_stream_bytes),
                      peer.wrong_hint};
    }
    return stopped.ok();
  }
  void GiveLines(size_t from) {
    size_t begin = 0;
    for (size_t end = body.find('\n', from); end != std::string::npos && stopped.ok();
         end = body.find('\n', begin)) {
      if (end > begin) stopped = on_line(std::string_view(body).substr(begin, end - begin));
      begin = end + 1;
    }
    body.erase(0, begin);
  }
  // A last line may lack its newline.
  void Finish() {
    if (on_line && status == 200 && !body.empty() && stopped.ok()) {
      stopped = on_line(body);
      body.clear();
    }
  }
};

}  // namespace

struct HttpSession::Connection {
  Peer peer;
  httplib::Client client;
  bool heed = true;  // interrupts
  explicit Connection(const Peer& whom) : peer(whom), client(whom.host, whom.port) {
    client.set_keep_alive(peer.keep_open);
    client.set_tcp_nodelay(true);
    client.set_decompress(false);
    client.set_follow_location(false);
  }

  void Limit(const SessionLimits& limits) {
    client.set_connection_timeout(Micros(limits.connect_s));
    client.set_read_timeout(Micros(limits.silence_s));
    client.set_write_timeout(Micros(limits.silence_s));
  }
  Error Failed(httplib::Error error, bool timed_out, const SessionLimits& limits) const {
    const std::string where = peer.Text();
    if (error == httplib::Error::Connection || error == httplib::Error::ConnectionTimeout) {
      return {Code::kNetwork, fmt::format("no {} answers at {}", peer.name, where),
              peer.absent_hint};
    }
    if (timed_out || error == httplib::Error::Read || error == httplib::Error::Timeout) {
      return {Code::kNetwork,
              fmt::format("the {} at {} stopped answering{}", peer.name, where,
                          timed_out ? fmt::format(" within {} s", *limits.total_s) : ""),
              "look at its log"};
    }
    return {Code::kNetwork,
            fmt::format("the {} at {} can't be talked to: {}", peer.name, where,
                        httplib::to_string(error)),
            ""};
  }
  Result<HttpReply> Send(httplib::Request& request, const SessionLimits& limits, Sink& sink) {
    if (heed) TRY_STATUS(CheckInterrupted());
    Limit(limits);
    request.response_handler = [&](const httplib::Response& response) {
      sink.status = response.status;
      return true;
    };
    request.content_receiver = [&](const char* data, size_t bytes, size_t, size_t) {
      return sink.Take(data, bytes);
    };
    httplib::Response response;
    httplib::Error error = httplib::Error::Success;
    bool sent = false;
    bool timed_out = false;
    try {
      const Watch watch(client, limits.total_s, heed);
      sent = client.send(request, response, error);
      timed_out = watch.timed_out();
    } catch (const std::exception&) {  // of httplib: what the server sent is no HTTP
      return Error{Code::kInvalid,
                   fmt::format("what answers at {} does not speak HTTP", peer.Text()), ""};
    }
    if (sent) sink.Finish();
    TRY_STATUS(std::move(sink.stopped));
    if (heed) TRY_STATUS(CheckInterrupted());
    if (!sent) return Failed(error, timed_out, limits);
    return HttpReply{response.status, std::move(sink.body)};
  }
};

std::string Peer::Text() const {
  const bool v6 = host.find(':') != std::string::npos;
  return v6 ? fmt::format("[{}]:{}", host, port) : fmt::format("{}:{}", host, port);
}

HttpSession::HttpSession(const Peer& peer) : connection_(std::make_unique<Connection>(peer)) {}
HttpSession::HttpSession(HttpSession&&) noexcept = default;
HttpSession::~HttpSession() = default;

void HttpSession::IgnoreInterrupts() { connection_->heed = false; }

Result<HttpReply> HttpSession::Call(const HttpCall& call) { return Lines(call, {}); }

Result<HttpReply> HttpSession::Lines(const HttpCall& call,
                                     const std::function<Status(std::string_view)>& on_line) {
  httplib::Request request;
  request.method = call.method;
  request.path = call.path;
  request.body = call.body;
  if (!call.body.empty()) request.set_header("Content-Type", "application/json");
  Sink sink{connection_->peer, call.limits, on_line, connection_->heed, 0, "", {}, 0};
  return connection_->Send(request, call.limits, sink);
}

Result<HttpReply> HttpSession::Upload(const HttpCall& call, uint64_t bytes,
                                      const HttpSource& source) {
  constexpr size_t kPiece = 1 << 20;
  httplib::Request request;
  request.method = call.method;
  request.path = call.path;
  request.set_header("Content-Type", "application/octet-stream");
  request.content_length_ = bytes;
  Status read;
  std::vector<char> piece(kPiece);
  request.content_provider_ = [&](size_t offset, size_t length, httplib::DataSink& to) {
    const size_t n = std::min(length, piece.size());
    read = CheckInterrupted();
    if (read.ok()) read = source(offset, piece.data(), n);
    return read.ok() && to.write(piece.data(), n);
  };
  const std::function<Status(std::string_view)> no_lines;
  Sink sink{connection_->peer, call.limits, no_lines, connection_->heed, 0, "", {}, 0};
  Result<HttpReply> reply = connection_->Send(request, call.limits, sink);
  TRY_STATUS(std::move(read));
  return reply;
}

}  // namespace trimma
