// Where Ollama runs as a systemd service: its unit, and the drop-in that is trimma's.
#pragma once

#include <optional>
#include <string>

#include "base/result.h"

namespace trimma {

// `root` stands before every path ("" is the machine itself). nullopt: there is no such unit.
std::optional<std::string> FindOllamaUnit(const std::string& root);

// "/etc/systemd/system/ollama.service.d/trimma.conf" below `root`. kNotFound without a unit.
Result<std::string> OllamaDropInPath(const std::string& root);

// Makes the folder that the drop-in lies in. kPermission, with the command that does it, where only
// root may write there. `as_root` is that command's trimma part: "apply /path/record.json
// --systemd", with all options of this call.
Status MakeDropInFolder(const std::string& path, const std::string& as_root);

// What has to be run for a drop-in to take effect.
inline constexpr const char* kActivateDropIn =
    "sudo systemctl daemon-reload && sudo systemctl restart ollama";

// The same for an environment file.
std::string ActivateEnvironment(const std::string& path);

}  // namespace trimma
