#include "cli/applying.h"

#include <fmt/format.h>
#include <unistd.h>

#include <filesystem>

#include "base/file.h"
#include "base/text.h"
#include "cli/settings_target.h"
#include "cli/undo_note.h"
#include "settings/files.h"

namespace trimma {
namespace {

constexpr uint64_t kMaxSettingsBytes = 16ULL << 20;

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

UndoNote NoteOf(const std::vector<FileChange>& changes) {
  UndoNote note;
  for (const FileChange& change : changes)
    if (change.before != change.after)
      note.files.push_back({change.target, change.before, change.after});
  return note;
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
    TRY(FileChange change, PlanWhole(targets.env, RenderEnvironment(applied, targets.ollama)));
    changes.push_back(std::move(change));
  }
  if (!targets.drop_in.empty()) {
    TRY(FileChange change,
        PlanWhole(targets.drop_in, RenderSystemdDropIn(applied, targets.ollama)));
    changes.push_back(std::move(change));
  }
  if (!targets.llama_env.empty()) {
    TRY(FileChange change, PlanWhole(targets.llama_env, RenderLlamaServerEnvironment(applied)));
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
  const UndoNote note = NoteOf(changes);
  if (note.files.empty()) return {};
  const auto former = ReadUndoNote();
  // Noted first: whatever happens while writing, it can be taken back.
  TRY_STATUS(WriteUndoNote(note));
  for (const FileChange& change : changes) TRY_STATUS(WriteOne(change));
  if (former.ok() && former->model) ForgetKept(*former->model, "");
  return {};
}

Result<MadeModel> MakeChanges(const std::vector<FileChange>& changes, OllamaClient& client,
                              const OllamaChange& model, const MakeOptions& options) {
  for (const FileChange& change : changes) TRY_STATUS(CheckUnchanged(change));
  const auto former = ReadUndoNote();
  UndoNote note = NoteOf(changes);
  note.model = model.undo;
  TRY_STATUS(WriteUndoNote(note));
  auto made = MakeOllamaModel(client, model, options);
  if (!made.ok()) {
    if (!IsAsBefore(client, model.undo)) {
      Error error = made.error();
      error.hint = "once Ollama answers: trimma apply --undo";
      return error;
    }
    // Nothing has changed: what could be taken back before still can.
    if (former.ok()) {
      TRY_STATUS(WriteUndoNote(*former));
    } else {
      RemoveUndoNote();
    }
    return made.error();
  }
  note.model->digest_after = made->digest;
  TRY_STATUS(WriteUndoNote(note));
  for (const FileChange& change : changes) TRY_STATUS(WriteOne(change));
  if (former.ok() && former->model) ForgetKept(*former->model, model.undo.kept);
  return made;
}

Result<std::vector<std::string>> UndoLastApply(bool dry_run) {
  TRY(const UndoNote note, ReadUndoNote());
  // All are looked at before one is touched.
  std::vector<const FileUndo*> to_restore;
  for (const FileUndo& file : note.files) {
    TRY(const auto now, ReadIfThere(file.target));
    if (now == file.before) continue;
    if (now != file.after) {
      return Error{Code::kBusy,
                   fmt::format("{} was edited since; nothing is taken back", file.target),
                   file.before ? fmt::format("the former file is {}.bak", file.target) : ""};
    }
    to_restore.push_back(&file);
  }
  std::vector<std::string> done;
  if (note.model) {
    TRY(done, UndoOllamaModel(*note.model, dry_run));
  }
  for (const FileUndo* file : to_restore) {
    if (file->before) {
      if (!dry_run) TRY_STATUS(WriteFileAtomically(file->target, *file->before, file->target));
      done.push_back(fmt::format("restored {}", file->target));
    } else {
      if (!dry_run && unlink(file->target.c_str()) != 0)
        return ErrnoError("remove", file->target, errno);
      done.push_back(fmt::format("removed {}", file->target));
    }
  }
  if (!dry_run) RemoveUndoNote();
  return done;
}

}  // namespace trimma
