// The command line itself: help, versions, wrong calls.
#include <gtest/gtest.h>

#include <set>

#include "base/text.h"
#include "support/program.h"
#include "support/tiny_model.h"

namespace trimma::cli_test {
namespace {

// The first words of the lines below the heading that names the commands.
std::vector<std::string> ListedCommands(const std::string& help) {
  std::vector<std::string> commands;
  bool listing = false;
  for (const std::string& line : Split(help, '\n')) {
    const std::string lower = ToLower(line);
    if (lower.starts_with("subcommands:") || lower.starts_with("commands:")) {
      listing = true;
    } else if (listing && line.starts_with("  ") && line.size() > 2 && line[2] != ' ') {
      commands.push_back(line.substr(2, line.find(' ', 2) - 2));
    } else if (listing && !line.empty() && line[0] != ' ') {
      listing = false;
    }
  }
  return commands;
}

std::vector<std::string> Commands(const Sandbox& box) {
  return ListedCommands(box.Run({"--help"}).out);
}

TEST(Cli, HelpListsTheCommandsThatExistAndNoOthers) {
  const Sandbox box;
  const ProgramEnd help = box.Run({"--help"});
  EXPECT_EQ(help.exit_code, 0);
  EXPECT_EQ(help.err, "");
  const std::vector<std::string> listed = ListedCommands(help.out);
  const std::set<std::string> expected = {"optimize", "scan",    "models",  "inspect", "plan",
                                          "quantize", "measure", "tune",    "prompt",  "sampling",
                                          "history",  "apply",   "compare", "run"};
  // Of the contract, and one that came later.
  const std::set<std::string> contract = {
      "sampling", "scan", "models", "pull",  "inspect", "plan", "quantize", "measure",
      "compare",  "tune", "prompt", "apply", "doctor",  "run",  "history",  "optimize"};
  const std::set<std::string> found(listed.begin(), listed.end());
  EXPECT_EQ(found.size(), listed.size()) << "a command is listed twice";
  for (const std::string& name : expected) EXPECT_EQ(found.count(name), 1U) << name;
  // Later commands of the contract may come, others not.
  for (const std::string& name : found) EXPECT_EQ(contract.count(name), 1U) << name;
}

TEST(Cli, EveryCommandHelpsWithARealExample) {
  const Sandbox box;
  for (const std::string& command : Commands(box)) {
    const ProgramEnd help = box.Run({command, "--help"});
    EXPECT_EQ(help.exit_code, 0) << command;
    EXPECT_EQ(help.err, "") << command;
    EXPECT_NE(help.out.find("trimma " + command), std::string::npos) << help.out;
    EXPECT_NE(help.out.find("--json"), std::string::npos) << help.out;
    const size_t example = help.out.find("Example: trimma " + command);
    ASSERT_NE(example, std::string::npos) << help.out;
    // Every option of the example exists.
    const std::string line = help.out.substr(example, help.out.find('\n', example) - example);
    for (const std::string& word : Split(line, ' ')) {
      if (!word.starts_with('-')) continue;
      const size_t first = help.out.find(word);
      EXPECT_LT(first, example) << word << " of " << line;
    }
  }
}

TEST(Cli, HelpNamesTheExitCodes) {
  const Sandbox box;
  const std::string help = box.Run({"--help"}).out;
  for (const char* code :
       {"0 done", "1 failure", "2 usage", "3 invalid", "4 does not fit", "7 not found", "8 busy",
        "70 internal", "74 I/O", "77 permission", "130"}) {
    EXPECT_NE(help.find(code), std::string::npos) << code;
  }
}

TEST(Cli, HelpIsThereAtOnceEvenWithoutAHome) {
  const Sandbox box;
  const ProgramEnd help = box.Run({"--help"}, {.environment = {{"HOME", ""}}});
  EXPECT_EQ(help.exit_code, 0);
  EXPECT_LT(help.seconds, 5);  // that it is under 20 ms is the bench's to show
}

// A GPU's libraries take a second to load; help must not wait for them.
TEST(Cli, HelpLoadsNoBackendOfTheEngine) {
  const Sandbox box;
  const ProgramEnd help = box.Run({"--help"}, {.environment = {{"LD_DEBUG", "files"}}});
  if (help.err.find("calling init") == std::string::npos) {
    GTEST_SKIP() << "this loader has no LD_DEBUG";
  }
  for (const char* backend : {"libggml-cpu", "libggml-cuda", "libggml-vulkan", "libcuda.so"}) {
    EXPECT_EQ(help.err.find(backend), std::string::npos) << backend;
  }
}

TEST(Cli, VersionNamesProgramAndEngine) {
  const Sandbox box;
  const ProgramEnd version = box.Run({"--version"});
  EXPECT_EQ(version.exit_code, 0);
  EXPECT_TRUE(version.out.starts_with("trimma ")) << version.out;
  EXPECT_NE(version.out.find("llama.cpp"), std::string::npos) << version.out;
  EXPECT_EQ(Split(version.out, '\n').size(), 2U) << "one line";
}

TEST(Cli, AMisspeltCommandNamesTheNearest) {
  const Sandbox box;
  ExpectRefused(box, {"quantise", "a.gguf"}, Code::kUsage, "trimma quantize");
  ExpectRefused(box, {"optimise"}, Code::kUsage, "trimma optimize");
  ExpectRefused(box, {"insect", "a.gguf"}, Code::kUsage, "trimma inspect");
  ExpectRefused(box, {"frobnicate"}, Code::kUsage, "--help");
}

TEST(Cli, MissingArgumentsAreUsageErrors) {
  const Sandbox box;
  WriteTinyModel(box / "tiny.gguf");
  const std::vector<std::vector<std::string>> calls = {
      {"inspect"},
      {"plan"},
      {"measure"},
      {"tune"},
      {"optimize"},
      {"quantize"},
      {"quantize", "tiny.gguf"},
      {"quantize", "tiny.gguf", "-o", "out.gguf"},
      {"quantize", "tiny.gguf", "--type", "Q8_0"},
      {"inspect", "tiny.gguf", "second.gguf"},
      {"inspect", "tiny.gguf", "--no-such-option"},
      {"measure", "tiny.gguf", "--score", "most"},
      {"measure", "tiny.gguf", "--rounds", "0"},
      {"measure", "tiny.gguf", "--on-host", "("},
      {"plan", "tiny.gguf", "--on-host", "[a"},
      {"plan", "tiny.gguf", "--on-host", ""},
      {"quantize", "tiny.gguf", "-o", "o.gguf", "--type", "Q8_0", "--imatrix", "a", "--calibration",
       "b"},
  };
  for (const auto& call : calls) ExpectRefused(box, call, Code::kUsage, "");
}

TEST(Cli, NothingAtAllIsAUsageErrorThatPointsToHelp) {
  const Sandbox box;
  const ProgramEnd end = box.Run({});
  EXPECT_EQ(end.exit_code, 2);
  EXPECT_EQ(end.out, "");
  EXPECT_NE(end.err.find("--help"), std::string::npos) << end.err;
}

TEST(Cli, AnEmptyModelNameIsAUsageError) {
  const Sandbox box;
  ExpectRefused(box, {"inspect", ""}, Code::kUsage, "name");
  ExpectRefused(box, {"inspect", std::string(5000, 'x')}, Code::kUsage, "long");
}

// A file's name is foreign text: it may not act on the terminal or break the JSON.
TEST(Cli, NamesWithControlCharactersDoNotReachTheTerminal) {
  const Sandbox box;
  const std::string name = "a\x1b[31m\xE2\x80\xAEred\xFF.gguf";
  const ProgramEnd end = box.Run({"inspect", "./" + name});
  EXPECT_EQ(end.exit_code, 7);
  EXPECT_EQ(end.err.find('\x1b'), std::string::npos);
  EXPECT_EQ(end.err.find("\xE2\x80\xAE"), std::string::npos);
  EXPECT_TRUE(IsUtf8(end.err)) << end.err;
  ExpectRefused(box, {"inspect", "./" + name}, Code::kNotFound, "red");
}

TEST(Cli, QuietPrintsNoProgress) {
  const Sandbox box;
  WriteTinyModel(box / "tiny.gguf");
  const std::vector<std::string> call = {"measure",         "tiny.gguf", "--rounds",        "3",
                                         "--prompt-tokens", "16",        "--decode-tokens", "4"};
  const ProgramEnd loud = box.Run(call);
  EXPECT_EQ(loud.exit_code, 0) << loud.err;
  EXPECT_NE(loud.out, "");
  std::vector<std::string> quietly = call;
  quietly.emplace_back("--quiet");
  const ProgramEnd quiet = box.Run(quietly);
  EXPECT_EQ(quiet.exit_code, 0);
  EXPECT_EQ(quiet.err, "");
  EXPECT_NE(quiet.out, "");
}

}  // namespace
}  // namespace trimma::cli_test
