// Numbers and lists in the text files of /proc and /sys. What doesn't parse is absent.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace trimma {

// A decimal number at the start of `text`; what follows it is ignored ("16384 kB").
std::optional<uint64_t> LeadingNumber(std::string_view text);

// The same from the first line of a file.
std::optional<uint64_t> NumberIn(const std::string& path);

// The first line of a file without the blanks around it; "" if it can't be read.
std::string LineIn(const std::string& path);

// The rest of the first line that starts with `key`, without colon and blanks:
// ValueOf("MemTotal:  5 kB\n...", "MemTotal") is "5 kB".
std::optional<std::string> ValueOf(std::string_view text, std::string_view key);

// "0-3,8" is {0, 1, 2, 3, 8}. Numbers beyond what any kernel has are left out.
std::vector<int> ParseCpuList(std::string_view text);

}  // namespace trimma
