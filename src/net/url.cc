#include "net/url.h"

#include <arpa/inet.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <optional>

#include "base/text.h"
#include "net/curl_api.h"

namespace trimma {
namespace {

constexpr size_t kLongestUrl = 8192;

// curl's own reader of addresses: what it takes apart is what it will ask.
class Reader {
 public:
  explicit Reader(const CurlApi& curl) : curl_(curl), url_(curl.url()) {}
  ~Reader() { curl_.url_cleanup(url_); }
  Reader(const Reader&) = delete;
  Reader& operator=(const Reader&) = delete;

  // The first is absolute, a second may be relative to it.
  bool Take(const std::string& text) {
    return curl_.url_set(url_, CURLUPART_URL, text.c_str(), 0) == CURLUE_OK;
  }
  // "" where the part is absent.
  std::string Part(CURLUPart part, unsigned flags = 0) const {
    char* text = nullptr;
    if (curl_.url_get(url_, part, &text, flags) != CURLUE_OK) return "";
    std::string copy = text;
    curl_.free(text);
    return copy;
  }

 private:
  const CurlApi& curl_;
  CURLU* url_;
};

Error NoAddress(const std::string& text) {
  return {Code::kInvalid, fmt::format("\"{}\" is no address of the web", SafeText(text, 100)),
          "it has to be https://host/path, without a user's name"};
}

Result<Url> Read(const Reader& reader, const std::string& text) {
  Url url;
  url.scheme = ToLower(reader.Part(CURLUPART_SCHEME));
  url.host = ToLower(reader.Part(CURLUPART_HOST));
  const std::string port = reader.Part(CURLUPART_PORT, CURLU_DEFAULT_PORT);
  url.path = reader.Part(CURLUPART_PATH);
  const std::string query = reader.Part(CURLUPART_QUERY);
  if (!query.empty()) url.path += "?" + query;
  const bool known = url.scheme == "http" || url.scheme == "https";
  const bool plain = reader.Part(CURLUPART_USER).empty() && reader.Part(CURLUPART_PASSWORD).empty();
  if (!known || !plain || url.host.empty() || port.empty()) return NoAddress(text);
  url.port = std::stoi(port);  // curl has checked that it is one
  return url;
}

bool HasBlankOrControl(std::string_view text) {
  return std::any_of(text.begin(), text.end(), [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return byte <= 0x20 || byte == 0x7f;
  });
}

std::optional<uint32_t> Ipv4(const std::string& host) {
  in_addr address{};
  if (inet_pton(AF_INET, host.c_str(), &address) != 1) return std::nullopt;
  return ntohl(address.s_addr);
}

using Ipv6Bytes = std::array<uint8_t, 16>;

std::optional<Ipv6Bytes> Ipv6(std::string host) {
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  Ipv6Bytes bytes{};
  if (inet_pton(AF_INET6, host.c_str(), bytes.data()) != 1) return std::nullopt;
  return bytes;
}

bool IsWithin(uint32_t address, uint32_t network, int bits) {
  return (address >> (32 - bits)) == (network >> (32 - bits));
}

bool IsPrivateV4(uint32_t a) {
  return IsWithin(a, 0x00000000, 8) || IsWithin(a, 0x0a000000, 8) || IsWithin(a, 0x64400000, 10) ||
         IsWithin(a, 0x7f000000, 8) || IsWithin(a, 0xa9fe0000, 16) || IsWithin(a, 0xac100000, 12) ||
         IsWithin(a, 0xc0a80000, 16);
}

// The IPv4 address inside "::ffff:a.b.c.d".
std::optional<uint32_t> Mapped(const Ipv6Bytes& bytes) {
  constexpr std::array<uint8_t, 12> kStart = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
  if (std::memcmp(bytes.data(), kStart.data(), kStart.size()) != 0) return std::nullopt;
  return uint32_t{bytes[12]} << 24 | uint32_t{bytes[13]} << 16 | uint32_t{bytes[14]} << 8 |
         bytes[15];
}

bool IsLoopbackV6(const Ipv6Bytes& bytes) {
  Ipv6Bytes one{};
  one[15] = 1;
  return bytes == one;
}

}  // namespace

std::string Url::Origin() const {
  const bool usual = port == (scheme == "https" ? 443 : 80);
  return usual ? fmt::format("{}://{}", scheme, host)
               : fmt::format("{}://{}:{}", scheme, host, port);
}

std::string Url::Text() const { return Origin() + path; }

Result<Url> ParseUrl(const std::string& text) {
  if (text.size() > kLongestUrl || HasBlankOrControl(text)) return NoAddress(text);
  TRY(const CurlApi* curl, LoadCurl());
  Reader reader(*curl);
  if (!reader.Take(text)) return NoAddress(text);
  return Read(reader, text);
}

Result<Url> FollowFrom(const Url& base, const std::string& location) {
  if (location.empty() || location.size() > kLongestUrl || HasBlankOrControl(location))
    return NoAddress(location);
  TRY(const CurlApi* curl, LoadCurl());
  Reader reader(*curl);
  if (!reader.Take(base.Text()) || !reader.Take(location)) return NoAddress(location);
  return Read(reader, location);
}

bool IsLoopback(std::string_view host) {
  const std::string name(host);
  if (name == "localhost" || name.ends_with(".localhost")) return true;
  if (const auto v4 = Ipv4(name)) return IsWithin(*v4, 0x7f000000, 8);
  const auto v6 = Ipv6(name);
  return v6 && IsLoopbackV6(*v6);
}

bool IsPrivate(std::string_view host) {
  const std::string name(host);
  if (IsLoopback(name)) return true;
  if (const auto v4 = Ipv4(name)) return IsPrivateV4(*v4);
  const auto v6 = Ipv6(name);
  if (!v6) return false;
  if (const auto v4 = Mapped(*v6)) return IsPrivateV4(*v4);
  const bool unspecified = *v6 == Ipv6Bytes{};
  const bool link_local = (*v6)[0] == 0xfe && ((*v6)[1] & 0xc0) == 0x80;
  const bool unique_local = ((*v6)[0] & 0xfe) == 0xfc;
  return unspecified || link_local || unique_local;
}

std::string EscapePath(std::string_view path) {
  std::string escaped;
  for (const char c : path) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       std::string_view("-._~/").find(c) != std::string_view::npos;
    if (plain) {
      escaped += c;
    } else {
      escaped += fmt::format("%{:02X}", static_cast<unsigned char>(c));
    }
  }
  return escaped;
}

