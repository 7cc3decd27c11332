#include <fmt/format.h>
#include <unistd.h>

#include <filesystem>

#include "base/file.h"
#include "base/progress.h"
#include "base/text.h"
#include "base/units.h"
#include "cli/apply_text.h"
#include "cli/applying.h"
#include "cli/command.h"
#include "cli/ollama_service.h"
#include "cli/records.h"
#include "settings/quoting.h"

namespace trimma {
namespace {

struct ApplyFlags {
  std::string record;
  std::string config, env, modelfile, llama_server, llama_env;
  std::vector<std::string> map;
  std::string ollama;
  bool systemd = false;
  std::string root;
  std::string keep_alive;
  std::optional<uint64_t> fit_margin_mib;
  double seconds = 6;
  bool dry_run = false;
  bool undo = false;
};

Status Undo(const ApplyFlags& options, const Shared& shared) {
  TRY(const std::vector<TakenBack> all, UndoLastApply(options.dry_run));
  std::string text;
  Json changes = Json::array();
  for (const TakenBack& one : all) {
    text += SafeText(one.line, 500) + "\n";
    changes.push_back({{"target", one.target},
                       {"before", one.before ? Json(*one.before) : Json()},
                       {"after", one.after ? Json(*one.after) : Json()}});
  }
  return shared.json
             ? PrintDocument({{"schema", "trimma.apply/1"}, {"changes", changes}, {"undo", text}})
             : PrintText(text);
}

// For whom an environment is written: the Ollama that runs, if one does.
EnvironmentTarget TargetOf(const ApplyFlags& options) {
  EnvironmentTarget target;
  if (const auto info = FindOllama()) target.ollama_version = info->version;
  target.keep_alive = options.keep_alive;
  target.fit_margin_mib = options.fit_margin_mib;
  return target;
}

// The same call for another user, elsewhere.
std::string SameCall(const ApplyFlags& options, const std::string& record) {
  const auto absolute = [](const std::string& path) {
    std::error_code error;
    const auto found = std::filesystem::absolute(path, error);
    return error ? path : found.string();
  };
  std::string call = fmt::format("apply {} --systemd", ShellWord(absolute(record)));
  const auto add = [&](const char* name, const std::string& value) {
    if (!value.empty()) call += fmt::format(" {} {}", name, ShellWord(value));
  };
  const auto add_file = [&](const char* name, const std::string& path) {
    if (!path.empty()) add(name, absolute(path));
  };
  add_file("--root", options.root);
  add("--keep-alive", options.keep_alive);
  if (options.fit_margin_mib) add("--fit-margin", std::to_string(*options.fit_margin_mib));
  add_file("--config", options.config);
  for (const std::string& map : options.map) add("--map", map);
  add_file("--env", options.env);
  add_file("--modelfile", options.modelfile);
  add_file("--llama-server", options.llama_server);
  add_file("--llama-env", options.llama_env);
  add("--ollama", options.ollama);
  if (!options.ollama.empty()) add("--seconds", fmt::format("{}", options.seconds));
  return call;
}

Result<ApplyTargets> TargetsOf(const ApplyFlags& options, const std::string& record) {
  ApplyTargets targets;
  targets.config = options.config;
  // Its application asks by this name. Of llama-server, the preset's is meant.
  if (!options.ollama.empty()) {
    targets.config_name = options.ollama;
  } else if (options.llama_server.empty() && options.llama_env.empty()) {
    targets.config_name = OllamaMadeFrom(record);
  }
  TRY(targets.config_map, ParseConfigMap(options.map));
  targets.modelfile = options.modelfile;
  targets.env = options.env;
  targets.llama_server = options.llama_server;
  targets.llama_env = options.llama_env;
  if (!options.env.empty() || options.systemd) targets.ollama = TargetOf(options);
  if (options.systemd) {
    TRY(targets.drop_in, OllamaDropInPath(options.root));
  }
  return targets;
}

Status RunApply(const ApplyFlags& options, const Shared& shared) {
  if (options.undo) return Undo(options, shared);
  AppliedText shown;
  shown.dry_run = options.dry_run;
  shown.record = options.record;
  if (shown.record.empty()) {
    TRY(shown.record, NewestRecord());
  }
  TRY(const Applied applied, AppliedFromRecord(shown.record));
  TRY(const ApplyTargets targets, TargetsOf(options, shown.record));
  TRY(shown.files, PlanChanges(applied, targets));
  if (shown.files.empty() && options.ollama.empty()) {
    return Error{Code::kUsage, "nowhere to apply the settings to is named",
                 "add --ollama NAME, --config FILE, --modelfile FILE, --env FILE, --systemd, "
                 "--llama-server FILE or --llama-env FILE"};
  }
  if (!targets.env.empty()) shown.activate.push_back(ActivateEnvironment(targets.env));
  if (!targets.drop_in.empty()) shown.activate.emplace_back(kActivateDropIn);
  if (!targets.drop_in.empty() && !options.dry_run)
    TRY_STATUS(MakeDropInFolder(targets.drop_in, SameCall(options, shown.record)));
  if (options.ollama.empty()) {
    if (!options.dry_run) {
      TRY(shown.notes, MakeChanges(shown.files));
    }
  } else {
    TRY(OllamaClient client, OllamaClient::Connect());
    TRY(shown.model, PlanOllamaModel(client, applied, options.ollama));
    if (!options.dry_run && shown.model->nothing_to_do()) {
      TRY(shown.notes, MakeChanges(shown.files));
    } else if (!options.dry_run) {
      Progress progress(shared.quiet);
      MakeOptions make;
      make.measure_seconds = options.seconds;
      make.progress = [&](const std::string& stage, double share) {
        progress.Update(stage, share);
      };
      TRY(shown.made, MakeChanges(shown.files, client, *shown.model, make));
      progress.Done();
    }
    if (!options.dry_run) {
      const Status noted = NoteMadeInOllama(shown.record, ModelJson(shown));
      if (!noted.ok())
        shown.notes.push_back("trimma run will not know this name: " + noted.error().what);
    }
  }
  if (!options.modelfile.empty() || !options.env.empty() || !options.ollama.empty())
    for (std::string& note : NotesOnOllama(applied.settings))
      shown.notes.push_back(std::move(note));
  return shared.json ? PrintDocument(ToDocument(shown)) : PrintText(Describe(shown));
}

}  // namespace

Action DefineApply(CLI::App& app, const Shared& shared) {
  const auto o = std::make_shared<ApplyFlags>();
  app.add_option("RECORD", o->record, "A record.json (default: the newest of this machine)");
  app.add_option("--ollama", o->ollama,
                 "A model to make in the running Ollama (OLLAMA_HOST), checked by loading it and "
                 "measured against what was there");
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
  app.add_flag("--systemd", o->systemd, "The same as a drop-in of the systemd unit ollama.service");
  app.add_option("--root", o->root, "With --systemd: the folder that stands for / (an image)");
  app.add_option("--keep-alive", o->keep_alive,
                 "With --env or --systemd: how long a model stays loaded (30m, -1 for ever)");
  app.add_option("--fit-margin", o->fit_margin_mib,
                 "With --env or --systemd: MiB of each graphics card that stay free (Ollama 0.30 "
                 "and later)")
      ->check(CLI::Range(uint64_t{0}, uint64_t{1} << 20));
  app.add_option("--llama-server", o->llama_server, "A models preset of llama-server to write");
  app.add_option("--llama-env", o->llama_env, "A file of LLAMA_ARG_* variables to write");
  app.add_option("--seconds", o->seconds,
                 "With --ollama: time for measuring before and after; 0 leaves it out")
      ->capture_default_str()
      ->check(CLI::Range(0.0, 86400.0));
  app.add_flag("--dry-run", o->dry_run, "Show the change; write nothing");
  app.add_flag("--undo", o->undo, "Take the last apply back");
  return [o, &shared] { return RunApply(*o, shared); };
}

}  // namespace trimma
