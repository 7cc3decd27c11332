// Environment variables around Ollama: which are read, by what, since and until when.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "doctor/facts.h"
#include "doctor/running_version.h"

namespace trimma {

struct KnownVariable {
  enum class Reader {
    kNobody,  // no release of Ollama, as far as the source says
    kServer,  // `ollama serve` alone: of no use in a client's shell
    kEither,  // the client, or both
  };
  const char* name;
  Reader reader;
  const char* without;  // a release that was seen without it; "": still read
  const char* with;     // the newest that was seen to read it; "": none was looked at
  const char* instead;  // what does work, for one that isn't read
  const char* source;
};

// nullptr for a name that the table doesn't have.
const KnownVariable* FindVariable(std::string_view name);

// Whether an Ollama of this version reads it; nullopt where that depends on an unknown version, or
// on one between those that were looked at.
std::optional<bool> IsRead(const KnownVariable& variable, const Fact<OllamaVersion>& version);

// A variable that Ollama reads and that this name is nearly: "OLLAMA_FLASH_ATTENTON".
std::optional<std::string> MeantVariable(std::string_view name);

// Where Ollama starts llama-server, it passes these settings as flags, which win over LLAMA_ARG_*.
bool IsOverriddenByOllama(std::string_view llama_arg);

// What a Boolean of Ollama's is: Go's ParseBool, and true for what that doesn't know; "" is unset.
std::optional<bool> OllamaBool(std::string_view value);

// A value as Ollama reads it: without the blanks and quotes around it.
std::string_view Unquoted(std::string_view value);

// Which servers a variable gets to, from where it stands.
enum class Reach { kRunning, kNextStart, kIfStartedThere, kNone, kUnknown };
Reach ReachOf(const DoctorFacts& facts, const Variable& variable);
std::string ReachText(const DoctorFacts& facts, const Variable& variable);

// What an Ollama server gets for `name`: the running one, or else the one that would be started.
// nullopt: nothing. Unknown where its environment can't be read and its files don't say.
Fact<std::optional<Variable>> ServerSetting(const DoctorFacts& facts, std::string_view name);

}  // namespace trimma
