#include "engine/device_timer.h"

#include <algorithm>
#include <chrono>
#include <cmath>

#include "base/clock.h"
#include "base/stats.h"

namespace trimma {
namespace {

constexpr KernelShapes kHostShapes = {256, 1024, 4096, 4096, 512, 2048, 1024, 8, 2, 512, 2048};
constexpr KernelShapes kGpuShapes = {512, 2048, 4096, 14336, 1024, 4096, 14336, 32, 8, 1024, 8192};

constexpr int kPromptTokens = 512;
constexpr int kFewTokens = 32;

struct StartAndRate {
  double start = 0;
  double rate = 0;
};
// Through two points, the start no less than nothing; where noise turned their order around, as
// if there were none.
StartAndRate StraightLine(double amount, double seconds, double more, double longer) {
  const double slope = (longer - seconds) / (more - amount);
  if (!(slope > 0)) return {0, more / longer};
  const double start = seconds - slope * amount;
  return start > 0 ? StartAndRate{start, 1 / slope} : StartAndRate{0, more / longer};
}

// Cost of a cell with heads of 64 and of 128 (K and V: 128 and 256 elements) as a line.
void Line(double at64, double at128, double& cell, double& element) {
  element = std::max(0.0, (at128 - at64) / 128);
  cell = std::max(0.0, at64 - 128 * element);
  if (cell == 0) element = at128 / 256;
}

double Best(int repeats, const std::function<void()>& run) {
  double best = 1e300;
  for (int i = 0; i < repeats; ++i) {
    const auto start = Clock::now();
    run();
    best = std::min(best, SecondsSince(start));
  }
  return best;
}

}  // namespace

DeviceTimer::DeviceTimer(KernelDevice& device, double slice)
    : device_(device), shapes_(device.is_host() ? kHostShapes : kGpuShapes), slice_(slice) {}

void DeviceTimer::Overheads(DeviceKernels& out) {
  constexpr int kFew = 4;
  constexpr int kMany = 256;
  const auto few = Chain(kFew, false);
  const auto many = Chain(kMany, false);
  const auto few_norms = Norms(kFew);
  const auto many_norms = Norms(kMany);
  if (!few || !many || !few_norms || !many_norms) return;
  out.op_seconds = std::max(0.0, (*many - *few) / (kMany - kFew));
  out.graph_seconds = std::max(0.0, *few - kFew * out.op_seconds);
  out.norm_op_seconds = std::max(out.op_seconds, (*many_norms - *few_norms) / (kMany - kFew));
  // Kernels are loaded by now, so this is the launches alone.
  std::vector<double> fresh;
  for (int i = 0; i < 5; ++i) fresh.push_back(Chain(kMany, true).value_or(*many));
  const double launches = *std::min_element(fresh.begin(), fresh.end());
  out.new_op_seconds = std::max(out.op_seconds, (launches - out.graph_seconds) / kMany);
  op_seconds_ = out.op_seconds;
}

// Bytes a second of one type at growing working sets.
std::vector<MemoryPoint> DeviceTimer::Memory(uint64_t pool_bytes) {
  std::vector<MemoryPoint> points;
  for (uint64_t bytes = 1 << 20; bytes <= pool_bytes; bytes *= 4) {
    const auto product = Matvec(GGML_TYPE_F16, 1024, 512, bytes, bytes, 2 * slice_);
    if (product) points.push_back({static_cast<double>(bytes), product->bytes / product->seconds});
  }
  return points;
}

// Times one and the same product again, for Unsteadiness().
void DeviceTimer::Tick() {
  constexpr uint64_t kBytes = 1 << 24;
  const auto product =
      Matvec(GGML_TYPE_F16, shapes_.middle, shapes_.middle, kBytes, kBytes, slice_ / 4);
  if (product) ticks_.push_back(product->seconds);
}

// What other programs, clocks and neighbours on the same host make of equal work.
double DeviceTimer::Unsteadiness() {
  constexpr size_t kFewest = 5;
  if (ticks_.size() < kFewest) return 0;
  std::sort(ticks_.begin(), ticks_.end());
  return Quantile(ticks_, 0.9) / Quantile(ticks_, 0.1) - 1;
}

std::optional<WeightKernel> DeviceTimer::Weights(ggml_type type, uint64_t pool_bytes) {
  const auto small = Matvec(type, shapes_.small, shapes_.small, 1 << 18, 0, slice_);
  const auto warm = Matvec(type, shapes_.middle, shapes_.middle, 1 << 20, 0, slice_);
  const auto middle =
      Matvec(type, shapes_.middle, shapes_.middle, pool_bytes / 2, pool_bytes / 2, 2 * slice_);
  const auto large =
      Matvec(type, shapes_.columns, shapes_.rows, pool_bytes, pool_bytes, 2 * slice_);
  if (!small || !warm || !middle || !large) return std::nullopt;
  WeightKernel kernel;
  const auto far = StraightLine(middle->bytes, middle->seconds, large->bytes, large->seconds);
  kernel.matvec_seconds = far.start;
  kernel.matvec_bytes_per_s = far.rate;
  const auto near = StraightLine(small->bytes, small->seconds, warm->bytes, warm->seconds);
  kernel.cached_bytes_per_s = std::max(near.rate, far.rate);

  const auto few = Matmul(type, shapes_.batch_small, shapes_.batch_small, kPromptTokens);
  const auto many = Matmul(type, shapes_.batch_columns, shapes_.batch_rows, kPromptTokens);
  const auto short_batch = Matmul(type, shapes_.batch_columns, shapes_.batch_rows, kFewTokens);
  if (few && many) {
    const auto batch = StraightLine(few->flops, few->seconds, many->flops, many->seconds);
    kernel.matmul_seconds = batch.start;
    kernel.matmul_flops = batch.rate;
  }
  if (short_batch) kernel.small_matmul_flops = short_batch->flops / short_batch->seconds;
  return kernel;
}

std::optional<AttentionKernel> DeviceTimer::Attention(ggml_type type) {
  const auto heads = static_cast<double>(shapes_.heads);
  const auto near = static_cast<double>(shapes_.near_cells);
  const auto far = static_cast<double>(shapes_.far_cells);
  const auto near64 = OneToken(type, 64, shapes_.near_cells);
  const auto far64 = OneToken(type, 64, shapes_.far_cells);
  const auto far128 = OneToken(type, 128, shapes_.far_cells);
  if (!near64 || !far64 || !far128) return std::nullopt;
  AttentionKernel kernel;
  const double cell64 = std::max(0.0, *far64 - *near64) / ((far - near) * heads);
  kernel.token_seconds = std::max(0.0, *near64 - cell64 * near * heads);
  const double cell128 = std::max(cell64, (*far128 - kernel.token_seconds) / (far * heads));
  Line(cell64, cell128, kernel.token_cell_seconds, kernel.token_element_seconds);

  const auto prompt64 = Prompt(type, 64);
  const auto prompt128 = Prompt(type, 128);
  if (prompt64 && prompt128)
    Line(*prompt64, *prompt128, kernel.prompt_cell_seconds, kernel.prompt_element_seconds);
  return kernel;
}

ElementKernels DeviceTimer::Elements() {
  ElementKernels out;
  constexpr int64_t kWidth = 1024;
  out.norm_seconds = PerElement([](KernelGraph& g, ggml_tensor* x) {
    return ggml_mul(g.get(), ggml_rms_norm(g.get(), x, 1e-6F), g.Input(GGML_TYPE_F32, kWidth));
  });
  out.add_seconds =
      PerElement([](KernelGraph& g, ggml_tensor* x) { return ggml_add(g.get(), x, x); });
  out.glu_seconds =
      PerElement([](KernelGraph& g, ggml_tensor* x) { return ggml_swiglu_split(g.get(), x, x); });
  out.rope_seconds = PerElement([](KernelGraph& g, ggml_tensor* x) {
    ggml_tensor* heads = ggml_reshape_3d(g.get(), x, 64, kWidth / 64, kPromptTokens);
    return ggml_rope_ext(g.get(), heads, g.Input(GGML_TYPE_I32, kPromptTokens), nullptr, 64,
                         GGML_ROPE_TYPE_NEOX, 0, 10000, 1, 0, 1, 32, 1);
  });
  out.store_seconds = PerElement([](KernelGraph& g, ggml_tensor* x) {
    return ggml_set_rows(g.get(), g.Input(GGML_TYPE_F16, kWidth, kPromptTokens), x,
                         g.Input(GGML_TYPE_I64, kPromptTokens));
  });
  return out;
}

// From pageable host memory to the device, as weights of a mapped file go.
double DeviceTimer::CopyBytesPerSecond() {
  constexpr size_t kBytes = 64 << 20;
  KernelGraph graph(device_, 1);
  ggml_tensor* target = graph.Input(GGML_TYPE_I8, kBytes);
  graph.Add(ggml_cpy(graph.get(), target, target));
  if (!graph.Allocate()) return 0;
  const std::vector<char> from(kBytes, 1);
  return static_cast<double>(kBytes) /
         Best(4, [&] { ggml_backend_tensor_set(target, from.data(), 0, kBytes); });
}

// A token's activations to the device, a small operation there, and its result back.
double DeviceTimer::SyncSeconds(double graph_seconds) {
  constexpr int64_t kWidth = 4096;
  KernelGraph graph(device_, 1);
  ggml_tensor* x = graph.Input(GGML_TYPE_F32, kWidth);
  ggml_tensor* y = ggml_add(graph.get(), x, x);
  graph.Add(y);
  if (!graph.Allocate()) return 0;
  std::vector<float> host(kWidth, 1);
  const double seconds = Best(100, [&] {
    ggml_backend_tensor_set(x, host.data(), 0, kWidth * sizeof(float));
    graph.Evaluate();
    ggml_backend_tensor_get(y, host.data(), 0, kWidth * sizeof(float));
  });
  return std::max(0.0, seconds - graph_seconds);
}

// Small operations one after the other, such as no backend joins into one; timed in the first
// evaluation of their graph, or later when a GPU's backend has recorded it.
std::optional<double> DeviceTimer::Chain(int nodes, bool first) {
  constexpr int64_t kWidth = 64;
  KernelGraph graph(device_, nodes);
  ggml_tensor* x = graph.Input(GGML_TYPE_F32, kWidth);
  ggml_tensor* y = graph.Input(GGML_TYPE_F32, kWidth);
  for (int i = 0; i < nodes; ++i) {
    x = i % 2 == 0 ? ggml_scale(graph.get(), x, 0.5F) : ggml_add(graph.get(), x, y);
    graph.Add(x);
  }
  if (!graph.Allocate()) return std::nullopt;
  return first ? Best(1, [&] { graph.Evaluate(); }) : graph.Seconds(slice_);
}

// Norms with their weights, one after the other. A host's elements are counted apart.
std::optional<double> DeviceTimer::Norms(int nodes) {
  const int64_t width = device_.is_host() ? 64 : 2048;
  KernelGraph graph(device_, 2 * nodes);
  ggml_tensor* x = graph.Input(GGML_TYPE_F32, width);
  ggml_tensor* weights = graph.Input(GGML_TYPE_F32, width);
  for (int i = 0; i < nodes; ++i) {
    x = ggml_mul(graph.get(), ggml_rms_norm(graph.get(), x, 1e-6F), weights);
    graph.Add(x);
  }
  if (!graph.Allocate()) return std::nullopt;
  return graph.Seconds(slice_);
}

// One product with one token, averaged over a graph of at least `read` bytes of weights (or 64
// products), over matrices that together take at most `working_set`.
std::optional<DeviceTimer::Product> DeviceTimer::Matvec(ggml_type type, int64_t columns,
                                                        int64_t rows, uint64_t working_set,
                                                        uint64_t read, double budget) {
  constexpr int kMostMatrices = 4096;
  const KernelWeights weights(device_, type, columns, rows, working_set, kMostMatrices);
  if (weights.tensors().empty()) return std::nullopt;
  const int n =
      std::clamp(static_cast<int>(static_cast<double>(read) / weights.bytes()),
                 read == 0 ? 64 : static_cast<int>(weights.tensors().size()), kMostMatrices);
  KernelGraph graph(device_, n);
  ggml_tensor* x = graph.Input(GGML_TYPE_F32, columns);
  for (int i = 0; i < n; ++i) {
    ggml_tensor* w = weights.tensors()[static_cast<size_t>(i) % weights.tensors().size()];
    graph.Add(ggml_mul_mat(graph.get(), w, x));
  }
  if (!graph.Allocate()) return std::nullopt;
  return Product{graph.Seconds(budget) / n, weights.bytes()};
}

// One product with so many tokens.
std::optional<DeviceTimer::Batch> DeviceTimer::Matmul(ggml_type type, int64_t columns, int64_t rows,
                                                      int64_t tokens) {
  const KernelWeights weights(device_, type, columns, rows, UINT64_MAX, 1);
  if (weights.tensors().empty()) return std::nullopt;
  KernelGraph graph(device_, 1);
  graph.Add(
      ggml_mul_mat(graph.get(), weights.tensors()[0], graph.Input(GGML_TYPE_F32, columns, tokens)));
  if (!graph.Allocate()) return std::nullopt;
  return Batch{graph.Seconds(slice_), 2.0 * static_cast<double>(columns * rows * tokens)};
}

// `queries` tokens at the end of `cells`, seconds of one layer's attention.
std::optional<double> DeviceTimer::Flash(ggml_type type, int64_t head, int64_t heads,
                                         int64_t kv_heads, int64_t cells, int64_t queries,
                                         int layers) {
  KernelGraph graph(device_, layers);
  ggml_context* c = graph.get();
  ggml_tensor* mask = graph.Input(GGML_TYPE_F16, cells, queries);
  ggml_tensor* q = graph.Input(GGML_TYPE_F32, head, queries, heads);
  // As the cache lies in memory: a row a token, its heads side by side.
  const auto view = [&](ggml_tensor* cache) {
    const size_t row = ggml_row_size(type, head);
    return ggml_view_3d(c, cache, head, cells, kv_heads, row * static_cast<size_t>(kv_heads), row,
                        0);
  };
  ggml_tensor* k = graph.Input(type, head * kv_heads, cells);
  ggml_tensor* v = graph.Input(type, head * kv_heads, cells);
  for (int i = 0; i < layers; ++i)
    graph.Add(ggml_flash_attn_ext(c, q, view(k), view(v), mask, 0.125F, 0, 0));
  if (!graph.Allocate()) return std::nullopt;
  std::vector<ggml_fp16_t> sees(static_cast<size_t>(cells * queries));
  for (int64_t i = 0; i < queries; ++i) {
    for (int64_t j = 0; j < cells; ++j) {
      sees[static_cast<size_t>(i * cells + j)] =
          ggml_fp32_to_fp16(j <= cells - queries + i ? 0 : -INFINITY);
    }
  }
  ggml_backend_tensor_set(mask, sees.data(), 0, sees.size() * sizeof(ggml_fp16_t));
  return graph.Seconds(slice_) / layers;
}

std::optional<double> DeviceTimer::OneToken(ggml_type type, int64_t head, int64_t cells) {
  return Flash(type, head, shapes_.heads, shapes_.kv_heads, cells, 1, 8);
}

// Seconds per query and cell seen.
std::optional<double> DeviceTimer::Prompt(ggml_type type, int64_t head) {
  const int64_t cells = 2 * kPromptTokens;
  const auto seconds = Flash(type, head, shapes_.heads, shapes_.kv_heads, cells, kPromptTokens, 1);
  if (!seconds) return std::nullopt;
  const double pairs = kPromptTokens * (cells - (kPromptTokens - 1) / 2.0);
  return *seconds / (pairs * static_cast<double>(shapes_.heads));
}

double DeviceTimer::PerElement(
    const std::function<ggml_tensor*(KernelGraph&, ggml_tensor*)>& make) {
  KernelGraph graph(device_, 16);
  graph.Add(make(graph, graph.Input(GGML_TYPE_F32, 1024, kPromptTokens)));
  if (!graph.Allocate()) return 0;
  return std::max(0.0, graph.Seconds(slice_) - op_seconds_) / (1024 * kPromptTokens);
}

}  // namespace trimma
