// The work that child processes of this program do (base/child.h).
#pragma once

#include <string>

namespace trimma {

// Serves the named job and returns the exit status.
int RunJob(const std::string& name);

}  // namespace trimma
