#include <fmt/format.h>
#include <unistd.h>

#include <filesystem>

#include "base/file.h"
#include "base/text.h"
#include "cli/applying.h"
#include "cli/command.h"
#include "cli/records.h"

namespace trimma {
namespace {

struct Options {
  std::string record;
  std::string config, env, modelfile, llama_server;
  std::vector<std::string> map;
  bool dry_run = false;
  bool undo = false;
};

std::string Describe(const std::vector<FileChange>& changes, const std::string& record,
                     const std::vector<std::string>& notes, bool dry_run) {
  std::string text = fmt::format("from {}\n", SafeText(record, 500));
  for (const FileChange& change : changes) {
    if (change.before == change.after) {
      text += fmt::format("{}: nothing to change\n", SafeText(change.target, 500));
      continue;
    }
    text += fmt::format("{}{}{}\n", dry_run ? "would write " : "wrote ",
                        SafeText(change.target, 500), change.before ? "" : " (new)");
    for (const std::string& line : change.summary)
      text += fmt::format("  {}\n", SafeText(line, 300));
  }
  for (const std::string& note : notes) text += fmt::format("note: {}\n", note);
  if (!dry_run) text += "undo: trimma apply --undo\n";
  return text;
}

Json ToDocument(const std::vector<FileChange>& changes, const std::string& record,
                const std::vector<std::string>& notes) {
  Json list = Json::array();
  for (const FileChange& change : changes) {
    list.push_back({{"target", change.target},
                    {"before", change.before ? Json(*change.before) : Json()},
                    {"after", change.after}});
  }
  return {{"schema", "trimma.apply/1"},
          {"record", record},
          {"changes", list},
          {"notes", notes},
          {"undo", "trimma apply --undo"}};
}

Status RunApply(const Options& options, const Shared& shared) {
  if (options.undo) {
    TRY(const std::vector<std::string> lines, UndoLastApply(options.dry_run));
    std::string text;
    for (const std::string& line : lines) text += SafeText(line, 500) + "\n";
    return shared.json
               ? PrintDocument(
                     {{"schema", "trimma.apply/1"}, {"changes", Json::array()}, {"undo", lines}})
               : PrintText(text);
  }
  std::string record = options.record;
  if (record.empty()) {
    TRY(record, NewestRecord());
  }
  TRY(const Applied applied, AppliedFromRecord(record));
  TRY(const ConfigMap map, ParseConfigMap(options.map));
  TRY(const std::vector<FileChange> changes,
      PlanChanges(applied,
                  {options.config, options.modelfile, options.env, options.llama_server, map}));
  if (changes.empty()) {
    return Error{Code::kUsage, "nowhere to apply the settings to is named",
                 "add --config FILE, --modelfile FILE, --env FILE or --llama-server FILE"};
  }
  if (!options.dry_run) TRY_STATUS(MakeChanges(changes));
  std::vector<std::string> notes;
  if (!options.modelfile.empty() || !options.env.empty()) notes = NotesOnOllama(applied.settings);
  return shared.json ? PrintDocument(ToDocument(changes, record, notes))
                     : PrintText(Describe(changes, record, notes, options.dry_run));
}

}  // namespace

Action DefineApply(CLI::App& app, const Shared& shared) {
  const auto o = std::make_shared<Options>();
  app.add_option("RECORD", o->record, "A record.json (default: the newest of this machine)");
  app.add_option("--config", o->config,
                 "An application's config.toml: [model] name, context_length, temperature and "
                 "top_p; every other byte is kept");
  app.add_option(
         "--map", o->map,
         "With --config: SETTING=KEY, repeatable: the key that the application has for a "
         "setting (model.name=llm.model_id, runtime.threads=llm.threads); without a KEY the "
         "setting is left out")
      ->allow_extra_args(false)
      ->needs("--config");
  app.add_option("--modelfile", o->modelfile, "An Ollama Modelfile to write");
  app.add_option("--env", o->env, "An environment file for `ollama serve` to write");
  app.add_option("--llama-server", o->llama_server, "A models preset of llama-server to write");
  app.add_flag("--dry-run", o->dry_run, "Show the change; write nothing");
  app.add_flag("--undo", o->undo, "Take the last apply back");
  return [o, &shared] { return RunApply(*o, shared); };
}

}  // namespace trimma
