// Pages of model files that are mapped, but no longer used.
#pragma once

#include <string>
#include <vector>

namespace trimma {

// Lets go of this process's mapped pages of these files; what is read again comes back from the
// page cache. Weights that are repacked at load are copies: without this the pages they were read
// from count as ours beside them for as long as the model lives.
void ReleaseMappedPages(const std::vector<std::string>& paths);

}  // namespace trimma
