// Taps the inputs of every matrix multiplication: the sums of squares per column that weigh
// a quantiser's errors (llama.cpp calls them an importance matrix).
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/result.h"
#include "gguf/imatrix.h"

struct ggml_tensor;

namespace trimma {

class ActivationTap {
 public:
  // Matrices of experts have one sum for each expert, over the tokens that went to it.
  enum class Matrices { kAll, kExperts };
  explicit ActivationTap(Matrices matrices = Matrices::kAll) : matrices_(matrices) {}

  // For Context::Options::tap.
  bool See(ggml_tensor* node, bool ask);

  // Everything seen so far; kInvalid if an activation was not finite (the model is broken).
  Result<Importance> Take();

 private:
  struct Sums {
    std::vector<double> squares;  // [matrices, columns]
    std::vector<double> counts;   // [matrices]: tokens seen
    uint64_t columns = 0;
  };
  void AddDense(ggml_tensor* node, const char* data, Sums& sums);
  void AddExperts(ggml_tensor* node, const char* data, Sums& sums);

  Matrices matrices_;
  std::map<std::string, Sums> sums_;
  std::vector<char> copied_;  // activations that live on a GPU
};

}  // namespace trimma
