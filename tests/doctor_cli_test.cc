// `trimma doctor` as a user runs it, in a home with planted faults.
#include <gtest/gtest.h>

#include <algorithm>

#include "support/program.h"

namespace trimma::doctor_cli_test {
namespace {

// Nobody answers at this port, whatever runs on the machine that tests.
const RunOptions kNoOllama = {60, {{"OLLAMA_HOST", "127.0.0.1:1"}}, "", {}};

// Findings that name the home: those about this machine are its own.
std::vector<Json> AboutHome(const Json& document) {
  std::vector<Json> found;
  for (const Json& finding : document["findings"])
    if (finding["where"].get<std::string>().starts_with("~/")) found.push_back(finding);
  return found;
}

void WriteHome(const Sandbox& box, const std::string& name, const std::string& text) {
  box.Write(box.home() + "/" + name, text);
}

TEST(DoctorCli, FindsFixesAndFindsNoMore) {
  const Sandbox box;
  WriteHome(box, ".bashrc", "alias l=ls\nexport OLLAMA_NUM_GPU=1\n");
  WriteHome(box, ".config/fish/config.fish", "set -gx OLLAMA_NUM_CTX 8192\n");
  const ProgramEnd first = box.Run({"doctor", "--json"}, kNoOllama);
  EXPECT_EQ(first.exit_code, 1);
  const std::vector<Json> found = AboutHome(first.document());
  ASSERT_EQ(found.size(), 2U) << first.out;
  EXPECT_EQ(found[0]["where"], "~/.bashrc:2");
  EXPECT_EQ(found[0]["id"], "dead-variable");
  for (const char* field : {"id", "severity", "where", "what", "fix", "evidence", "source"})
    EXPECT_TRUE(found[0][field].is_string() && !found[0][field].get<std::string>().empty())
        << field;
  EXPECT_EQ(first.document()["schema"], "trimma.doctor/1");
  EXPECT_TRUE(first.document()["unknown"].is_array());

  const ProgramEnd fixed = box.Run({"doctor", "--fix"}, kNoOllama);
  EXPECT_NE(fixed.out.find("now a comment, line 2: export OLLAMA_NUM_GPU=1"), std::string::npos)
      << fixed.out;
  EXPECT_EQ(box.Read(box.home() + "/.bashrc"), "alias l=ls\n: # export OLLAMA_NUM_GPU=1\n");
  EXPECT_EQ(box.Read(box.home() + "/.bashrc.bak"), "alias l=ls\nexport OLLAMA_NUM_GPU=1\n");

  const auto before = box.Snapshot();
  const ProgramEnd again = box.Run({"doctor", "--fix", "--json"}, kNoOllama);
  EXPECT_TRUE(AboutHome(again.document()).empty()) << again.out;
  EXPECT_EQ(again.document()["changes"], Json::array());
  EXPECT_EQ(box.Snapshot(), before);
}

TEST(DoctorCli, SaysHowManyRulesRanAndWritesNothingWithoutFix) {
  const Sandbox box;
  WriteHome(box, ".zshrc", "export OLLAMA_GPU_LAYERS=35\n");
  const auto before = box.Snapshot();
  const ProgramEnd end = box.Run({"doctor"}, kNoOllama);
  EXPECT_EQ(end.exit_code, 1);
  EXPECT_NE(end.out.find("warning"), std::string::npos);
  EXPECT_NE(end.out.find("~/.zshrc:1"), std::string::npos);
  const std::string last = end.out.substr(end.out.rfind('\n', end.out.size() - 2) + 1);
  EXPECT_NE(last.find("by 26 rules ("), std::string::npos) << last;
  EXPECT_EQ(box.Snapshot(), before);
}

TEST(DoctorCli, AModelThatIsNotThereIsAnError) {
  const Sandbox box;
  ExpectRefused(box, {"doctor", "nothing-of-that-name"}, Code::kNotFound, "nothing-of-that-name",
                kNoOllama);
}

}  // namespace
}  // namespace trimma::doctor_cli_test
