#include "report/plan_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/text.h"
#include "base/units.h"
#include "report/table.h"

namespace trimma {
namespace {

constexpr size_t kColumns = 80;
constexpr const char* kBold = "\x1b[1m";
constexpr const char* kDim = "\x1b[2m";
constexpr const char* kPlain = "\x1b[0m";

std::string Painted(const std::string& text, const char* colour, bool wanted) {
  return wanted ? colour + text + kPlain : text;
}

// How full a device is: "[########..]".
std::string Bar(double share, size_t width) {
  const auto full =
      static_cast<size_t>(std::lround(std::clamp(share, 0.0, 1.0) * static_cast<double>(width)));
  return "[" + std::string(full, '#') + std::string(width - full, '.') + "]";
}

std::string Short(double value) {
  if (value >= 99.5) return FormatCount(static_cast<uint64_t>(std::llround(value)));
  return value >= 9.95 ? fmt::format("{:.0f}", value) : fmt::format("{:.2g}", value);
}

std::string Rate(const std::optional<Estimate>& e) { return e ? Short(e->value) : "?"; }

std::string Seconds(const std::optional<Estimate>& ms) {
  return ms ? FormatSeconds(ms->value / 1000) : "?";
}

std::string Loss(const std::optional<Estimate>& e) {
  if (!e) return "?";
  if (e->value == 0) return "0";
  return fmt::format("{}{:.2g}", e->measured ? "" : "~", e->value);
}

std::string KvText(const RuntimeSettings& s) {
  return s.kv_k == s.kv_v ? s.kv_k : s.kv_k + "/" + s.kv_v;
}

// "all", "21/27", "all-12x" (experts of 12 layers on the host), "none" (GPUs left out).
std::string PlaceText(const PlanCell& cell, int layers) {
  if (cell.devices.size() == 1) return "host";
  if (!cell.settings.use_gpu) return "none";
  const int on_gpu = cell.settings.gpu_layers.value_or(layers);
  std::string text = on_gpu >= layers ? "all" : fmt::format("{}/{}", on_gpu, layers);
  if (!cell.settings.host_tensors.empty()) {
    const std::string& pattern = cell.settings.host_tensors.back();
    const auto bars =
        std::count(pattern.begin(), pattern.begin() + static_cast<long>(pattern.find(')')), '|');
    text += fmt::format("-{}x", bars + 1);
  }
  return text;
}

// The table's unit; 0.2 of them are a small model.
std::string Gibibytes(uint64_t bytes) {
  const double n = static_cast<double>(bytes) / (1ULL << 30);
  return n < 99.5 ? fmt::format("{:.2f}", n) : fmt::format("{:.0f}", n);
}

struct Use {
  uint64_t bytes = 0;
  uint64_t of = 0;
};

// The fullest device of a cell, as a bar; what must stay free counts as used.
Use Fullest(const PlanCell& cell, const Machine& machine) {
  Use fullest;
  double most = -1;
  for (size_t i = 0; i < cell.devices.size(); ++i) {
    const DeviceBytes& device = cell.devices[i];
    const bool is_host = i + 1 == cell.devices.size();
    if (!is_host && !cell.settings.use_gpu) continue;
    if (is_host && cell.devices.size() > 1 && most >= 0 && cell.whole) break;
    const Use use{device.total_bytes() + (is_host ? kHostReserveBytes : device.reserve_bytes),
                  is_host ? machine.memory.available_bytes : device.free_bytes};
    const double share =
        use.of > 0 ? static_cast<double>(use.bytes) / static_cast<double>(use.of) : 2;
    if (share > most) most = share, fullest = use;
  }
  return fullest;
}

// Both ways from the recommendation: other types at its context and cache, its type at other
// contexts; and the runner-up. The whole table is long, and most of it says nothing new.
bool IsNear(const PlanCell& cell, const PlanCell& best) {
  const bool same_cache =
      cell.settings.kv_k == best.settings.kv_k && cell.settings.kv_v == best.settings.kv_v;
  return same_cache && (cell.settings.context == best.settings.context || cell.mix == best.mix);
}

std::vector<size_t> Shown(const Plan& plan, bool all) {
  std::vector<size_t> shown;
  for (size_t i = 0; i < plan.cells.size(); ++i) {
    const bool near = plan.recommended && IsNear(plan.cells[i], plan.cells[*plan.recommended]);
    if (all || near || plan.runner_up == i) shown.push_back(i);
  }
  // Nothing fits: the nearest few are still worth seeing.
  if (shown.empty()) {
    for (size_t i = 0; i < plan.cells.size(); ++i) shown.push_back(i);
    std::sort(shown.begin(), shown.end(), [&](size_t a, size_t b) {
      return std::pair(AllBytes(plan.cells[a]), a) < std::pair(AllBytes(plan.cells[b]), b);
    });
    if (shown.size() > 8) shown.resize(8);
  }
  return shown;
}

std::string PlanTable(const Plan& plan, const Machine& machine, const PlanText& text,
                      const std::vector<size_t>& shown) {
  TextTable table{{"", "type", "file", "context", "KV", machine.gpus.empty() ? "on" : "on GPU",
                   "memory", "", "tok/s", "wait", "loss"},
                  {}};
  for (const size_t i : shown) {
    const PlanCell& cell = plan.cells[i];
    const Use use = Fullest(cell, machine);
    const double share =
        use.of > 0 ? static_cast<double>(use.bytes) / static_cast<double>(use.of) : 1;
    table.rows.push_back({plan.recommended == i ? "*"
                          : plan.runner_up == i ? "2"
                                                : "",
                          cell.type, Gibibytes(cell.file_bytes), FormatCount(cell.settings.context),
                          KvText(cell.settings), PlaceText(cell, text.layers), Gibibytes(use.bytes),
                          cell.fits ? Bar(share, 5) : "too big", Rate(cell.decode_tps),
                          Seconds(cell.ttft_ms), Loss(cell.mean_kld)});
  }
  const std::string rendered = RenderTable(table);
  if (!text.colour) return rendered;
  std::string painted;
  size_t line = 0;
  for (const std::string& row : Split(rendered, '\n')) {
    if (row.empty()) continue;
    const bool head = line == 0;
    const bool best = !head && plan.recommended == shown[line - 1];
    const bool fits = head || plan.cells[shown[line - 1]].fits;
    painted += (best            ? Painted(row, kBold, true)
                : !fits || head ? Painted(row, kDim, true)
                                : row) +
               "\n";
    ++line;
  }
  return painted;
}

// Words of a paragraph in lines of at most kColumns.
std::string Wrapped(const std::string& lead, const std::string& words) {
  std::string out;
  std::string line = lead;
  const std::string indent(lead.size(), ' ');
  for (const std::string& word : Split(words, ' ')) {
    if (word.empty()) continue;
    if (line.size() + 1 + word.size() > kColumns && line.size() > indent.size()) {
      out += line + "\n";
      line = indent;
    }
    if (line.size() > indent.size()) line += " ";
    line += word;
  }
  return out + line + "\n";
}

std::string Interval(const Estimate& e, const char* unit) {
  return fmt::format("{} to {} {}{}", Short(e.low), Short(e.high), unit,
                     e.measured ? "" : " (not measured)");
}

// What the chosen cell takes, device by device.
std::string Devices(const PlanCell& cell, const Machine& machine) {
  std::string out;
  for (size_t i = 0; i < cell.devices.size(); ++i) {
    const DeviceBytes& d = cell.devices[i];
    const bool is_host = i + 1 == cell.devices.size();
    if (!is_host && !cell.settings.use_gpu) {
      out += fmt::format("left out: {}\n", SafeText(d.name, 40));
      continue;
    }
    const uint64_t free = is_host ? machine.memory.available_bytes : d.free_bytes;
    const uint64_t reserve = is_host ? kHostReserveBytes : d.reserve_bytes;
    const double share =
        free > 0 ? static_cast<double>(d.total_bytes() + reserve) / static_cast<double>(free) : 1;
    out += fmt::format("{} {} of {} free: {}\n", Bar(share, 20),
                       FormatBytes(d.total_bytes() + reserve), FormatBytes(free),
                       SafeText(d.name, 40));
    const std::string projector =
        d.projector_bytes > 0 ? fmt::format(", projector {}", FormatBytes(d.projector_bytes)) : "";
    out +=
        Wrapped("    ", fmt::format("weights {}, KV cache {}, compute {}{}, kept free {}",
                                    FormatBytes(d.weights_bytes), FormatBytes(d.kv_bytes),
                                    FormatBytes(d.compute_bytes), projector, FormatBytes(reserve)));
  }
  return out;
}

}  // namespace

std::string ParametersText(uint64_t parameters) {
  const auto n = static_cast<double>(parameters);
  return parameters >= 1'000'000'000 ? fmt::format("{:.1f} billion weights", n / 1e9)
                                     : fmt::format("{:.0f} million weights", n / 1e6);
}

std::string RenderPlan(const Plan& plan, const Machine& machine, const PlanText& text) {
  std::string where;
  for (const Gpu& gpu : machine.gpus)
    where += fmt::format("{}{}", where.empty() ? "" : ", ", SafeText(gpu.name, 60));
  if (where.empty()) where = SafeText(machine.cpu.name, 60);
  std::string out = Painted(Wrapped("", fmt::format("{} on {}", SafeText(text.model, 120), where)),
                            kBold, text.colour);
  out += "\n";
  const std::vector<size_t> shown = Shown(plan, text.all);
  out += PlanTable(plan, machine, text, shown);
  if (shown.size() < plan.cells.size()) {
    out += fmt::format("{} more choices: --all\n", plan.cells.size() - shown.size());
  }
  out += "Sizes in GiB. wait: for the first word of a prompt. loss: KL divergence, nats.\n";
  out += "\n";
  if (plan.recommended) {
    const PlanCell& cell = plan.cells[*plan.recommended];
    out += Wrapped("*  ", plan.reason);
    out += Devices(cell, machine);
    if (cell.decode_tps) {
      out += Wrapped("   ",
                     fmt::format("decoding {}{}", Interval(*cell.decode_tps, "tok/s"),
                                 cell.ttft_ms ? fmt::format("; first word of {} tokens after {}",
                                                            PromptTokens(cell.settings.context),
                                                            Interval(*cell.ttft_ms, "ms"))
                                              : ""));
    }
  } else {
    out += Wrapped("", plan.reason);
  }
  if (plan.runner_up) out += Wrapped("2  ", plan.runner_up_reason);
  for (const std::string& what : plan.would_change) out += Wrapped("?  ", what);
  for (const std::string& note : plan.notes) out += Wrapped("note: ", SafeText(note, 400));
  return out;
}

}  // namespace trimma
