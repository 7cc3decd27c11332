#include <fmt/format.h>

#include <algorithm>

#include "base/build_info.h"
#include "base/program.h"
#include "base/progress.h"
#include "base/text.h"
#include "base/units.h"
#include "cli/command.h"
#include "cli/common.h"
#include "cli/machine.h"
#include "cli/overheads.h"
#include "cli/unused_cards.h"
#include "llama_server/program.h"
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

// What else computes here: other programs, and the cards that only they use.
struct Others {
  std::optional<OllamaInfo> ollama;
  std::optional<LlamaServerProgram> server;
  std::vector<UnusedCard> cards;
  std::string note;  // a llama-server that is there and doesn't answer; ""
};

Others FindOthers(const Machine& machine) {
  Others others;
  others.ollama = FindOllama();
  if (!FindProgram("llama-server").empty()) {
    auto server = FindLlamaServer("");
    if (server.ok()) {
      others.server = *std::move(server);
    } else {
      others.note = "the llama-server on PATH can't be asked: " + server.error().what;
    }
  }
  const std::vector<Gpu> cards = CardsNotUsed(DriverCards(), machine.gpus);
  if (!cards.empty()) others.cards = ExplainUnused(cards, others.server, FindLocalOllama());
  return others;
}

std::string Describe(const Others& others) {
  std::string text =
      others.ollama ? fmt::format("Ollama     {} at {}; `trimma doctor` looks at its settings\n",
                                  SafeText(others.ollama->version), others.ollama->host)
                    : "Ollama     does not answer\n";
  if (others.server) {
    std::string devices;
    for (const ServerDevice& device : others.server->devices)
      devices += fmt::format("{}{}", devices.empty() ? "" : ", ", device.description);
    text += fmt::format("server     llama-server {} at {}, {}\n", SafeText(others.server->version),
                        SafeText(others.server->path),
                        devices.empty() ? "for the processors alone" : "uses " + devices);
  }
  for (const UnusedCard& card : others.cards) {
    text += fmt::format("card       {}: {}; {}\n", SafeText(card.gpu.name), card.why, card.said);
  }
  return text;
}

std::string Describe(const MachineScan& scan, const Others& others) {
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
  text += Describe(others);
  for (const std::string& note : scan.notes) text += fmt::format("note       {}\n", note);
  return text;
}

// The types by how fast they decode; what each of them means for a model follows from its bytes.
std::string Describe(const KernelTable& table) {
  std::string text;
  for (const DeviceKernels& device : table.devices) {
    text += fmt::format("\n{}{}: one operation {:.1f} us\n", SafeText(device.name),
                        device.threads > 0 ? fmt::format(" ({} threads)", device.threads) : "",
                        device.op_seconds * 1e6);
    text += fmt::format("{:<10}{:>14}{:>14}{:>16}\n", "weights", "decode GB/s", "in cache",
                        "prefill GFLOP/s");
    std::vector<std::pair<std::string, WeightKernel>> rows(device.weights.begin(),
                                                           device.weights.end());
    std::sort(rows.begin(), rows.end(), [](const auto& a, const auto& b) {
      return a.second.matvec_bytes_per_s > b.second.matvec_bytes_per_s;
    });
    for (const auto& [name, k] : rows) {
      text +=
          fmt::format("{:<10}{:>14.1f}{:>14.1f}{:>16.0f}\n", SafeText(name),
                      k.matvec_bytes_per_s / 1e9, k.cached_bytes_per_s / 1e9, k.matmul_flops / 1e9);
    }
  }
  return text +
         fmt::format("\nmeasured in {:.0f} s; plans use it to predict speed\n", table.seconds);
}

struct ScanFlags {
  bool bench = false;
  std::string learn;  // a model
};

std::string Describe(const std::vector<Gpu>& gpus, const std::vector<Overhead>& overheads) {
  std::string text = "\n";
  for (size_t i = 0; i < gpus.size(); ++i) {
    text += fmt::format(
        "{}: besides its buffers a model takes {} ({} if split), and {} are kept free; {}\n",
        SafeText(gpus[i].name), FormatBytes(overheads[i].fixed_bytes),
        FormatBytes(overheads[i].fixed_bytes + overheads[i].split_bytes),
        FormatBytes(overheads[i].margin_bytes), overheads[i].basis);
  }
  return text;
}

Status Scan(const ScanFlags& options, const Shared& shared) {
  const bool bench = options.bench;
  MachineScan scan = ScanMachine();
  std::vector<Overhead> overheads = KnownOverheads(scan.machine.gpus);
  if (!options.learn.empty()) {
    TRY(const OpenedModel model, OpenModel(options.learn, shared.quiet));
    Progress progress(shared.quiet);
    TRY(overheads, LearnAndKeepOverheads(model.file, scan.machine.gpus, [&](double share) {
          progress.Update("loading the model for real", share);
        }));
    progress.Done();
  }
  std::optional<Spread> bandwidth;
  if (bench) {
    Progress progress(shared.quiet);
    progress.Update("measuring memory", 0);
    bandwidth = BenchMachine(scan);
    TRY_STATUS(BenchKernels(
        scan, [&](double share) { progress.Update("measuring the engine's kernels", share); }));
    progress.Done();
  }
  const Others others = FindOthers(scan.machine);
  if (!others.note.empty()) scan.notes.push_back(others.note);
  if (!shared.json)
    return PrintText(Describe(scan, others) + (bench ? Describe(*scan.kernels) : "") +
                     (options.learn.empty() ? "" : Describe(scan.machine.gpus, overheads)));
  Json document = ToJson(scan.machine);
  document["schema"] = "trimma.scan/1";
  document["engine"] = {{"commit", build_info::kEngineCommit},
                        {"version", build_info::kEngineVersion},
                        {"backends", scan.backends},
                        {"why", build_info::kEngineWhy}};
  document["ollama"] =
      others.ollama ? Json{{"version", others.ollama->version}, {"host", others.ollama->host}}
                    : Json();
  document["llama_server"] = Json();
  if (others.server) {
    Json devices = Json::array();
    for (const ServerDevice& device : others.server->devices)
      devices.push_back({{"name", device.name}, {"description", device.description}});
    document["llama_server"] = {
        {"path", others.server->path}, {"version", others.server->version}, {"devices", devices}};
  }
  document["unused_cards"] = Json::array();
  for (const UnusedCard& card : others.cards) document["unused_cards"].push_back(ToJson(card));
  document["kernels"] = scan.kernels ? ToJson(*scan.kernels) : Json();
  for (size_t i = 0; i < overheads.size(); ++i)
    document["gpus"][i]["overhead"] = ToJson(overheads[i]);
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
  const auto options = std::make_shared<ScanFlags>();
  app.add_flag("--bench", options->bench,
               "Measure memory and the engine's kernels (20 seconds), and keep it");
  app.add_option("--learn", options->learn,
                 "Load this model on the GPUs, its context filled, and keep what the driver takes "
                 "besides its buffers");
  return [options, &shared] { return Scan(*options, shared); };
}

}  // namespace trimma
