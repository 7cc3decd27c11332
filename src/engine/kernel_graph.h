// Small graphs of ggml on one device, to be timed.
#pragma once

#include <ggml-backend.h>
#include <ggml-cpp.h>
#include <ggml.h>

#include <cstdint>
#include <map>
#include <vector>

namespace trimma {

// A device with memory to make weights of. The same memory serves all types, one after the other:
// it is filled with bytes that are sound numbers whatever type they are read as, and how long a
// product takes doesn't depend on which.
class KernelDevice {
 public:
  // `threads`: of the host's processor. `pool_bytes`: of weights, at most, per kind of buffer.
  KernelDevice(ggml_backend_dev_t device, int threads, uint64_t pool_bytes);

  bool good() const { return backend_ != nullptr; }
  bool is_host() const;
  ggml_backend_dev_t device() const { return device_; }
  ggml_backend_t backend() const { return backend_.get(); }

  // The buffer type that the engine gives a matrix of this type and shape: on the host the one
  // whose kernels want the weights rearranged, where there is one. nullptr: the device can't
  // multiply it.
  ggml_backend_buffer_type_t WeightBuffer(ggml_type type, int64_t columns, int64_t rows) const;

  // Memory of that kind, allocated and filled at first use; nullptr where there is none left.
  ggml_backend_buffer_t Pool(ggml_backend_buffer_type_t buffer_type);

 private:
  ggml_backend_dev_t device_;
  uint64_t pool_bytes_;
  ggml_backend_ptr backend_;
  std::map<ggml_backend_buffer_type_t, ggml_backend_buffer_ptr> pools_;
};

// Matrices of one type, side by side in a device's pool.
class KernelWeights {
 public:
  // As many as fit into `bytes`, at least one, at most `most`; none where the device can't.
  KernelWeights(KernelDevice& device, ggml_type type, int64_t columns, int64_t rows, uint64_t bytes,
                int most);
  const std::vector<ggml_tensor*>& tensors() const { return tensors_; }
  double bytes() const { return bytes_; }  // of one

 private:
  ggml_context_ptr context_;
  std::vector<ggml_tensor*> tensors_;
  double bytes_ = 0;
};

class KernelGraph {
 public:
  KernelGraph(KernelDevice& device, int most_nodes);
  ggml_context* get() const { return context_.get(); }
  // A tensor with sound numbers (indices 0, 1, 2, ... in an integer one).
  ggml_tensor* Input(ggml_type type, int64_t ne0, int64_t ne1 = 1, int64_t ne2 = 1);
  void Add(ggml_tensor* node);
  // Gives every tensor memory of its own. False: there is not enough, or the device can't run it.
  bool Allocate();
  // Of one evaluation: the lower quartile of as many as fit into `budget` seconds, 3 where
  // they are not far beyond it (and before them those that warm up). What else the machine does
  // only ever adds time.
  double Seconds(double budget);
  void Evaluate();
  ggml_backend_buffer_t buffer() const { return buffer_.get(); }

 private:
  KernelDevice& device_;
  ggml_context_ptr context_;
  ggml_cgraph* graph_;
  ggml_backend_buffer_ptr buffer_;
  std::vector<ggml_tensor*> inputs_;
};

}  // namespace trimma
