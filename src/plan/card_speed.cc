// What to expect of cards that nobody here ran: shares of their data sheets' figures.
#include <algorithm>
#include <cmath>

#include "plan/speed.h"

namespace trimma {
namespace {

// Read off an NVIDIA H100 80GB HBM3 (3352 GB/s, 989 TFLOP/s FP16) by `trimma scan --bench`, engine
// de3ff815ea7d, 2026-11: what share of both the engine's kernels get.
struct Share {
  const char* type;
  double bandwidth;     // one token
  double tensor;        // 512 tokens
  double small_tensor;  // 32 tokens
};
constexpr Share kShares[] = {
    {"f32", 0.86, 0.381, 0.039},     {"f16", 0.84, 0.605, 0.068},
    {"q8_0", 0.82, 0.204, 0.058},    {"q4_1", 0.80, 0.178, 0.072},
    {"bf16", 0.79, 0.671, 0.070},    {"q5_1", 0.70, 0.164, 0.059},
    {"q4_0", 0.68, 0.202, 0.075},    {"q5_0", 0.63, 0.177, 0.057},
    {"q5_K", 0.60, 0.170, 0.063},    {"iq4_nl", 0.60, 0.206, 0.073},
    {"iq4_xs", 0.56, 0.221, 0.081},  {"q4_K", 0.54, 0.176, 0.070},
    {"q6_K", 0.49, 0.145, 0.053},    {"mxfp4", 0.49, 0.201, 0.070},
    {"iq3_s", 0.38, 0.186, 0.069},   {"iq3_xxs", 0.35, 0.191, 0.072},
    {"iq2_s", 0.33, 0.142, 0.066},   {"q2_K", 0.31, 0.090, 0.059},
    {"iq2_xs", 0.28, 0.142, 0.063},  {"iq1_s", 0.25, 0.168, 0.074},
    {"iq2_xxs", 0.24, 0.206, 0.076}, {"iq1_m", 0.24, 0.253, 0.019},
    {"q3_K", 0.24, 0.142, 0.063},
};

// An H100 has more bandwidth per processor than cards for desktops, whose kernels are therefore
// less often limited by arithmetic: their share lies between the H100's own and this, that of its
// plainest type, and the geometric middle is taken. It gives gemma3 4B Q4_K_M 169 tok/s on an RTX
// 3090, where calebcoffie.com/benchmarks measured 189, and llama 8B Q4_0 56 on a P40, where pull
// request 4766 of llama.cpp measured 57 of a 7B.
constexpr double kBestShare = 0.84;

// Quantised weights are multiplied in 8 bits. Of those operations the matrix units of desktop cards
// do four times as many as of FP16 with FP32 sums, those of datacentre cards twice as many, and the
// engine's kernels come nearer to them. With this share for q4_K, and the others in proportion, an
// RTX 3090 should prefill llama 8B Q6_K at 3028 tok/s, and pull request 7860 measured 3491; a P40
// llama 8B Q4_0 at 788, and pull request 4766 measured 912 of a 7B.
constexpr double kDesktopTensor = 1.0;
constexpr double kDatacentreQ4K = 0.176;  // the H100's own share of q4_K, as above
bool IsDatacentre(int compute_capability) {
  return compute_capability == 700 || compute_capability == 800 || compute_capability == 900 ||
         compute_capability == 1000 || compute_capability == 1030;
}

}  // namespace

DeviceKernels KernelsOfCard(const CardSpeed& card) {
  DeviceKernels out;
  out.name = card.name;
  out.backend = "CUDA";
  out.measured = false;
  if (card.bandwidth_bytes_per_s <= 0) return out;
  const double gain = IsDatacentre(card.compute_capability) ? 1 : kDesktopTensor / kDatacentreQ4K;
  // Whoever isn't NVIDIA's has other kernels; nothing is known of their prompts here.
  const double tensor = card.compute_capability > 0 ? card.tensor_flops * gain : 0;
  for (const Share& share : kShares) {
    WeightKernel& kernel = out.weights[share.type];
    const double wide = std::max(kBestShare, share.bandwidth);
    const double bandwidth =
        IsDatacentre(card.compute_capability) ? share.bandwidth : std::sqrt(share.bandwidth * wide);
    // From here on the H100's own figures: starts depend on driver and host, not on the card.
    kernel.matvec_seconds = 3e-6;
    kernel.matvec_bytes_per_s = bandwidth * card.bandwidth_bytes_per_s;
    kernel.cached_bytes_per_s = kernel.matvec_bytes_per_s;
    // No card multiplies unquantised weights faster than its data sheet says.
    const bool plain = share.type[0] == 'f' || share.type[0] == 'b';
    kernel.matmul_flops = std::min(share.tensor * tensor, plain ? card.tensor_flops : 1e300);
    kernel.small_matmul_flops = std::min(share.small_tensor * tensor, kernel.matmul_flops);
    kernel.matmul_seconds = 2.5e-5;
  }
  const double slower = 3352e9 / card.bandwidth_bytes_per_s;
  const double less = tensor > 0 ? 989.4e12 / tensor : 0;
  struct Cache {
    const char* type;
    double element;
  };
  for (const Cache& cache :
       {Cache{"f16", 2.6e-13}, Cache{"bf16", 2.7e-13}, Cache{"q8_0", 3.5e-13},
        Cache{"q4_0", 4.4e-13}, Cache{"q4_1", 8.6e-13}, Cache{"q5_0", 8.5e-13},
        Cache{"q5_1", 8.5e-13}, Cache{"f32", 7.2e-13}, Cache{"iq4_nl", 4.4e-13}}) {
    out.attention[cache.type] = {5e-6, 0, cache.element * slower, 1.7e-12 * less, 9e-15 * less};
  }
  out.elements = {2.2e-11 * slower, 3.2e-11 * slower, 1.8e-11 * slower, 1.8e-11 * slower,
                  1.8e-11 * slower};
  out.op_seconds = 1e-6;
  out.norm_op_seconds = 2.3e-6;
  out.new_op_seconds = 4.7e-6;
  out.graph_seconds = 6.4e-6;
  out.copy_bytes_per_s = 9e9;
  out.sync_seconds = 2.4e-5;
  return out;
}

namespace {

// What share of the bandwidth that a plain sum of the memory reaches the engine's kernels got, on
// 2, 4 and 16 threads of Xeons (geometric means; one was 0.8 to 1.3 times another).
struct HostShare {
  const char* type;
  double bandwidth;
};
constexpr HostShare kHostShares[] = {
    {"f32", 1.48},    {"bf16", 1.08},   {"f16", 0.96},     {"q6_K", 0.81},  {"q8_0", 0.80},
    {"q4_K", 0.74},   {"q5_K", 0.69},   {"q4_0", 0.68},    {"tq2_0", 0.67}, {"iq4_nl", 0.65},
    {"q4_1", 0.63},   {"q5_0", 0.62},   {"q5_1", 0.61},    {"q2_K", 0.57},  {"mxfp4", 0.55},
    {"q3_K", 0.52},   {"iq4_xs", 0.52}, {"tq1_0", 0.42},   {"iq2_s", 0.31}, {"iq2_xxs", 0.28},
    {"iq2_xs", 0.28}, {"iq3_s", 0.26},  {"iq3_xxs", 0.25}, {"iq1_m", 0.22}, {"iq1_s", 0.17},
};

}  // namespace

DeviceKernels KernelsOfBandwidth(double bytes_per_s, int threads) {
  DeviceKernels host;
  host.name = "host";
  host.backend = "CPU";
  host.threads = threads;
  host.measured = false;
  for (const HostShare& share : kHostShares)
    host.weights[share.type].matvec_bytes_per_s = share.bandwidth * bytes_per_s;
  for (const char* kv : {"f32", "f16", "bf16", "q8_0", "q4_0", "q4_1", "iq4_nl", "q5_0", "q5_1"})
    host.attention[kv] = {};
  return host;
}

}  // namespace trimma
