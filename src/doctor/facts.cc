#include "doctor/facts.h"

#include <fmt/format.h>

#include <algorithm>

namespace trimma {

std::string ServerProcess::Name() const {
  return fmt::format("process {} ({})", pid, program == "ollama" ? "ollama serve" : program);
}

std::optional<std::string> Elsewhere(const DoctorFacts& facts) {
  if (!facts.ollama || facts.ollama->is_local) return std::nullopt;
  return fmt::format(
      "Ollama at {} runs on another machine, whose hardware and environment can't "
      "be seen from here",
      facts.ollama->host);
}

bool HasOllama(const DoctorFacts& facts) {
  // Where processes can't be seen, it can't be excluded.
  const bool runs = facts.ollama || !facts.servers || !facts.servers->empty();
  const auto serves = [](const Variable& v) { return v.serves_ollama; };
  const bool set_up = std::any_of(facts.variables.begin(), facts.variables.end(), serves);
  const auto stored = [](const DoctorModel& m) { return m.in_ollama; };
  return runs || set_up ||
         (facts.models && std::any_of(facts.models->begin(), facts.models->end(), stored));
}

}  // namespace trimma
