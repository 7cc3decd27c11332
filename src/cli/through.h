// Who does the measuring of `measure`, `tune` and `compare`: trimma's own engine, a running Ollama,
// or an installed llama-server.
//
// The user may say (--through). Else it is trimma's own engine; but where a card is there that it
// can't use, and another program can, speeds of that program are what the user will have.
#pragma once

#include <CLI/CLI.hpp>
#include <initializer_list>
#include <optional>
#include <string>
#include <vector>

#include "base/child.h"
#include "base/result.h"
#include "cli/runtime_options.h"
#include "cli/unused_cards.h"
#include "llama_server/program.h"

namespace trimma {

struct ThroughOptions {
  std::string name;          // "own", "ollama", "llama-server"; "": decided here
  std::string llama_server;  // its path; "": the one on PATH
};

void AddThroughOptions(CLI::App& app, ThroughOptions& options);

// The first of these options that the user gave; "" where none is.
std::string FirstGiven(const CLI::App& app, std::initializer_list<const char*> names);

enum class Through { kOwn, kOllama, kLlamaServer };
const char* NameOf(Through through);  // "own", "ollama", "llama-server"

struct ThroughFacts {
  std::vector<std::string> unused_cards;  // where trimma's own engine can use none
  std::string own_alone;                  // why only that can do what is asked; "": others could
  bool in_ollama = false;                 // the models are named as Ollama's
  std::optional<LocalOllama> ollama;      // one that answers on this machine
  std::string llama_server;               // path of one that uses a card; "": none
  std::string server_note;                // why one that is there can't be asked; "": it can
  // Why the other program has no answer to what is asked: "--depth needs it"; "": it has.
  std::string why_not_ollama;
  std::string why_not_server;
};
struct ThroughChoice {
  Through through = Through::kOwn;
  std::string why;  // one sentence; "" where nothing had to be decided
};
// Pure.
ThroughChoice ChooseThrough(const ThroughFacts& facts);

// The choice with what it needs.
struct DecidedThrough {
  ThroughChoice choice;
  std::optional<LlamaServerProgram> server;  // where it is llama-server
};

// What the user said, or what is found out on this machine; said on standard error where it isn't
// trimma's own engine by decision.
struct ThroughQuestion {
  ThroughOptions options;
  std::vector<std::string> models;
  RuntimeOptions runtime;  // what the other program may have no answer to; without a card: own
  std::string own_alone;   // ThroughFacts
  // Options that would be refused; "": none was given.
  std::string not_of_ollama;
  std::string not_of_server;
};
// Why the other program has no answer to what is asked, by its options or by how the model is to be
// run; "": it has (pure).
std::string WhyNotOllama(const ThroughQuestion& question);
std::string WhyNotServer(const ThroughQuestion& question, const LlamaServerProgram& server);

// kUsage where the user named one and an option that means nothing to it.
Result<DecidedThrough> DecideThrough(const ThroughQuestion& question, bool quiet);

// {"name", "version", "path", "options", "notes", "why"} of a llama-server.
Json ServerThroughJson(const DecidedThrough& decided, const std::vector<std::string>& words,
                       const std::vector<std::string>& notes);

}  // namespace trimma
