// What servers say in headers, read strictly. Pure.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

namespace trimma {

// Names in lower case; of a header that is sent twice, the first.
using Headers = std::map<std::string, std::string>;

// "bytes 0-99/1000"; `total` is absent for "bytes 0-99/*".
struct ContentRange {
  uint64_t first = 0;
  uint64_t last = 0;  // inclusive
  std::optional<uint64_t> total;
  bool operator==(const ContentRange&) const = default;
};
// nullopt for any other form, numbers beyond 2^63, or a range that isn't inside its total.
std::optional<ContentRange> ParseContentRange(std::string_view text);

// A plain decimal number below 2^63, nothing around it.
std::optional<uint64_t> ParseCount(std::string_view text);

// `Bearer realm="https://...",service="...",scope="..."`, as registries ask for a token.
struct BearerChallenge {
  std::string realm;
  std::string service;
  std::string scope;
  bool operator==(const BearerChallenge&) const = default;
};
// nullopt without a realm, for other schemes, or with control characters.
std::optional<BearerChallenge> ParseBearerChallenge(std::string_view text);

// The address of `<https://...>; rel="next"` in a Link header.
std::optional<std::string> NextPage(std::string_view link);

// Printable ASCII without blanks: fit to be sent behind "Authorization: Bearer ".
bool IsToken(std::string_view text);

}  // namespace trimma
