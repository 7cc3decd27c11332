// Our names of types to ggml's. Included by src/engine and src/quantize's one bridge only.
#pragma once

#include <ggml.h>

#include <string>

#include "base/result.h"
#include "gguf/types.h"

namespace trimma {

inline ggml_type ToGgml(TensorType type) { return static_cast<ggml_type>(type); }
inline TensorType FromGgml(ggml_type type) { return static_cast<TensorType>(type); }

// "f16", "q8_0", ...: types that the engine accepts for a KV cache; kUsage with the nearest name.
Result<ggml_type> GgmlKvType(const std::string& name);

}  // namespace trimma
