// Reading assignments out of the texts where people write them, and taking them out again.
#include "doctor/fix.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include "base/file.h"
#include "doctor/assignments.h"
#include "hardware/temp_tree.h"

namespace trimma::fix_test {
namespace {

// "name=value@line", with a "!" behind what can't be commented out.
std::string Shown(const std::vector<EnvAssignment>& all) {
  std::string text;
  for (const EnvAssignment& one : all)
    text += fmt::format("{}{}={}@{}{}", text.empty() ? "" : " ", one.name, one.value, one.line,
                        one.stands_alone ? "" : "!");
  return text;
}

TEST(AssignmentsTest, ReadsAShellsForms) {
  EXPECT_EQ(Shown(ShellAssignments("export OLLAMA_NUM_GPU=1\n")), "OLLAMA_NUM_GPU=1@1");
  EXPECT_EQ(Shown(ShellAssignments("\n  OLLAMA_HOST='a b' # why\n")), "OLLAMA_HOST=a b@2");
  EXPECT_EQ(Shown(ShellAssignments("export OLLAMA_A=1 OLLAMA_B=2")), "OLLAMA_A=1@1! OLLAMA_B=2@1!");
  EXPECT_EQ(Shown(ShellAssignments("OLLAMA_HOST=x ollama list")), "OLLAMA_HOST=x@1!");
  EXPECT_EQ(Shown(ShellAssignments("export OLLAMA_HOST=$(hostname)")), "OLLAMA_HOST=$@1!");
  EXPECT_EQ(Shown(ShellAssignments("alias o='OLLAMA_HOST=x ollama'")), "OLLAMA_HOST=x@1!");
}

TEST(AssignmentsTest, TakesCommentsUsesAndOtherNamesForNothing) {
  for (const char* text : {"# export OLLAMA_NUM_GPU=1", "echo $OLLAMA_NUM_GPU",
                           "MY_OLLAMA_NUM_GPU=1", "export PATH=/OLLAMA_NUM_GPU",
                           ": # export OLLAMA_NUM_GPU=1", "if [ \"$OLLAMA_NUM_GPU\" = 1 ]; then"})
    EXPECT_EQ(Shown(ShellAssignments(text)), "") << text;
}

TEST(AssignmentsTest, AHereDocumentOrAnOpenQuoteIsNotForEditing) {
  EXPECT_EQ(Shown(ShellAssignments("cat <<E > f\nOLLAMA_NUM_GPU=1\nE\n")), "OLLAMA_NUM_GPU=1@2!");
  EXPECT_EQ(Shown(ShellAssignments("x=\"\nOLLAMA_NUM_GPU=1\n\"\n")), "OLLAMA_NUM_GPU=1@2!");
  EXPECT_EQ(Shown(ShellAssignments("env \\\nOLLAMA_NUM_GPU=1\n")), "OLLAMA_NUM_GPU=1@2!");
}

TEST(AssignmentsTest, ReadsFishAndEnvironmentFiles) {
  EXPECT_EQ(Shown(FishAssignments("set -gx OLLAMA_NUM_CTX 8192\nset -e OLLAMA_X\n")),
            "OLLAMA_NUM_CTX=8192@1");
  EXPECT_EQ(
      Shown(EnvFileAssignments("# OLLAMA_A=1\nOLLAMA_B=\"2 3\"\nPATH=x\n; c\nexport OLLAMA_C=4")),
      "OLLAMA_B=2 3@2 OLLAMA_C=4@5");
  EXPECT_EQ(ProcessAssignments(std::string_view("A=1\0B=2=3\0=x\0", 13)).size(), 2U);
}

TEST(AssignmentsTest, ReadsSystemdUnits) {
  const UnitFile unit = ParseUnit(
      "[Unit]\nEnvironment=OLLAMA_NOT=here\n[Service]\nExecStart=/usr/bin/ollama serve\n"
      "Environment=\"OLLAMA_A=1 2\" OLLAMA_B=3\nEnvironment=OLLAMA_C=4\n"
      "EnvironmentFile=-/etc/ollama.env\nEnvironment=OLLAMA_D=5 \\\n  OLLAMA_E=6\n");
  EXPECT_EQ(unit.exec_start, "/usr/bin/ollama serve");
  EXPECT_EQ(Shown(unit.environment),
            "OLLAMA_A=1 2@5! OLLAMA_B=3@5! OLLAMA_C=4@6 OLLAMA_D=5@8! OLLAMA_E=6@8!");
  EXPECT_EQ(unit.environment_files, std::vector<std::string>{"/etc/ollama.env"});
  EXPECT_FALSE(unit.resets);
  const UnitFile reset = ParseUnit("[Service]\nEnvironment=OLLAMA_A=1\nEnvironment=\n");
  EXPECT_TRUE(reset.resets);
  EXPECT_EQ(Shown(reset.environment), "");
}

constexpr const char* kCompose =
    "# ours\n"
    "services:\n"
    "  ollama:\n"
    "    image: ollama/ollama:latest\n"
    "    environment:\n"
    "      - OLLAMA_NUM_GPU=1\n"
    "      - OLLAMA_HOST=0.0.0.0:11434 # needed\n"
    "    ports:\n"
    "    - \"11434:11434\"\n"
    "  web:\n"
    "    image: web\n"
    "    env_file: web.env\n"
    "    environment:\n"
    "      OLLAMA_NUM_CTX: \"8192\"\n"
    "volumes:\n"
    "  ollama: {}\n";

TEST(AssignmentsTest, ReadsComposeFiles) {
  const ComposeFile file = ParseCompose(kCompose);
  EXPECT_EQ(Shown(file.environment),
            "OLLAMA_NUM_GPU=1@6 OLLAMA_HOST=0.0.0.0:11434@7 OLLAMA_NUM_CTX=8192@14");
  EXPECT_EQ(file.environment[0].service, "ollama");
  EXPECT_EQ(file.environment[0].siblings, 2);
  EXPECT_EQ(file.environment[2].service, "web");
  EXPECT_EQ(file.environment[2].siblings, 1);
  ASSERT_EQ(file.services.size(), 2U);
  EXPECT_EQ(file.services[0].image, "ollama/ollama:latest");
  ASSERT_EQ(file.services[0].ports.size(), 1U);
  EXPECT_EQ(file.services[0].ports[0].value, "11434:11434");
  EXPECT_EQ(file.services[1].env_files, std::vector<std::string>{"web.env"});
}

TEST(AssignmentsTest, ReadsListsInBrackets) {
  const ComposeFile file = ParseCompose(
      "services:\n  o:\n    ports: [\"80:80\", '11434:11434']\n    environment: {OLLAMA_A: \"1\"}\n"
      "  p:\n    environment: [OLLAMA_B=2, X=3]\n");
  EXPECT_EQ(Shown(file.environment), "OLLAMA_A=1@4! OLLAMA_B=2@6!");
  ASSERT_EQ(file.services[0].ports.size(), 2U);
  EXPECT_EQ(file.services[0].ports[1].value, "11434:11434");
}

TEST(AssignmentsTest, ATextThatBreaksOffIsNoError) {
  const std::string text = std::string(kCompose) + "[Service]\nEnvironment=\"OLLAMA_A=1\" \\\n" +
                           "set -gx OLLAMA_B '2' \\\nexport OLLAMA_C=\"$(x)\" # y\n- [a, {b: c}]";
  for (size_t bytes = 0; bytes <= text.size(); ++bytes) {
    const std::string_view part = std::string_view(text).substr(0, bytes);
    EXPECT_LE(ShellAssignments(part).size() + FishAssignments(part).size() +
                  EnvFileAssignments(part).size() + ProcessAssignments(part).size() +
                  ParseUnit(part).environment.size() + ParseCompose(part).environment.size(),
              40U);
  }
}

TEST(AssignmentsTest, WhatIsNoComposeFileIsNoError) {
  for (const char* text :
       {"", "\0\xff", "services", "services:\n- a\n", "services:\n\tx: {", "a: b: c\n"})
    EXPECT_TRUE(ParseCompose(text).environment.empty()) << text;
}

TEST(AssignmentsTest, KnowsPortsThatOthersReach) {
  EXPECT_TRUE(PublishesOllama("11434:11434"));
  EXPECT_TRUE(PublishesOllama("0.0.0.0:80:11434/tcp"));
  EXPECT_FALSE(PublishesOllama("127.0.0.1:11434:11434"));
  EXPECT_FALSE(PublishesOllama("[::1]:11434:11434"));
  EXPECT_FALSE(PublishesOllama("8080:8080"));
  EXPECT_TRUE(PublishesOllama("11434")) << "at a free port";
  EXPECT_FALSE(PublishesOllama("${BIND:-127.0.0.1}:11434:11434"));
  EXPECT_TRUE(PublishesOllama("${BIND:-0.0.0.0}:${PORT:-11434}:11434"));
}

TEST(AssignmentsTest, ReadsPortsInTheirLongForm) {
  const ComposeFile file = ParseCompose(
      "services:\n  o:\n    ports:\n      - target: 11434\n        published: \"11434\"\n"
      "        host_ip: 127.0.0.1\n      - 11434\n      - published: 80\n        target: 11434\n");
  ASSERT_EQ(file.services.size(), 1U);
  ASSERT_EQ(file.services[0].ports.size(), 3U);
  EXPECT_EQ(file.services[0].ports[0].value, "127.0.0.1:11434:11434");
  EXPECT_EQ(file.services[0].ports[1].value, "11434");
  EXPECT_EQ(file.services[0].ports[2].value, "80:11434");
}

TEST(AssignmentsTest, WhatGoesOnBelowOrBelongsToMoreIsNotForEditing) {
  EXPECT_EQ(Shown(ShellAssignments("(\nexport OLLAMA_A=1\n)\nexport OLLAMA_B=2\n")),
            "OLLAMA_A=1@2! OLLAMA_B=2@4");
  EXPECT_EQ(Shown(ShellAssignments("list=(\nOLLAMA_A=1\n)\n")), "OLLAMA_A=1@2!");
  EXPECT_EQ(Shown(ParseCompose("services:\n  o:\n    environment:\n      OLLAMA_A: |\n        x\n"
                               "      OLLAMA_B:\n        y\n      OLLAMA_C: &c z\n"
                               "      OLLAMA_D: 4\n      OLLAMA_E: a\n        b\n")
                      .environment),
            "OLLAMA_A=|@4! OLLAMA_B=@6! OLLAMA_C=&c z@8! OLLAMA_D=4@9 OLLAMA_E=a@10!");
}

class FixTest : public testing::Test {
 protected:
  Finding At(const std::string& path, Place place, const EnvAssignment& one) const {
    Finding finding;
    finding.variable = Variable();
    Variable& v = *finding.variable;
    v.name = one.name;
    v.place = place;
    v.path = tree_ / path;
    v.line = one.line;
    v.text = one.text;
    v.stands_alone = one.stands_alone;
    v.owner = one.service;
    v.siblings = one.siblings;
    return finding;
  }
  Finding InProfile(const std::string& path) const {
    return At(path, Place::kProfile, ShellAssignments(*ReadSmallFile(tree_ / path)).at(0));
  }
  Result<FixPlan> Plan(const std::vector<Finding>& findings) const {
    return PlanFixes(findings, {tree_ / "home", ""});
  }
  std::string Text(const std::string& path) const { return *ReadSmallFile(tree_ / path); }
  TempTree tree_;
};

TEST_F(FixTest, MakesTheLineACommentAndKeepsTheOldFile) {
  const std::string before = "if true; then\n  export OLLAMA_NUM_GPU=1\nfi\nlast line";
  tree_.Write("home/.bashrc", before);
  chmod((tree_ / "home/.bashrc").c_str(), 0600);
  auto plan = Plan({InProfile("home/.bashrc")});
  ASSERT_TRUE(plan.ok());
  EXPECT_TRUE(plan->commands.empty());
  ASSERT_TRUE(ApplyFixes(*plan).ok());
  // A command is left, or the shell would not take the empty block.
  EXPECT_EQ(Text("home/.bashrc"), "if true; then\n  : # export OLLAMA_NUM_GPU=1\nfi\nlast line");
  EXPECT_EQ(Text("home/.bashrc.bak"), before);
  struct stat st{};
  stat((tree_ / "home/.bashrc").c_str(), &st);
  EXPECT_EQ(st.st_mode & 0777, 0600U);
  EXPECT_TRUE(ShellAssignments(Text("home/.bashrc")).empty());
}

TEST_F(FixTest, AnOlderBackupIsNotOverwritten) {
  tree_.Write({{"home/.bashrc", "export OLLAMA_NUM_GPU=1\n"}, {"home/.bashrc.bak", "mine"}});
  auto plan = Plan({InProfile("home/.bashrc")});
  ASSERT_TRUE(plan.ok() && ApplyFixes(*plan).ok());
  EXPECT_EQ(Text("home/.bashrc.bak"), "mine");
  EXPECT_EQ(Text("home/.bashrc.bak.1"), "export OLLAMA_NUM_GPU=1\n");
  EXPECT_TRUE(plan->files[0].backup.ends_with("/.bashrc.bak.1"));
}

TEST_F(FixTest, ALineThatIsSeenTwiceIsOneLine) {
  tree_.Write("home/.bashrc", "export OLLAMA_NUM_GPU=1\n");
  tree_.Link("home/.bash_profile", ".bashrc");
  auto plan = Plan({InProfile("home/.bashrc"), InProfile("home/.bash_profile")});
  ASSERT_TRUE(plan.ok()) << plan.error().what;
  ASSERT_TRUE(ApplyFixes(*plan).ok());
  EXPECT_EQ(Text("home/.bashrc"), ": # export OLLAMA_NUM_GPU=1\n");
}

TEST_F(FixTest, ACommandIsForAllLinesOfAFileAndCanBePasted) {
  const std::string text = "export OLLAMA_NUM_GPU=1\nexport OLLAMA_NUM_CTX=1\n";
  tree_.Write("etc/it's.sh", text);
  std::vector<Finding> findings;
  for (const EnvAssignment& one : ShellAssignments(text))
    findings.push_back(At("etc/it's.sh", Place::kSystemWide, one));
  const auto plan = Plan(findings);
  ASSERT_TRUE(plan.ok() && plan->commands.size() == 1);
  std::string command = plan->commands[0];
  ASSERT_TRUE(command.starts_with("sudo sed ")) << command;
  command = command.substr(5);
  ASSERT_EQ(std::system(command.c_str()), 0) << command;
  EXPECT_EQ(Text("etc/it's.sh"), ": # export OLLAMA_NUM_GPU=1\n: # export OLLAMA_NUM_CTX=1\n");
}

TEST_F(FixTest, FollowsALinkAndKeepsIt) {
  tree_.Write("home/dotfiles/bashrc", "export OLLAMA_NUM_GPU=1\n");
  tree_.Link("home/.bashrc", "dotfiles/bashrc");
  auto plan = Plan({InProfile("home/.bashrc")});
  ASSERT_TRUE(plan.ok() && ApplyFixes(*plan).ok());
  EXPECT_TRUE(std::filesystem::is_symlink(tree_ / "home/.bashrc"));
  EXPECT_EQ(Text("home/dotfiles/bashrc"), ": # export OLLAMA_NUM_GPU=1\n");
}

TEST_F(FixTest, LeavesFilesOfOthersAloneAndSaysTheCommand) {
  tree_.Write("etc/environment", "OLLAMA_NUM_GPU=1\n");
  tree_.Write("home/x", "");
  tree_.Link("home/.profile", tree_ / "etc/environment");
  const auto line = EnvFileAssignments("OLLAMA_NUM_GPU=1\n").at(0);
  const auto plan = Plan({At("etc/environment", Place::kSystemWide, line),
                          At("home/.profile", Place::kProfile, line)});
  ASSERT_TRUE(plan.ok());
  EXPECT_TRUE(plan->files.empty());
  ASSERT_EQ(plan->commands.size(), 1U) << "one file, under two names";
  EXPECT_NE(plan->commands[0].find("sudo sed --follow-symlinks -i.bak -e '1s/^/# /' '"),
            std::string::npos)
      << plan->commands[0];
}

TEST_F(FixTest, NeverEditsTheSystemsFilesNorUnits) {
  tree_.Write("home/environment", "OLLAMA_NUM_GPU=1\n");
  const auto line = EnvFileAssignments("OLLAMA_NUM_GPU=1\n").at(0);
  Finding unit = At("home/environment", Place::kUnit, line);
  unit.variable->owner = "ollama.service";
  tree_.Write("home/other", "OLLAMA_NUM_GPU=1\n");
  const auto plan = Plan({At("home/other", Place::kSystemWide, line), unit});
  ASSERT_TRUE(plan.ok() && plan->files.empty() && plan->commands.size() == 2);
  EXPECT_NE(plan->commands[0].find("systemctl --user restart ollama.service"), std::string::npos)
      << plan->commands[0];
}

TEST_F(FixTest, AFileThatChangedMeanwhileIsNotTouched) {
  tree_.Write("home/.bashrc", "export OLLAMA_NUM_GPU=1\n");
  const Finding finding = InProfile("home/.bashrc");
  auto plan = Plan({finding});
  ASSERT_TRUE(plan.ok());
  tree_.Write("home/.bashrc", "# mine\n");
  EXPECT_EQ(ApplyFixes(*plan).error().code, Code::kBusy);
  EXPECT_EQ(Text("home/.bashrc"), "# mine\n");
  EXPECT_FALSE(std::filesystem::exists(tree_ / "home/.bashrc.bak"));
  EXPECT_EQ(Plan({finding}).error().code, Code::kBusy);
}

TEST_F(FixTest, AnEnvironmentIsNeverEmptied) {
  tree_.Write("home/compose.yaml", kCompose);
  const ComposeFile file = ParseCompose(kCompose);
  const auto two = Plan({At("home/compose.yaml", Place::kCompose, file.environment[0]),
                         At("home/compose.yaml", Place::kCompose, file.environment[1])});
  ASSERT_TRUE(two.ok());
  EXPECT_TRUE(two->files.empty());
  EXPECT_EQ(two->commands.size(), 1U);
  const auto one = Plan({At("home/compose.yaml", Place::kCompose, file.environment[0])});
  ASSERT_TRUE(one.ok() && one->files.size() == 1);
  EXPECT_NE(one->files[0].after.find("\n      # - OLLAMA_NUM_GPU=1\n"), std::string::npos);
}

}  // namespace
}  // namespace trimma::fix_test
