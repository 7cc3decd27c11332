// Times the kernels of every device that the engine sees, through ggml and as the engine runs them.
#pragma once

#include "base/child.h"
#include "base/result.h"

namespace trimma {

// The child's side of `trimma scan --bench`. Request: {"budget_seconds", "threads", "pool_bytes"};
// answer: a KernelTable (hardware/kernels.h). Where the budget ends early (a slow machine), the
// rarer weight types are missing.
Result<Json> KernelsJob(const Json& request, const Emit& emit);

}  // namespace trimma
