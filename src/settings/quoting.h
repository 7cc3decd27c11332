// How a value is written in each grammar: TOML, bash, systemd's environment files.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "base/result.h"
#include "settings/applied.h"

namespace trimma {

// Refuses what no settings file can hold: a relative path, a sampling value that is no
// finite, non-negative number. The renderers call it first.
Status CheckApplied(const Applied& applied);

// A number with the fewest digits that read back the same: 0.7, 1.0, 1e-07. Always a float in TOML.
std::string FloatText(double value);

// A TOML basic string, quotes included. Control characters and those that hide or reorder text
// (bidirectional, zero width) are escaped. `text` is UTF-8.
std::string TomlString(std::string_view text);

// A key of TOML, its parts joined by dots and quoted where they must be: llm."model id".
std::string TomlKey(std::span<const std::string> path);

// One word of a bash command line. Bytes that a terminal would act on or hide become $'\xNN'.
std::string ShellWord(std::string_view text);

// A value in a systemd EnvironmentFile= file.
std::string EnvironmentValue(std::string_view text);

// NAME=VALUE as one word of an Environment= line in a systemd unit: quoted, with "%" doubled and
// line ends escaped.
std::string UnitWord(std::string_view name, std::string_view value);

}  // namespace trimma
