// Which language a text looks like: by its script, or by its most common words. A guess for records
// and warnings, never for decisions that nobody sees.
#pragma once

#include <string>
#include <string_view>

namespace trimma {

// "English", "Chinese", "Cyrillic script", "code", ...; "" where nothing stands out: too few words,
// a language that isn't known here, or several at once. Wants 30 words or more.
std::string LanguageOf(std::string_view text);

// What LanguageOf says of program text.
inline constexpr const char* kCode = "code";

}  // namespace trimma
