#include "cli/applying.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>

#include "base/file.h"
#include "base/text.h"
#include "cli/settings_target.h"
#include "report/json_document.h"
#include "settings/files.h"

namespace trimma {
namespace {

constexpr uint64_t kMaxSettingsBytes = 16ULL << 20;

std::string UndoPath() { return StateDirectory() + "/last-apply.json"; }

Result<std::optional<std::string>> ReadIfThere(const std::string& path) {
  auto text = ReadSmallFile(path, kMaxSettingsBytes);
  if (text.ok()) return std::optional(*std::move(text));
  if (text.error().code == Code::kNotFound) return std::optional<std::string>{};
  return text.error();
}

Result<FileChange> PlanConfig(const Applied& applied, const std::string& path,
                              const ConfigMap& map) {
  FileChange change;
  TRY(change.target, SettingsTarget(path));
  TRY(change.before, ReadIfThere(change.target));
  auto edit = EditConfigToml(change.before.value_or(""), applied, map);
  if (!edit.ok())
    return Error{edit.error().code, fmt::format("{}: {}", path, edit.error().what),
                 edit.error().hint};
  change.after = edit->text;
  for (const ConfigChange& key : edit->changes) {
    change.summary.push_back(key.before.empty()
                                 ? fmt::format("{} = {} (new)", key.key, key.after)
                                 : fmt::format("{} = {} (was {})", key.key, key.after, key.before));
  }
  return change;
}

Result<FileChange> PlanWhole(const std::string& path, std::string text) {
  FileChange change;
  TRY(change.target, SettingsTarget(path));
  TRY(change.before, ReadIfThere(change.target));
  change.after = std::move(text);
  return change;
}

Status CheckUnchanged(const FileChange& change) {
  TRY(const auto now, ReadIfThere(change.target));
  if (now == change.before) return {};
  return Error{Code::kBusy,
               fmt::format("{} was changed by another program meanwhile", change.target),
               "run the command again"};
}

Status WriteOne(const FileChange& change) {
  if (change.before == change.after) return {};
  if (change.before)
    TRY_STATUS(WriteFileAtomically(change.target + ".bak", *change.before, change.target));
  return WriteFileAtomically(change.target, change.after, change.target);
}

bool IsUndoDocument(const Json& json) {
  if (!json.is_object() || !json.contains("changes") || !json["changes"].is_array()) return false;
  return std::all_of(json["changes"].begin(), json["changes"].end(), [](const Json& change) {
    return change.is_object() && change.contains("target") && change["target"].is_string() &&
           change.contains("before") &&
           (change["before"].is_null() || change["before"].is_string()) &&
           change.contains("after") && change["after"].is_string();
  });
}

}  // namespace

Result<std::vector<FileChange>> PlanChanges(const Applied& applied, const ApplyTargets& targets) {
  std::vector<FileChange> changes;
  if (!targets.config.empty()) {
    TRY(FileChange change, PlanConfig(applied, targets.config, targets.config_map));
    changes.push_back(std::move(change));
  }
  if (!targets.modelfile.empty()) {
    TRY(std::string text, RenderModelfile(applied));
    TRY(FileChange change, PlanWhole(targets.modelfile, std::move(text)));
    changes.push_back(std::move(change));
  }
  if (!targets.env.empty()) {
    TRY(FileChange change, PlanWhole(targets.env, RenderEnvironment(applied)));
    changes.push_back(std::move(change));
  }
  if (!targets.llama_server.empty()) {
    TRY(std::string text, RenderLlamaServerPreset(applied));
    TRY(FileChange change, PlanWhole(targets.llama_server, std::move(text)));
    changes.push_back(std::move(change));
  }
  return changes;
}

std::vector<std::string> NotesOnOllama(const RuntimeSettings& settings) {
  std::vector<std::string> notes;
  for (const std::string& lost : NotHeldByOllama(settings))
    notes.push_back(fmt::format("Ollama has no setting for {}; its files leave it out", lost));
  return notes;
}

Status MakeChanges(const std::vector<FileChange>& changes) {
  for (const FileChange& change : changes) TRY_STATUS(CheckUnchanged(change));
  Json undo = Json::array();
  for (const FileChange& change : changes) {
    if (change.before == change.after) continue;
    undo.push_back({{"target", change.target},
                    {"before", change.before ? Json(*change.before) : Json()},
                    {"after", change.after}});
  }
  if (undo.empty()) return {};
  // Noted first: whatever happens while writing, it can be taken back.
  TRY_STATUS(MakeDirectories(StateDirectory()));
  TRY_STATUS(WriteFileAtomically(UndoPath(),
                                 DumpDocument({{"schema", "trimma.undo/1"}, {"changes", undo}})));
  for (const FileChange& change : changes) TRY_STATUS(WriteOne(change));
  return {};
}

Result<std::vector<std::string>> UndoLastApply(bool dry_run) {
  const auto text = ReadSmallFile(UndoPath(), 4 * kMaxSettingsBytes);
  if (!text.ok()) return Error{Code::kNotFound, "there is no apply to take back", ""};
  const Json json = Json::parse(*text, nullptr, false);
  if (!IsUndoDocument(json)) {
    return Error{Code::kInvalid, fmt::format("{} is damaged", UndoPath()),
                 "restore FILE.bak by hand"};
  }
  // All are looked at before one is touched.
  std::vector<const Json*> to_restore;
  for (const Json& change : json["changes"]) {
    const std::string target = change["target"];
    TRY(const auto now, ReadIfThere(target));
    const bool existed = change["before"].is_string();
    const bool already = existed ? now == change["before"].get<std::string>() : !now;
    if (already) continue;
    if (now != change["after"].get<std::string>()) {
      return Error{Code::kBusy, fmt::format("{} was edited since; nothing is taken back", target),
                   existed ? fmt::format("the former file is {}.bak", target) : ""};
    }
    to_restore.push_back(&change);
  }
  std::vector<std::string> done;
  for (const Json* change : to_restore) {
    const std::string target = (*change)["target"];
    if ((*change)["before"].is_string()) {
      const std::string before = (*change)["before"];
      if (!dry_run) TRY_STATUS(WriteFileAtomically(target, before, target));
      done.push_back(fmt::format("restored {}", target));
    } else {
      if (!dry_run && unlink(target.c_str()) != 0) return ErrnoError("remove", target, errno);
      done.push_back(fmt::format("removed {}", target));
    }
  }
  if (!dry_run) unlink(UndoPath().c_str());
  return done;
}

}  // namespace trimma
