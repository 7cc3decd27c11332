// Reads a header from front to back, with the byte offset at hand for every error.
#pragma once

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <type_traits>

#include "base/file.h"
#include "base/result.h"

namespace trimma {

// Over a file, of which it keeps a piece at a time, or over bytes in memory. Few and the same pages
// hold every piece: a large vocabulary's header has thousands, and touching a new one costs more
// than reading it. It never reads more of a file than a header may have (format::kMaxHeaderBytes).
class HeaderCursor {
 public:
  HeaderCursor(std::string_view name, std::string_view head, uint64_t file_bytes);
  explicit HeaderCursor(const InputFile& file);
  HeaderCursor(const HeaderCursor&) = delete;
  HeaderCursor& operator=(const HeaderCursor&) = delete;

  uint64_t position() const { return position_; }
  uint64_t file_bytes() const { return file_bytes_; }
  uint64_t remaining() const { return file_bytes_ - position_; }

  // The next `bytes`, valid until the next call. `what` names them for the error.
  Result<std::string_view> Take(uint64_t bytes, const char* what) {
    if (bytes > at_hand().size()) TRY_STATUS(Fill(bytes, what));
    const std::string_view taken = at_hand().substr(0, bytes);
    position_ += bytes;
    return taken;
  }

  // What of the rest is in memory already, and a step over some of it.
  std::string_view at_hand() const { return piece_.substr(position_ - piece_at_); }
  void Skip(uint64_t bytes) {
    CHECK(bytes <= at_hand().size());
    position_ += bytes;
  }

  template <typename T>
  Result<T> Read(const char* what) {
    static_assert(std::is_arithmetic_v<T>);
    TRY(const std::string_view bytes, Take(sizeof(T), what));
    T value{};
    std::memcpy(&value, bytes.data(), sizeof(T));
    return value;
  }

  // The last error was for want of bytes that the file has, but that were not given.
  bool wants_more() const { return wants_more_; }

  // "m.gguf, byte 24: SENTENCE".
  Error Invalid(uint64_t at, std::string_view sentence, std::string_view hint = "") const;
  // The same, with the hint for a file that is shorter than it says.
  Error Truncated(uint64_t at, std::string_view sentence) const;

 private:
  Status Fill(uint64_t bytes, const char* what);

  std::string name_;
  const InputFile* file_ = nullptr;
  std::string buffer_;      // holds a piece of file_
  std::string_view piece_;  // what is in memory
  uint64_t piece_at_ = 0;   // where it begins in the file
  uint64_t file_bytes_ = 0;
  uint64_t position_ = 0;
  bool wants_more_ = false;
};

}  // namespace trimma
