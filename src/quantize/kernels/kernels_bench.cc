// The kernels against ggml_quantize_chunk: weights per second on one thread, and the errors made.
// ./dev bench kernels builds and runs it. Arguments: a GGUF file of F16 or F32 tensors (or "-" for
// drawn rows), then the types to take (all if none).
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <fstream>
#include <functional>
#include <random>
#include <string>
#include <vector>

#include "engine/rows.h"
#include "gguf/reader.h"
#include "quantize/kernels/quantize_rows.h"

namespace trimma {
namespace {

struct Rows {
  uint64_t rows = 0;
  uint64_t length = 0;
  std::vector<float> values;
  std::vector<float> importance;
};

constexpr uint64_t kMaxWeights = 1 << 21;  // of one matrix
constexpr TensorType kTypes[] = {tensor_type::kQ4_0,   tensor_type::kQ4_1, tensor_type::kQ5_0,
                                 tensor_type::kQ5_1,   tensor_type::kQ8_0, tensor_type::kQ2_K,
                                 tensor_type::kQ3_K,   tensor_type::kQ4_K, tensor_type::kQ5_K,
                                 tensor_type::kIQ4_NL, tensor_type::kQ6_K, tensor_type::kIQ4_XS};

std::vector<float> Importance(uint64_t n, std::mt19937& random) {
  std::lognormal_distribution<float> spread(0, 1.5F);
  std::vector<float> weights(n);
  for (float& w : weights) w = spread(random);
  return weights;
}

std::vector<Rows> DrawnRows() {
  std::mt19937 random(1);
  std::vector<Rows> all;
  for (int kind = 0; kind < 3; ++kind) {
    Rows rows{256, 2304, std::vector<float>(256 * 2304), Importance(2304, random)};
    std::normal_distribution<float> normal(0, 0.02F);
    std::exponential_distribution<float> exponential(50);
    std::student_t_distribution<float> heavy(4);
    for (float& x : rows.values) {
      if (kind == 0) x = normal(random);
      if (kind == 1) x = exponential(random) - exponential(random);
      if (kind == 2) x = 0.02F * heavy(random);
    }
    all.push_back(std::move(rows));
  }
  return all;
}

std::vector<Rows> ModelRows(const std::string& path) {
  const Result<GgufFile> file = ReadGguf(path);
  CHECK(file.ok());
  std::ifstream stream(path, std::ios::binary);
  std::mt19937 random(1);
  std::vector<Rows> all;
  for (const TensorInfo& tensor : file->tensors) {
    if (tensor.shape.size() < 2 || tensor.row_length() % 256 != 0 || !CanDequantize(tensor.type))
      continue;
    Rows rows{std::min(tensor.rows(), kMaxWeights / tensor.row_length()),
              tensor.row_length(),
              {},
              Importance(tensor.row_length(), random)};
    std::vector<char> bytes(*RowBytes(tensor.type, rows.length) * rows.rows);
    stream.seekg(static_cast<std::streamoff>(tensor.offset));
    stream.read(bytes.data(), static_cast<std::streamsize>(bytes.size()));
    CHECK(stream.good());
    rows.values.resize(rows.rows * rows.length);
    DequantizeRows(tensor.type, bytes.data(), rows.rows, rows.length, rows.values.data());
    all.push_back(std::move(rows));
  }
  return all;
}

struct Outcome {
  double seconds = 0;
  double error = 0;     // weighed by importance
  double measured = 0;  // weighed by importance * sqrt(mean square + x^2), about as ggml does
};

using Quantizer = std::function<void(TensorType, const Rows&, void*)>;

Outcome Run(TensorType type, const Rows& rows, const Quantizer& quantizer) {
  std::vector<char> blocks(*RowBytes(type, rows.length) * rows.rows);
  const auto start = std::chrono::steady_clock::now();
  quantizer(type, rows, blocks.data());
  Outcome outcome;
  outcome.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  std::vector<float> back(rows.values.size());
  DequantizeRows(type, blocks.data(), rows.rows, rows.length, back.data());
  double square = 0;
  for (const float x : rows.values) square += double{x} * x;
  square /= static_cast<double>(rows.values.size());
  for (size_t i = 0; i < back.size(); ++i) {
    const double x = rows.values[i];
    const double e = rows.importance[i % rows.length] * (x - back[i]) * (x - back[i]);
    outcome.error += e;
    outcome.measured += e * std::sqrt(square + x * x);
  }
  return outcome;
}

void Compare(TensorType type, const std::vector<Rows>& all) {
  const Quantizer ours = [](TensorType t, const Rows& r, void* to) {
    QuantizeRowsBest(t, r.values.data(), r.rows, r.length, r.importance.data(), to);
  };
  const Quantizer ggml = [](TensorType t, const Rows& r, void* to) {
    QuantizeRows(t, r.values.data(), r.rows, r.length, r.importance.data(), to);
  };
  double weights = 0, worst = 0, log_error = 0, log_measured = 0, our_seconds = 0, ggml_seconds = 0;
  for (const Rows& rows : all) {
    const Outcome b = Run(type, rows, ggml);
    Outcome a = Run(type, rows, ours);
    a.seconds = std::min(a.seconds, Run(type, rows, ours).seconds);
    weights += static_cast<double>(rows.values.size());
    our_seconds += a.seconds;
    ggml_seconds += b.seconds;
    worst = std::max(worst, a.error / b.error);
    log_error += std::log(a.error / b.error);
    log_measured += std::log(a.measured / b.measured);
  }
  const auto n = static_cast<double>(all.size());
  fmt::print("{:7} {:10.1f} {:10.1f} {:7.2f} {:11.4f} {:11.4f} {:11.4f}\n", NameOf(type),
             weights / our_seconds / 1e6, weights / ggml_seconds / 1e6, ggml_seconds / our_seconds,
             std::exp(log_error / n), std::exp(log_measured / n), worst);
  std::fflush(stdout);
}

}  // namespace
}  // namespace trimma

int main(int argc, char** argv) {
  using namespace trimma;
  const std::string source = argc > 1 ? argv[1] : "-";
  const std::vector<Rows> all = source == "-" ? DrawnRows() : ModelRows(source);
  fmt::print(
      "millions of weights per second; errors as shares of ggml's, over {} matrices\n"
      "{:7} {:>10} {:>10} {:>7} {:>11} {:>11} {:>11}\n",
      all.size(), "type", "trimma", "ggml", "ratio", "importance", "ggml's w", "worst");
  for (const TensorType type : kTypes) {
    bool wanted = argc <= 2;
    for (int i = 2; i < argc; ++i) wanted |= TensorTypeByName(argv[i]) == type;
    if (!wanted || !HasKernel(type)) continue;
    PrepareRows(type);
    Compare(type, all);
  }
}
