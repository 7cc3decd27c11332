// Many short strings in one piece of memory: a vocabulary of a quarter of a million tokens is two
// allocations instead of as many as there are tokens.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

namespace trimma {

class Strings {
 public:
  class Iterator {
   public:
    Iterator(const Strings& strings, size_t at) : strings_(&strings), at_(at) {}
    std::string_view operator*() const { return (*strings_)[at_]; }
    Iterator& operator++() {
      ++at_;
      return *this;
    }
    bool operator==(const Iterator&) const = default;

   private:
    const Strings* strings_;
    size_t at_;
  };

  Strings() = default;
  Strings(std::initializer_list<std::string_view> strings) {
    for (const std::string_view text : strings) push_back(text);
  }

  size_t size() const { return ends_.size(); }
  bool empty() const { return ends_.empty(); }
  std::string_view operator[](size_t i) const {
    const uint64_t begin = i == 0 ? 0 : ends_[i - 1];
    return std::string_view(bytes_).substr(begin, ends_[i] - begin);
  }
  Iterator begin() const { return {*this, 0}; }
  Iterator end() const { return {*this, size()}; }

  // `bytes` of all strings together, as a guess: memory that is not written costs nothing.
  void reserve(size_t count, size_t bytes) {
    ends_.reserve(count);
    bytes_.reserve(bytes);
  }
  void push_back(std::string_view text) {
    bytes_ += text;
    ends_.push_back(bytes_.size());
  }
  bool operator==(const Strings&) const = default;

 private:
  std::string bytes_;
  std::vector<uint64_t> ends_;  // of each string in bytes_
};

}  // namespace trimma
