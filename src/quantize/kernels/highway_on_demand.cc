// Highway's shared library, loaded when a kernel is first called. It measures the processor's timer
// whenever it is loaded, which takes 3 ms of every command that needs no kernel. All that kernels
// ask of it are these two functions, which stand in for its own.
#include <hwy/targets.h>

#ifdef TRIMMA_HIGHWAY_ON_DEMAND

#include <dlfcn.h>

#include "base/result.h"

namespace {

// Stays loaded; hwy/targets.h has the declarations, the names are those of the Itanium ABI.
template <typename Function>
Function* FromHighway(const char* mangled) {
  static void* const library = dlopen(TRIMMA_HIGHWAY_ON_DEMAND, RTLD_NOW | RTLD_LOCAL);
  CHECK(library != nullptr);
  auto* function = reinterpret_cast<Function*>(dlsym(library, mangled));
  CHECK(function != nullptr);
  return function;
}

}  // namespace

namespace hwy {

int64_t SupportedTargets() {
  static auto* const ask = FromHighway<int64_t()>("_ZN3hwy16SupportedTargetsEv");
  return ask();
}

ChosenTarget& GetChosenTarget() {
  static auto* const ask = FromHighway<ChosenTarget&()>("_ZN3hwy15GetChosenTargetEv");
  return ask();
}

}  // namespace hwy

#endif
