#include "cli/remember.h"

#include <fmt/format.h>

#include <algorithm>
#include <ctime>
#include <filesystem>

#include "base/build_info.h"
#include "base/file.h"
#include "base/text.h"
#include "cli/command.h"
#include "cli/overheads.h"
#include "gguf/reader.h"
#include "hardware/machine.h"
#include "history/quick_hash.h"
#include "history/summary.h"
#include "plan/measured_quality.h"
#include "report/json_document.h"

namespace trimma {
namespace {

namespace fs = std::filesystem;

constexpr const char* kNvidiaVendor = "0x10de";
// The result is printed, and the shell's prompt waits.
constexpr int kPatienceMs = 3000;

// The cards as the kernel lists them; asking the engine's backends would start a driver's context.
std::vector<std::string> Cards() {
  std::vector<std::string> cards;
  std::error_code error;
  for (const auto& card : fs::directory_iterator("/proc/driver/nvidia/gpus", error)) {
    const auto text = ReadPseudoFile(card.path().string() + "/information");
    if (!text.ok()) continue;
    for (const std::string& line : Split(*text, '\n')) {
      constexpr std::string_view kModel = "Model:";
      if (line.starts_with(kModel))
        cards.emplace_back(Trim(std::string_view(line).substr(kModel.size())));
    }
  }
  const bool nvidia_known = !cards.empty();
  for (const auto& node : fs::directory_iterator("/sys/class/drm", error)) {
    if (!node.path().filename().string().starts_with("renderD")) continue;
    const auto vendor = ReadPseudoFile(node.path().string() + "/device/vendor");
    const auto device = ReadPseudoFile(node.path().string() + "/device/device");
    if (!vendor.ok() || !device.ok() || (nvidia_known && Trim(*vendor) == kNvidiaVendor)) continue;
    cards.push_back(fmt::format("card {}:{}", Trim(*vendor), Trim(*device)));
  }
  std::sort(cards.begin(), cards.end());
  return cards;
}

std::string MachineText() {
  const Machine machine = Probe();
  std::string text = fmt::format("{}, {} threads", machine.cpu.name, machine.cpu.threads);
  for (const std::string& card : Cards()) text += ", " + card;
  return text;
}

std::string AbsolutePath(const std::string& path) {
  std::error_code error;
  const fs::path canonical = fs::weakly_canonical(path, error);
  return error ? path : canonical.string();
}

Result<int64_t> Append(const Json& document, const std::string& model_path,
                       std::vector<std::string>& notes) {
  TRY(History history, History::Open(History::DefaultPath(), kPatienceMs));
  HistoryEntry entry;
  entry.time = HistoryTime(std::time(nullptr));
  entry.command = CommandOf(document);
  entry.model_path = AbsolutePath(model_path);
  entry.provenance = ProvenanceNow(model_path);
  entry.trimma_version = build_info::kVersion;
  entry.summary = SummaryOf(document);
  entry.document = DumpDocument(document);
  auto id = history.Append(entry);
  notes = history.notes();
  return id;
}

}  // namespace

Provenance MachineNow() {
  Provenance now;
  now.engine_commit = build_info::kEngineCommit;
  now.driver = DriverVersion();
  now.machine = MachineText();
  return now;
}

Provenance ProvenanceNow(const std::string& model_path) {
  return WithModel(MachineNow(), model_path);
}

Provenance WithModel(Provenance now, const std::string& model_path) {
  if (model_path.empty()) return now;
  const auto file = ReadGguf(model_path);
  if (!file.ok()) return now;
  if (const auto quick = QuickHash(file->paths); quick.ok()) now.model_quick = *quick;
  now.model_sha256 = MeasuredQualities::Load().KnownHash(*file).value_or("");
  return now;
}

void Remember(const Json& document, const std::string& model_path) {
  std::vector<std::string> notes;
  const auto id = Append(document, model_path, notes);
  if (!id.ok()) notes.push_back("this run is not in the history: " + id.error().what);
  for (const std::string& note : notes) fmt::print(stderr, "trimma: {}\n", SafeText(note, 2000));
}

Status PrintAndRemember(const Json& document, const std::string& text, bool json,
                        const std::string& model_path) {
  const Status printed = json ? PrintDocument(document) : PrintText(text);
  Remember(document, model_path);
  return printed;
}

std::string EarlierRun::Text() const {
  const std::string what =
      fmt::format("the result of {} ({})", SafeText(entry.time, 40), SafeText(entry.summary, 200));
  return staleness.stale() ? fmt::format("{} is out of date: {}", what, staleness.Text())
                           : what + " still holds: engine, driver, machine and model are the same";
}

std::optional<EarlierRun> FindEarlierRun(const std::string& command, const std::string& model_path,
                                         const std::function<bool(const Json&)>& accept) {
  std::error_code ignored;
  if (!fs::exists(History::DefaultPath(), ignored)) return std::nullopt;
  auto history = History::Open();
  if (!history.ok()) return std::nullopt;
  const Provenance now = ProvenanceNow(model_path);
  auto entry = history->Newest(command, AbsolutePath(model_path), now.model_quick,
                               [&](const std::string& document) {
                                 const Json json = Json::parse(document, nullptr, false);
                                 return !accept || (!json.is_discarded() && accept(json));
                               });
  // The query, too, may find damage.
  for (const std::string& note : history->notes())
    fmt::print(stderr, "trimma: {}\n", SafeText(note, 2000));
  if (!entry.ok() || !entry->has_value()) return std::nullopt;
  const Staleness staleness = Compare((*entry)->provenance, now);
  return EarlierRun{std::move(**entry), staleness};
}

}  // namespace trimma
