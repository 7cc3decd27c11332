#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "base/file.h"
#include "base/program.h"
#include "base/text.h"
#include "cli/command.h"
#include "cli/optimize_ollama.h"
#include "cli/records.h"
#include "ollama/client.h"
#include "ollama/recipe.h"
#include "settings/files.h"
#include "settings/quoting.h"

namespace trimma {
namespace {

struct RunFlags {
  std::string model;
  std::string with;    // "ollama", "llama-server"; "": as the model is named
  std::string server;  // a llama-server
  std::vector<std::string> arguments;
  bool dry_run = false;
};

// What is started in place of this program.
struct Start {
  std::string record;
  std::vector<std::string> command;
  std::vector<EnvironmentVariable> environment;
  std::string note;
};

Result<Start> WithLlamaServer(const RunFlags& options, const Applied& applied) {
  Start start;
  const std::string program = options.server.empty() ? FindProgram("llama-server") : options.server;
  if (program.empty()) {
    return Error{Code::kNotFound, "llama-server is not on PATH",
                 "name it with --server PATH, or take --with ollama"};
  }
  if (access(program.c_str(), X_OK) != 0) return ErrnoError("run", program, errno);
  TRY_STATUS(CheckApplied(applied));
  // Before anything is started: a model that is gone.
  TRY_STATUS(InputFile::Open(applied.model_path));
  start.command = LlamaServerArguments(applied);
  start.command.insert(start.command.begin(), program);
  return start;
}

// What `optimize` made in Ollama; else what the user named.
std::string NameInOllama(const std::string& record, const std::string& model,
                         const Applied& applied) {
  constexpr std::string_view kPrefix = "ollama:";
  const std::string made = OllamaMadeFrom(record);
  if (!made.empty()) return made;
  return model.starts_with(kPrefix) ? model.substr(kPrefix.size()) : applied.name;
}

Result<Start> WithOllama(const RunFlags& options, const std::string& record,
                         const Applied& applied) {
  Start start;
  const std::string program = FindProgram("ollama");
  if (program.empty()) {
    return Error{Code::kNotFound, "ollama is not on PATH",
                 "install it, or take --with llama-server"};
  }
  auto client = OllamaClient::Connect();
  if (client.ok()) {
    const std::string name = NameInOllama(record, options.model, applied);
    TRY(const auto tag, client->FindTag(name));
    if (!tag) {
      return Error{
          Code::kNotFound, fmt::format("{} is not in the running Ollama", SafeText(name)),
          fmt::format("make it: trimma apply {} --ollama {}", ShellWord(record), ShellWord(name))};
    }
    TRY(const OllamaShow show, client->Show(tag->name));
    if (!HoldsTuning(show, applied)) {
      const std::string beside = TrimmedName(name, "", "");
      return Error{Code::kNotFound,
                   fmt::format("{} in the running Ollama has other settings than the record",
                               SafeText(name)),
                   fmt::format("make it: trimma apply {} --ollama {}", ShellWord(record),
                               ShellWord(name == applied.ollama_original ? beside : name))};
    }
    start.command = {program, "run", tag->name};
    start.note = "Ollama runs already: its environment stays as it is";
    return start;
  }
  if (client.error().code != Code::kNetwork) return client.error();
  start.command = {program, "serve"};
  start.environment = EnvironmentVariables(applied, {});
  return start;
}

Result<Start> Decide(const RunFlags& options) {
  TRY(const std::string record, RecordFor(options.model));
  TRY(const Applied applied, AppliedFromRecord(record));
  std::string with = options.with;
  if (with.empty() && !options.server.empty()) with = "llama-server";
  if (with.empty() && options.model.starts_with("ollama:")) with = "ollama";
  if (with.empty())
    with = FindProgram("llama-server").empty() && !FindProgram("ollama").empty() ? "ollama"
                                                                                 : "llama-server";
  Result<Start> start =
      with == "ollama" ? WithOllama(options, record, applied) : WithLlamaServer(options, applied);
  if (!start.ok()) return start;
  start->record = record;
  for (const std::string& argument : options.arguments) start->command.push_back(argument);
  return start;
}

std::string CommandLine(const Start& start) {
  std::string line;
  for (const EnvironmentVariable& variable : start.environment)
    line += fmt::format("{}={} ", variable.name, ShellWord(variable.value));
  for (const std::string& word : start.command)
    line += fmt::format("{}{}", line.empty() || line.ends_with(' ') ? "" : " ", ShellWord(word));
  return line;
}

Status RunRun(const RunFlags& options, const Shared& shared) {
  if (shared.json && !options.dry_run) {
    return Error{Code::kUsage, "run starts another program, whose output is no JSON",
                 "add --dry-run"};
  }
  TRY(const Start start, Decide(options));
  const std::string line = CommandLine(start);
  if (shared.json) {
    Json environment = Json::object();
    for (const EnvironmentVariable& variable : start.environment)
      environment[variable.name] = variable.value;
    TRY_STATUS(PrintDocument({{"schema", "trimma.run/1"},
                              {"record", start.record},
                              {"command", start.command},
                              {"environment", environment},
                              {"line", line},
                              {"note", start.note.empty() ? Json() : Json(start.note)}}));
  } else if (options.dry_run) {
    TRY_STATUS(PrintText(line + "\n"));
  }
  if (options.dry_run) return {};
  fmt::print(stderr, "settings of {}\nstarting {}\n", SafeText(start.record, 500), line);
  if (!start.note.empty()) fmt::print(stderr, "{}\n", start.note);
  for (const EnvironmentVariable& variable : start.environment)
    setenv(variable.name.c_str(), variable.value.c_str(), 1);
  std::vector<std::string> words = start.command;
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  execv(argv[0], argv.data());
  return ErrnoError("start", start.command[0], errno);
}

}  // namespace

Action DefineRun(CLI::App& app, const Shared& shared) {
  const auto o = std::make_shared<RunFlags>();
  app.add_option("MODEL", o->model, "A model that was optimised on this machine, as it was named")
      ->required();
  app.add_option("ARGUMENTS", o->arguments, "After --: handed on, as --port 9000");
  app.add_option("--with", o->with,
                 "ollama or llama-server (default: Ollama for ollama:NAME, else llama-server where "
                 "there is one)")
      ->check(CLI::IsMember({"ollama", "llama-server"}));
  app.add_option("--server", o->server, "The llama-server to start (default: the one on PATH)");
  app.add_flag("--dry-run", o->dry_run, "Print the command; start nothing");
  return [o, &shared] { return RunRun(*o, shared); };
}

}  // namespace trimma
