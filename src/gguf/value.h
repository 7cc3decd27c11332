// Metadata of a GGUF file: typed values in the file's own order.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <variant>
#include <vector>

#include "gguf/strings.h"

namespace trimma {

// An array keeps its element type. bool is stored as uint8_t, one byte an element, as in the file.
using ArrayValue = std::variant<std::vector<uint8_t>, std::vector<int8_t>, std::vector<uint16_t>,
                                std::vector<int16_t>, std::vector<uint32_t>, std::vector<int32_t>,
                                std::vector<float>, std::vector<uint64_t>, std::vector<int64_t>,
                                std::vector<double>, Strings>;

struct Array {
  ArrayValue elements;
  bool is_bool = false;  // element type bool (elements holds uint8_t)
  uint64_t size() const;
  bool operator==(const Array&) const = default;
};

using Value = std::variant<uint8_t, int8_t, uint16_t, int16_t, uint32_t, int32_t, float, bool,
                           std::string, uint64_t, int64_t, double, Array>;

// Keys in the file's order; lookups are by hash. Typed access: a value of another type is "absent".
class Metadata {
 public:
  using Entry = std::pair<std::string, Value>;

  const std::vector<Entry>& entries() const { return entries_; }
  const Value* Find(std::string_view key) const;
  bool Has(std::string_view key) const { return Find(key) != nullptr; }

  std::optional<std::string> String(std::string_view key) const;
  // Any integer type whose value fits (a uint32 may be read as int64); not float, not bool.
  std::optional<int64_t> Integer(std::string_view key) const;
  std::optional<double> Number(std::string_view key) const;  // float, double or any integer
  std::optional<bool> Bool(std::string_view key) const;
  const Array* FindArray(std::string_view key) const;
  // A scalar integer repeated `n` times, or an integer array of at least n elements; else nullopt.
  // Many shapes (head counts, feed-forward lengths) come either way.
  std::optional<std::vector<int64_t>> PerLayer(std::string_view key, uint64_t n) const;

  // Adds, or replaces in place.
  void Set(std::string key, Value value);
  void Erase(std::string_view key);

 private:
  struct Hash {
    using is_transparent = void;  // so that Find needs no std::string
    size_t operator()(std::string_view key) const { return std::hash<std::string_view>{}(key); }
  };
  std::vector<Entry> entries_;
  std::unordered_map<std::string, size_t, Hash, std::equal_to<>> index_;
};

}  // namespace trimma
