// The rules of doctor: each a pure function of the facts.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "doctor/facts.h"

namespace trimma {

enum class Severity { kInfo, kWarning, kError };
const char* NameOf(Severity severity);

struct Finding {
  std::string id;
  Severity severity = Severity::kWarning;
  std::string where;     // "~/.bashrc:12", "ollama:gemma3:4b", "this machine"
  std::string what;      // the explanation, one sentence
  std::string evidence;  // what was seen
  std::string source;    // a link, or a document with its version
  std::string fix;
  // The line that --fix may comment out, where that mends it.
  std::optional<Variable> variable;
};

// What a rule says: findings, and why it could not decide (some of) it. Neither: sound.
struct Verdict {
  std::vector<Finding> findings;
  std::string unknown;
};

struct Rule {
  const char* id;
  const char* source;
  Verdict (*judge)(const DoctorFacts& facts);
};

// Every rule, in the order of the table in docs/doctor.md.
const std::vector<Rule>& Rules();

struct Unknown {
  std::string id;
  std::string why;
};

struct Diagnosis {
  std::vector<Finding> findings;  // the gravest first, then in the order of the rules
  std::vector<Unknown> unknown;
  int rules = 0;  // that were run
  // True without a finding above "info".
  bool sound() const;
};
Diagnosis Diagnose(const DoctorFacts& facts);

// The parts of Rules(), each in a file of its own.
std::vector<Rule> VariableRules();  // environment variables
std::vector<Rule> ServerRules();    // how Ollama runs models
std::vector<Rule> NetworkRules();   // who may reach it
std::vector<Rule> ModelRules();     // the models and their parameters
std::vector<Rule> MachineRules();   // processor, memory, disk, cards

}  // namespace trimma
