// The inputs of the weight matrices while a model computes, each once: q, k and v read the same
// input, and so do gate and up.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/result.h"

struct ggml_tensor;

namespace trimma {

// The name of the weights in a node that multiplies a weight matrix with inputs:
// "blk.0.attn_q.weight", whatever the scheduler's copy is called; "" for any other node.
std::string MultipliedWeights(const ggml_tensor* node);

class InputTap {
 public:
  // x [tokens, n], row after row. `reader` is the first matrix that reads this input; its name
  // stands for the input. An error is what Finish() returns.
  using Consumer =
      std::function<Status(const std::string& reader, const float* x, uint64_t tokens, uint64_t n)>;

  // Takes an input where it lies (engine/device_sums.h), or leaves it to the consumer: nullopt. Its
  // error is what Finish() returns; whether the numbers are finite is then its business.
  using Keeper =
      std::function<std::optional<Status>(const std::string& reader, const ggml_tensor* input)>;

  // Only inputs of these readers are handed on; empty: all.
  InputTap(Consumer consumer, std::set<std::string> readers, Keeper keeper = nullptr)
      : consumer_(std::move(consumer)), readers_(std::move(readers)), keeper_(std::move(keeper)) {}

  // Before each Decode: inputs are known by their place in one evaluation.
  void BeginEvaluation() { seen_.clear(); }

  // For Context::Options::tap.
  bool See(ggml_tensor* node, bool ask);

  // Which input each matrix reads: its name to its reader's. Matrices of experts are not among
  // them: each of their tokens goes another way.
  const std::map<std::string, std::string>& reads() const { return reads_; }

  // The first error of the consumer, or kInvalid where an input was not finite.
  Status Finish() const { return status_; }

 private:
  void HandOn(const ggml_tensor* input, const std::string& reader);

  Consumer consumer_;
  std::set<std::string> readers_;
  Keeper keeper_;
  std::map<std::string, std::string> reads_;
  std::map<const ggml_tensor*, std::string> seen_;  // inputs of this evaluation, by reader
  std::vector<char> copied_;
  std::vector<float> packed_;
  Status status_;
};

}  // namespace trimma
