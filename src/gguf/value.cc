#include "gguf/value.h"

#include <limits>
#include <type_traits>

namespace trimma {
namespace {

template <typename T>
constexpr bool kIsInteger = std::is_integral_v<T> && !std::is_same_v<T, bool>;

template <typename T>
std::optional<int64_t> ToInt64(T value) {
  if constexpr (std::is_same_v<T, uint64_t>) {
    if (value > static_cast<uint64_t>(std::numeric_limits<int64_t>::max())) return std::nullopt;
  }
  return static_cast<int64_t>(value);
}

// The first n elements; nullopt if there are fewer, or one is no int64_t.
std::optional<std::vector<int64_t>> FirstIntegers(const Array& array, uint64_t n) {
  if (array.is_bool || array.size() < n) return std::nullopt;
  return std::visit(
      [n](const auto& elements) -> std::optional<std::vector<int64_t>> {
        using T = std::decay_t<decltype(elements[0])>;
        if constexpr (!kIsInteger<T>) {
          return std::nullopt;
        } else {
          std::vector<int64_t> integers;
          integers.reserve(n);
          for (uint64_t i = 0; i < n; ++i) {
            const std::optional<int64_t> integer = ToInt64(elements[i]);
            if (!integer) return std::nullopt;
            integers.push_back(*integer);
          }
          return integers;
        }
      },
      array.elements);
}

}  // namespace

uint64_t Array::size() const {
  return std::visit([](const auto& vector) { return uint64_t{vector.size()}; }, elements);
}

const Value* Metadata::Find(std::string_view key) const {
  const auto found = index_.find(key);
  return found == index_.end() ? nullptr : &entries_[found->second].second;
}

std::optional<std::string> Metadata::String(std::string_view key) const {
  const Value* value = Find(key);
  const auto* text = value == nullptr ? nullptr : std::get_if<std::string>(value);
  return text == nullptr ? std::nullopt : std::optional(*text);
}

std::optional<int64_t> Metadata::Integer(std::string_view key) const {
  const Value* value = Find(key);
  if (value == nullptr) return std::nullopt;
  return std::visit(
      [](const auto& v) -> std::optional<int64_t> {
        if constexpr (kIsInteger<std::decay_t<decltype(v)>>) return ToInt64(v);
        return std::nullopt;
      },
      *value);
}

std::optional<double> Metadata::Number(std::string_view key) const {
  const Value* value = Find(key);
  if (value == nullptr) return std::nullopt;
  return std::visit(
      [](const auto& v) -> std::optional<double> {
        using T = std::decay_t<decltype(v)>;
        if constexpr (kIsInteger<T> || std::is_floating_point_v<T>) return static_cast<double>(v);
        return std::nullopt;
      },
      *value);
}

std::optional<bool> Metadata::Bool(std::string_view key) const {
  const Value* value = Find(key);
  const bool* boolean = value == nullptr ? nullptr : std::get_if<bool>(value);
  return boolean == nullptr ? std::nullopt : std::optional(*boolean);
}

const Array* Metadata::FindArray(std::string_view key) const {
  const Value* value = Find(key);
  return value == nullptr ? nullptr : std::get_if<Array>(value);
}

std::optional<std::vector<int64_t>> Metadata::PerLayer(std::string_view key, uint64_t n) const {
  // `n` often comes from a file; more layers than this are a fault, not a reason to allocate.
  constexpr uint64_t kMaxLayers = 65536;
  if (n > kMaxLayers) return std::nullopt;
  if (const Array* array = FindArray(key)) return FirstIntegers(*array, n);
  const std::optional<int64_t> scalar = Integer(key);
  if (!scalar) return std::nullopt;
  return std::vector<int64_t>(n, *scalar);
}

void Metadata::Set(std::string key, Value value) {
  const auto [place, added] = index_.try_emplace(key, entries_.size());
  if (added) {
    entries_.emplace_back(std::move(key), std::move(value));
  } else {
    entries_[place->second].second = std::move(value);
  }
}

void Metadata::Erase(std::string_view key) {
  const auto found = index_.find(key);
  if (found == index_.end()) return;
  const size_t position = found->second;
  index_.erase(found);
  entries_.erase(entries_.begin() + static_cast<std::ptrdiff_t>(position));
  for (auto& [name, place] : index_) {
    if (place > position) --place;
  }
}

}  // namespace trimma
