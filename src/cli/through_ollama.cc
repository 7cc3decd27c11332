#include "cli/through_ollama.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"
#include "models/models.h"

namespace trimma {
namespace {

// Words of ServedPrompt are a token or a little more each in usual vocabularies.
int WordsFor(int tokens) { return std::max(4, tokens * 9 / 10); }

std::string SpreadText(const Json& spread) {
  const auto n = spread.value("n", int64_t{0});
  if (n == 0) return "not measured";
  constexpr int64_t kFewest = 6;
  return fmt::format("{:.1f} tok/s ({}{:.1f} to {:.1f}, {} figures)", spread.value("median", 0.0),
                     n < kFewest ? "all of them: " : "95 %: ", spread.value("low", 0.0),
                     spread.value("high", 0.0), n);
}

}  // namespace

std::string NameInOllamaOf(const std::string& model) {
  constexpr std::string_view kPrefix = "ollama:";
  return model.starts_with(kPrefix) ? model.substr(kPrefix.size()) : model;
}

std::string PathInStore(const std::string& name) {
  const auto local = ResolveModel("ollama:" + name, DefaultModelRoots());
  return local.ok() ? local->path : "";
}

Result<Json> OllamaOptions(const RuntimeOptions& runtime) {
  TRY(const RuntimeSettings settings, ToSettings(runtime));
  const bool environment = settings.kv_k != "f16" || settings.kv_v != "f16" ||
                           settings.flash_attention != FlashAttention::kAuto;
  if (environment) {
    return Error{Code::kUsage,
                 "Ollama takes the KV-cache type and flash attention from its environment alone",
                 "trimma apply --env or --systemd writes them; then measure without these options"};
  }
  if (!runtime.on_host.empty()) {
    return Error{Code::kUsage, "Ollama places whole layers, not tensors by name",
                 "leave out --on-host"};
  }
  if (runtime.no_repack || settings.load_mode == LoadMode::kMappedLocked) {
    return Error{Code::kUsage,
                 "Ollama repacks weights, and locks none in memory, as it thinks best",
                 runtime.no_repack ? "leave out --no-repack" : "leave out --load-mode"};
  }
  if (runtime.threads_batch && runtime.threads_batch != runtime.threads) {
    return Error{Code::kUsage, "Ollama has one number of threads for prompts and answers",
                 "leave out --threads-batch"};
  }
  Json options = Json::object();
  if (runtime.context) options["num_ctx"] = *runtime.context;
  if (runtime.threads) options["num_thread"] = *runtime.threads;
  if (runtime.ubatch) {
    options["num_batch"] = *runtime.ubatch;
  } else if (runtime.batch) {
    options["num_batch"] = *runtime.batch;
  }
  if (runtime.gpu_layers) options["num_gpu"] = *runtime.gpu_layers;
  if (!settings.use_gpu) options["num_gpu"] = 0;
  if (settings.load_mode == LoadMode::kRead) options["use_mmap"] = false;
  if (settings.load_mode == LoadMode::kMapped) options["use_mmap"] = true;
  return options;
}

Result<Json> MeasureThroughOllama(const ThroughOllama& wish, Progress& progress) {
  TRY(const Json options, OllamaOptions(wish.runtime));
  TRY(OllamaClient client, OllamaClient::Connect());
  std::vector<ServedSubject> subjects;
  Json models = Json::array();
  for (const std::string& model : wish.models) {
    const std::string name = NameInOllamaOf(model);
    TRY(const OllamaShow show, client.Show(name));
    subjects.push_back({name, options});
    models.push_back({{"name", name}, {"type", show.type}, {"parameters", show.parameters}});
  }
  ServedSpeedOptions speed;
  speed.prompt_words = WordsFor(wish.prompt_tokens);
  speed.answer_tokens = wish.answer_tokens;
  speed.rounds = wish.rounds;
  speed.budget_seconds = wish.seconds;
  TRY(const auto speeds, MeasureServed(client, subjects, speed, [&](double share) {
        progress.Update("measuring speed through Ollama", share);
      }));
  progress.Done();
  for (size_t i = 0; i < speeds.size(); ++i) {
    models[i]["speed"] = ToJson(speeds[i]);
    if (i == 0) continue;
    models[i]["against_first"] = {
        {"prefill", ToJson(ComparePairs(speeds[0].prefill_samples, speeds[i].prefill_samples))},
        {"decode", ToJson(ComparePairs(speeds[0].decode_samples, speeds[i].decode_samples))}};
  }
  return Json{{"schema", "trimma.measure/1"},
              {"through",
               {{"name", "ollama"},
                {"version", client.version()},
                {"host", client.address().Text()},
                {"options", options},
                {"why", wish.why.empty() ? Json() : Json(wish.why)}}},
              {"model", subjects[0].model},
              {"speed", models[0]["speed"]},
              {"quality", nullptr},
              {"models", models}};
}

std::string DescribeMeasured(const Json& document) {
  std::string text = fmt::format("through Ollama {} at {}\n",
                                 SafeText(document["through"]["version"].get<std::string>()),
                                 SafeText(document["through"]["host"].get<std::string>()));
  for (const Json& model : document["models"]) {
    const Json& speed = model["speed"];
    text +=
        fmt::format("\n{} ({})\nprefill  {} for {} prompt tokens\ndecode   {}\n",
                    SafeText(model["name"].get<std::string>()),
                    SafeText(model["type"].get<std::string>()), SpreadText(speed["prefill_tps"]),
                    speed.value("prompt_tokens", 0), SpreadText(speed["decode_tps"]));
    if (speed["load_ms"].value("n", int64_t{0}) > 0)
      text += fmt::format("load     {:.0f} ms\n", speed["load_ms"].value("median", 0.0));
    if (model.contains("against_first")) {
      text += fmt::format("against the first: prefill {}, decode {}\n",
                          model["against_first"]["prefill"].value("verdict", ""),
                          model["against_first"]["decode"].value("verdict", ""));
    }
  }
  return text;
}

}  // namespace trimma
