#include "doctor/rules.h"

#include <algorithm>
#include <array>

namespace trimma {

const char* NameOf(Severity severity) {
  switch (severity) {
    case Severity::kInfo:
      return "info";
    case Severity::kWarning:
      return "warning";
    case Severity::kError:
      return "error";
  }
  return "info";
}

const std::vector<Rule>& Rules() {
  static const std::vector<Rule> all = [] {
    std::vector<Rule> rules;
    for (const auto& part :
         {VariableRules(), ServerRules(), NetworkRules(), ModelRules(), MachineRules()})
      rules.insert(rules.end(), part.begin(), part.end());
    return rules;
  }();
  return all;
}

bool Diagnosis::sound() const {
  return std::none_of(findings.begin(), findings.end(),
                      [](const Finding& f) { return f.severity != Severity::kInfo; });
}

Diagnosis Diagnose(const DoctorFacts& facts) {
  Diagnosis diagnosis;
  std::array<std::vector<Finding>, 3> by_severity;
  for (const Rule& rule : Rules()) {
    ++diagnosis.rules;
    Verdict verdict = rule.judge(facts);
    for (Finding& finding : verdict.findings) {
      finding.id = rule.id;
      if (finding.source.empty()) finding.source = rule.source;
      by_severity.at(static_cast<size_t>(finding.severity)).push_back(std::move(finding));
    }
    if (!verdict.unknown.empty()) diagnosis.unknown.push_back({rule.id, verdict.unknown});
  }
  for (auto list = by_severity.rbegin(); list != by_severity.rend(); ++list)
    std::move(list->begin(), list->end(), std::back_inserter(diagnosis.findings));
  return diagnosis;
}

}  // namespace trimma
