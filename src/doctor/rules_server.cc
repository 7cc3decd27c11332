// How Ollama runs models: attention, cache, context, memory on the card.
#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/text.h"
#include "base/units.h"
#include "doctor/rules.h"
#include "doctor/variables.h"

namespace trimma {
namespace {

constexpr OllamaVersion kRead{{0, 17, 4}};  // the release whose sources were read

Verdict FlashAttentionOff(const DoctorFacts& facts) {
  const auto setting = ServerSetting(facts, "OLLAMA_FLASH_ATTENTION");
  if (!setting) return {{}, HasOllama(facts) ? setting.why() : ""};
  if (!*setting || OllamaBool((*setting)->value) != false) return {};
  return {{{"",
            Severity::kWarning,
            (*setting)->where,
            "flash attention is switched off: attention takes more memory and time, and the KV "
            "cache can't be quantised",
            fmt::format("OLLAMA_FLASH_ATTENTION={}", SafeText((*setting)->value, 20)),
            "",
            "remove OLLAMA_FLASH_ATTENTION, or set it to 1, and restart Ollama",
            {}}},
          ""};
}

// Architectures that v0.17.4 turns flash attention on for by itself.
constexpr std::array<std::string_view, 19> kFlashByItself = {
    "bert",    "gemma3",    "glm4moelite", "glmocr",     "gptoss",         "gpt-oss", "lfm2",
    "lfm2moe", "mistral3",  "olmo3",       "nemotron_h", "nemotron_h_moe", "qwen3",   "qwen3moe",
    "qwen35",  "qwen35moe", "qwen3next",   "qwen3vl",    "qwen3vlmoe"};

Verdict KvWithoutFlash(const DoctorFacts& facts) {
  const auto kv = ServerSetting(facts, "OLLAMA_KV_CACHE_TYPE");
  if (!kv) return {{}, HasOllama(facts) ? kv.why() : ""};
  if (!*kv) return {};
  const std::string type = ToLower(Unquoted((*kv)->value));
  if (type.empty() || type == "f16" || type == "f32" || type == "bf16") return {};
  const auto flash = ServerSetting(facts, "OLLAMA_FLASH_ATTENTION");
  const auto on = flash && *flash ? OllamaBool((*flash)->value) : std::nullopt;
  if (on == true) return {};
  Finding finding{"",
                  Severity::kWarning,
                  (*kv)->where,
                  "",
                  fmt::format("OLLAMA_KV_CACHE_TYPE={}", SafeText(type, 20)),
                  "",
                  "set OLLAMA_FLASH_ATTENTION=1 beside it and restart Ollama",
                  {}};
  if (on == false) {
    finding.what =
        "a quantised KV cache needs flash attention, which is switched off: the cache "
        "stays f16";
    return {{finding}, ""};
  }
  const auto version = RunningVersion(facts);
  if (!version)
    return {{}, "whether flash attention is on by itself depends on the version: " + version.why()};
  if (RunsLlamaServer(*version)) return {};  // on wherever the card can
  if (!facts.models) return {{}, facts.models.why()};
  std::string without;
  for (const DoctorModel& model : *facts.models) {
    const bool by_itself = std::find(kFlashByItself.begin(), kFlashByItself.end(),
                                     model.architecture) != kFlashByItself.end();
    if (!model.in_ollama || model.architecture.empty() || by_itself) continue;
    if (without.find(model.architecture) == std::string::npos)
      without += (without.empty() ? "" : ", ") + SafeText(model.architecture, 40);
  }
  if (without.empty()) {
    if (*version >= kRead) return {};
    return {{},
            fmt::format("for which models Ollama {} turns flash attention on by itself is not "
                        "known here",
                        facts.ollama->version)};
  }
  finding.what = fmt::format(
      "Ollama {} doesn't turn flash attention on by itself for {}: their KV "
      "cache stays f16",
      facts.ollama->version, without);
  return {{finding}, ""};
}

// The context that a model gets without num_ctx and OLLAMA_CONTEXT_LENGTH; nullopt: not known here.
std::optional<uint64_t> DefaultContext(const DoctorFacts& facts, const OllamaVersion& version) {
  if (!facts.gpus) return std::nullopt;
  uint64_t total = 0;
  for (const Gpu& gpu : *facts.gpus) total += gpu.total_bytes;
  // Without a card the engine sees, Ollama may still see one.
  if (total == 0 && (!facts.cards || !facts.cards->empty())) return std::nullopt;
  if (total >= 23 * kGiB) return version >= kRead ? std::optional<uint64_t>(32768) : std::nullopt;
  return 4096;
}

Verdict Truncation(const DoctorFacts& facts) {
  if (!HasOllama(facts)) return {};
  const auto setting = ServerSetting(facts, "OLLAMA_CONTEXT_LENGTH");
  if (!facts.models) return {{}, facts.models.why()};
  const auto version = RunningVersion(facts);
  std::vector<std::string> cut;
  uint64_t longest = 0;
  std::string evidence;
  std::string unknown;
  const bool set = setting && *setting && !Unquoted((*setting)->value).empty() &&
                   Unquoted((*setting)->value) != "0";
  for (const DoctorModel& model : *facts.models) {
    if (!model.in_ollama || model.trained_context <= 4096) continue;
    if (!model.parameters) {
      unknown = fmt::format("{}: {}", model.name, model.parameters.why());
      continue;
    }
    if (model.parameters->contains("num_ctx") || set) continue;
    std::optional<uint64_t> context;
    if (facts.ollama && facts.ollama->loaded)
      for (const OllamaLoaded& loaded : *facts.ollama->loaded)
        if ("ollama:" + loaded.name == model.name) context = loaded.context;
    if (context) {
      evidence = fmt::format("/api/ps: {} is loaded with a context of {}", model.name, *context);
    } else if (!setting) {
      unknown = setting.why();
      continue;
    } else if (!version) {
      unknown = version.why();
      continue;
    } else {
      context = DefaultContext(facts, *version);
      if (!context)
        unknown = "Ollama's default depends on the cards' memory, which is not known here";
      else if (evidence.empty())
        evidence =
            "neither num_ctx nor OLLAMA_CONTEXT_LENGTH is set, and the cards have less than "
            "23 GiB";
    }
    if (!context || *context > 4096) continue;
    cut.push_back(model.name);
    longest = std::max(longest, *context);
  }
  if (cut.empty()) return {{}, unknown};
  const std::string where =
      cut.size() == 1 ? cut[0] : fmt::format("{} and {} more", cut[0], cut.size() - 1);
  return {{{"",
            Severity::kWarning,
            where,
            fmt::format("prompts are cut to {} tokens without a word, though the model holds more",
                        longest),
            evidence,
            "",
            "OLLAMA_CONTEXT_LENGTH=N where `ollama serve` runs, or PARAMETER num_ctx N in a "
            "Modelfile; `trimma plan MODEL` says which N fits",
            {}}},
          unknown};
}

Verdict ProjectorReserve(const DoctorFacts& facts) {
  if (!facts.models || !facts.gpus)
    return {{}, facts.models ? facts.gpus.why() : facts.models.why()};
  const auto has_projector = [](const DoctorModel& m) { return m.in_ollama && m.has_projector; };
  const auto model = std::find_if(facts.models->begin(), facts.models->end(), has_projector);
  if (model == facts.models->end()) return {};
  if (facts.gpus->empty())
    return {{}, !facts.cards || !facts.cards->empty() ? "the cards' memory is not known here" : ""};
  const auto version = RunningVersion(facts);
  if (!version) return {{}, version.why()};
  if (!RunsLlamaServer(*version)) return {};
  const auto target = ServerSetting(facts, "LLAMA_ARG_FIT_TARGET");
  if (!target) return {{}, target.why()};
  if (*target) return {};
  return {{{"",
            Severity::kInfo,
            model->name,
            "its projector's memory is kept free twice, and 1 GiB besides: by Ollama, and by the "
            "llama-server it starts",
            "it has a projector, and LLAMA_ARG_FIT_TARGET is not set",
            "",
            "LLAMA_ARG_FIT_TARGET=512 where `ollama serve` runs, if layers stay off the card",
            {}}},
          ""};
}

struct Partial {
  const OllamaLoaded* model;
  uint64_t missing;  // bytes that are not on the card
  uint64_t free;     // on the one card
};

// Loaded models with a part off the cards; `why` where that can't be told.
std::vector<Partial> Partials(const DoctorFacts& facts, std::string& why) {
  std::vector<Partial> partials;
  if (!facts.ollama || !facts.ollama->loaded) {
    if (HasOllama(facts)) why = facts.ollama ? facts.ollama->loaded.why() : facts.ollama.why();
    return partials;
  }
  if (const auto elsewhere = Elsewhere(facts)) {
    why = *elsewhere;
    return partials;
  }
  // On several cards, what is free of each can't be added: a layer has to fit on one of them.
  const uint64_t free = facts.gpus && facts.gpus->size() == 1 ? facts.gpus->front().free_bytes : 0;
  const bool cards_known =
      facts.gpus && (!facts.gpus->empty() || (facts.cards && facts.cards->empty()));
  for (const OllamaLoaded& loaded : *facts.ollama->loaded) {
    if (loaded.gpu_bytes >= loaded.bytes) continue;
    if (!cards_known)
      why = "the cards' free memory is not known here";
    else if (facts.gpus->size() > 1)
      why = "which of several cards a model's layers would fit on is not known here";
    else
      partials.push_back({&loaded, loaded.bytes - loaded.gpu_bytes, free});
  }
  return partials;
}

std::string PartialText(const Partial& partial) {
  return fmt::format("/api/ps: {} of {} on the card; {} free there",
                     FormatBytes(partial.model->gpu_bytes), FormatBytes(partial.model->bytes),
                     FormatBytes(partial.free));
}

Verdict HalfOnCpu(const DoctorFacts& facts) {
  Verdict verdict;
  for (const Partial& partial : Partials(facts, verdict.unknown)) {
    if (partial.missing + kGiB > partial.free) continue;
    verdict.findings.push_back(
        {"",
         Severity::kWarning,
         "ollama:" + partial.model->name,
         "part of it runs on the processor, though the card has room for all",
         PartialText(partial),
         "",
         "remove num_gpu from its Modelfile, `ollama stop` it and load it "
         "again",
         {}});
  }
  return verdict;
}

Verdict FitMargin(const DoctorFacts& facts) {
  Verdict verdict;
  for (const Partial& partial : Partials(facts, verdict.unknown)) {
    // Between what the margin of 1 GiB leaves and what there is.
    if (partial.missing > partial.free || partial.missing + kGiB <= partial.free) continue;
    const auto version = RunningVersion(facts);
    const auto target = ServerSetting(facts, "LLAMA_ARG_FIT_TARGET");
    if (!version || !target) {
      verdict.unknown = version ? target.why() : version.why();
      continue;
    }
    if (!RunsLlamaServer(*version) || *target) continue;
    verdict.findings.push_back(
        {"",
         Severity::kWarning,
         "ollama:" + partial.model->name,
         "part of it runs on the processor because 1 GiB of the card is kept free",
         PartialText(partial),
         "",
         fmt::format("LLAMA_ARG_FIT_TARGET={} where `ollama serve` runs, and restart it",
                     std::max<uint64_t>(128, (partial.free - partial.missing) / kMiB)),
         {}});
  }
  return verdict;
}

}  // namespace

std::vector<Rule> ServerRules() {
  return {
      {"flash-attention-off", "Ollama v0.17.4, llm/server.go", FlashAttentionOff},
      {"kv-type-without-flash", "Ollama v0.17.4, llm/server.go and fs/ggml/ggml.go",
       KvWithoutFlash},
      {"silent-truncation", "Ollama v0.17.4, server/routes.go (default context by memory)",
       Truncation},
      {"projector-reserve",
       "Ollama v0.33.0-rc2, llm/llama_server.go, and llama.cpp PR 21489: read, not measured",
       ProjectorReserve},
      {"half-on-cpu", "https://github.com/ollama/ollama/issues/16617", HalfOnCpu},
      {"fit-margin", "llama.cpp de3ff81, common/fit.cpp (--fit-target, 1024 MiB)", FitMargin},
  };
}

}  // namespace trimma
