// An address on the web, taken apart strictly, and what may be done with it.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace trimma {

struct Url {
  std::string scheme;  // "http" or "https"
  std::string host;    // in lower case; an IPv6 address in its brackets
  int port = 0;
  std::string path;  // from the first '/', with the query
  bool operator==(const Url&) const = default;

  std::string Origin() const;  // "https://host", "http://host:5000"
  std::string Text() const;    // Origin() and path
};

// kInvalid for what is no http(s) address, holds control characters, or a user's name.
Result<Url> ParseUrl(const std::string& text);

// Where a "Location" leads that `base` answered with: absolute, or relative to it.
Result<Url> FollowFrom(const Url& base, const std::string& location);

// This machine by name or number: its traffic is seen by nobody else.
bool IsLoopback(std::string_view host);

// A number of a network that isn't public (loopback, private, link-local, shared), or "localhost".
bool IsPrivate(std::string_view host);

// The path's bytes fit for an address; '/' stays.
std::string EscapePath(std::string_view path);

struct RedirectRules {
  bool insecure = false;      // plain http to other machines was allowed
  bool from_private = false;  // the first address was one of a private network
};
// The next address of a redirect. kNetwork where it leaves https for http, leads from the public
// network into a private one, or is no address.
Result<Url> NextHop(const Url& from, const std::string& location, const RedirectRules& rules);

// kNetwork for plain http to another machine, unless `insecure`.
Status CheckTransport(const Url& url, bool insecure);

}  // namespace trimma
