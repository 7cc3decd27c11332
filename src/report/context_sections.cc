// What the results rest on: settings, files, the machine, the method, notes.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "base/units.h"
#include "report/figures.h"
#include "report/html.h"
#include "report/page_parts.h"
#include "report/page_sections.h"

namespace trimma {
namespace {

std::string OrDefault(const std::optional<int>& value, const char* otherwise) {
  return value ? std::to_string(*value) : otherwise;
}

std::string OnGpu(const RuntimeSettings& settings) {
  return settings.use_gpu ? OrDefault(settings.gpu_layers, "all that fit") : "none, card left out";
}

struct SettingRow {
  const char* name;
  const char* flag;  // llama.cpp's
  std::string before, after;
};

std::vector<SettingRow> SettingRows(const RuntimeSettings& a, const RuntimeSettings& b) {
  std::vector<SettingRow> rows = {
      {"Context, tokens", "--ctx-size", FormatCount(a.context), FormatCount(b.context)},
      {"Threads while decoding", "--threads", OrDefault(a.threads, "default"),
       OrDefault(b.threads, "default")},
      {"Threads while reading the prompt", "--threads-batch",
       OrDefault(a.threads_batch, "as above"), OrDefault(b.threads_batch, "as above")},
      {"Tokens submitted at once", "--batch-size", FormatCount(a.batch), FormatCount(b.batch)},
      {"Tokens computed at once", "--ubatch-size", FormatCount(a.ubatch), FormatCount(b.ubatch)},
      {"Flash attention", "--flash-attn", NameOf(a.flash_attention), NameOf(b.flash_attention)},
      {"KV-cache type, keys", "--cache-type-k", a.kv_k, b.kv_k},
      {"KV-cache type, values", "--cache-type-v", a.kv_v, b.kv_v},
      {"Layers on the GPU", a.use_gpu && b.use_gpu ? "--gpu-layers" : "--gpu-layers, --device",
       OnGpu(a), OnGpu(b)}};
  // What is seldom other than the engine's own.
  const RuntimeSettings own;
  const auto add = [&](auto member, const char* name, const char* flag, const auto& text) {
    if (a.*member != own.*member || b.*member != own.*member)
      rows.push_back({name, flag, text(a), text(b)});
  };
  add(&RuntimeSettings::host_tensors, "Kept on the host, by name", "--override-tensor",
      [](const RuntimeSettings& s) -> std::string {
        return s.host_tensors.empty() ? "none" : fmt::format("{}", fmt::join(s.host_tensors, ", "));
      });
  add(&RuntimeSettings::parallel, "Sequences side by side", "--parallel",
      [](const RuntimeSettings& s) { return std::to_string(s.parallel); });
  add(&RuntimeSettings::load_mode, "How the weights are loaded", "--load-mode",
      [](const RuntimeSettings& s) -> std::string { return NameOf(s.load_mode); });
  add(&RuntimeSettings::repack, "Weights rearranged for the processor", "--no-repack",
      [](const RuntimeSettings& s) -> std::string { return s.repack ? "yes" : "no"; });
  return rows;
}

std::string SamplingText(const Sampling& sampling) {
  return fmt::format("temperature {:.3g}, top_p {:.3g}{}", sampling.temperature, sampling.top_p,
                     sampling.profile.empty() ? "" : " (profile: " + sampling.profile + ")");
}

std::string CpuText(const Cpu& cpu) {
  const std::string name = cpu.name.empty() ? "unknown processor" : cpu.name;
  return fmt::format("{}: {} core{}, {} thread{}", name, cpu.cores, cpu.cores == 1 ? "" : "s",
                     cpu.threads, cpu.threads == 1 ? "" : "s");
}

std::string CachesText(const std::vector<CpuCache>& caches) {
  std::string text;
  for (const CpuCache& cache : caches) {
    text += fmt::format("{}L{} {} {}", text.empty() ? "" : ", ", cache.level, cache.kind,
                        FormatBytes(cache.bytes));
  }
  return text;
}

std::string MemoryText(const Memory& memory) {
  if (memory.total_bytes == 0) return "";
  std::string text = fmt::format("{} in all, {} available", FormatBytes(memory.total_bytes),
                                 FormatBytes(memory.available_bytes));
  if (!memory.limited_by.empty()) text += fmt::format(" (limited by {})", memory.limited_by);
  return text;
}

std::string QualityProtocol(const Quality& quality) {
  return fmt::format(
      "{} positions scored: {} chunks of {} tokens, {} of each chunk, each chunk with a fresh "
      "context; intervals by resampling whole chunks",
      FormatCount(static_cast<uint64_t>(std::max<int64_t>(0, quality.tokens))), quality.chunks,
      quality.chunk, quality.score == "half" ? "the second half" : "all");
}

std::string SpeedProtocol(const Speed& speed) {
  if (!Known(speed.decode_tps) && !Known(speed.prefill_tps)) return "";
  return fmt::format(
      "median of {} prefill runs of {} tokens and {} decode runs of {} tokens, after {} tokens in "
      "the context",
      speed.prefill_tps.n, speed.prompt_tokens, speed.decode_tps.n, speed.decode_tokens,
      speed.depth);
}

void AddQuality(Facts& facts, const Quality& quality, const std::string& judged_on) {
  facts.Add("Quality", QualityProtocol(quality));
  const std::string on_host = HostWords(quality.left_cards);
  facts.Add("Judged on", (judged_on.empty() ? quality.text : judged_on) +
                             (on_host.empty() ? "" : "; " + on_host));
  facts.Add("KL divergence, tail",
            fmt::format("99 % of positions are below {}, 99.9 % below {}",
                        Divergence(quality.p99_kld), Divergence(quality.p999_kld)));
}

}  // namespace

std::string SettingsSection(const OptimizeRecord& record) {
  Table table({{"Setting", false}, {"Before", true}, {"After", true}});
  for (const SettingRow& row : SettingRows(record.before.settings, record.after.settings)) {
    table.Row({fmt::format("{} <code class=\"explain\">{}</code>", row.name, row.flag),
               Html(row.before), Html(row.after)},
              row.before != row.after);
  }
  return Section(
      "settings", "The exact settings",
      std::move(table).Finish() + Paragraph("Shaded rows changed; the option below each name is "
                                            "llama.cpp's. Sampling as written: " +
                                                SamplingText(record.sampling) + ".",
                                            "muted"));
}

std::string FilesSection(const OptimizeRecord& record) {
  const WrittenFiles& files = record.files;
  Facts facts;
  facts.AddCode("Model", files.model);
  if (!files.ollama_model.empty()) facts.AddCode("Model for Ollama", files.ollama_model);
  facts.AddCode("Application's config.toml", files.config);
  facts.AddCode("Ollama Modelfile", files.modelfile);
  facts.AddCode("Environment of Ollama", files.env);
  facts.AddCode("llama-server preset", files.llama_server);
  facts.AddCode("This report", files.report);
  facts.AddCode("The record as JSON", files.record);
  std::string html = std::move(facts).Finish();
  if (html.empty()) html = Paragraph("No file was written.");
  if (!files.undo.empty()) {
    html += "<h3>How to undo it</h3>\n<pre>";
    for (const std::string& command : files.undo) html += "<code>" + Html(command) + "</code>";
    html += "</pre>\n";
  }
  return Section("files", "What was written, and how to undo it", html);
}

std::string MachineSection(const OptimizeRecord& record) {
  const Machine& machine = record.machine;
  Facts facts;
  facts.Add("Processor", CpuText(machine.cpu));
  facts.Add("Instruction sets", fmt::format("{}", fmt::join(machine.cpu.isa, ", ")));
  facts.Add("Caches", CachesText(machine.cpu.caches));
  facts.Add("Memory", MemoryText(machine.memory));
  const std::optional<double>& bandwidth = machine.memory.bandwidth_bytes_per_s;
  facts.Add("Memory bandwidth",
            bandwidth && Known(*bandwidth)
                ? fmt::format("{:.3g} GB/s (reading, all threads)", *bandwidth / 1e9)
                : kNotMeasured);
  for (const Gpu& gpu : machine.gpus) {
    facts.Add("GPU", fmt::format("{} ({}), {}, {} free", gpu.name, gpu.backend,
                                 FormatBytes(gpu.total_bytes), FormatBytes(gpu.free_bytes)));
  }
  if (machine.gpus.empty()) facts.Add("GPU", "none that the engine can use");
  return Section("machine", "The machine", std::move(facts).Finish());
}

std::string MethodSection(const OptimizeRecord& record) {
  Facts facts;
  facts.AddCode("Model", record.model_path.empty() ? record.model_argument : record.model_path);
  facts.Add("Architecture", record.architecture);
  if (record.parameters > 0) facts.Add("Number of weights", FormatCount(record.parameters));
  facts.Add("Speed before", SpeedProtocol(record.before.speed));
  facts.Add("Speed after", SpeedProtocol(record.after.speed));
  if (KnownQuality(record.after.quality)) {
    AddQuality(facts, *record.after.quality, record.quality_text);
  } else {
    facts.Add("Quality", kNotMeasured);
  }
  facts.Add("Memory", "counted by the engine's own allocator");
  facts.Add("Engine",
            fmt::format("{}{}{}", record.engine_version,
                        record.engine_commit.empty() ? "" : ", commit ", record.engine_commit));
  facts.Add("Engine's backends", record.engine_backends);
  facts.Add("trimma", record.trimma_version);
  return Section("method", "How it was measured", std::move(facts).Finish());
}

std::string NotesSection(const OptimizeRecord& record) {
  if (record.notes.empty()) return "";
  std::string items;
  for (const std::string& note : record.notes) items += "<li>" + Html(note) + "</li>\n";
  return Section("notes", "Notes", "<ul>\n" + items + "</ul>\n");
}

}  // namespace trimma
