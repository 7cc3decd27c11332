// What the small stored models of tests are put together from.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "support/tiny_model.h"

namespace trimma::stored {

inline constexpr uint32_t kText = 256;  // the model's width
inline constexpr uint32_t kHead = 64;
inline constexpr uint32_t kHeads = 4;
inline constexpr uint32_t kVision = 64;  // the encoder's
inline constexpr uint32_t kVisionFeedForward = 128;
inline constexpr uint32_t kPatch = 14;
inline constexpr uint32_t kImage = 224;
inline constexpr uint64_t kPatches = (kImage / kPatch) * (kImage / kPatch);

// Adds shapes; `fill` gives them data.
class Shapes {
 public:
  explicit Shapes(TinyModel& model) : model_(model) {}
  void Matrix(const std::string& name, const std::vector<uint64_t>& shape) {
    model_.tensors.push_back({name, tensor_type::kF16, shape});
  }
  void Floats(const std::string& name, const std::vector<uint64_t>& shape) {
    model_.tensors.push_back({name, tensor_type::kF32, shape});
  }
  void Vector(const std::string& name, uint64_t n) { Floats(name, {n}); }
  void Both(const std::string& name, const std::vector<uint64_t>& shape) {
    Matrix(name + ".weight", shape);
    Vector(name + ".bias", shape.back());
  }
  void Norm(const std::string& name, uint64_t n, bool bias = true) {
    Vector(name + ".weight", n);
    if (bias) Vector(name + ".bias", n);
  }

 private:
  TinyModel& model_;
};

// ggml.WriteGGUF's: keys by name; tensors by block, those of none last, then by name.
void Order(TinyModel& model);

void AddToken(Metadata& metadata, const std::string& text);
void Numbers(Metadata& metadata, const std::string& prefix,
             const std::vector<std::pair<const char*, uint32_t>>& values);
void VisionKeys(Metadata& metadata, const std::string& arch);

}  // namespace trimma::stored
