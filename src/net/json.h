// JSON from outside: bounded in depth, its fields asked for by type.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace trimma {

// kInvalid ("WHAT is no JSON", "WHAT is nested too deeply"). Sizes are bounded by whoever fetched
// the text.
Result<nlohmann::json> ParseForeignJson(std::string_view text, const std::string& what);

// nullopt where the field is absent or of another type.
std::optional<std::string> TextOf(const nlohmann::json& object, const char* key);
// Whole and not negative, below 2^63.
std::optional<uint64_t> CountOf(const nlohmann::json& object, const char* key);

}  // namespace trimma
