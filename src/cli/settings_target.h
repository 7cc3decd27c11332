// The file that a settings path leads to, if it may be written.
#pragma once

#include <string>

#include "base/result.h"

namespace trimma {

// Absolute; a symbolic link is followed, so that the link stays and its target changes. kPermission
// for a file that is read-only, or that a link leads to though another user than the link's owns
// it; a user's own file is taken, the superuser's is not.
Result<std::string> SettingsTarget(const std::string& path);

}  // namespace trimma
