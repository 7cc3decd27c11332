// SHA-256 with the processor's own instructions (OpenSSL): models are gigabytes.
#pragma once

#include <memory>
#include <string>
#include <string_view>

namespace trimma {

class Sha256 {
 public:
  Sha256();
  ~Sha256();
  Sha256(const Sha256&) = delete;
  Sha256& operator=(const Sha256&) = delete;

  void Add(std::string_view bytes);
  std::string Hex();  // 64 digits in lower case; ends the sum

 private:
  struct State;
  std::unique_ptr<State> state_;
};

std::string Sha256Hex(std::string_view bytes);

// 64 lower-case hexadecimal digits.
bool IsSha256Hex(std::string_view text);

}  // namespace trimma
