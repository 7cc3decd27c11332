#include "engine/input_tap.h"

#include <fmt/format.h>
#include <ggml-backend.h>
#include <ggml.h>

#include <algorithm>
#include <cmath>
#include <cstring>

namespace trimma {

std::string MultipliedWeights(const ggml_tensor* node) {
  if (node->op != GGML_OP_MUL_MAT && node->op != GGML_OP_MUL_MAT_ID) return "";
  if (node->src[1]->type != GGML_TYPE_F32) return "";
  // The scheduler names copies of weights "CUDA0#blk.0.attn_k.weight#0".
  std::string name = node->src[0]->name;
  const size_t begin = name.find('#');
  if (begin != std::string::npos)
    name = name.substr(begin + 1, name.find('#', begin + 1) - begin - 1);
  // Products of two activations (attention scores) have no weight to quantise.
  return name.ends_with(".weight") ? name : "";
}

bool InputTap::See(ggml_tensor* node, bool ask) {
  if (node->op == GGML_OP_MUL_MAT_ID) return false;
  const std::string weights = MultipliedWeights(node);
  if (weights.empty() || node->src[0]->ne[2] * node->src[0]->ne[3] != 1) return false;
  const ggml_tensor* input = node->src[1];
  const auto [entry, is_new] = seen_.try_emplace(input, weights);
  reads_.try_emplace(weights, entry->second);
  const bool wanted = readers_.empty() || readers_.count(weights) > 0;
  // The reader itself asks for the data; whoever reads the same input later doesn't.
  if (entry->second != weights || !wanted) return false;
  if (!ask) HandOn(input, weights);
  return true;
}

void InputTap::HandOn(const ggml_tensor* input, const std::string& reader) {
  if (!status_.ok()) return;
  if (keeper_) {
    if (const auto kept = keeper_(reader, input)) {
      status_ = *kept;
      return;
    }
  }
  const char* data = static_cast<const char*>(input->data);
  if (!ggml_backend_buffer_is_host(input->buffer)) {
    copied_.resize(ggml_nbytes(input));
    ggml_backend_tensor_get(input, copied_.data(), 0, copied_.size());
    data = copied_.data();
  }
  const auto n = static_cast<uint64_t>(input->ne[0]);
  const auto tokens = static_cast<uint64_t>(ggml_nrows(input));
  const auto* x = reinterpret_cast<const float*>(data);
  if (!ggml_is_contiguous(input)) {
    packed_.resize(tokens * n);
    float* to = packed_.data();
    for (int64_t i3 = 0; i3 < input->ne[3]; ++i3) {
      for (int64_t i2 = 0; i2 < input->ne[2]; ++i2) {
        for (int64_t i1 = 0; i1 < input->ne[1]; ++i1, to += n) {
          std::memcpy(to,
                      data + static_cast<size_t>(i1) * input->nb[1] +
                          static_cast<size_t>(i2) * input->nb[2] +
                          static_cast<size_t>(i3) * input->nb[3],
                      n * sizeof(float));
        }
      }
    }
    x = packed_.data();
  }
  if (!std::all_of(x, x + tokens * n, [](float value) { return std::isfinite(value); })) {
    status_ = Error{Code::kInvalid, fmt::format("the inputs of {} are not finite numbers", reader),
                    "the model is damaged; fetch it again"};
    return;
  }
  status_ = consumer_(reader, x, tokens, n);
}

}  // namespace trimma
