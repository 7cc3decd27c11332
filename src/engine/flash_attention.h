// Flash attention in the engine's words. For the files of engine/ alone.
#pragma once

#include <llama.h>

#include "engine/runtime.h"

namespace trimma {

inline llama_flash_attn_type ToEngine(FlashAttention flash_attention) {
  switch (flash_attention) {
    case FlashAttention::kOn:
      return LLAMA_FLASH_ATTN_TYPE_ENABLED;
    case FlashAttention::kOff:
      return LLAMA_FLASH_ATTN_TYPE_DISABLED;
    case FlashAttention::kAuto:
      break;
  }
  return LLAMA_FLASH_ATTN_TYPE_AUTO;
}

}  // namespace trimma
