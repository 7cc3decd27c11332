// A small valid vision projector (mmproj) for tests: Gemma 3's kind, two layers, all weights zero.
#pragma once

#include <cstdint>

#include "support/tiny_model.h"

namespace trimma {

// The width of the language model that it is for.
inline constexpr uint32_t kProjectorModelWidth = 128;

// For pictures of `image` x `image` pixels, a multiple of 56.
TinyModel TinyProjector(uint32_t image);

}  // namespace trimma
