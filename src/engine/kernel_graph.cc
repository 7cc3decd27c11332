#include "engine/kernel_graph.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <numeric>
#include <random>

#include "base/clock.h"
#include "base/interrupt.h"
#include "base/stats.h"

namespace trimma {
namespace {

constexpr size_t kPattern = 1 << 20;
constexpr size_t kLeastSamples = 3;
constexpr double kMostBudgets = 4;  // unless they'd take so many times what was granted

// Bytes 0x28 to 0x3f: two of them are an f16 or bf16 between 2^-6 and 2 (or just small), four an
// f32, one a quant, a scale or an exponent: never infinite, not a number or denormal.
const std::vector<uint8_t>& Pattern() {
  static const std::vector<uint8_t> pattern = [] {
    std::vector<uint8_t> bytes(kPattern);
    std::mt19937 random(1);
    for (uint8_t& byte : bytes) byte = static_cast<uint8_t>(0x28 + random() % 0x18);
    return bytes;
  }();
  return pattern;
}

ggml_context_ptr NewContext(size_t tensors, size_t graph_bytes = 0) {
  return ggml_context_ptr(ggml_init({ggml_tensor_overhead() * tensors + graph_bytes, nullptr,
                                     /*no_alloc=*/true}));
}

template <typename Function>
Function Symbol(ggml_backend_dev_t device, const char* name) {
  return reinterpret_cast<Function>(
      ggml_backend_reg_get_proc_address(ggml_backend_dev_backend_reg(device), name));
}

void Fill(ggml_tensor* tensor) {
  const size_t bytes = ggml_nbytes(tensor);
  std::vector<uint8_t> data(bytes);
  if (tensor->type == GGML_TYPE_I32 || tensor->type == GGML_TYPE_I64) {
    for (int64_t i = 0; i < ggml_nelements(tensor); ++i) {
      if (tensor->type == GGML_TYPE_I32) {
        reinterpret_cast<int32_t*>(data.data())[i] = static_cast<int32_t>(i);
      } else {
        reinterpret_cast<int64_t*>(data.data())[i] = i;
      }
    }
  } else {
    for (size_t at = 0; at < bytes; at += kPattern) {
      std::memcpy(data.data() + at, Pattern().data(), std::min(kPattern, bytes - at));
    }
  }
  ggml_backend_tensor_set(tensor, data.data(), 0, bytes);
}

}  // namespace

KernelDevice::KernelDevice(ggml_backend_dev_t device, int threads, uint64_t pool_bytes)
    : device_(device), pool_bytes_(pool_bytes), backend_(ggml_backend_dev_init(device, nullptr)) {
  const auto set_threads =
      Symbol<ggml_backend_set_n_threads_t>(device, "ggml_backend_set_n_threads");
  if (backend_ && set_threads != nullptr) set_threads(backend_.get(), threads);
}

bool KernelDevice::is_host() const {
  return ggml_backend_dev_type(device_) == GGML_BACKEND_DEVICE_TYPE_CPU;
}

ggml_backend_buffer_type_t KernelDevice::WeightBuffer(ggml_type type, int64_t columns,
                                                      int64_t rows) const {
  std::vector<ggml_backend_buffer_type_t> kinds;
  const auto extra =
      Symbol<ggml_backend_dev_get_extra_bufts_t>(device_, "ggml_backend_dev_get_extra_bufts");
  if (is_host() && extra != nullptr) {
    for (auto* kind = extra(device_); kind != nullptr && *kind != nullptr; ++kind)
      kinds.push_back(*kind);
  }
  kinds.push_back(ggml_backend_dev_buffer_type(device_));
  const ggml_context_ptr context = NewContext(8);
  ggml_tensor* matrix = ggml_new_tensor_2d(context.get(), type, columns, rows);
  // The engine asks with 512 tokens (llama-model-loader.cpp, weight_buft_supported).
  ggml_tensor* product = ggml_mul_mat(
      context.get(), matrix, ggml_new_tensor_2d(context.get(), GGML_TYPE_F32, columns, 512));
  for (ggml_backend_buffer_type_t kind : kinds) {
    const ggml_backend_buffer_ptr nothing(ggml_backend_buft_alloc_buffer(kind, 0));
    matrix->buffer = nothing.get();
    const bool can = ggml_backend_dev_supports_op(device_, product);
    matrix->buffer = nullptr;
    if (can) return kind;
  }
  return nullptr;
}

ggml_backend_buffer_t KernelDevice::Pool(ggml_backend_buffer_type_t buffer_type) {
  auto& pool = pools_[buffer_type];
  if (pool) return pool.get();
  const size_t bytes = std::min<size_t>(pool_bytes_, ggml_backend_buft_get_max_size(buffer_type));
  pool.reset(ggml_backend_buft_alloc_buffer(buffer_type, bytes));
  if (!pool) return nullptr;
  ggml_backend_buffer_set_usage(pool.get(), GGML_BACKEND_BUFFER_USAGE_WEIGHTS);
  auto* base = static_cast<char*>(ggml_backend_buffer_get_base(pool.get()));
  if (is_host()) {
    // Buffers of rearranged weights take nothing but whole weights by the front door.
    for (size_t at = 0; at < bytes; at += kPattern)
      std::memcpy(base + at, Pattern().data(), std::min(kPattern, bytes - at));
    return pool.get();
  }
  const ggml_context_ptr context = NewContext(2);
  ggml_tensor* all = ggml_new_tensor_1d(context.get(), GGML_TYPE_I8, static_cast<int64_t>(bytes));
  if (ggml_backend_tensor_alloc(pool.get(), all, base) != GGML_STATUS_SUCCESS) return nullptr;
  for (size_t at = 0; at < bytes; at += kPattern)
    ggml_backend_tensor_set(all, Pattern().data(), at, std::min(kPattern, bytes - at));
  return pool.get();
}

KernelWeights::KernelWeights(KernelDevice& device, ggml_type type, int64_t columns, int64_t rows,
                             uint64_t bytes, int most)
    : context_(NewContext(static_cast<size_t>(most) + 1)) {
  ggml_backend_buffer_type_t kind = device.WeightBuffer(type, columns, rows);
  ggml_backend_buffer_t pool = kind == nullptr ? nullptr : device.Pool(kind);
  if (pool == nullptr) return;
  auto* base = static_cast<char*>(ggml_backend_buffer_get_base(pool));
  const size_t end = std::min<size_t>(bytes, ggml_backend_buffer_get_size(pool));
  size_t at = 0;
  while (static_cast<int>(tensors_.size()) < most) {
    ggml_tensor* tensor = ggml_new_tensor_2d(context_.get(), type, columns, rows);
    const size_t size = GGML_PAD(ggml_backend_buft_get_alloc_size(kind, tensor),
                                 ggml_backend_buft_get_alignment(kind));
    const bool first = tensors_.empty() && size <= ggml_backend_buffer_get_size(pool);
    if (at + size > end && !first) break;
    if (ggml_backend_tensor_alloc(pool, tensor, base + at) != GGML_STATUS_SUCCESS) break;
    tensors_.push_back(tensor);
    bytes_ = static_cast<double>(ggml_nbytes(tensor));
    at += size;
  }
}

KernelGraph::KernelGraph(KernelDevice& device, int most_nodes)
    : device_(device),
      context_(NewContext(3 * static_cast<size_t>(most_nodes) + 16,
                          ggml_graph_overhead_custom(static_cast<size_t>(most_nodes) + 16, false))),
      graph_(ggml_new_graph_custom(context_.get(), static_cast<size_t>(most_nodes) + 16, false)) {}

ggml_tensor* KernelGraph::Input(ggml_type type, int64_t ne0, int64_t ne1, int64_t ne2) {
  ggml_tensor* tensor = ggml_new_tensor_3d(context_.get(), type, ne0, ne1, ne2);
  ggml_set_input(tensor);
  inputs_.push_back(tensor);
  return tensor;
}

void KernelGraph::Add(ggml_tensor* node) { ggml_build_forward_expand(graph_, node); }

bool KernelGraph::Allocate() {
  for (int i = 0; i < ggml_graph_n_nodes(graph_); ++i) {
    if (!ggml_backend_dev_supports_op(device_.device(), ggml_graph_node(graph_, i))) return false;
  }
  buffer_.reset(ggml_backend_alloc_ctx_tensors(context_.get(), device_.backend()));
  if (!buffer_) return false;
  for (ggml_tensor* input : inputs_) Fill(input);
  return true;
}

void KernelGraph::Evaluate() {
  ggml_backend_graph_compute(device_.backend(), graph_);
  ggml_backend_synchronize(device_.backend());
}

double KernelGraph::Seconds(double budget) {
  // A GPU's backend records the graph once it has seen it unchanged a few times.
  for (int i = 0; i < (device_.is_host() ? 1 : 4); ++i) Evaluate();
  std::vector<double> samples;
  const auto start = Clock::now();
  auto before = start;
  bool more = true;
  do {
    Evaluate();
    const auto now = Clock::now();
    samples.push_back(std::chrono::duration<double>(now - before).count());
    before = now;
    const double spent = std::chrono::duration<double>(now - start).count();
    more = spent < budget || (samples.size() < kLeastSamples && spent < kMostBudgets * budget);
  } while (more && InterruptSignal() == 0);
  std::sort(samples.begin(), samples.end());
  return Quantile(samples, 0.25);
}

}  // namespace trimma