Status CheckTransport(const Url& url, bool insecure) {
  if (url.scheme == "https" || insecure || IsLoopback(url.host)) return {};
  return Error{Code::kNetwork,
               fmt::format("{} would be asked without encryption", SafeText(url.Origin(), 100)),
               "use https, or pass --insecure if you trust the network between"};
}

Result<Url> NextHop(const Url& from, const std::string& location, const RedirectRules& rules) {
  Result<Url> next = FollowFrom(from, location);
  const std::string sender = SafeText(from.Origin(), 100);
  if (!next.ok()) {
    return Error{Code::kNetwork,
                 fmt::format("{} redirects to \"{}\", which is no address of the web", sender,
                             SafeText(location, 100)),
                 ""};
  }
  if (from.scheme == "https" && next->scheme != "https") {
    return Error{
        Code::kNetwork,
        fmt::format("{} redirects from https to plain {}", sender, SafeText(next->Origin(), 100)),
        "nothing was fetched; a sound server doesn't do that"};
  }
  TRY_STATUS(CheckTransport(*next, rules.insecure));
  if (IsPrivate(next->host) && !rules.from_private) {
    return Error{Code::kNetwork,
                 fmt::format("{} redirects to {}, an address of a private network", sender,
                             SafeText(next->host, 100)),
                 "nothing was fetched; a sound server doesn't do that"};
  }
  return next;
}

}  // namespace trimma
