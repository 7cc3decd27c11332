#include "cli/applying.h"

#include <fmt/format.h>
#include <unistd.h>

#include <filesystem>

#include "base/file.h"
#include "base/text.h"
#include "cli/settings_target.h"
#include "cli/undo_note.h"
#include "settings/files.h"
#include "settings/quoting.h"

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

// What an earlier apply replaced is the user's own: it stays.
void NoteKept(const ModelUndo& former, const std::string& still_noted,
              std::vector<std::string>& notes) {
  if (former.kept.empty() || former.kept == still_noted) return;
  notes.push_back(fmt::format(
      "what {} was before an earlier apply stays in Ollama as {}; delete it with: ollama rm {}",
      former.name, former.kept, ShellWord(former.kept)));
}

// Whether the model that is replaced is the last apply's own, and what that one replaced is there.
bool GoesOn(OllamaClient& client, const ModelUndo& former, const ModelUndo& now) {
  if (former.host != now.host || former.name != now.name || former.digest_after.empty() ||
      former.digest_after != now.digest_before) {
    return false;
  }
  if (former.kept.empty()) return true;
  const auto kept = client.FindTag(former.kept);
  return kept.ok() && kept->has_value() && (*kept)->digest == former.digest_before;
}

}  // namespace

Result<std::vector<FileChange>> PlanChanges(const Applied& applied, const ApplyTargets& targets) {
  std::vector<FileChange> changes;
  if (!targets.config.empty()) {
    Applied named = applied;
    if (!targets.config_name.empty()) named.name = targets.config_name;
    TRY(FileChange change, PlanConfig(named, targets.config, targets.config_map));
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
    // Root's own: whether it may be written is asked when it is.
    FileChange change;
    std::error_code error;
    change.target = std::filesystem::absolute(targets.drop_in, error).string();
    TRY(change.before, ReadIfThere(change.target));
    change.after = RenderSystemdDropIn(applied, targets.ollama);
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

Result<std::vector<std::string>> MakeChanges(const std::vector<FileChange>& changes) {
  for (const FileChange& change : changes) TRY_STATUS(CheckUnchanged(change));
  const UndoNote note = NoteOf(changes);
  std::vector<std::string> notes;
  if (note.files.empty()) return notes;
  const auto former = ReadUndoNote();
  // Noted first: whatever happens while writing, it can be taken back.
  TRY_STATUS(WriteUndoNote(note));
  for (const FileChange& change : changes) TRY_STATUS(WriteOne(change));
  if (former.ok() && former->model) NoteKept(*former->model, "", notes);
  return notes;
}

Result<MadeModel> MakeChanges(const std::vector<FileChange>& changes, OllamaClient& client,
                              const OllamaChange& model, const MakeOptions& options) {
  for (const FileChange& change : changes) TRY_STATUS(CheckUnchanged(change));
  const auto former = ReadUndoNote();
  const bool goes_on = former.ok() && former->model && GoesOn(client, *former->model, model.undo);
  UndoNote note = NoteOf(changes);
  note.model = model.undo;
  TRY_STATUS(WriteUndoNote(note));
  // Nothing has changed: what could be taken back before still can.
  const auto restore_note = [&] {
    if (former.ok()) return WriteUndoNote(*former);
    RemoveUndoNote();
    return Status();
  };
  Making making = MakeOllamaModel(client, model, options);
  // While that went on, another program may have written.
  Status unchanged;
  for (size_t i = 0; making.made.ok() && unchanged.ok() && i < changes.size(); ++i)
    unchanged = CheckUnchanged(changes[i]);
  if (!unchanged.ok()) making = {unchanged.error(), TakeBack(client, model.undo)};
  if (!making.made.ok()) {
    Error error = making.made.error();
    if (making.as_before) {
      TRY_STATUS(restore_note());
    } else {
      error.hint = "Ollama may have gone on with it; once it is quiet: trimma apply --undo";
    }
    return error;
  }
  MadeModel made = *std::move(making.made);
  note.model->digest_after = made.digest;
  if (goes_on) {
    note.model->kept = former->model->kept;
    note.model->digest_before = former->model->digest_before;
  }
  TRY_STATUS(WriteUndoNote(note));
  for (const FileChange& change : changes) TRY_STATUS(WriteOne(change));
  if (goes_on && model.undo.kept != note.model->kept) {
    (void)client.Delete(model.undo.kept);
  } else if (former.ok() && former->model) {
    NoteKept(*former->model, note.model->kept, made.notes);
  }
  return made;
}

Result<std::vector<TakenBack>> UndoLastApply(bool dry_run) {
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
  std::vector<TakenBack> done;
  std::optional<Error> not_asked;
  if (note.model) {
    auto model = UndoOllamaModel(*note.model, dry_run);
    if (model.ok()) {
      if (*model) done.push_back(**std::move(model));
    } else if (model.error().code == Code::kNetwork) {
      not_asked = model.error();
    } else {
      return model.error();
    }
  }
  for (const FileUndo* file : to_restore) {
    if (file->before) {
      if (!dry_run) TRY_STATUS(WriteFileAtomically(file->target, *file->before, file->target));
    } else if (!dry_run && unlink(file->target.c_str()) != 0) {
      return ErrnoError("remove", file->target, errno);
    }
    done.push_back({fmt::format("{} {}", file->before ? "restored" : "removed", file->target),
                    file->target, file->after, file->before});
  }
  if (not_asked) {
    if (dry_run) return *not_asked;
    TRY_STATUS(WriteUndoNote({{}, note.model}));
    not_asked->what = fmt::format("{}{} in Ollama is not taken back: {}",
                                  done.empty() ? "" : "the files are restored, but ",
                                  note.model->name, not_asked->what);
    not_asked->hint = "once it answers: trimma apply --undo";
    return *not_asked;
  }
  if (!dry_run) RemoveUndoNote();
  return done;
}

}  // namespace trimma
