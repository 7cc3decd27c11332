// Times the kernels of one device, each kind in graphs of its own.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

#include "engine/kernel_graph.h"
#include "hardware/kernels.h"

namespace trimma {

// Sizes that a kernel is timed at. A GPU wants larger ones to be more than its launch.
struct KernelShapes {
  int64_t small, middle;  // square matrices, warm in the caches; the larger also from memory
  int64_t columns, rows;  // of the largest read from memory
  int64_t batch_small;    // square, multiplied with a prompt's 512 tokens
  int64_t batch_columns, batch_rows;
  int64_t heads, kv_heads;  // of attention for one token
  int64_t near_cells, far_cells;
};

class DeviceTimer {
 public:
  // `slice`: seconds of one measurement, unless what it measures takes longer.
  DeviceTimer(KernelDevice& device, double slice);

  // Starts of graphs and of small operations.
  void Overheads(DeviceKernels& out);
  // Bytes a second of one type at growing working sets.
  std::vector<MemoryPoint> Memory(uint64_t pool_bytes);
  std::optional<WeightKernel> Weights(ggml_type type, uint64_t pool_bytes);
  std::optional<AttentionKernel> Attention(ggml_type type);
  ElementKernels Elements();
  // From pageable host memory to the device, as weights of a mapped file go.
  double CopyBytesPerSecond();
  // A token's activations to the device, a small operation there, and its result back.
  double SyncSeconds(double graph_seconds);

  // Times one and the same product again, for Unsteadiness().
  void Tick();
  // What other programs, clocks and neighbours on the same host make of equal work: the slowest
  // tenth of the ticks over the fastest, less 1.
  double Unsteadiness();

 private:
  struct Product {
    double seconds = 0;
    double bytes = 0;
  };

  struct Batch {
    double seconds = 0;
    double flops = 0;
  };

  std::optional<double> Chain(int nodes, bool first);
  std::optional<double> Norms(int nodes);
  std::optional<Product> Matvec(ggml_type type, int64_t columns, int64_t rows, uint64_t working_set,
                                uint64_t read, double budget);
  std::optional<Batch> Matmul(ggml_type type, int64_t columns, int64_t rows, int64_t tokens);
  std::optional<double> Flash(ggml_type type, int64_t head, int64_t heads, int64_t kv_heads,
                              int64_t cells, int64_t queries, int layers);
  std::optional<double> OneToken(ggml_type type, int64_t head, int64_t cells);
  std::optional<double> Prompt(ggml_type type, int64_t head);
  double PerElement(const std::function<ggml_tensor*(KernelGraph&, ggml_tensor*)>& make);

  KernelDevice& device_;
  KernelShapes shapes_;
  double slice_;
  double op_seconds_ = 0;
  std::vector<double> ticks_;
};

}  // namespace trimma
