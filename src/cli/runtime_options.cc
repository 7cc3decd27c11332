#include "cli/runtime_options.h"

#include <regex>

#include "cli/common.h"

namespace trimma {

namespace {

// What is wrong with it, as CLI11 asks; "": nothing. The engine takes it in this grammar.
std::string WhyNoPattern(const std::string& text) {
  try {
    std::regex expression(text);
  } catch (const std::regex_error& error) {
    return std::string("this is no regular expression: ") + error.what();
  }
  return text.empty() ? "an empty pattern matches every tensor" : "";
}

}  // namespace

void AddOnHostOption(CLI::App& app, std::vector<std::string>& patterns) {
  app.add_option("--on-host", patterns,
                 "Tensors that stay on the host, a pattern of names (as --override-tensor X=CPU)")
      ->allow_extra_args(false)  // what follows it may be the model
      ->check(WhyNoPattern);
}

void AddRuntimeOptions(CLI::App& app, RuntimeOptions& o) {
  app.add_option("--batch", o.batch, "Logical batch (default 2048)")->check(CLI::Range(1, 1 << 20));
  app.add_option("--ubatch", o.ubatch, "Physical batch (default 512)")
      ->check(CLI::Range(1, 1 << 20));
  app.add_option("--threads", o.threads, "Threads for decoding (default: the physical cores)")
      ->check(CLI::Range(1, 1024));
  app.add_option("--threads-batch", o.threads_batch, "Threads for prefill (default: as --threads)")
      ->check(CLI::Range(1, 1024));
  app.add_option("--gpu-layers", o.gpu_layers, "Layers on the GPU (default: all)")
      ->check(CLI::Range(0, 10000));
  AddOnHostOption(app, o.on_host);
  app.add_option("--gpu", o.gpu, "none leaves the graphics cards out (default: all are used)")
      ->check(CLI::IsMember({"none"}));
  app.add_option("--flash-attention", o.flash_attention, "auto, on or off")
      ->check(CLI::IsMember({"auto", "on", "off"}))
      ->capture_default_str();
  app.add_option("--kv", o.kv, "KV-cache type, of K and V alike or apart: q8_0/f16")
      ->capture_default_str();
  app.add_option("--load-mode", o.load_mode, "How weights are loaded: auto, none, mmap, mmap+mlock")
      ->check(CLI::IsMember({"auto", "none", "mmap", "mmap+mlock"}))
      ->capture_default_str();
  app.add_flag("--no-repack", o.no_repack, "Leave weights as they lie in the file");
}

FlashAttention ParseFlashAttention(const std::string& name) {
  return name == "on"    ? FlashAttention::kOn
         : name == "off" ? FlashAttention::kOff
                         : FlashAttention::kAuto;
}

Result<RuntimeSettings> ToSettings(const RuntimeOptions& o) {
  RuntimeSettings s;
  if (o.context) s.context = *o.context;
  if (o.batch) s.batch = *o.batch;
  if (o.ubatch) s.ubatch = *o.ubatch;
  s.threads = o.threads;
  s.threads_batch = o.threads_batch;
  s.gpu_layers = o.gpu_layers;
  s.host_tensors = o.on_host;
  s.use_gpu = o.gpu.empty();
  s.flash_attention = ParseFlashAttention(o.flash_attention);
  const size_t slash = o.kv.find('/');
  TRY(s.kv_k, ParseKvType(o.kv.substr(0, slash)));
  TRY(s.kv_v, ParseKvType(slash == std::string::npos ? o.kv : o.kv.substr(slash + 1)));
  for (const LoadMode mode : {LoadMode::kRead, LoadMode::kMapped, LoadMode::kMappedLocked}) {
    if (o.load_mode == NameOf(mode)) s.load_mode = mode;
  }
  s.repack = !o.no_repack;
  return s;
}

}  // namespace trimma
