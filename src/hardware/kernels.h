// How fast this machine's kernels are: measured once by `trimma scan --bench`, kept, and used by
// plans to predict speed. Plain values.
//
// Each kernel is a straight line, seconds = start + amount * slope: the start is the launch, the
// threads' barriers and the quantised activation, the slope is memory or arithmetic. Zero means
// "not measured" everywhere.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/child.h"
#include "base/result.h"

namespace trimma {

// One weight type.
struct WeightKernel {
  double matvec_seconds = 0;      // start of one product with one token
  double matvec_bytes_per_s = 0;  // weights read from memory, far more of them than caches hold
  double cached_bytes_per_s = 0;  // weights that the caches still hold
  double matmul_seconds = 0;      // one product with 512 tokens takes no less
  double matmul_flops = 0;        // 2 * rows * columns * tokens a second, at 512 tokens
  double small_matmul_flops = 0;  // the same at 32 tokens
  bool operator==(const WeightKernel&) const = default;
};

// Flash attention over one KV-cache type (K and V alike). A cell is one token of the cache seen by
// one query head; its elements are those of K and V together (128 for heads of 64).
struct AttentionKernel {
  double token_seconds = 0;          // start, for one token
  double token_cell_seconds = 0;     // a cell, for one token
  double token_element_seconds = 0;  // an element of it
  double prompt_cell_seconds = 0;    // the same for a prompt: a query times a cell that it sees
  double prompt_element_seconds = 0;
  bool operator==(const AttentionKernel&) const = default;
};

// What else a layer does, per element of a prompt's activations.
struct ElementKernels {
  double norm_seconds = 0;  // RMS norm and its weights
  double rope_seconds = 0;
  double glu_seconds = 0;  // gated activation, per element of one half
  double add_seconds = 0;
  double store_seconds = 0;  // into an f16 KV cache
  bool operator==(const ElementKernels&) const = default;
};

// What a byte costs when the weights in use, all together, are so many: caches keep less and less
// of them from one token to the next.
struct MemoryPoint {
  double working_set_bytes = 0;
  double bytes_per_s = 0;
  bool operator==(const MemoryPoint&) const = default;
};

struct DeviceKernels {
  std::string name;                                  // the GPU's description, or "host"
  std::string backend;                               // "CPU", "CUDA"
  int threads = 0;                                   // of the host; 0 for a GPU
  std::map<std::string, WeightKernel> weights;       // by ggml's type name: "q4_K"
  std::map<std::string, AttentionKernel> attention;  // by KV-cache type: "f16"
  ElementKernels elements;
  std::vector<MemoryPoint> memory;  // ascending; the last is the working set of matvec_bytes_per_s
  double op_seconds = 0;            // one small operation inside a graph that was run before
  double norm_op_seconds = 0;       // the same of a norm, which must see a whole row first
  double new_op_seconds = 0;    // the same in a graph that was not, as every batch of a prompt is
  double graph_seconds = 0;     // starting a graph
  double copy_bytes_per_s = 0;  // GPU: from host memory, as weights of a prompt's batch go
  double sync_seconds = 0;      // GPU: handing a token's activations over, and waiting
  double unsteadiness = 0;      // of one and the same kernel while the others were timed:
                                // its slowest tenth over its fastest, less 1
  bool measured = true;         // false: derived from a card's data sheet
  bool operator==(const DeviceKernels&) const = default;
};

struct KernelTable {
  std::string engine_commit;
  std::vector<DeviceKernels> devices;  // GPUs in the engine's order, the host last
  double seconds = 0;                  // measuring took
  bool operator==(const KernelTable&) const = default;
};

Json ToJson(const KernelTable& table);
// kInvalid for anything that ToJson doesn't write: negative or absurd numbers, missing fields.
Result<KernelTable> KernelTableFromJson(const Json& json);

}  // namespace trimma
