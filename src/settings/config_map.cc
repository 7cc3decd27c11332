// Where an application keeps which setting.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "base/text.h"
#include "settings/files.h"
#include "settings/quoting.h"
#include "settings/toml_document.h"

namespace trimma {
namespace {

// The settings that an application's file gets where nothing else is said.
constexpr size_t kUsual = 4;

// "model.name" under {"model", "name"}.
ConfigPlace OwnPlace(const std::string& setting) {
  const size_t dot = setting.find('.');
  return {setting, {setting.substr(0, dot), setting.substr(dot + 1)}};
}

Error NoKey(const std::string& option, const std::string& why) {
  return Error{Code::kUsage, fmt::format("--map {}: {}", SafeText(option, 200), why),
               "for example --map model.name=llm.model_id"};
}

// The parts of a key as TOML writes it: llm."model id".
Result<std::vector<std::string>> ParseKey(const std::string& option, const std::string& key) {
  const Error invalid = NoKey(option, fmt::format("\"{}\" is no key of TOML", SafeText(key, 100)));
  if (key.find_first_of("\r\n=#") != std::string::npos) return invalid;
  const auto document = TomlDocument::Parse(key + " = 0");
  if (!document.ok()) return invalid;
  std::vector<std::string> path;
  const toml::table* table = &document->root();
  while (table != nullptr) {
    if (table->size() != 1) return invalid;
    path.emplace_back(table->begin()->first.str());
    table = table->begin()->second.as_table();
  }
  return path;
}

bool Holds(const std::vector<std::string>& a, const std::vector<std::string>& b) {
  return a.size() <= b.size() && std::equal(a.begin(), a.end(), b.begin());
}

}  // namespace

ConfigMap OwnConfigMap() {
  ConfigMap map;
  for (const std::string& setting : ConfigSettings()) {
    if (setting != "model.path") map.push_back(OwnPlace(setting));
  }
  return map;
}

ConfigMap UsualConfigMap() {
  ConfigMap map = OwnConfigMap();
  map.resize(kUsual);
  return map;
}

Result<ConfigMap> ParseConfigMap(const std::vector<std::string>& options) {
  ConfigMap map = UsualConfigMap();
  const std::vector<std::string> settings = ConfigSettings();
  for (const std::string& option : options) {
    const size_t sign = option.find('=');
    if (sign == std::string::npos) return NoKey(option, "no key is given");
    const std::string setting(Trim(std::string_view(option).substr(0, sign)));
    const std::string key(Trim(std::string_view(option).substr(sign + 1)));
    if (std::find(settings.begin(), settings.end(), setting) == settings.end()) {
      const auto nearest = Nearest(setting, settings);
      return Error{Code::kUsage, fmt::format("there is no setting \"{}\"", SafeText(setting, 60)),
                   nearest ? fmt::format("did you mean {}?", *nearest)
                           : fmt::format("one of {}", fmt::join(settings, ", "))};
    }
    std::erase_if(map, [&](const ConfigPlace& place) { return place.setting == setting; });
    if (key.empty()) continue;
    TRY(std::vector<std::string> path, ParseKey(option, key));
    map.push_back({setting, std::move(path)});
  }
  for (const ConfigPlace& a : map) {
    for (const ConfigPlace& b : map) {
      if (&a == &b || !Holds(a.path, b.path)) continue;
      return Error{Code::kUsage,
                   fmt::format("{} and {} would both stand at {}", a.setting, b.setting,
                               SafeText(TomlKey(a.path), 100)),
                   "give each a key of its own"};
    }
  }
  return map;
}

}  // namespace trimma
