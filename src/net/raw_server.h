// For tests: a server on loopback that answers with any bytes at all, as hostile ones do.
#pragma once

#include <arpa/inet.h>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <functional>
#include <list>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "base/text.h"
#include "net/headers.h"

namespace trimma {

struct RawRequest {
  std::string line;  // "GET /v2/ HTTP/1.1"
  Headers headers;

  std::string path() const {
    const size_t from = line.find(' ') + 1;
    return line.substr(from, line.find(' ', from) - from);
  }
  // Inclusive, of "Range: bytes=0-99".
  std::optional<std::pair<uint64_t, uint64_t>> range() const {
    const auto at = headers.find("range");
    if (at == headers.end()) return std::nullopt;
    const std::string text = at->second.substr(at->second.find('=') + 1);
    const size_t dash = text.find('-');
    return std::pair(std::stoull(text.substr(0, dash)), std::stoull(text.substr(dash + 1)));
  }
};

// Sends; false once the client has gone.
using RawSend = std::function<bool(const std::string&)>;
// Answers one request; false closes the connection.
using RawHandler = std::function<bool(const RawRequest&, const RawSend&)>;

inline std::string RawAnswer(const std::string& status, const std::string& headers,
                             const std::string& body) {
  return fmt::format("HTTP/1.1 {}\r\nContent-Length: {}\r\n{}\r\n{}", status, body.size(), headers,
                     body);
}

// The whole of `file`, or the range that was asked for.
inline std::string RawFile(const RawRequest& request, const std::string& file,
                           const std::string& headers = "") {
  const auto range = request.range();
  if (!range) return RawAnswer("200 OK", headers, file);
  const std::string piece = file.substr(range->first, range->second - range->first + 1);
  return RawAnswer("206 Partial Content",
                   headers + fmt::format("Content-Range: bytes {}-{}/{}\r\n", range->first,
                                         range->second, file.size()),
                   piece);
}

class RawServer {
 public:
  explicit RawServer(RawHandler handler) : handler_(std::move(handler)) {
    socket_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(bind(socket_, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    EXPECT_EQ(listen(socket_, 16), 0);
    socklen_t size = sizeof address;
    getsockname(socket_, reinterpret_cast<sockaddr*>(&address), &size);
    port_ = ntohs(address.sin_port);
    acceptor_ = std::thread([this] { Accept(); });
  }
  ~RawServer() {
    stopping_ = true;
    shutdown(socket_, SHUT_RDWR);
    acceptor_.join();
    close(socket_);
    for (Connection& connection : connections_) {
      shutdown(connection.fd, SHUT_RDWR);
      connection.thread.join();
      close(connection.fd);
    }
  }
  RawServer(const RawServer&) = delete;
  RawServer& operator=(const RawServer&) = delete;

  std::string host() const { return fmt::format("127.0.0.1:{}", port_); }
  int port() const { return port_; }
  void Handle(RawHandler handler) {
    const std::lock_guard<std::mutex> lock(mutex_);
    handler_ = std::move(handler);
    requests_.clear();
  }
  std::vector<RawRequest> requests() const {
    const std::lock_guard<std::mutex> lock(mutex_);
    return requests_;
  }
  bool stopping() const { return stopping_; }

 private:
  struct Connection {
    int fd;
    std::thread thread;
  };

  void Accept() {
    while (!stopping_) {
      const int fd = accept4(socket_, nullptr, nullptr, SOCK_CLOEXEC);
      if (fd < 0) continue;
      connections_.push_back({fd, std::thread([this, fd] { Serve(fd); })});
    }
  }

  void Serve(int fd) {
    const RawSend send_all = [this, fd](const std::string& bytes) {
      size_t sent = 0;
      while (sent < bytes.size()) {
        const ssize_t n = send(fd, bytes.data() + sent, bytes.size() - sent, MSG_NOSIGNAL);
        if (n <= 0 || stopping_) return false;
        sent += static_cast<size_t>(n);
      }
      return !stopping_.load();
    };
    std::string pending;
    char buffer[4096];
    while (!stopping_) {
      const size_t end = pending.find("\r\n\r\n");
      if (end == std::string::npos) {
        const ssize_t n = recv(fd, buffer, sizeof buffer, 0);
        if (n <= 0) break;
        pending.append(buffer, static_cast<size_t>(n));
        continue;
      }
      RawRequest request = Parse(pending.substr(0, end));
      pending.erase(0, end + 4);
      RawHandler handler;
      {
        const std::lock_guard<std::mutex> lock(mutex_);
        requests_.push_back(request);
        handler = handler_;
      }
      if (!handler(request, send_all)) break;
    }
    shutdown(fd, SHUT_RDWR);
  }

  static RawRequest Parse(const std::string& head) {
    RawRequest request;
    for (const std::string& line : Split(head, '\n')) {
      const size_t colon = line.find(':');
      if (request.line.empty()) {
        request.line = Trim(line);
      } else if (colon != std::string::npos) {
        request.headers.emplace(ToLower(line.substr(0, colon)), Trim(line.substr(colon + 1)));
      }
    }
    return request;
  }

  RawHandler handler_;
  mutable std::mutex mutex_;
  std::vector<RawRequest> requests_;
  std::atomic<bool> stopping_{false};
  int socket_ = -1;
  int port_ = 0;
  std::list<Connection> connections_;
  std::thread acceptor_;
};

}  // namespace trimma
