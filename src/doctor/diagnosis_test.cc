// What a diagnosis of all rules together is.
#include <gtest/gtest.h>

#include <algorithm>

#include "base/units.h"
#include "doctor/rules.h"
#include "doctor/test_facts.h"

namespace trimma::diagnosis_test {
namespace {

TEST(DiagnosisTest, WithoutOllamaNothingOfItIsAccusedOrUnknown) {
  DoctorFacts facts = SoundFacts();
  facts.ollama = Fact<OllamaFacts>::Unknown("no Ollama answers at 127.0.0.1:11434");
  facts.servers = std::vector<ServerProcess>{};
  facts.models = std::vector<DoctorModel>{};
  const Diagnosis diagnosis = Diagnose(facts);
  for (const Finding& f : diagnosis.findings) ADD_FAILURE() << f.id << ": " << f.what;
  for (const Unknown& u : diagnosis.unknown) ADD_FAILURE() << u.id << ": " << u.why;
}

TEST(DiagnosisTest, NothingKnownIsNotSound) {
  DoctorFacts nothing;
  const Diagnosis diagnosis = Diagnose(nothing);
  EXPECT_TRUE(diagnosis.findings.empty());
  EXPECT_GT(diagnosis.unknown.size(), 8U);
}

TEST(DiagnosisTest, TheGravestComeFirst) {
  DoctorFacts facts = SoundFacts();
  facts.ollama->version = "0.17.0";   // error
  facts.models->front().parameters =  // warning
      std::map<std::string, std::string>{{"num_gpu", "1"}, {"num_ctx", "8192"}};
  facts.disks->front().free_bytes = 5 * kGiB;  // info
  const Diagnosis diagnosis = Diagnose(facts);
  ASSERT_EQ(diagnosis.findings.size(), 3U);
  EXPECT_EQ(diagnosis.findings[0].severity, Severity::kError);
  EXPECT_EQ(diagnosis.findings[2].severity, Severity::kInfo);
  EXPECT_FALSE(diagnosis.sound());
}

TEST(DiagnosisTest, OnlyWhatNoProgramReadsIsForFix) {
  const auto fixable = [](const Variable& variable) {
    DoctorFacts facts = SoundFacts();
    facts.variables = {variable};
    const Diagnosis diagnosis = Diagnose(facts);
    const auto found = std::find_if(diagnosis.findings.begin(), diagnosis.findings.end(),
                                    [](const Finding& f) { return f.id == "dead-variable"; });
    return found != diagnosis.findings.end() && found->variable.has_value();
  };
  Variable variable = VariableAt(Place::kCompose, "OLLAMA_NUM_CTX", "8192");
  EXPECT_TRUE(fixable(variable));
  variable.serves_ollama = false;
  EXPECT_FALSE(fixable(variable)) << "another service's";
  DoctorFacts both = SoundFacts();  // one env file for two services
  both.variables = {VariableAt(Place::kCompose, "OLLAMA_NUM_CTX", "8192"), variable};
  for (const Finding& f : Diagnose(both).findings) EXPECT_FALSE(f.variable.has_value());
  EXPECT_TRUE(fixable(VariableAt(Place::kProfile, "OLLAMA_NUM_CTX", "8192")));
  EXPECT_FALSE(fixable(VariableAt(Place::kCompose, "OLLAMA_NEW_ENGINE", "1")))
      << "the container's Ollama may be an older one";
}

TEST(DiagnosisTest, MemoryInSwapWarnsOnlyWhereMemoryIsShort) {
  DoctorFacts facts = SoundFacts();
  facts.servers->front().swapped_bytes = 2 * kGiB;
  EXPECT_TRUE(Diagnose(facts).sound()) << "nothing waits for it";
  facts.swap->stalled_percent = 25;
  EXPECT_FALSE(Diagnose(facts).sound());
}

TEST(DiagnosisTest, ASecretIsNotShown) {
  DoctorFacts facts = SoundFacts();
  facts.variables = {VariableAt(Place::kShell, "OLLAMA_API_KEYS", "s3cret")};
  for (const Finding& f : Diagnose(facts).findings)
    EXPECT_EQ((f.what + f.evidence + f.fix).find("s3cret"), std::string::npos) << f.id;
}

}  // namespace
}  // namespace trimma::diagnosis_test
