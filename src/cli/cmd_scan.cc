#include <fmt/format.h>

#include "base/build_info.h"
#include "base/text.h"
#include "base/units.h"
#include "cli/command.h"
#include "cli/machine.h"
#include "ollama/client.h"

namespace trimma {
namespace {

std::string CacheText(const Machine& machine) {
  std::string text;
  for (const CpuCache& cache : machine.cpu.caches) {
    if (cache.kind == "instruction") continue;
    text +=
        fmt::format("{}L{} {}", text.empty() ? "" : ", ", cache.level, FormatBytes(cache.bytes));
    if (cache.shared_by > 1) text += fmt::format(" per {} threads", cache.shared_by);
  }
  return text;
}

std::string Describe(const MachineScan& scan, const std::optional<OllamaInfo>& ollama) {
  const Machine& m = scan.machine;
  std::string isa;
  for (const std::string& name : m.cpu.isa) isa += (isa.empty() ? "" : " ") + name;
  std::string text = fmt::format("processor  {}, {} cores, {} threads\n           {}\n",
                                 SafeText(m.cpu.name), m.cpu.cores, m.cpu.threads, isa);
  if (!m.cpu.caches.empty()) text += fmt::format("           {}\n", CacheText(m));
  text += fmt::format(
      "memory     {} of {} available{}\n", FormatBytes(m.memory.available_bytes),
      FormatBytes(m.memory.total_bytes),
      m.memory.limited_by.empty() ? "" : fmt::format(" (limited by {})", m.memory.limited_by));
  text += m.memory.bandwidth_bytes_per_s
              ? fmt::format("           {:.1f} GB/s read bandwidth, measured\n",
                            *m.memory.bandwidth_bytes_per_s / 1e9)
              : "           bandwidth not measured (trimma scan --bench)\n";
  for (const Gpu& gpu : m.gpus) {
    text += fmt::format("GPU        {} ({}), {} of {} free\n", SafeText(gpu.name), gpu.backend,
                        FormatBytes(gpu.free_bytes), FormatBytes(gpu.total_bytes));
  }
  if (m.gpus.empty()) text += "GPU        none that the engine can use\n";
  text += fmt::format("engine     llama.cpp {} ({}), {}: {}\n", build_info::kEngineVersion,
                      std::string(build_info::kEngineCommit).substr(0, 12),
                      build_info::kEngineBackends, build_info::kEngineWhy);
  text += ollama ? fmt::format("Ollama     {} at {}\n", SafeText(ollama->version), ollama->host)
                 : "Ollama     does not answer\n";
  for (const std::string& note : scan.notes) text += fmt::format("note       {}\n", note);
  return text;
}

Status Scan(bool bench, const Shared& shared) {
  MachineScan scan = ScanMachine();
  std::optional<Spread> bandwidth;
  if (bench) bandwidth = BenchMachine(scan);
  const auto ollama = FindOllama();
  if (!shared.json) return PrintText(Describe(scan, ollama));
  Json document = ToJson(scan.machine);
  document["schema"] = "trimma.scan/1";
  document["engine"] = {{"commit", build_info::kEngineCommit},
                        {"version", build_info::kEngineVersion},
                        {"backends", scan.backends},
                        {"why", build_info::kEngineWhy}};
  document["ollama"] = ollama ? Json{{"version", ollama->version}, {"host", ollama->host}} : Json();
  document["notes"] = scan.notes;
  if (bandwidth) {
    document["memory"]["bandwidth_samples"] = {{"median", bandwidth->median},
                                               {"low", bandwidth->low},
                                               {"high", bandwidth->high},
                                               {"n", bandwidth->n}};
  }
  return PrintDocument(document);
}

}  // namespace

Action DefineScan(CLI::App& app, const Shared& shared) {
  const auto bench = std::make_shared<bool>(false);
  app.add_flag("--bench", *bench, "Measure memory bandwidth (a second) and keep it");
  return [bench, &shared] { return Scan(*bench, shared); };
}

}  // namespace trimma
