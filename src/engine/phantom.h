// Phantom devices: graphics cards that this machine doesn't have.
//
// A ggml device that claims a card's memory, buffer rules and supported operations, but
// allocates and computes nothing. The engine's own placement and graph allocator then price a
// model on it as on the card itself: the rules are the CUDA backend's, cut out of the engine's
// sources when trimma is built (cmake/cuda_rules.py), with the card's compute capability as input.
// They hold for a CUDA build with the engine's default options that was compiled for the card's
// own architecture. What a driver takes on top of buffers is not in them (hardware/overhead.h).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/child.h"
#include "base/result.h"

struct ggml_backend_device;

namespace trimma {

struct PhantomCard {
  std::string name;              // "NVIDIA GeForce RTX 2060"
  int compute_capability = 750;  // times 100
  uint64_t total_bytes = 0;
  uint64_t free_bytes = 0;  // before anything of ours; decides how layers are split among cards
  bool operator==(const PhantomCard&) const = default;
};

Json ToJson(const PhantomCard& card);
PhantomCard PhantomCardFromJson(const Json& json);

// The most cards of one call.
inline constexpr size_t kMostPhantoms = 16;

// Devices for Model::Options::devices, in this order ("CUDA0", "CUDA1", ...). They live as long
// as the process. Before threads start: a second call with other cards redefines the devices, so
// models of the first must be gone.
std::vector<ggml_backend_device*> PhantomDevices(const std::vector<PhantomCard>& cards);

// What buffers on a phantom hold together at the most, besides what they hold now, until it is
// asked.
void CountPhantomBytes(ggml_backend_device* phantom);
uint64_t CountedPhantomBytes(ggml_backend_device* phantom);

}  // namespace trimma
