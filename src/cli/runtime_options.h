// Command-line options for how a model is run.
#pragma once

#include <CLI/CLI.hpp>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "engine/runtime.h"

namespace trimma {

struct RuntimeOptions {
  std::optional<uint32_t> context;
  std::optional<uint32_t> batch, ubatch;
  std::optional<int> threads, threads_batch, gpu_layers;
  std::vector<std::string> on_host;  // RuntimeSettings::host_tensors
  std::string gpu;                   // "none", or "" for all
  std::string flash_attention = "auto";
  std::string kv = "f16";  // K and V alike, or apart: "q8_0/f16"
  std::string load_mode = "auto";
  bool no_repack = false;
};

void AddRuntimeOptions(CLI::App& app, RuntimeOptions& options);
// "--on-host PATTERN", as often as wished; what is no regular expression is refused.
void AddOnHostOption(CLI::App& app, std::vector<std::string>& patterns);
// "auto", "on" or "off", as the options' check lets pass.
FlashAttention ParseFlashAttention(const std::string& name);

Result<RuntimeSettings> ToSettings(const RuntimeOptions& options);

}  // namespace trimma
