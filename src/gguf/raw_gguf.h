// For tests: GGUF bytes written field by field, so that any field can be wrong.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "gguf/format.h"
#include "gguf/reader.h"

namespace trimma {

class RawGguf {
 public:
  RawGguf(uint64_t tensors, uint64_t entries, uint32_t version = format::kVersion) {
    bytes_ = format::kMagic;
    U32(version).U64(tensors).U64(entries);
  }

  RawGguf& U8(uint8_t value) { return Raw(&value, sizeof value); }
  RawGguf& U16(uint16_t value) { return Raw(&value, sizeof value); }
  RawGguf& U32(uint32_t value) { return Raw(&value, sizeof value); }
  RawGguf& U64(uint64_t value) { return Raw(&value, sizeof value); }
  RawGguf& Text(std::string_view text) { return U64(text.size()).Raw(text.data(), text.size()); }
  RawGguf& Key(std::string_view key, format::Kind kind) {
    return Text(key).U32(static_cast<uint32_t>(kind));
  }
  RawGguf& Entry(std::string_view key, std::string_view text) {
    return Key(key, format::Kind::kString).Text(text);
  }
  RawGguf& Entry(std::string_view key, uint32_t value) {
    return Key(key, format::Kind::kUint32).U32(value);
  }
  RawGguf& Tensor(std::string_view name, const std::vector<uint64_t>& shape, uint64_t offset,
                  uint32_t type = 0) {
    Text(name).U32(static_cast<uint32_t>(shape.size()));
    for (const uint64_t dimension : shape) U64(dimension);
    return U32(type).U64(offset);
  }
  // Pads to the alignment and appends `bytes` zeros.
  RawGguf& Data(uint64_t bytes, uint64_t alignment = format::kDefaultAlignment) {
    bytes_.resize(*format::Padded(bytes_.size(), alignment) + bytes, '\0');
    return *this;
  }

  const std::string& bytes() const { return bytes_; }

 private:
  RawGguf& Raw(const void* from, size_t bytes) {
    bytes_.append(static_cast<const char*>(from), bytes);
    return *this;
  }
  std::string bytes_;
};

inline Result<GgufFile> Parse(const std::string& bytes) {
  return ParseGguf(bytes, bytes.size(), "m.gguf");
}

// The reader's sentence about the bytes; "accepted" if it has none.
inline std::string FaultIn(const std::string& bytes) {
  const Result<GgufFile> file = Parse(bytes);
  if (file.ok()) return "accepted";
  return file.error().code == Code::kInvalid ? file.error().what : "not kInvalid";
}
inline std::string FaultIn(const RawGguf& raw) { return FaultIn(raw.bytes()); }

}  // namespace trimma
