// Foreign text inside a page.
#pragma once

#include <string>
#include <string_view>

namespace trimma {

// No string of a record is longer in the page: a hostile file can't make it huge.
inline constexpr size_t kLongestText = 64 << 10;

// `text` for element content and for attributes in either kind of quotes: & < > " ' are
// escaped; control characters (line breaks too), invalid UTF-8, bidirectional overrides and
// zero-width characters become a visible "?". Longer than `max_bytes` it is cut at a
// character and ends in "...".
std::string Html(std::string_view text, size_t max_bytes = kLongestText);

}  // namespace trimma
