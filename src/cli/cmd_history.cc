#include <fmt/format.h>

#include <charconv>
#include <ctime>
#include <filesystem>
#include <map>

#include "base/text.h"
#include "cli/command.h"
#include "cli/remember.h"
#include "history/history.h"
#include "report/table.h"

namespace trimma {
namespace {

struct HistoryFlags {
  HistoryFilter filter;
  int64_t limit = 20;
  std::optional<int64_t> show, forget;
  std::string older_than;
};

// "90d", "12h", "3w": seconds.
Result<int64_t> ParseAge(const std::string& text) {
  static const std::map<char, int64_t> kUnits = {
      {'h', 3600}, {'d', 24 * 3600}, {'w', 7 * 24 * 3600}};
  int64_t number = 0;
  const char* end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, number);
  const auto unit = rest + 1 == end ? kUnits.find(*rest) : kUnits.end();
  constexpr int64_t kMost = 1'000'000;  // weeks: 19 000 years
  if (error != std::errc() || unit == kUnits.end() || number < 0 || number > kMost) {
    return Error{Code::kUsage, fmt::format("\"{}\" is no span of time", SafeText(text, 40)),
                 "for example 90d, 12h or 3w"};
  }
  return number * unit->second;
}

// Whether what is listed still holds: engine, driver and machine are looked up once, a model's file
// once each.
class Freshness {
 public:
  Staleness Of(const HistoryEntry& entry) {
    std::error_code ignored;
    const bool there = std::filesystem::exists(entry.model_path, ignored);
    const std::string path = there ? entry.model_path : "";
    auto known = by_path_.find(path);
    if (known == by_path_.end()) known = by_path_.emplace(path, WithModel(machine_, path)).first;
    Provenance now = known->second;
    if (!there) {
      Staleness gone = Compare(WithoutModel(entry.provenance), WithoutModel(now));
      gone.changes.push_back({"model", "the model's file is gone"});
      return gone;
    }
    return Compare(entry.provenance, now);
  }

