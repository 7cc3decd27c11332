// Small text helpers: words, nearest names, and making foreign text safe to show.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace trimma {

std::string_view Trim(std::string_view text);
std::string ToLower(std::string_view text);
std::vector<std::string> Split(std::string_view text, char separator);

// The candidate with the smallest edit distance (case-insensitive), if it is near
// enough (at most a third of the length, at least one edit allowed) to be what was meant.
std::optional<std::string> Nearest(std::string_view word,
                                   const std::vector<std::string>& candidates);

// Text from a file or a server, made fit for a terminal: control characters, escape
// sequences, bidirectional overrides and invalid UTF-8 become "?"; longer than
// `max_bytes` is cut at a character and ends in "...".
std::string SafeText(std::string_view text, size_t max_bytes = 200);

// True when `text` is well-formed UTF-8.
bool IsUtf8(std::string_view text);

}  // namespace trimma
