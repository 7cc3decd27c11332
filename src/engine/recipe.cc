#include "engine/recipe.h"

#include <ggml.h>
#include <llama-ext.h>
#include <llama.h>

#include <memory>
#include <string>

#include "engine/ggml_types.h"

namespace trimma {
namespace {

struct FreeContext {
  void operator()(ggml_context* context) const { ggml_free(context); }
};
struct FreeQuant {
  void operator()(quantize_state_impl* state) const { llama_quant_free(state); }
};

// A regular expression that finds this name alone.
std::string Exactly(const std::string& name) {
  std::string pattern = "^";
  for (const char c : name) {
    if (std::string(R"(^$\.*+?()[]{}|)").find(c) != std::string::npos) pattern += '\\';
    pattern += c;
  }
  return pattern + "$";
}

}  // namespace

std::vector<TensorType> RecipeTypes(const Model& ghost, const GgufFile& file,
                                    const FileType& recipe,
                                    const std::map<size_t, TensorType>& forced) {
  const size_t n = file.tensors.size();
  const std::unique_ptr<ggml_context, FreeContext> holder(
      ggml_init({(n + 1) * ggml_tensor_overhead(), nullptr, /*no_alloc=*/true}));
  CHECK(holder != nullptr);

  llama_model_quantize_params params = llama_model_quantize_default_params();
  params.ftype = static_cast<llama_ftype>(recipe.id);
  std::vector<std::string> patterns;
  for (const auto& [i, type] : forced) patterns.push_back(Exactly(file.tensors[i].name));
  std::vector<llama_model_tensor_override> overrides;
  for (const auto& [i, type] : forced)
    overrides.push_back({patterns[overrides.size()].c_str(), ToGgml(type)});
  overrides.push_back({nullptr, GGML_TYPE_COUNT});
  if (!forced.empty()) params.tt_overrides = overrides.data();
  const std::unique_ptr<quantize_state_impl, FreeQuant> state(
      llama_quant_init(ghost.get(), &params));

  std::vector<TensorType> types;
  std::vector<ggml_tensor*> asked;
  std::vector<size_t> asked_index;
  for (size_t i = 0; i < n; ++i) {
    const TensorInfo& tensor = file.tensors[i];
    int64_t shape[GGML_MAX_DIMS] = {1, 1, 1, 1};
    for (size_t d = 0; d < tensor.shape.size(); ++d)
      shape[d] = static_cast<int64_t>(tensor.shape[d]);
    ggml_tensor* meta = ggml_new_tensor(holder.get(), ToGgml(tensor.type),
                                        static_cast<int>(tensor.shape.size()), shape);
    ggml_set_name(meta, tensor.name.c_str());
    types.push_back(tensor.type);
    if (llama_quant_tensor_allows_quantization(state.get(), meta)) {
      asked.push_back(meta);
      asked_index.push_back(i);
    }
  }
  std::vector<ggml_type> answers(asked.size(), GGML_TYPE_F32);
  llama_quant_compute_types(state.get(), params.ftype, asked.data(), answers.data(), asked.size());
  for (size_t i = 0; i < asked.size(); ++i) types[asked_index[i]] = FromGgml(answers[i]);
  return types;
}

}  // namespace trimma
