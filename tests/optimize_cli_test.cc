// The main job on tiny models: everything it writes, and what foreign names can't do.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>

#include "base/text.h"
#include "support/program.h"
#include "support/tiny_model.h"

namespace trimma::optimize_cli_test {
namespace {

namespace fs = std::filesystem;

constexpr const char* kFiles[] = {"config.toml",      "Modelfile",   "ollama.env",
                                  "llama-server.ini", "report.html", "record.json"};

TinyModelOptions Named(const std::string& name) {
  return {.heads = 2, .kv_heads = 1, .name = name};
}

// With little time for measuring, and no gate unless it is tested.
std::vector<std::string> Call(const std::string& model, std::vector<std::string> more = {}) {
  std::vector<std::string> call = {"optimize", model, "-o", "result", "--seconds", "2"};
  const bool gated = std::find(more.begin(), more.end(), "--max-kld") != more.end();
  if (!gated) call.insert(call.end(), {"--max-kld", "100"});
  call.insert(call.end(), more.begin(), more.end());
  return call;
}

void ExpectOutcome(const Json& outcome) {
  ASSERT_TRUE(outcome.is_object());
  for (const char* field : {"file_bytes", "memory_bytes", "speed", "quality"}) {
    EXPECT_TRUE(outcome.contains(field)) << field;
  }
  EXPECT_GT(outcome["file_bytes"].get<uint64_t>(), 0U);
  EXPECT_GT(outcome["memory_bytes"].get<uint64_t>(), 0U);
  EXPECT_GT(outcome["speed"]["decode_tps"]["median"].get<double>(), 0);
}

// The contract's fields, and files that are there and say the same.
void ExpectResult(const Sandbox& box, const Json& result) {
  ASSERT_TRUE(result.is_object());
  ExpectOutcome(result["before"]);
  ExpectOutcome(result["after"]);
  for (const char* field : {"model", "config", "modelfile", "env", "report", "record"}) {
    const std::string path = result["files"].value(field, "");
    EXPECT_TRUE(fs::is_regular_file(path)) << field << ": " << path;
    EXPECT_TRUE(fs::path(path).is_absolute()) << path;
  }
  for (const char* file : kFiles) {
    EXPECT_NE(box.Read(std::string("result/") + file), "") << file;
  }
  const Json record = Json::parse(box.Read("result/record.json"), nullptr, false);
  EXPECT_EQ(record, result);
  const std::string report = box.Read("result/report.html");
  EXPECT_EQ(ToLower(report).find("<script"), std::string::npos);
  EXPECT_EQ(report.find("src=\"http"), std::string::npos) << "the page needs no network";
  EXPECT_TRUE(IsUtf8(report));
  EXPECT_FALSE(box.Exists("result/.work"));
  for (const auto& entry : fs::directory_iterator(box / "result")) {
    EXPECT_EQ(entry.path().filename().string().find("trimma-"), std::string::npos) << entry.path();
  }
  const std::string config = box.Read("result/config.toml");
  for (const char* key :
       {"[model]", "name", "context_length", "temperature", "top_p", "[runtime]"}) {
    EXPECT_NE(config.find(key), std::string::npos) << key;
  }
}

TEST(OptimizeCli, AnUnquantisedModelIsQuantisedJudgedAndTuned) {
  const Sandbox box;
  WriteTinyModel(box / "tiny.gguf", Named("tiny"));
  const std::string source = box.Read("tiny.gguf");
  const Json result = ExpectDocument(box, Call("tiny.gguf"));
  ASSERT_FALSE(HasFailure());
  ExpectResult(box, result);
  const std::string model = result["files"]["model"];
  EXPECT_TRUE(model.starts_with(box / "result/")) << model;
  EXPECT_EQ(result["after"]["file_bytes"], fs::file_size(model));
  EXPECT_LT(result["after"]["file_bytes"], result["before"]["file_bytes"]);
  EXPECT_GT(result["after"]["quality"]["mean_kld"].get<double>(), 0);
  EXPECT_EQ(box.Read("tiny.gguf"), source) << "the source is untouched";
  ExpectDocument(box, {"inspect", model});
}

TEST(OptimizeCli, AQuantisedModelKeepsItsWeights) {
  const Sandbox box;
  WriteTinyModel(box / "f16.gguf", Named("tiny"));
  ExpectDocument(box, {"quantize", "f16.gguf", "-o", "q4.gguf", "--type", "Q4_0"});
  const std::string source = box.Read("q4.gguf");
  const Json result = ExpectDocument(box, Call("q4.gguf"));
  ASSERT_FALSE(HasFailure());
  ExpectResult(box, result);
  EXPECT_EQ(result["files"]["model"], box / "q4.gguf");
  EXPECT_EQ(result["after"]["file_bytes"], source.size());
  EXPECT_LT(result["after"]["quality"]["mean_kld"].get<double>(), 0.01);
  EXPECT_EQ(box.Read("q4.gguf"), source);
}

TEST(OptimizeCli, ABetterSourceIsQuantisedInstead) {
  const Sandbox box;
  WriteTinyModel(box / "f16.gguf", Named("tiny"));
  ExpectDocument(box, {"quantize", "f16.gguf", "-o", "q4.gguf", "--type", "Q4_0"});
  const Json result = ExpectDocument(box, Call("q4.gguf", {"--source", "f16.gguf"}));
  ASSERT_FALSE(HasFailure());
  ExpectResult(box, result);
  EXPECT_TRUE(result["files"]["model"].get<std::string>().starts_with(box / "result/"));
}

TEST(OptimizeCli, TheTerminalEndsWithAShortSummary) {
  const Sandbox box;
  WriteTinyModel(box / "tiny.gguf", Named("tiny"));
  const ProgramEnd end = box.Run(Call("tiny.gguf"));
  ASSERT_EQ(end.exit_code, 0) << end.err;
  EXPECT_LE(Split(end.out, '\n').size(), 14U) << end.out;
  EXPECT_NE(end.out.find("report.html"), std::string::npos) << end.out;
}

struct ForeignName {
  const char* what;
  std::string name;
};

void PrintTo(const ForeignName& test, std::ostream* out) { *out << test.what; }

class OptimizeCliName : public testing::TestWithParam<ForeignName> {};

TEST_P(OptimizeCliName, IsShownAndDoesNothing) {
  const Sandbox box;
  WriteTinyModel(box / "f16.gguf", Named(GetParam().name));
  ExpectDocument(box, {"quantize", "f16.gguf", "-o", "q4.gguf", "--type", "Q4_0"});
  const Json result = ExpectDocument(box, Call("q4.gguf"));
  ASSERT_FALSE(HasFailure());
  ExpectResult(box, result);
  for (const char* file : kFiles) {
    const std::string text = box.Read(std::string("result/") + file);
    EXPECT_EQ(text.find("\xE2\x80\xAE"), std::string::npos) << file;
    EXPECT_EQ(text.find('\x1b'), std::string::npos) << file;
    EXPECT_LT(text.size(), 400'000U) << file;
  }
  const ProgramEnd inspect = box.Run({"inspect", "q4.gguf"});
  EXPECT_EQ(inspect.exit_code, 0);
  EXPECT_EQ(inspect.out.find('\x1b'), std::string::npos);
  EXPECT_LT(inspect.out.size(), 4000U);
}

INSTANTIATE_TEST_SUITE_P(
    All, OptimizeCliName,
    testing::Values(ForeignName{"Script", "<script>alert(1)</script>"},
                    ForeignName{"TenKilobytes", std::string(10'000, 'n')},
                    ForeignName{"Bidirectional",
                                "a\xE2\x80\xAE gnp.exe\xE2\x80\xAC \xD7\x90\x1b[2J\"'&\n[x]"}),
    [](const auto& test) { return test.param.what; });

// The file's name reaches the settings files, quoted as each of them wants it.
TEST(OptimizeCli, AFileNameWithSpacesAndQuotesGoesThrough) {
  const Sandbox box;
  WriteTinyModel(box / "f16.gguf", Named("tiny"));
  const std::string odd = "my \"best\" model's <b>.gguf";
  ExpectDocument(box, {"quantize", "f16.gguf", "-o", odd, "--type", "Q4_0"});
  const Json result = ExpectDocument(box, Call(odd));
  ASSERT_FALSE(HasFailure());
  ExpectResult(box, result);
  EXPECT_EQ(box.Read("result/report.html").find("<b>.gguf"), std::string::npos);
}

TEST(OptimizeCli, TwiceIntoOneFolderLeavesTheSecondResult) {
  const Sandbox box;
  WriteTinyModel(box / "f16.gguf", Named("tiny"));
  ExpectDocument(box, {"quantize", "f16.gguf", "-o", "q4.gguf", "--type", "Q4_0"});
  ExpectDocument(box, Call("q4.gguf"));
  const Json second = ExpectDocument(box, Call("q4.gguf", {"--profile", "precise"}));
  ASSERT_FALSE(HasFailure());
  ExpectResult(box, second);
  EXPECT_EQ(second["sampling"]["profile"], "precise");
  EXPECT_NE(box.Read("result/config.toml").find("0.3"), std::string::npos);
}

TEST(OptimizeCli, AGateThatNothingPassesLeavesNothingBehind) {
  const Sandbox box;
  WriteTinyModel(box / "tiny.gguf", Named("tiny"));
  ExpectRefused(box, Call("tiny.gguf", {"--max-kld", "0"}), Code::kGate, "KL divergence");
  EXPECT_FALSE(box.Exists("result"));
}

TEST(OptimizeCli, AFolderThatWasThereSurvivesAFailure) {
  const Sandbox box;
  WriteTinyModel(box / "tiny.gguf", Named("tiny"));
  box.Write("result/notes.txt", "mine");
  ExpectRefused(box, Call("tiny.gguf", {"--max-kld", "0"}), Code::kGate, "KL divergence");
  EXPECT_EQ(box.Read("result/notes.txt"), "mine");
}

TEST(OptimizeCli, AModelOfShortContextIsJudgedOnShorterChunks) {
  const Sandbox box;
  TinyModelOptions options = Named("short");
  options.context = 256;
  WriteTinyModel(box / "tiny.gguf", options);
  const Json result = ExpectDocument(box, Call("tiny.gguf"));
  ASSERT_FALSE(HasFailure());
  ExpectResult(box, result);
}

TEST(OptimizeCli, ATextOfTheUsersIsJudgedOn) {
  const Sandbox box;
  WriteTinyModel(box / "tiny.gguf", Named("tiny"));
  box.Write("mine.txt", SomeText(3000));
  const Json result =
      ExpectDocument(box, Call("tiny.gguf", {"--text", "mine.txt", "--calibration", "mine.txt"}));
  ASSERT_FALSE(HasFailure());
  EXPECT_EQ(result["quality_text"], "mine.txt");
}

TEST(OptimizeCli, WhatItFoundIsAppliedWithoutNamingIt) {
  const Sandbox box;
  WriteTinyModel(box / "f16.gguf", Named("tiny"));
  ExpectDocument(box, {"quantize", "f16.gguf", "-o", "q4.gguf", "--type", "Q4_0"});
  ExpectDocument(box, Call("q4.gguf"));
  box.Write("app.toml", "# mine\n[model]\nname = \"old\"\n");
  const Json apply = ExpectDocument(box, {"apply", "--config", "app.toml"});
  ASSERT_FALSE(HasFailure());
  EXPECT_TRUE(box.Read("app.toml").starts_with("# mine\n[model]\n"));
  EXPECT_NE(box.Read("app.toml").find("\"q4\""), std::string::npos) << box.Read("app.toml");
}

}  // namespace
}  // namespace trimma::optimize_cli_test
