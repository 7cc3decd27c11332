#include "doctor/variables.h"

#include <algorithm>
#include <array>

#include "base/text.h"
#include "ollama/client.h"

namespace trimma {
namespace {

using Reader = KnownVariable::Reader;

constexpr const char* kNeverSource =
    "Ollama v0.17.4 and v0.33.0-rc2: no mention in sources or documents";
constexpr const char* kNot0174 = "Ollama v0.17.4: no mention in sources or documents";
constexpr const char* kConfig = "Ollama v0.17.4, envconfig/config.go";
constexpr const char* kConfig033 = "Ollama v0.33.0-rc2, envconfig/config.go";
constexpr const char* kNumGpu =
    "PARAMETER num_gpu in a Modelfile (layers on the card; left out, Ollama decides)";
constexpr const char* kNumCtx =
    "OLLAMA_CONTEXT_LENGTH where `ollama serve` runs, or PARAMETER num_ctx in a Modelfile";
constexpr const char* kNumThread = "PARAMETER num_thread in a Modelfile";
constexpr const char* kNumBatch = "PARAMETER num_batch in a Modelfile";

constexpr std::array kVariables = {
    KnownVariable{"OLLAMA_NUM_GPU", Reader::kNobody, "", "", kNumGpu, kNeverSource},
    KnownVariable{"OLLAMA_NUM_CTX", Reader::kNobody, "", "", kNumCtx, kNeverSource},
    KnownVariable{"OLLAMA_NUM_THREAD", Reader::kNobody, "", "", kNumThread, kNeverSource},
    KnownVariable{"OLLAMA_NUM_THREADS", Reader::kNobody, "", "", kNumThread, kNeverSource},
    KnownVariable{"OLLAMA_GPU_LAYERS", Reader::kNobody, "", "", kNumGpu, kNeverSource},
    KnownVariable{"OLLAMA_NUM_BATCH", Reader::kNobody, "", "", kNumBatch, kNeverSource},
    KnownVariable{"OLLAMA_NUM_GPU_LAYERS", Reader::kNobody, "", "", kNumGpu, kNot0174},
    KnownVariable{"OLLAMA_CONTEXT_SIZE", Reader::kNobody, "", "", kNumCtx, kNot0174},
    KnownVariable{"OLLAMA_CTX_SIZE", Reader::kNobody, "", "", kNumCtx, kNot0174},
    KnownVariable{"OLLAMA_BATCH_SIZE", Reader::kNobody, "", "", kNumBatch, kNot0174},
    KnownVariable{"OLLAMA_THREADS", Reader::kNobody, "", "", kNumThread, kNot0174},
    KnownVariable{"OLLAMA_CPU_THREADS", Reader::kNobody, "", "", kNumThread, kNot0174},
    KnownVariable{"OLLAMA_USE_GPU", Reader::kNobody, "", "", kNumGpu, kNot0174},
    KnownVariable{"OLLAMA_LOW_VRAM", Reader::kNobody, "", "", kNumGpu, kNot0174},
    KnownVariable{"OLLAMA_GPU_MEMORY", Reader::kNobody, "", "", kNumGpu, kNot0174},
    KnownVariable{"OLLAMA_USE_MLOCK", Reader::kNobody, "", "",
                  "nothing: Ollama no longer locks memory", kNot0174},
    KnownVariable{"OLLAMA_RUNNERS_DIR", Reader::kServer, "0.17.4", "",
                  "nothing: Ollama finds its libraries beside its program", kNot0174},
    KnownVariable{"OLLAMA_MAX_VRAM", Reader::kServer, "0.17.4", "", kNumGpu,
                  "Ollama v0.17.4: only its integration tests have it"},
    KnownVariable{"OLLAMA_INTEL_GPU", Reader::kServer, "0.17.4", "0.11.0", "OLLAMA_VULKAN=1",
                  kNot0174},
    KnownVariable{"OLLAMA_NEW_ENGINE", Reader::kServer, "0.30.0", "0.24.0",
                  "nothing: every GGUF model runs in llama-server",
                  "Ollama v0.33.0-rc2, envconfig/config.go: gone; v0.17.4 has it"},
    KnownVariable{"OLLAMA_MULTIUSER_CACHE", Reader::kServer, "0.30.0", "0.24.0",
                  "nothing: llama-server keeps a cache for each of OLLAMA_NUM_PARALLEL",
                  "Ollama v0.33.0-rc2, envconfig/config.go: gone; v0.17.4 has it"},
    KnownVariable{"OLLAMA_CONTEXT_LENGTH", Reader::kServer, "", "", "", kConfig},
    KnownVariable{"OLLAMA_KV_CACHE_TYPE", Reader::kServer, "", "", "", kConfig},
    KnownVariable{"OLLAMA_FLASH_ATTENTION", Reader::kServer, "", "", "", kConfig},
    KnownVariable{"OLLAMA_NUM_PARALLEL", Reader::kServer, "", "", "", kConfig},
    KnownVariable{"OLLAMA_MAX_LOADED_MODELS", Reader::kServer, "", "", "", kConfig},
    KnownVariable{"OLLAMA_MAX_QUEUE", Reader::kServer, "", "", "", kConfig},
    KnownVariable{"OLLAMA_KEEP_ALIVE", Reader::kServer, "", "", "", kConfig},
    KnownVariable{"OLLAMA_LOAD_TIMEOUT", Reader::kServer, "", "", "", kConfig},
    KnownVariable{"OLLAMA_GPU_OVERHEAD", Reader::kServer, "", "", "", kConfig},
    KnownVariable{"OLLAMA_SCHED_SPREAD", Reader::kServer, "", "", "", kConfig},
    KnownVariable{"OLLAMA_ORIGINS", Reader::kServer, "", "", "", kConfig},
    KnownVariable{"OLLAMA_LLM_LIBRARY", Reader::kServer, "", "", "", kConfig},
    KnownVariable{"OLLAMA_VULKAN", Reader::kServer, "", "", "", kConfig},
    KnownVariable{"OLLAMA_NOPRUNE", Reader::kServer, "", "", "", kConfig},
    KnownVariable{"OLLAMA_REMOTES", Reader::kServer, "", "", "", kConfig},
    KnownVariable{"OLLAMA_DEBUG", Reader::kEither, "", "", "", kConfig},
    KnownVariable{"OLLAMA_MODELS", Reader::kEither, "", "", "", kConfig},
    KnownVariable{"OLLAMA_HOST", Reader::kEither, "", "", "", kConfig},
    KnownVariable{"OLLAMA_NOHISTORY", Reader::kEither, "", "", "", kConfig},
    KnownVariable{"OLLAMA_NO_CLOUD", Reader::kEither, "", "", "", kConfig},
    KnownVariable{"OLLAMA_EDITOR", Reader::kEither, "", "", "", kConfig},
    KnownVariable{"OLLAMA_AUTH", Reader::kEither, "", "", "", kConfig},
    KnownVariable{"OLLAMA_API_KEY", Reader::kEither, "", "", "", "Ollama v0.17.4, docs/cloud.mdx"},
    KnownVariable{"OLLAMA_LIBRARY_PATH", Reader::kEither, "", "", "",
                  "Ollama v0.17.4, llm/server.go"},
    KnownVariable{"OLLAMA_EXPERIMENT", Reader::kEither, "", "", "",
                  "Ollama v0.17.4, server/routes.go"},
    KnownVariable{"OLLAMA_CORS", Reader::kEither, "", "", "", "Ollama v0.17.4, app/ui/ui.go"},
    KnownVariable{"OLLAMA_IGPU_ENABLE", Reader::kEither, "", "", "", kConfig033},
    KnownVariable{"OLLAMA_GO_TEMPLATE", Reader::kEither, "", "", "", kConfig033},
    KnownVariable{"OLLAMA_DEBUG_LOG_REQUESTS", Reader::kEither, "", "", "", kConfig033},
    KnownVariable{"OLLAMA_MAX_TRANSFER_STREAMS", Reader::kEither, "", "", "", kConfig033},
};

// Flags of the command line that Ollama v0.33.0-rc2 starts llama-server with (llm/llama_server.go).
constexpr std::array<std::string_view, 4> kOverridden = {
    "LLAMA_ARG_CTX_SIZE", "LLAMA_ARG_BATCH", "LLAMA_ARG_UBATCH", "LLAMA_ARG_FLASH_ATTN"};

// The one that was asked, where several run; else the first.
const ServerProcess* OllamaServer(const DoctorFacts& facts) {
  if (!facts.servers || Elsewhere(facts)) return nullptr;
  const ServerProcess* first = nullptr;
  for (const ServerProcess& server : *facts.servers) {
    if (server.program != "ollama") continue;
    if (first == nullptr) first = &server;
    if (!facts.ollama || !server.environment) continue;
    const auto host = server.environment->find("OLLAMA_HOST");
    const auto address =
        ParseOllamaHost(host == server.environment->end() ? "" : std::string_view(host->second));
    if (address && address->Text() == facts.ollama->host) return &server;
  }
  return first;
}

bool HasUnit(const DoctorFacts& facts) {
  const ServerProcess* server = OllamaServer(facts);
  return server != nullptr && !server->unit.empty();
}

bool RunsWith(const DoctorFacts& facts, const Variable& variable) {
  const ServerProcess* server = OllamaServer(facts);
  if (server == nullptr || !server->environment) return false;
  const auto found = server->environment->find(variable.name);
  return found != server->environment->end() && found->second == variable.value;
}

}  // namespace

const KnownVariable* FindVariable(std::string_view name) {
  for (const KnownVariable& variable : kVariables)
    if (variable.name == name) return &variable;
  return nullptr;
}

std::optional<bool> IsRead(const KnownVariable& variable, const Fact<OllamaVersion>& version) {
  if (variable.reader == Reader::kNobody) return false;
  if (std::string_view(variable.without).empty()) return true;
  if (!version) return std::nullopt;
  if (*version >= *ParseOllamaVersion(variable.without)) return false;
  const auto with = ParseOllamaVersion(variable.with);
  if (with && !(*with < *version)) return true;
  return std::nullopt;
}

std::optional<std::string> MeantVariable(std::string_view name) {
  if (!name.starts_with("OLLAMA_") || FindVariable(name) != nullptr) return std::nullopt;
  if (name == "OLLAMA_MODEL") return std::nullopt;  // applications name their model by it
  std::vector<std::string> real;
  for (const KnownVariable& variable : kVariables)
    if (variable.reader != Reader::kNobody) real.emplace_back(variable.name);
  const auto nearest = Nearest(name.substr(7), [&] {
    std::vector<std::string> rest;
    for (const std::string& one : real) rest.push_back(one.substr(7));
    return rest;
  }());
  // Short names resemble each other by chance; two letters are what a hand slips by.
  if (!nearest || nearest->size() < 5) return std::nullopt;
  const size_t a = name.size() - 7;
  if (std::max(a, nearest->size()) - std::min(a, nearest->size()) > 2) return std::nullopt;
  return "OLLAMA_" + *nearest;
}

bool IsOverriddenByOllama(std::string_view llama_arg) {
  return std::find(kOverridden.begin(), kOverridden.end(), llama_arg) != kOverridden.end();
}

std::string_view Unquoted(std::string_view value) {
  value = Trim(value);
  while (!value.empty() && (value.front() == '"' || value.front() == '\'')) value.remove_prefix(1);
  while (!value.empty() && (value.back() == '"' || value.back() == '\'')) value.remove_suffix(1);
  return value;
}

std::optional<bool> OllamaBool(std::string_view value) {
  value = Unquoted(value);
  if (value.empty()) return std::nullopt;
  for (const char* no : {"0", "f", "F", "false", "FALSE", "False"})
    if (value == no) return false;
  return true;
}

Reach ReachOf(const DoctorFacts& facts, const Variable& variable) {
  switch (variable.place) {
    case Place::kServer:
      return Reach::kRunning;
    case Place::kUnit:
      if (!variable.serves_ollama) return Reach::kNone;
      return RunsWith(facts, variable) ? Reach::kRunning : Reach::kNextStart;
    case Place::kCompose:
      return variable.serves_ollama ? Reach::kNextStart : Reach::kNone;
    case Place::kShell:
    case Place::kProfile:
    case Place::kSystemWide:
      break;
  }
  if (HasUnit(facts)) return Reach::kNone;
  const ServerProcess* server = OllamaServer(facts);
  if (server == nullptr) return facts.servers ? Reach::kIfStartedThere : Reach::kUnknown;
  if (!server->environment) return Reach::kUnknown;
  return RunsWith(facts, variable) ? Reach::kRunning : Reach::kIfStartedThere;
}

std::string ReachText(const DoctorFacts& facts, const Variable& variable) {
  switch (ReachOf(facts, variable)) {
    case Reach::kRunning:
      return variable.place == Place::kServer ? "the running server has it"
                                              : "the running server has it too";
    case Reach::kNextStart:
      return variable.place == Place::kCompose
                 ? "it reaches the container's server at its next start"
                 : "it reaches the service at its next start";
    case Reach::kIfStartedThere:
      return "it reaches only a server started from there";
    case Reach::kNone:
      return variable.place == Place::kCompose || variable.place == Place::kUnit
                 ? "it reaches no Ollama: it is another program's"
                 : "it reaches no server: Ollama runs as a service, which reads no profile";
    case Reach::kUnknown:
      break;
  }
  return "whether it reaches a server is not known";
}

Fact<std::optional<Variable>> ServerSetting(const DoctorFacts& facts, std::string_view name) {
  using Answer = Fact<std::optional<Variable>>;
  if (const auto why = Elsewhere(facts)) return Answer::Unknown(*why);
  const ServerProcess* server = OllamaServer(facts);
  if (server != nullptr && server->environment) {
    const auto found = server->environment->find(std::string(name));
    if (found == server->environment->end()) return Answer(std::nullopt);
    Variable variable;
    variable.name = found->first;
    variable.value = found->second;
    variable.place = Place::kServer;
    variable.where = server->Name();
    return Answer(variable);
  }
  // One that would be started: the first unit's, or else the first compose service's; what two of
  // them say is never mixed.
  // Of one that runs and hides its environment, only its own unit says anything.
  const auto is_started = [&](const Variable& v) {
    if (server != nullptr && (v.place != Place::kUnit || v.owner != server->unit)) return false;
    return v.serves_ollama && (v.place == Place::kUnit || v.place == Place::kCompose);
  };
  const Variable* owner = nullptr;
  for (const Variable& variable : facts.variables) {
    const bool better =
        owner == nullptr || (owner->place == Place::kCompose && variable.place == Place::kUnit);
    if (is_started(variable) && better) owner = &variable;
  }
  std::optional<Variable> last;  // the last assignment counts: drop-ins come after their unit
  for (const Variable& variable : facts.variables) {
    const bool of_owner = owner != nullptr && is_started(variable) &&
                          variable.place == owner->place && variable.owner == owner->owner;
    if (of_owner && variable.name == name) last = variable;
  }
  if (last) return Answer(last);
  if (server != nullptr) return Answer::Unknown(server->environment.why());
  if (!facts.servers) return Answer::Unknown(facts.servers.why());
  return Answer::Unknown("no Ollama server runs here");
}

}  // namespace trimma
