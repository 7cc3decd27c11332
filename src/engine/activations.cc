#include "engine/activations.h"

#include <fmt/format.h>
#include <ggml-backend.h>
#include <ggml.h>

#include <cmath>

#include "engine/input_tap.h"

namespace trimma {
namespace {

void AddSquares(const char* row, uint64_t columns, double* sums) {
  const auto* x = reinterpret_cast<const float*>(row);
  for (uint64_t j = 0; j < columns; ++j) sums[j] += static_cast<double>(x[j]) * x[j];
}

}  // namespace

bool ActivationTap::See(ggml_tensor* node, bool ask) {
  const std::string name = MultipliedWeights(node);
  if (name.empty()) return false;
  const bool experts = node->op == GGML_OP_MUL_MAT_ID;
  if (matrices_ == Matrices::kExperts && !experts) return false;
  if (ask) return true;
  const ggml_tensor* weights = node->src[0];
  const ggml_tensor* input = node->src[1];

  const char* data = static_cast<const char*>(input->data);
  if (!ggml_backend_buffer_is_host(input->buffer)) {
    copied_.resize(ggml_nbytes(input));
    ggml_backend_tensor_get(input, copied_.data(), 0, copied_.size());
    data = copied_.data();
  }
  Sums& sums = sums_[name];
  if (sums.columns == 0) {
    sums.columns = static_cast<uint64_t>(input->ne[0]);
    const auto matrices = static_cast<size_t>(weights->ne[2] * weights->ne[3]);
    sums.squares.assign(matrices * sums.columns, 0);
    sums.counts.assign(matrices, 0);
  }
  experts ? AddExperts(node, data, sums) : AddDense(node, data, sums);
  return true;
}

void ActivationTap::AddDense(ggml_tensor* node, const char* data, Sums& sums) {
  const ggml_tensor* weights = node->src[0];
  const ggml_tensor* input = node->src[1];
  for (int64_t i3 = 0; i3 < input->ne[3]; ++i3) {
    for (int64_t i2 = 0; i2 < input->ne[2]; ++i2) {
      // A matrix shared by several activations is broadcast over them.
      const auto matrix =
          static_cast<size_t>((i3 % weights->ne[3]) * weights->ne[2] + i2 % weights->ne[2]);
      for (int64_t row = 0; row < input->ne[1]; ++row) {
        AddSquares(data + static_cast<size_t>(row) * input->nb[1] +
                       static_cast<size_t>(i2) * input->nb[2] +
                       static_cast<size_t>(i3) * input->nb[3],
                   sums.columns, &sums.squares[matrix * sums.columns]);
      }
      sums.counts[matrix] += static_cast<double>(input->ne[1]);
    }
  }
}

// input: [columns, used experts or 1, tokens]; ids: [used experts, tokens].
void ActivationTap::AddExperts(ggml_tensor* node, const char* data, Sums& sums) {
  const ggml_tensor* input = node->src[1];
  const ggml_tensor* ids = node->src[2];
  std::vector<char> id_bytes(ggml_nbytes(ids));
  ggml_backend_tensor_get(ids, id_bytes.data(), 0, id_bytes.size());
  for (int64_t token = 0; token < input->ne[2]; ++token) {
    for (int64_t used = 0; used < ids->ne[0]; ++used) {
      const auto expert = static_cast<size_t>(*reinterpret_cast<const int32_t*>(
          id_bytes.data() + static_cast<size_t>(token) * ids->nb[1] +
          static_cast<size_t>(used) * ids->nb[0]));
      CHECK(expert < sums.counts.size());
      AddSquares(data + static_cast<size_t>(used % input->ne[1]) * input->nb[1] +
                     static_cast<size_t>(token) * input->nb[2],
                 sums.columns, &sums.squares[expert * sums.columns]);
      sums.counts[expert] += 1;
    }
  }
}

Result<Importance> ActivationTap::Take() {
  Importance importance;
  for (const auto& [name, sums] : sums_) {
    ImportanceEntry entry;
    entry.columns = sums.columns;
    for (const double square : sums.squares) {
      if (!std::isfinite(square)) {
        return Error{Code::kInvalid, fmt::format("the inputs of {} are not finite numbers", name),
                     "the model is damaged; fetch it again"};
      }
      entry.sum2.push_back(static_cast<float>(square));
    }
    for (const double count : sums.counts) entry.counts.push_back(static_cast<float>(count));
    importance.entries.emplace(name, std::move(entry));
  }
  return importance;
}

}  // namespace trimma