 private:
  static Provenance WithoutModel(Provenance provenance) {
    provenance.model_quick = provenance.model_sha256 = "";
    return provenance;
  }
  const Provenance machine_ = MachineNow();
  std::map<std::string, Provenance> by_path_;
};

Json ItemJson(const HistoryEntry& entry, const Staleness& staleness) {
  Json stale = Json::array();
  for (const ProvenanceChange& change : staleness.changes)
    stale.push_back({{"what", change.what}, {"sentence", change.sentence}});
  Json item = ToJson(entry.provenance);
  item["id"] = entry.id;
  item["time"] = entry.time;
  item["command"] = entry.command;
  item["model"] = entry.model_path;
  item["trimma_version"] = entry.trimma_version;
  item["summary"] = entry.summary;
  item["stale"] = stale;
  return item;
}

Json Document(const std::vector<std::string>& notes) {
  return {{"schema", "trimma.history/1"}, {"items", Json::array()}, {"notes", notes}};
}

std::string NotesText(const std::vector<std::string>& notes) {
  std::string text;
  for (const std::string& note : notes) text += fmt::format("note: {}\n", SafeText(note, 2000));
  return text;
}

Status Show(History& history, int64_t id, const Shared& shared) {
  TRY(const auto entry, history.Find(id));
  if (!entry) {
    return Error{Code::kNotFound, fmt::format("there is no run {} in the history", id),
                 "`trimma history` lists them"};
  }
  const Staleness staleness = Freshness().Of(*entry);
  const Json kept = Json::parse(entry->document, nullptr, false);
  if (shared.json) {
    Json document = Document(history.notes());
    document["items"].push_back(ItemJson(*entry, staleness));
    document["items"][0]["document"] = kept.is_discarded() ? Json() : kept;
    return PrintDocument(document);
  }
  const Provenance& p = entry->provenance;
  std::string text =
      fmt::format("run      {}, {}: trimma {} {}\nmodel    {}\n", entry->id,
                  SafeText(entry->time, 40), SafeText(entry->command, 40),
                  SafeText(entry->trimma_version, 40), SafeText(entry->model_path, 1000));
  if (!entry->summary.empty()) text += fmt::format("result   {}\n", SafeText(entry->summary, 300));
  text += fmt::format(
      "machine  {}{}\nengine   llama.cpp {}\nvalid    {}\n\n", SafeText(p.machine, 300),
      p.driver.empty() ? "" : ", driver " + SafeText(p.driver, 60), SafeText(p.engine_commit, 60),
      staleness.stale() ? "no longer: " + staleness.Text() : "still");
  return PrintText(text + entry->document + NotesText(history.notes()));
}

Status List(History& history, const HistoryFlags& options, const Shared& shared) {
  TRY(const auto entries, history.List(options.filter));
  Freshness freshness;
  Json document = Document(history.notes());
  TextTable table{{"run", "when (UTC)", "command", "model", "result", "changed since"}, {}};
  for (const HistoryEntry& entry : entries) {
    const Staleness staleness = freshness.Of(entry);
    document["items"].push_back(ItemJson(entry, staleness));
    std::string changed;
    for (const ProvenanceChange& change : staleness.changes)
      changed += (changed.empty() ? "" : ", ") + change.what;
    std::string when = entry.time.substr(0, 16);
    if (when.size() == 16) when[10] = ' ';
    table.rows.push_back({std::to_string(entry.id), SafeText(when, 20), SafeText(entry.command, 20),
                          SafeText(std::filesystem::path(entry.model_path).filename().string(), 40),
                          SafeText(entry.summary, 90), changed});
  }
  if (shared.json) return PrintDocument(document);
  if (entries.empty()) return PrintText("nothing yet\n" + NotesText(history.notes()));
  return PrintText(RenderTable(table) + NotesText(history.notes()));
}

Status SayForgotten(const History& history, int64_t gone, const Shared& shared) {
  if (!shared.json) return PrintText(fmt::format("{} forgotten\n", gone));
  Json document = Document(history.notes());
  document["forgotten"] = gone;
  return PrintDocument(document);
}

Status Forget(History& history, int64_t id, const Shared& shared) {
  TRY(const int64_t gone, history.Forget(id));
  if (gone > 0) return SayForgotten(history, gone, shared);
  return Error{Code::kNotFound, fmt::format("there is no run {} in the history", id),
               "`trimma history` lists them"};
}

Status ForgetOlder(History& history, int64_t age, const Shared& shared) {
  TRY(const int64_t gone, history.ForgetBefore(HistoryTime(std::time(nullptr) - age)));
  return SayForgotten(history, gone, shared);
}

Status RunHistory(HistoryFlags options, const Shared& shared) {
  std::optional<int64_t> age;
  if (!options.older_than.empty()) {
    TRY(age, ParseAge(options.older_than));
  }
  options.filter.limit = options.limit;
  TRY(History history, History::Open());
  for (const std::string& note : history.notes())
    fmt::print(stderr, "trimma: {}\n", SafeText(note, 2000));
  if (options.show) return Show(history, *options.show, shared);
  if (options.forget) return Forget(history, *options.forget, shared);
  if (age) return ForgetOlder(history, *age, shared);
  return List(history, options, shared);
}

}  // namespace

Action DefineHistory(CLI::App& app, const Shared& shared) {
  const auto o = std::make_shared<HistoryFlags>();
  app.add_option("--model", o->filter.model, "Only models whose path holds this");
  app.add_option("--command", o->filter.command, "Only runs of this command");
  app.add_option("--limit", o->limit, "At most so many, the newest")
      ->capture_default_str()
      ->check(CLI::Range(1, 1 << 30));
  auto* show = app.add_option("--show", o->show, "One run with its whole document");
  auto* forget = app.add_option("--forget", o->forget, "Remove one run");
  app.add_option("--older-than", o->older_than, "Remove runs older than this (90d, 12h, 3w)")
      ->excludes(show)
      ->excludes(forget);
  show->excludes(forget);
  return [o, &shared] { return RunHistory(*o, shared); };
}

}  // namespace trimma
