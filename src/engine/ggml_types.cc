#include "engine/ggml_types.h"

#include <fmt/format.h>

#include "base/text.h"

namespace trimma {
namespace {

// common/arg.cpp of the pinned engine: the values that --cache-type-k takes.
constexpr ggml_type kKvTypes[] = {GGML_TYPE_F32,    GGML_TYPE_F16,  GGML_TYPE_BF16,
                                  GGML_TYPE_Q8_0,   GGML_TYPE_Q4_0, GGML_TYPE_Q4_1,
                                  GGML_TYPE_IQ4_NL, GGML_TYPE_Q5_0, GGML_TYPE_Q5_1};

}  // namespace

Result<ggml_type> GgmlKvType(const std::string& name) {
  std::vector<std::string> names;
  for (const ggml_type type : kKvTypes) {
    names.emplace_back(ggml_type_name(type));
    if (ToLower(name) == names.back()) return type;
  }
  const auto nearest = Nearest(name, names);
  return Error{Code::kUsage, fmt::format("\"{}\" is no KV-cache type", SafeText(name, 40)),
               nearest ? fmt::format("did you mean {}?", *nearest) : "one of f16, q8_0, q4_0, ..."};
}

}  // namespace trimma
