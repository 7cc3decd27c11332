// A command of the program: its options and what it does.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <string>

#include "base/child.h"
#include "base/result.h"

namespace trimma {

// Options that every command has.
struct Shared {
  bool json = false;   // one document on standard output
  bool quiet = false;  // no progress
};

using Action = std::function<Status()>;

// Adds the command's options to `app`; the action runs once they are parsed.
struct Command {
  const char* name;
  const char* summary;
  const char* example;  // one real call, shown by --help
  Action (*define)(CLI::App& app, const Shared& shared);
};

Action DefineScan(CLI::App& app, const Shared& shared);
Action DefineModels(CLI::App& app, const Shared& shared);
Action DefinePull(CLI::App& app, const Shared& shared);
Action DefineInspect(CLI::App& app, const Shared& shared);
Action DefinePlan(CLI::App& app, const Shared& shared);
Action DefineQuantize(CLI::App& app, const Shared& shared);
Action DefineMeasure(CLI::App& app, const Shared& shared);
Action DefineCompare(CLI::App& app, const Shared& shared);
Action DefineTune(CLI::App& app, const Shared& shared);
Action DefinePrompt(CLI::App& app, const Shared& shared);
Action DefineSampling(CLI::App& app, const Shared& shared);
Action DefineHistory(CLI::App& app, const Shared& shared);
Action DefineDoctor(CLI::App& app, const Shared& shared);
Action DefineApply(CLI::App& app, const Shared& shared);
Action DefineRun(CLI::App& app, const Shared& shared);
Action DefineOptimize(CLI::App& app, const Shared& shared);

// Parses and runs; returns the exit code.
int RunProgram(int argc, char** argv);

// Prints a document, or text, to standard output. kIo if that fails (a full disk behind a pipe).
Status PrintDocument(const Json& document);
Status PrintText(const std::string& text);
// For colours: a terminal that didn't ask to be spared (NO_COLOR).
bool StandardOutputIsTerminal();

}  // namespace trimma
