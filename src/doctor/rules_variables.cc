// Variables that nothing reads, that don't get where they should, or that don't do what they seem
// to.
#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"
#include "doctor/rules.h"
#include "doctor/variables.h"

namespace trimma {
namespace {

std::string Shown(const Variable& variable) {
  for (const char* word : {"KEY", "TOKEN", "SECRET", "PASS", "AUTH"})
    if (variable.name.find(word) != std::string::npos) return variable.name + "=(not shown)";
  return fmt::format("{}={}", variable.name, SafeText(variable.value, 60));
}

std::string Unreadable(const DoctorFacts& facts) {
  if (facts.unread.empty()) return "";
  std::string text = facts.unread.front();
  if (facts.unread.size() > 1)
    text += fmt::format(" (and {} more that can't be read)", facts.unread.size() - 1);
  return text;
}

// A service's or unit's that is no Ollama: the program there may read it.
bool IsAnothers(const Variable& variable) {
  return (variable.place == Place::kCompose || variable.place == Place::kUnit ||
          variable.place == Place::kServer) &&
         !variable.serves_ollama;
}

// Another program's, or on a line of a file that another program has too.
bool IsShared(const DoctorFacts& facts, const Variable& variable) {
  return std::any_of(facts.variables.begin(), facts.variables.end(),
                     [&](const Variable& other) {
                       const bool same_line =
                           !variable.path.empty() && other.line == variable.line &&
                           other.name == variable.name && other.path == variable.path;
                       return IsAnothers(other) && same_line;
                     }) ||
         IsAnothers(variable);
}

Verdict DeadVariables(const DoctorFacts& facts) {
  Verdict verdict{{}, Unreadable(facts)};
  const auto version = RunningVersion(facts);
  for (const Variable& variable : facts.variables) {
    const KnownVariable* known = FindVariable(variable.name);
    if (known == nullptr) continue;
    const auto is_read = IsRead(*known, version);
    if (!is_read) {
      verdict.unknown = fmt::format(
          "{} in {} is no longer read by Ollama {}, and since when not is not known{}{}",
          variable.name, variable.where, known->without, version ? "" : "; ",
          version ? "" : version.why());
      continue;
    }
    if (*is_read) continue;
    const bool nobodys = known->reader == KnownVariable::Reader::kNobody;
    const bool anothers = IsAnothers(variable);
    const std::string reach = ReachText(facts, variable);
    Finding finding;
    finding.where = variable.where;
    finding.what = nobodys
                       ? fmt::format("Ollama does not read {}; {}", variable.name, reach)
                       : fmt::format("Ollama {} no longer reads {} (it is gone in {}); {}",
                                     facts.ollama->version, variable.name, known->without, reach);
    finding.evidence = Shown(variable);
    finding.source = known->source;
    finding.fix = fmt::format("{}; what works in Ollama: {}",
                              anothers ? "remove it unless that program reads it" : "remove it",
                              known->instead);
    if (anothers) finding.severity = Severity::kInfo;
    // What a release of Ollama reads, another one than the running may be there for.
    if (nobodys && !IsShared(facts, variable)) finding.variable = variable;
    verdict.findings.push_back(std::move(finding));
  }
  return verdict;
}

Verdict MisspeltVariables(const DoctorFacts& facts) {
  Verdict verdict{{}, Unreadable(facts)};
  for (const Variable& variable : facts.variables) {
    const auto meant = MeantVariable(variable.name);
    if (!meant) continue;
    verdict.findings.push_back(
        {"",
         Severity::kWarning,
         variable.where,
         fmt::format("Ollama does not read {}; {} is nearly the same", variable.name, *meant),
         Shown(variable),
         FindVariable(*meant)->source,
         fmt::format("write {}", *meant),
         {}});
  }
  return verdict;
}

// Settings of the server that stand where no server gets them.
Verdict OutOfReach(const DoctorFacts& facts) {
  Verdict verdict;
  for (const Variable& variable : facts.variables) {
    const KnownVariable* known = FindVariable(variable.name);
    const bool of_server = known != nullptr && known->reader == KnownVariable::Reader::kServer &&
                           std::string_view(known->without).empty();
    const bool of_login = variable.place == Place::kShell || variable.place == Place::kProfile ||
                          variable.place == Place::kSystemWide;
    if (!of_server || !of_login) continue;
    const Reach reach = ReachOf(facts, variable);
    if (reach == Reach::kUnknown) {
      verdict.unknown = fmt::format("{} in {}: the running server's environment can't be read",
                                    variable.name, variable.where);
      continue;
    }
    const auto running = ServerSetting(facts, variable.name);
    const bool same = running && *running && (*running)->value == variable.value;
    // Where no server runs, one may be started from there.
    const bool runs_without = reach == Reach::kIfStartedThere && running && !*running;
    if (same || (reach != Reach::kNone && !runs_without)) continue;
    Finding finding;
    finding.where = variable.where;
    finding.what = fmt::format("{} is for `ollama serve`, but {}", variable.name,
                               reach == Reach::kNone ? ReachText(facts, variable)
                                                     : "the running server was started without it");
    finding.evidence = Shown(variable);
    finding.fix = reach == Reach::kNone
                      ? fmt::format(
                            "sudo systemctl edit ollama: [Service] Environment=\"{}={}\"; "
                            "then sudo systemctl restart ollama",
                            variable.name, SafeText(variable.value, 60))
                      : "start the server again from a shell that has it";
    verdict.findings.push_back(std::move(finding));
  }
  return verdict;
}

// LLAMA_ARG_* for a server of Ollama's: before 0.30 nothing reads them, since then some are passed
// as flags, which win.
Verdict PassedOver(const DoctorFacts& facts) {
  Verdict verdict;
  const auto version = RunningVersion(facts);
  for (const Variable& variable : facts.variables) {
    if (!variable.name.starts_with("LLAMA_ARG_") || !variable.serves_ollama) continue;
    if (!version) {
      verdict.unknown = fmt::format("{} in {}: {}", variable.name, variable.where, version.why());
      continue;
    }
    const bool before = !RunsLlamaServer(*version);
    if (!before && !IsOverriddenByOllama(variable.name)) continue;
    verdict.findings.push_back(
        {"",
         Severity::kWarning,
         variable.where,
         before ? fmt::format("Ollama {} has a runner of its own, which does not read {}",
                              facts.ollama->version, variable.name)
                : fmt::format("Ollama passes this setting to llama-server as a flag, which wins "
                              "over {}",
                              variable.name),
         Shown(variable),
         before ? "Ollama v0.17.4: no mention of LLAMA_ARG_ in its sources" : "",
         "remove it",
         {}});
  }
  return verdict;
}

Verdict GpuOverhead(const DoctorFacts& facts) {
  Verdict verdict;
  const auto version = RunningVersion(facts);
  for (const Variable& variable : facts.variables) {
    if (variable.name != "OLLAMA_GPU_OVERHEAD" || Unquoted(variable.value) == "0") continue;
    if (ReachOf(facts, variable) == Reach::kNone) continue;  // another rule's
    if (!version) {
      verdict.unknown =
          fmt::format("OLLAMA_GPU_OVERHEAD ({}) has effect before Ollama 0.30 only; {}",
                      variable.where, version.why());
      continue;
    }
    if (!RunsLlamaServer(*version)) continue;
    verdict.findings.push_back(
        {"",
         Severity::kWarning,
         variable.where,
         fmt::format("OLLAMA_GPU_OVERHEAD no longer keeps memory free for GGUF models in Ollama {}",
                     facts.ollama->version),
         Shown(variable),
         "",
         "LLAMA_ARG_FIT_TARGET=MIB where `ollama serve` runs keeps that much free",
         {}});
  }
  return verdict;
}

}  // namespace

std::vector<Rule> VariableRules() {
  return {
      {"dead-variable", "Ollama v0.17.4, envconfig/config.go", DeadVariables},
      {"misspelt-variable", "Ollama v0.17.4, envconfig/config.go", MisspeltVariables},
      {"variable-out-of-reach", "https://docs.ollama.com/faq (setting environment variables)",
       OutOfReach},
      {"passed-over-variable", "Ollama v0.33.0-rc2, llm/llama_server.go", PassedOver},
      {"gpu-overhead", "Ollama v0.33.0-rc2, server/sched.go: logged, not subtracted", GpuOverhead},
  };
}

}  // namespace trimma
