#include <fmt/format.h>

#include "base/text.h"
#include "settings/files.h"
#include "settings/quoting.h"

namespace trimma {
namespace {

// Ollama's parser drops every character that isn't printable. SafeText knows those that control
// or hide; the blanks other than ' ' are not printable to it either.
bool KeptByOllama(const std::string& path) {
  if (SafeText(path, path.size()) != path) return false;
  for (const char* blank :
       {"\u00A0", "\u00AD", "\u1680", "\u2000", "\u2001", "\u2002", "\u2003", "\u2004", "\u2005",
        "\u2006", "\u2007", "\u2008", "\u2009", "\u200A", "\u205F", "\u3000"}) {
    if (path.find(blank) != std::string::npos) return false;
  }
  return true;
}

// A bare value is trimmed at its end; an absolute path never begins with a blank or a quote.
std::string FromPath(const std::string& path) {
  return path.ends_with(' ') ? fmt::format("\"{}\"", path) : path;
}

}  // namespace

std::vector<std::string> NotHeldByOllama(const RuntimeSettings& settings) {
  std::vector<std::string> lost;
  if (settings.load_mode == LoadMode::kMappedLocked)
    lost.emplace_back("weights locked in memory (load mode mmap+mlock)");
  if (!settings.repack) lost.emplace_back("weights left as they lie in the file (no repacking)");
  if (settings.threads_batch && settings.threads_batch != settings.threads)
    lost.push_back(fmt::format("{} threads for prefill alone", *settings.threads_batch));
  if (!settings.host_tensors.empty()) lost.emplace_back("tensors kept on the host by name");
  return lost;
}

Result<std::string> RenderModelfile(const Applied& applied) {
  TRY_STATUS(CheckApplied(applied));
  const std::string& path = applied.ollama_path.empty() ? applied.model_path : applied.ollama_path;
  if (!KeptByOllama(path)) {
    return Error{Code::kInvalid,
                 fmt::format("a Modelfile can't name this path: {}", SafeText(path)),
                 "move or link the model to a path without invisible characters"};
  }
  const RuntimeSettings& settings = applied.settings;
  std::string text = fmt::format(
      "# Written by trimma {} for {}.\n"
      "# Checked against Ollama's parser of v0.33.0-rc2.\n"
      "# KV-cache type and flash attention can't stand here: see the environment file.\n"
      "FROM {}\n"
      "PARAMETER num_ctx {}\n",
      SafeText(applied.trimma_version), SafeText(applied.name), FromPath(path), settings.context);
  if (!settings.use_gpu) {
    text +=
        "# To a model with num_gpu 0 Ollama gives no graphics card at all, as llama-server's\n"
        "# --device none: no work buffers there, no large batches.\n"
        "PARAMETER num_gpu 0\n";
  } else if (settings.gpu_layers) {
    text += fmt::format("PARAMETER num_gpu {}\n", *settings.gpu_layers);
  }
  if (settings.threads) text += fmt::format("PARAMETER num_thread {}\n", *settings.threads);
  if (settings.load_mode == LoadMode::kRead) text += "PARAMETER use_mmap false\n";
  text += fmt::format(
      "# Ollama takes num_batch as the logical and the physical batch alike: this is the physical "
      "one.\n"
      "PARAMETER num_batch {}\n"
      "PARAMETER temperature {}\n"
      "PARAMETER top_p {}\n",
      settings.ubatch, FloatText(applied.sampling.temperature), FloatText(applied.sampling.top_p));
  for (const std::string& lost : NotHeldByOllama(settings))
    text += fmt::format("# Ollama has no setting for this, so that it is left out: {}\n", lost);
  return text;
}

}  // namespace trimma
