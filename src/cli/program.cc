#include <fmt/format.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <iostream>

#include "base/build_info.h"
#include "base/interrupt.h"
#include "base/text.h"
#include "cli/command.h"
#include "cli/jobs.h"
#include "report/json_document.h"

namespace trimma {
namespace {

constexpr std::array kCommands = {
    Command{"optimize", "All of it: plan, quantise, measure, tune, write settings and a report",
            "trimma optimize ollama:gemma3:4b", DefineOptimize},
    Command{"scan", "What this machine has: processor, memory, GPUs, engine", "trimma scan --bench",
            DefineScan},
    Command{"models", "Every local model with its type and size, and what a registry has of one",
            "trimma models gemma3:4b --online", DefineModels},
    Command{"pull", "A model from an Ollama registry or Hugging Face, verified and resumable",
            "trimma pull hf:ggml-org/gemma-3-4b-it-GGUF:Q4_K_M", DefinePull},
    Command{"inspect", "What a model file is, tensor by tensor, and whether it is sound",
            "trimma inspect model.gguf --tensors", DefineInspect},
    Command{"plan", "Memory of every type, context and KV-cache type, and what to take",
            "trimma plan model.gguf --context 4096,16384", DefinePlan},
    Command{"quantize", "Make a smaller GGUF that unmodified llama.cpp loads",
            "trimma quantize model-f16.gguf -o model-q4.gguf --type Q4_K_M", DefineQuantize},
    Command{"measure", "Speed, and quality against a reference, with intervals",
            "trimma measure model-q4.gguf --against model-f16.gguf", DefineMeasure},
    Command{"compare", "Speed, quality and answers of several models side by side",
            "trimma compare model-f16.gguf model-q4.gguf --report compare.html", DefineCompare},
    Command{"tune", "The fastest settings on this machine, by measurement",
            "trimma tune model.gguf", DefineTune},
    Command{"prompt", "What a system prompt costs, and what a shorter one would change",
            "trimma prompt system.txt --model model.gguf --shorter brief.txt", DefinePrompt},
    Command{"sampling", "What choosing a token costs, and the cheapest order that chooses alike",
            "trimma sampling model.gguf --profile precise", DefineSampling},
    Command{"history", "What was measured on this machine, when, with what",
            "trimma history --command measure", DefineHistory},
    Command{"apply", "Write a record's settings where they take effect",
            "trimma apply --ollama gemma3-trimma --config ~/app/config.toml", DefineApply},
    Command{"run", "Start an installed llama-server or Ollama with the tuned settings",
            "trimma run model.gguf -- --port 9000", DefineRun},
    Command{"doctor", "What in this machine's Ollama and settings does nothing, or harm",
            "trimma doctor --fix", DefineDoctor},
};

void PrintError(const Error& error, bool json) {
  // Names of files and models are foreign text; they may not act on the terminal.
  const std::string what = SafeText(error.what, 2000);
  const std::string hint = SafeText(error.hint, 2000);
  if (json) {
    fmt::print("{}", DumpDocument({{"schema", "trimma.error/1"}, {"error", ErrorToJson(error)}}));
  }
  fmt::print(stderr, "trimma: {}{}\n", what, hint.empty() ? "" : fmt::format(" ({})", hint));
}

// One document a run: a plan in which nothing fits is a document and an error at once.
bool g_document_printed = false;

int Finish(const Status& status, bool json) {
  if (std::fflush(stdout) != 0) return static_cast<int>(Code::kIo);
  if (status.ok()) return 0;
  PrintError(status.error(), json && !g_document_printed);
  return static_cast<int>(status.error().code);
}

std::vector<std::string> CommandNames() {
  std::vector<std::string> names;
  for (const Command& command : kCommands) names.emplace_back(command.name);
  return names;
}

// CLI11's words for a wrong call, with the nearest command where one was misspelt.
Error UsageError(const CLI::ParseError& e, int argc, char** argv) {
  if (argc > 1 && argv[1][0] != '-') {
    const std::string word = argv[1];
    const auto names = CommandNames();
    if (std::find(names.begin(), names.end(), word) == names.end()) {
      const auto nearest = Nearest(word, names);
      return {Code::kUsage, fmt::format("there is no command \"{}\"", word),
              nearest ? fmt::format("did you mean `trimma {}`?", *nearest) : "see trimma --help"};
    }
  }
  return {Code::kUsage, e.what(), "see --help"};
}

constexpr const char* kFooter =
    "MODEL is a path to a GGUF, ollama:NAME, hf:USER/REPO[:QUANT], lmstudio:PATH, or a bare name.\n"
    "Exit codes: 0 done, 1 failure, 2 usage, 3 invalid input, 4 does not fit, 5 a gate failed, 6 "
    "network,\n"
    "7 not found, 8 busy, 70 internal, 74 I/O, 77 permission, 130/143 interrupted.";

int ParseAndRun(int argc, char** argv) {
  Shared shared;
  CLI::App app("trimma makes a local language model run as well as it can on this machine.",
               "trimma");
  app.set_version_flag(
      "--version",
      fmt::format("trimma {} (llama.cpp {}, {})", build_info::kVersion, build_info::kEngineVersion,
                  std::string(build_info::kEngineCommit).substr(0, 12)));
  app.require_subcommand(1);
  app.footer(kFooter);
  app.get_formatter()->column_width(34);
  std::vector<Action> actions;
  std::vector<CLI::App*> subcommands;
  for (const Command& command : kCommands) {
    CLI::App* sub = app.add_subcommand(command.name, command.summary);
    sub->add_flag("--json", shared.json, "One JSON document on standard output");
    sub->add_flag("--quiet,-q", shared.quiet, "No progress on standard error");
    sub->footer(fmt::format("Example: {}", command.example));
    actions.push_back(command.define(*sub, shared));
    subcommands.push_back(sub);
  }
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    if (e.get_exit_code() == 0) return app.exit(e);  // --help, --version
    for (int i = 1; i < argc; ++i) shared.json |= std::strcmp(argv[i], "--json") == 0;
    return Finish(UsageError(e, argc, argv), shared.json);
  }
  for (size_t i = 0; i < subcommands.size(); ++i) {
    if (subcommands[i]->parsed()) return Finish(actions[i](), shared.json);
  }
  return static_cast<int>(Code::kUsage);
}

}  // namespace

Status PrintText(const std::string& text) {
  if (std::fwrite(text.data(), 1, text.size(), stdout) != text.size() || std::fflush(stdout) != 0) {
    return Error{Code::kIo, "standard output can't be written", ""};
  }
  return {};
}

bool StandardOutputIsTerminal() {
  const char* plain = std::getenv("NO_COLOR");
  return isatty(STDOUT_FILENO) != 0 && (plain == nullptr || *plain == '\0');
}

Status PrintDocument(const Json& document) {
  g_document_printed = true;
  return PrintText(DumpDocument(document));
}

int RunProgram(int argc, char** argv) {
  if (argc == 3 && std::strcmp(argv[1], kChildArgument) == 0) return RunJob(argv[2]);
  InstallInterruptHandlers();
  try {
    return ParseAndRun(argc, argv);
  } catch (const std::bad_alloc&) {
    return Finish(Error{Code::kInternal, "out of memory", "close other programs"}, false);
  } catch (const std::exception& e) {
    return Finish(
        Error{Code::kInternal, fmt::format("unexpected: {}", e.what()), "please report this"},
        false);
  }
}

}  // namespace trimma
