// Metadata values as they lie in the file.
#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "base/text.h"
#include "gguf/format.h"
#include "gguf/parse.h"

namespace trimma {
namespace {

using format::Kind;

// Valid until the cursor goes on.
Result<std::string_view> ParseString(HeaderCursor& cursor) {
  const uint64_t at = cursor.position();
  TRY(const uint64_t bytes, cursor.Read<uint64_t>("a string's length"));
  if (bytes > cursor.remaining()) {
    return cursor.Truncated(
        at, fmt::format("a string of {} bytes cannot fit into the remaining {} bytes", bytes,
                        cursor.remaining()));
  }
  if (bytes > format::kMaxStringBytes) {
    return cursor.Invalid(at, fmt::format("a string has {} bytes, at most {} are allowed", bytes,
                                          format::kMaxStringBytes));
  }
  return cursor.Take(bytes, "a string");
}

Result<uint8_t> ParseBool(HeaderCursor& cursor) {
  const uint64_t at = cursor.position();
  TRY(const uint8_t byte, cursor.Read<uint8_t>("a boolean"));
  if (byte > 1) return cursor.Invalid(at, fmt::format("a boolean is {}, not 0 or 1", byte));
  return byte;
}

// The caller has compared `count` with the rest of the file.
template <typename T>
Result<Array> ParseNumbers(HeaderCursor& cursor, uint64_t count) {
  TRY(const std::string_view bytes, cursor.Take(count * sizeof(T), "an array"));
  std::vector<T> numbers(count);
  if (count > 0) std::memcpy(numbers.data(), bytes.data(), bytes.size());
  return Array{std::move(numbers)};
}

Result<Array> ParseBools(HeaderCursor& cursor, uint64_t count) {
  std::vector<uint8_t> bools;
  bools.reserve(count);
  for (uint64_t i = 0; i < count; ++i) {
    TRY(const uint8_t value, ParseBool(cursor));
    bools.push_back(value);
  }
  return Array{std::move(bools), true};
}

// Up to `count` strings that are in memory and beyond doubt: a vocabulary has a million of them,
// and a Result for each takes longer than all else. ParseString judges the one where this stops.
void TakeSoundStrings(HeaderCursor& cursor, uint64_t count, Strings& strings) {
  const std::string_view bytes = cursor.at_hand();
  uint64_t at = 0;
  while (strings.size() < count) {
    uint64_t length = 0;
    if (bytes.size() - at < sizeof length) break;
    std::memcpy(&length, bytes.data() + at, sizeof length);
    if (length > format::kMaxStringBytes || length > bytes.size() - at - sizeof length) break;
    strings.push_back(bytes.substr(at + sizeof length, length));
    at += sizeof length + length;
  }
  cursor.Skip(at);
}

Result<Array> ParseStrings(HeaderCursor& cursor, uint64_t count) {
  if (count > format::kMaxStrings) {
    return cursor.Invalid(
        cursor.position(),
        fmt::format("an array of {} strings, at most {} are allowed", count, format::kMaxStrings));
  }
  constexpr uint64_t kLongToken = 16;
  Strings strings;
  strings.reserve(count, std::min(cursor.remaining(), count * kLongToken));
  for (TakeSoundStrings(cursor, count, strings); strings.size() < count;
       TakeSoundStrings(cursor, count, strings)) {
    TRY(const std::string_view text, ParseString(cursor));
    strings.push_back(text);
  }
  return Array{std::move(strings)};
}

// Bytes of the smallest element; 0 for a kind that no array may hold.
uint64_t LeastBytes(Kind kind) {
  switch (kind) {
    case Kind::kUint8:
    case Kind::kInt8:
    case Kind::kBool:
      return 1;
    case Kind::kUint16:
    case Kind::kInt16:
      return 2;
    case Kind::kUint32:
    case Kind::kInt32:
    case Kind::kFloat32:
      return 4;
    case Kind::kUint64:
    case Kind::kInt64:
    case Kind::kFloat64:
    case Kind::kString:
      return 8;
    case Kind::kArray:
      return 0;
  }
  return 0;
}

Result<Array> ParseElements(HeaderCursor& cursor, Kind kind, uint64_t count) {
  switch (kind) {
    case Kind::kUint8:
      return ParseNumbers<uint8_t>(cursor, count);
    case Kind::kInt8:
      return ParseNumbers<int8_t>(cursor, count);
    case Kind::kUint16:
      return ParseNumbers<uint16_t>(cursor, count);
    case Kind::kInt16:
      return ParseNumbers<int16_t>(cursor, count);
    case Kind::kUint32:
      return ParseNumbers<uint32_t>(cursor, count);
    case Kind::kInt32:
      return ParseNumbers<int32_t>(cursor, count);
    case Kind::kFloat32:
      return ParseNumbers<float>(cursor, count);
    case Kind::kUint64:
      return ParseNumbers<uint64_t>(cursor, count);
    case Kind::kInt64:
      return ParseNumbers<int64_t>(cursor, count);
    case Kind::kFloat64:
      return ParseNumbers<double>(cursor, count);
    case Kind::kBool:
      return ParseBools(cursor, count);
    case Kind::kString:
      return ParseStrings(cursor, count);
    case Kind::kArray:
      break;
  }
  CHECK(false);
}

Result<Value> ParseArray(HeaderCursor& cursor) {
  const uint64_t at = cursor.position();
  TRY(const uint32_t id, cursor.Read<uint32_t>("an array's element type"));
  const Kind kind{id};
  if (kind == Kind::kArray) return cursor.Invalid(at, "an array of arrays is not supported");
  const uint64_t least = LeastBytes(kind);
  if (least == 0)
    return cursor.Invalid(at, fmt::format("{} is no type of an array's elements", id));
  TRY(const uint64_t count, cursor.Read<uint64_t>("an array's length"));
  if (count > cursor.remaining() / least) {
    return cursor.Truncated(
        cursor.position(),
        fmt::format("an array of {} elements cannot fit into the remaining {} bytes", count,
                    cursor.remaining()));
  }
  TRY(Array array, ParseElements(cursor, kind, count));
  return Value(std::move(array));
}

template <typename T>
Result<Value> ParseScalar(HeaderCursor& cursor) {
  TRY(const T value, cursor.Read<T>("a value"));
  return Value(value);
}

Result<Value> ParseValue(HeaderCursor& cursor) {
  const uint64_t at = cursor.position();
  TRY(const uint32_t id, cursor.Read<uint32_t>("a value's type"));
  switch (Kind{id}) {
    case Kind::kUint8:
      return ParseScalar<uint8_t>(cursor);
    case Kind::kInt8:
      return ParseScalar<int8_t>(cursor);
    case Kind::kUint16:
      return ParseScalar<uint16_t>(cursor);
    case Kind::kInt16:
      return ParseScalar<int16_t>(cursor);
    case Kind::kUint32:
      return ParseScalar<uint32_t>(cursor);
    case Kind::kInt32:
      return ParseScalar<int32_t>(cursor);
    case Kind::kFloat32:
      return ParseScalar<float>(cursor);
    case Kind::kUint64:
      return ParseScalar<uint64_t>(cursor);
    case Kind::kInt64:
      return ParseScalar<int64_t>(cursor);
    case Kind::kFloat64:
      return ParseScalar<double>(cursor);
    case Kind::kArray:
      return ParseArray(cursor);
    case Kind::kBool: {
      TRY(const uint8_t value, ParseBool(cursor));
      return Value(value != 0);
    }
    case Kind::kString: {
      TRY(const std::string_view text, ParseString(cursor));
      return Value(std::string(text));
    }
  }
  return cursor.Invalid(at, fmt::format("{} is no type of a value", id));
}

}  // namespace

Result<Metadata::Entry> ParseEntry(HeaderCursor& cursor) {
  const uint64_t at = cursor.position();
  TRY(const std::string_view name, ParseString(cursor));
  std::string key(name);
  const std::string fault = format::FaultOfName(key, format::kMaxKeyBytes);
  if (!fault.empty()) return cursor.Invalid(at, fmt::format("a metadata key {}", fault));
  Result<Value> value = ParseValue(cursor);
  if (!value.ok()) {
    value.error().what += fmt::format(" (in the value of {})", SafeText(key));
    return std::move(value.error());
  }
  return Metadata::Entry(std::move(key), std::move(*value));
}

}  // namespace trimma
