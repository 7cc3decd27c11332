// One function per architecture and side (text_views.cc, projector_views.cc), called by the table
// in engine_view.cc. Facts are from Ollama v0.17.4 (convert/convert_*.go: what it writes;
// model/models/: what its runner takes for granted), from the layer with which newer Ollamas read
// such files through llama.cpp (llama/compat/llama-ollama-compat.cpp, commit 0067a05fc2b0), and
// from what the pinned engine demands (src/models/*.cpp, tools/mtmd/clip.cpp).
#pragma once

#include <optional>
#include <string>

#include "gguf/view.h"

namespace trimma::views {

// "block_count" of "gemma3": "gemma3.block_count".
std::string KeyOf(const ViewEdit& edit, const std::string& suffix);

// The language model. Tensors of the encoder are hidden before.
void Gemma3Text(ViewEdit& edit);
void Gemma3nText(ViewEdit& edit);
void GptOssText(ViewEdit& edit);
void Mistral3Text(ViewEdit& edit);
void Qwen25VlText(ViewEdit& edit);
void Qwen3VlText(ViewEdit& edit);
void Llama4Text(ViewEdit& edit);

// The projector, from an edit that holds the encoder's tensors and no key but general.name. What
// can't be shown is said in `why_not`.
void Gemma3Projector(ViewEdit& edit, std::string& why_not);
void Mistral3Projector(ViewEdit& edit, std::string& why_not);
void Qwen25VlProjector(ViewEdit& edit, std::string& why_not);
void Qwen3VlProjector(ViewEdit& edit, std::string& why_not);
void Llama4Projector(ViewEdit& edit, std::string& why_not);

}  // namespace trimma::views
