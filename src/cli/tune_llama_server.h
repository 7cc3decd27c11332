// tune --through llama-server: the same search as by our own engine (tune/tune.h), its speeds
// measured by starts of the server; then speculation, on real prompts.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "cli/common.h"
#include "cli/through.h"
#include "llama_server/speculate.h"
#include "tune/tune.h"

namespace trimma {

struct LlamaServerTuning {
  TuneOptions tune;             // its defaults are what the user has
  std::string draft;            // a small model, as the user names it; ""
  std::string prompts;          // a file of them; "": of ours
  bool may_judge_kv = false;    // the user said what a KV cache may lose (--max-kld)
  bool gpu_layers_set = false;  // by the user
  bool quiet = false;           // no line of what is opened
};

struct LlamaServerTuned {
  TuneResult result;
  SpeculationResult speculation;
  std::vector<std::string> command;  // that starts the server so; llama-server's path first
  std::string text;                  // the prompts in words: "four prompts of ours"
};

// Whether a user's message is put into a template.
bool HasChatTemplate(const GgufFile& file);

// kInvalid where the draft's vocabulary is another: before anything is started.
Result<LlamaServerTuned> TuneThroughLlamaServer(
    const OpenedModel& model, const LlamaServerProgram& server, const LlamaServerTuning& wish,
    const std::function<void(const std::string&, double)>& progress);

Json ToJson(const LlamaServerTuned& tuned, const DecidedThrough& through);
// What stands below the table of settings.
std::string DescribeSpeculation(const LlamaServerTuned& tuned);

}  // namespace trimma
