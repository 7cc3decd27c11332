// HTTP to one server on this machine or nearby (an Ollama, a llama-server), which isn't trusted:
// every call has limits of bytes and time, and ends when the user interrupts.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace trimma {

// Who is talked to, and how sentences call it.
struct Peer {
  std::string host = "127.0.0.1";
  int port = 0;
  std::string name = "server";  // "Ollama"
  std::string absent_hint;      // what to do where nobody answers
  std::string wrong_hint;       // where what answers is something else
  // false: a connection for each call, for a server that may close one without saying so before.
  bool keep_open = true;
  std::string Text() const;  // "127.0.0.1:11434", "[::1]:11434"
};

struct SessionLimits {
  double connect_s = 2;
  double silence_s = 30;                   // between two bytes
  std::optional<double> total_s;           // of the whole call
  size_t most_bytes = 16 << 20;            // of an answer, or of one of its lines
  uint64_t most_stream_bytes = 256 << 20;  // of all lines together
};

struct HttpCall {
  const char* method = "GET";
  std::string path;
  std::string body;  // JSON
  SessionLimits limits;
};

struct HttpReply {
  int status = 0;
  std::string body;
};

// Gives `bytes` at `offset` of what is uploaded.
using HttpSource = std::function<Status(uint64_t offset, char* to, size_t bytes)>;

// One connection, kept open between calls where the peer says so. Not thread-safe.
class HttpSession {
 public:
  explicit HttpSession(const Peer& peer);
  HttpSession(HttpSession&&) noexcept;
  HttpSession& operator=(HttpSession&&) = delete;
  ~HttpSession();

  // kNetwork where nobody answers, or not in time; kInvalid for too long an answer.
  Result<HttpReply> Call(const HttpCall& call);
  // The lines of a successful (200) answer as they arrive; an error of `on_line` ends the call and
  // is returned. The body of any other answer is in the reply.
  Result<HttpReply> Lines(const HttpCall& call,
                          const std::function<Status(std::string_view)>& on_line);
  Result<HttpReply> Upload(const HttpCall& call, uint64_t bytes, const HttpSource& source);

  // From now on calls go on although the user interrupted: what was begun has to be taken back.
  void IgnoreInterrupts();

 private:
  struct Connection;
  std::unique_ptr<Connection> connection_;
};

}  // namespace trimma
