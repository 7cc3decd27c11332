// Second moments summed up where the inputs lie: H += X^T X, a matrix product of the backend whose
// device computed X. Only the finished sums come to the host.
//
// How exact they are is the backend's business: CUDA multiplies with 10 bits of mantissa (TF32) and
// adds in 24, which gives the exact moment of inputs that were rounded to 11 bits.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"

struct ggml_backend_device;
struct ggml_tensor;

namespace trimma {

// The device whose memory an input lies in; nullptr: the host's.
ggml_backend_device* DeviceOf(const ggml_tensor* input);

std::string NameOf(ggml_backend_device* device);    // "CUDA0"
uint64_t FreeBytesOf(ggml_backend_device* device);  // now
uint64_t WidthOf(const ggml_tensor* input);

// An input by the name of its reader (InputTap), its width, and the size of the square blocks of
// its moment that are kept along the diagonal: n keeps all.
struct SumShape {
  std::string reader;
  uint64_t n = 0;
  uint64_t block = 0;
};

class DeviceSums {
 public:
  // Whether the device has the operations for it.
  static bool CanSum(ggml_backend_device* device, const SumShape& shape, uint64_t tokens);

  // Room for these sums, all zero, and for a product of `tokens` inputs at once. kNoFit where the
  // device hasn't got so much memory.
  static Result<DeviceSums> Create(ggml_backend_device* device, const std::vector<SumShape>& shapes,
                                   uint64_t tokens);
  DeviceSums(DeviceSums&&) noexcept;
  DeviceSums& operator=(DeviceSums&&) = delete;
  ~DeviceSums();

  // Adds a tapped input, F32 in this device's memory, and waits for it: the engine uses the memory
  // again. kFailure where the device doesn't compute.
  Status Add(const std::string& reader, const ggml_tensor* input);

  // `count` floats from the `first` on of [n / block, block, block].
  void Read(const std::string& reader, uint64_t first, uint64_t count, float* to) const;

  void Clear();  // zeros again

 private:
  struct Parts;
  explicit DeviceSums(std::unique_ptr<Parts> parts);
  std::unique_ptr<Parts> parts_;
};

}  // namespace trimma
