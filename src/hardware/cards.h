// Graphics cards by name: what is known of a card that this machine does not have, so that a
// plan can be made for it.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "base/result.h"

namespace trimma {

enum class Vendor { kNvidia, kAmd, kIntel, kApple };

// Figures of the maker's reference card; boards that a partner overclocked differ by a few percent.
struct Card {
  // Much as the driver says it: "NVIDIA GeForce RTX 2060". Memory variants ("... 12GB") and
  // laptop cards ("... Laptop GPU") are rows of their own. What stands in parentheses is another
  // name: "NVIDIA GB10 (DGX Spark)".
  const char* name;
  Vendor vendor;
  uint32_t memory_mib;        // as sold: 6 GB is 6144; with unified memory, the machine's
  double bandwidth_gb_per_s;  // peak of its memory, 1e9 bytes
  int compute_capability;     // CUDA's times 100: 750; 0 where it is not NVIDIA's
  uint16_t multiprocessors;   // of NVIDIA's, enabled on this card; 0: another maker's, or unknown
  double tensor_tflops;       // FP16 matrix units, FP32 accumulate, dense; without such units the
                              // faster of FP16 and FP32; 0: the maker gives no such figure
  const char* source;         // of the figures above
  uint32_t reported_mib = 0;  // total memory by the driver, where somebody read it; else 0
  const char* reading = "";   // where that was read
  bool inline_ecc = false;    // error correction, on as delivered, takes 1/16 of the memory
};

// Of several variants the one that a bare name means stands first. Sorted by maker and age.
std::span<const Card> Cards();

// The card meant by "2060", "rtx2060 12gb", "RTX-4070 Ti Super", "3080 laptop", "h100 sxm" or
// "m3 max 64gb".
// - Case, blanks, dashes and the maker's words (nvidia, geforce, tesla, radeon, ...) don't matter;
//   RTX, GTX, RX and Arc may be left out. All other words must be the same: "3060" is no 3060 Ti.
// - A memory size ("12gb", or a number after the model's) picks the variant. Without one, and
//   where the name is of several cards otherwise ("a100"), the first row counts.
// - "laptop", "mobile" and "max-q" ask for a laptop card. Without them the desktop card counts,
//   unless the name is only of a laptop's ("4050", "4090 16gb").
// kNotFound, with the nearest names, where no card is meant.
Result<Card> FindCard(const std::string& name);

// Total memory as the driver reports it (cudaMemGetInfo, hipMemGetInfo, Metal's recommended
// working set): less than what is sold.
struct ReportedMemory {
  uint64_t bytes = 0;
  bool measured = false;  // a reading of such a card; else estimated from those of other cards
};
ReportedMemory ReportedBytes(const Card& card);

// Bytes of local memory that the driver sets aside for a context on this card: 1 KiB (CUDA's
// default stack) for every thread that can be resident. Measured on an H100: the context takes
// 264 MiB more for each further KiB of stack, which is 132 multiprocessors of 2048 threads.
// 0 where the multiprocessors are not known.
uint64_t ContextStackBytes(const Card& card);

}  // namespace trimma
