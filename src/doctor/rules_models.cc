// The models themselves, and the parameters that Ollama's ones carry.
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <map>

#include "base/text.h"
#include "base/units.h"
#include "doctor/rules.h"
#include "doctor/variables.h"

namespace trimma {
namespace {

std::optional<int64_t> Integer(const std::string& text) {
  int64_t value = 0;
  const char* end = text.data() + text.size();
  const auto parsed = std::from_chars(text.data(), end, value);
  if (parsed.ec != std::errc() || parsed.ptr != end) return std::nullopt;
  return value;
}

// Calls `each` with the models that have this parameter as a number; returns why some are unknown.
template <typename Each>
std::string WithParameter(const DoctorFacts& facts, const char* name, const Each& each) {
  if (!facts.models) return facts.models.why();
  std::string unknown;
  for (const DoctorModel& model : *facts.models) {
    if (!model.in_ollama) continue;
    if (!model.parameters) {
      unknown = fmt::format("{}: {}", model.name, model.parameters.why());
      continue;
    }
    const auto found = model.parameters->find(name);
    if (found == model.parameters->end()) continue;
    const auto value = Integer(found->second);
    if (value) each(model, *value);
  }
  return unknown;
}

Verdict NumGpuCards(const DoctorFacts& facts) {
  // As many cards as people have; as a number of layers it would leave most of a model off them.
  constexpr int64_t kMostCards = 4;
  constexpr uint64_t kFewLayers = 8;
  Verdict verdict;
  verdict.unknown = WithParameter(facts, "num_gpu", [&](const DoctorModel& model, int64_t value) {
    if (value < 1 || value > kMostCards || model.layers < kFewLayers) return;
    verdict.findings.push_back(
        {"",
         Severity::kWarning,
         model.name,
         fmt::format("num_gpu counts layers, not cards: {} of its {} layers {} on the card", value,
                     model.layers + 1, value == 1 ? "is" : "are"),
         fmt::format("PARAMETER num_gpu {}; {} blocks and the output", value, model.layers),
         "",
         "remove PARAMETER num_gpu (Ollama then decides), or give a number of layers",
         {}});
  });
  return verdict;
}

Verdict BeyondTraining(const DoctorFacts& facts) {
  Verdict verdict;
  verdict.unknown = WithParameter(facts, "num_ctx", [&](const DoctorModel& model, int64_t value) {
    const uint64_t trained = model.trained_context;
    if (trained == 0 || value <= 0 || static_cast<uint64_t>(value) <= trained) return;
    verdict.findings.push_back(
        {"",
         Severity::kWarning,
         model.name,
         fmt::format(
             "num_ctx {} is more than the {} tokens it was trained for; Ollama cuts it down", value,
             trained),
         fmt::format("PARAMETER num_ctx {}; context_length {}", value, trained),
         "",
         fmt::format("PARAMETER num_ctx {} or less", trained),
         {}});
  });
  return verdict;
}

Verdict ThreadsAboveCores(const DoctorFacts& facts) {
  Verdict verdict;
  const int cores = facts.machine.cpu.cores;
  const auto judge = [&](const std::string& where, int64_t threads, const std::string& evidence) {
    if (threads <= cores) return;
    verdict.findings.push_back(
        {"",
         Severity::kWarning,
         where,
         fmt::format("{} threads on {} physical core{}: they wait for each other", threads, cores,
                     cores == 1 ? "" : "s"),
         evidence,
         "",
         fmt::format("{} threads at most; `trimma tune MODEL` measures which is best", cores),
         {}});
  };
  std::string elsewhere;
  verdict.unknown =
      WithParameter(facts, "num_thread", [&](const DoctorModel& model, int64_t value) {
        // One that only the API knows is where its server is.
        if (const auto why = model.path.empty() ? Elsewhere(facts) : std::nullopt) {
          elsewhere = *why;
          return;
        }
        judge(model.name, value, fmt::format("PARAMETER num_thread {}", value));
      });
  if (verdict.unknown.empty()) verdict.unknown = elsewhere;
  if (facts.servers) {
    for (const ServerProcess& server : *facts.servers) {
      if (server.program != "llama-server") continue;
      for (size_t i = 0; i + 1 < server.arguments.size(); ++i) {
        const std::string& flag = server.arguments[i];
        if (flag != "-t" && flag != "--threads") continue;
        if (const auto threads = Integer(server.arguments[i + 1]))
          judge(server.Name(), *threads, flag + " " + server.arguments[i + 1]);
      }
    }
  }
  for (const Variable& variable : facts.variables) {
    if (variable.name != "LLAMA_ARG_THREADS") continue;
    if (const auto threads = Integer(std::string(Unquoted(variable.value))))
      judge(variable.where, *threads, fmt::format("LLAMA_ARG_THREADS={}", *threads));
  }
  return verdict;
}

Verdict Requantised(const DoctorFacts& facts) {
  if (!facts.models) return {{}, facts.models.why()};
  Verdict verdict;
  std::map<std::string, const DoctorModel*> by_hash;
  for (const DoctorModel& model : *facts.models)
    if (!model.sha256.empty()) by_hash.emplace(model.sha256, &model);
  int silent = 0;
  for (const DoctorModel& model : *facts.models) {
    if (!model.quantised) continue;
    const auto source = by_hash.find(model.source_sha256);
    if (model.source_sha256.empty() || source == by_hash.end()) {
      ++silent;
      continue;
    }
    if (!source->second->quantised) continue;
    verdict.findings.push_back(
        {"",
         Severity::kWarning,
         model.name,
         fmt::format("it was quantised from a file that was quantised already ({}, {}): the losses "
                     "add up",
                     source->second->name, source->second->type),
         fmt::format("quantize.trimma.source_sha256 {}", model.source_sha256.substr(0, 12)),
         "",
         "quantise again, from the F16 or BF16 file",
         {}});
  }
  if (silent > 0)
    verdict.unknown = fmt::format(
        "{} quantised file{} say{} not, or of a file that isn't here, what "
        "{} made from",
        silent, silent == 1 ? "" : "s", silent == 1 ? "s" : "",
        silent == 1 ? "it was" : "they were");
  return verdict;
}

bool SameBytes(const DoctorModel& a, const DoctorModel& b) {
  if (!a.sha256.empty() && !b.sha256.empty()) return a.sha256 == b.sha256;
  return !a.quick_hash.empty() && a.quick_hash == b.quick_hash;
}

Verdict DuplicateModels(const DoctorFacts& facts) {
  if (!facts.models) return {{}, facts.models.why()};
  Verdict verdict;
  const std::vector<DoctorModel>& models = *facts.models;
  for (size_t i = 0; i < models.size(); ++i) {
    for (size_t j = 0; j < i; ++j) {
      const DoctorModel& a = models[j];
      const DoctorModel& b = models[i];
      if (a.path.empty() || b.path.empty() || a.file_bytes != b.file_bytes) continue;
      // Two names of one file (tags of Ollama's, hard links, links) take no space twice.
      const bool one_file = a.path == b.path || (a.inode == b.inode && a.device == b.device);
      if (one_file || !SameBytes(a, b)) continue;
      verdict.findings.push_back(
          {"",
           Severity::kInfo,
           b.name,
           fmt::format("the same bytes as {}: {} are stored twice", a.name,
                       FormatBytes(b.file_bytes)),
           b.sha256.empty() || a.sha256.empty() ? "size and samples of the content are the same"
                                                : "sha256 " + b.sha256.substr(0, 12),
           "",
           a.device == b.device ? "replace one by a hard link, or remove it" : "remove one",
           {}});
      break;
    }
  }
  return verdict;
}

Verdict StaleTunings(const DoctorFacts& facts) {
  if (!facts.stale) return {{}, facts.stale.why()};
  Verdict verdict;
  for (const StaleTuning& stale : *facts.stale) {
    const std::string name = std::filesystem::path(stale.model_path).filename().string();
    verdict.findings.push_back(
        {"",
         Severity::kWarning,
         SafeText(name, 60),
         fmt::format("its settings were measured under other conditions: {}", stale.why),
         fmt::format("{} of {}", stale.command, stale.time),
         "",
         fmt::format("trimma tune {}", SafeText(stale.model_path, 300)),
         {}});
  }
  return verdict;
}

}  // namespace

std::vector<Rule> ModelRules() {
  return {
      {"num-gpu-cards",
       "https://github.com/ollama/ollama-python/issues/603; Ollama v0.17.4, "
       "api/types.go: NumGPU",
       NumGpuCards},
      {"beyond-training", "Ollama v0.17.4, llm/server.go (trainCtx)", BeyondTraining},
      {"threads-above-cores", "llama.cpp de3ff81, common/common.cpp (default: physical cores)",
       ThreadsAboveCores},
      {"requantised",
       "Ollama v0.17.4, server/create.go: refuses it; llama.cpp, tools/quantize: "
       "--allow-requantize",
       Requantised},
      {"duplicate-models", "computed from the files", DuplicateModels},
      {"stale-tuning", "`trimma history`", StaleTunings},
  };
}

}  // namespace trimma
