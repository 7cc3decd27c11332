// The kernels against ggml_quantize_chunk: weights per second on one thread, and the errors made.
// tools/bench/kernels.py builds and runs it. Arguments: a GGUF file of F16 or F32 tensors, or "-"
// for drawn rows; then the types to take, all if none. Ends with 5 if a goal is missed.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstring>
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

// Activations of real models lie between the two.
std::vector<float> Importance(uint64_t n, std::mt19937& random) {
  std::lognormal_distribution<float> spread(0, random() % 2 == 0 ? 0.4F : 1.5F);
  std::vector<float> weights(n);
  for (float& w : weights) w = spread(random);
  return weights;
}

std::vector<Rows> DrawnRows() {
  std::mt19937 random(1);
  std::vector<Rows> all;
  for (int kind = 0; kind < 6; ++kind) {
    Rows rows{256, 2304, std::vector<float>(256 * 2304), Importance(2304, random)};
    std::normal_distribution<float> normal(0, 0.02F);
    std::exponential_distribution<float> exponential(50);
    std::student_t_distribution<float> heavy(4);
    for (float& x : rows.values) {
      if (kind % 3 == 0) x = normal(random);
      if (kind % 3 == 1) x = exponential(random) - exponential(random);
      if (kind % 3 == 2) x = 0.02F * heavy(random);
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
  double importance = 0;  // sum of q (x - y)^2
  double measure = 0;     // the same, times sqrt(mean square + x^2), much as ggml weighs
  std::vector<char> blocks;
};

using Quantizer = std::function<void(TensorType, const Rows&, void*)>;

Outcome Run(TensorType type, const Rows& rows, const Quantizer& quantizer) {
  Outcome outcome;
  outcome.blocks.resize(*RowBytes(type, rows.length) * rows.rows);
  const auto start = std::chrono::steady_clock::now();
  quantizer(type, rows, outcome.blocks.data());
  outcome.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  std::vector<float> back(rows.values.size());
  DequantizeRows(type, outcome.blocks.data(), rows.rows, rows.length, back.data());
  double square = 0;
  for (const float x : rows.values) square += double{x} * x;
  square /= static_cast<double>(rows.values.size());
  for (size_t i = 0; i < back.size(); ++i) {
    const double x = rows.values[i];
    const double error = rows.importance[i % rows.length] * (x - back[i]) * (x - back[i]);
    outcome.importance += error;
    outcome.measure += error * std::sqrt(square + x * x);
  }
  return outcome;
}

// Over all matrices.
struct Totals {
  double weights = 0;
  double our_seconds = 0, ggml_seconds = 0;
  double log_importance = 0, log_measure = 0;  // of the ratios of errors
  double worst = 0;
  uint64_t unlike = 0;  // blocks of the exact mode that are not ggml's
};

uint64_t CountUnlike(TensorType type, const std::vector<char>& a, const std::vector<char>& b) {
  const size_t bytes = InfoOf(type).block_bytes;
  uint64_t unlike = 0;
  for (size_t i = 0; i < a.size(); i += bytes)
    unlike += std::memcmp(a.data() + i, b.data() + i, bytes) != 0;
  return unlike;
}

Totals Compare(TensorType type, const std::vector<Rows>& all) {
  const Quantizer best = [](TensorType t, const Rows& r, void* to) {
    QuantizeRowsBest(t, r.values.data(), r.rows, r.length, r.importance.data(), to);
  };
  const Quantizer exact = [](TensorType t, const Rows& r, void* to) {
    QuantizeRowsExact(t, r.values.data(), r.rows, r.length, r.importance.data(), to);
  };
  const Quantizer ggml = [](TensorType t, const Rows& r, void* to) {
    QuantizeRows(t, r.values.data(), r.rows, r.length, r.importance.data(), to);
  };
  Totals totals;
  for (const Rows& rows : all) {
    const Outcome theirs = Run(type, rows, ggml);
    Outcome ours = Run(type, rows, best);
    // What takes milliseconds is easily disturbed.
    ours.seconds = std::min(ours.seconds, Run(type, rows, best).seconds);
    totals.unlike += CountUnlike(type, Run(type, rows, exact).blocks, theirs.blocks);
    totals.weights += static_cast<double>(rows.values.size());
    totals.our_seconds += ours.seconds;
    totals.ggml_seconds += theirs.seconds;
    totals.worst = std::max(totals.worst, ours.importance / theirs.importance);
    totals.log_importance += std::log(ours.importance / theirs.importance);
    totals.log_measure += std::log(ours.measure / theirs.measure);
  }
  return totals;
}

double SpeedGoal(TensorType type) {
  if (type == tensor_type::kQ4_K || type == tensor_type::kIQ4_XS) return 6;
  return type == tensor_type::kQ8_0 || type == tensor_type::kQ6_K ? 2 : 1;
}

// True if the goals are met.
bool Report(TensorType type, const std::vector<Rows>& all) {
  const Totals t = Compare(type, all);
  const auto n = static_cast<double>(all.size());
  const double ratio = t.ggml_seconds / t.our_seconds;
  const bool met = ratio >= SpeedGoal(type) && t.worst <= 1 && t.unlike == 0;
  fmt::print("{:7} {:8.1f} {:8.1f} {:6.2f} {:11.4f} {:9.4f} {:7.4f} {:7} {}\n", NameOf(type),
             t.weights / t.our_seconds / 1e6, t.weights / t.ggml_seconds / 1e6, ratio,
             std::exp(t.log_importance / n), std::exp(t.log_measure / n), t.worst, t.unlike,
             met ? "ok" : "MISSED");
  std::fflush(stdout);
  return met;
}

}  // namespace
}  // namespace trimma

int main(int argc, char** argv) {
  using namespace trimma;
  const std::string source = argc > 1 ? argv[1] : "-";
  const std::vector<Rows> all = source == "-" ? DrawnRows() : ModelRows(source);
  fmt::print(
      "Millions of weights per second; errors as shares of ggml's, weighed by importance (means\n"
      "of {} matrices, and the worst) and as ggml weighs; blocks of the exact mode unlike ggml's.\n"
      "{:7} {:>8} {:>8} {:>6} {:>11} {:>9} {:>7} {:>7}\n",
      all.size(), "type", "trimma", "ggml", "ratio", "importance", "ggml's w", "worst", "unlike");
  bool met = true;
  for (const TensorType type : kTypes) {
    bool wanted = argc <= 2;
    for (int i = 2; i < argc; ++i) wanted |= TensorTypeByName(argv[i]) == type;
    if (!wanted) continue;
    PrepareRows(type);
    met &= Report(type, all);
  }
  return met ? 0 : 5;
}
