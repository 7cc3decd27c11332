// The history from the command line: what commands leave there, and what is shown of it.
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <filesystem>

#include "support/program.h"
#include "support/tiny_model.h"

namespace trimma::history_test {
namespace {

namespace fs = std::filesystem;

const std::vector<std::string> kMeasure = {
    "measure",         "tiny.gguf", "--speed",         "--rounds", "3",
    "--prompt-tokens", "8",         "--decode-tokens", "4"};

class HistoryCli : public testing::Test {
 protected:
  HistoryCli() { WriteTinyModel(box_ / "tiny.gguf"); }
  std::string Path() const { return box_.home() + "/.local/state/trimma/history.sqlite"; }
  Json Items(std::vector<std::string> more = {}) const {
    more.insert(more.begin(), "history");
    const Json document = ExpectDocument(box_, more);
    return document.is_object() ? document["items"] : Json::array();
  }

  Sandbox box_;
};

TEST_F(HistoryCli, BeginsEmpty) {
  EXPECT_TRUE(Items().empty());
  const ProgramEnd end = box_.Run({"history"});
  EXPECT_EQ(end.exit_code, 0);
  EXPECT_EQ(end.out, "nothing yet\n");
}

TEST_F(HistoryCli, EveryRunThatFindsSomethingOutIsThere) {
  const Json measured = ExpectDocument(box_, kMeasure);
  ExpectDocument(box_, {"quantize", "tiny.gguf", "-o", "q.gguf", "--type", "Q8_0"});
  ExpectDocument(box_, {"quantize", "tiny.gguf", "-o", "r.gguf", "--type", "Q8_0", "--dry-run"});
  ASSERT_FALSE(HasFailure());
  const Json items = Items();
  ASSERT_EQ(items.size(), 2) << "a dry run finds nothing out";
  EXPECT_EQ(items[0]["command"], "quantize");
  EXPECT_EQ(items[1]["command"], "measure");
  EXPECT_EQ(items[1]["model"], fs::weakly_canonical(box_ / "tiny.gguf").string());
  EXPECT_NE(items[1]["summary"].get<std::string>().find("decode"), std::string::npos);
  EXPECT_EQ(items[1]["model_quick"].get<std::string>().size(), 64);
  EXPECT_EQ(items[1]["engine_commit"].get<std::string>().size(), 40);
  EXPECT_TRUE(items[1]["stale"].empty()) << items[1]["stale"];
  const Json shown = Items({"--show", std::to_string(items[1]["id"].get<int>())});
  ASSERT_EQ(shown.size(), 1);
  EXPECT_EQ(shown[0]["document"], measured);
}

TEST_F(HistoryCli, AFailedRunLeavesNothing) {
  EXPECT_NE(box_.Run({"measure", "nowhere.gguf"}).exit_code, 0);
  EXPECT_TRUE(Items().empty());
}

TEST_F(HistoryCli, AModelThatChangedOrWentMakesAResultStale) {
  ExpectDocument(box_, kMeasure);
  WriteTinyModel(box_ / "tiny.gguf", {.seed = 2});
  Json items = Items();
  ASSERT_EQ(items.size(), 1);
  ASSERT_EQ(items[0]["stale"].size(), 1);
  EXPECT_EQ(items[0]["stale"][0]["what"], "model");
  fs::remove(box_ / "tiny.gguf");
  items = Items();
  EXPECT_EQ(items[0]["stale"][0]["sentence"], "the model's file is gone");
}

TEST_F(HistoryCli, TuneSaysWhetherItsFormerResultHolds) {
  const std::vector<std::string> tune = {
      "tune", "tiny.gguf", "--budget", "1", "--prompt-tokens", "8", "--answer-tokens", "4"};
  const ProgramEnd first = box_.Run(tune);
  // Beside other tests a machine may be too busy or too slow for an answer.
  if (first.exit_code != 0) GTEST_SKIP() << first.err;
  EXPECT_EQ(first.err.find("the result of"), std::string::npos) << first.err;
  WriteTinyModel(box_ / "tiny.gguf", {.seed = 2});
  const ProgramEnd second = box_.Run(tune);
  EXPECT_NE(second.err.find("is out of date: the model's file is another one"), std::string::npos)
      << second.err;
}

TEST_F(HistoryCli, ADamagedFileIsSetAsideAndSaid) {
  ExpectDocument(box_, kMeasure);
  fs::resize_file(Path(), 1000);
  const ProgramEnd end = box_.Run([] {
    std::vector<std::string> call = kMeasure;
    call.emplace_back("--json");
    return call;
  }());
  EXPECT_EQ(end.exit_code, 0);
  EXPECT_NE(end.err.find("the history was damaged: it is kept as"), std::string::npos) << end.err;
  EXPECT_NE(end.err.find("history.sqlite.damaged-"), std::string::npos) << end.err;
  EXPECT_EQ(end.document()["schema"], "trimma.measure/1") << "the result was printed before";
  EXPECT_EQ(Items().size(), 1);
}

TEST_F(HistoryCli, AHistoryThatCannotBeWrittenFailsNoCommand) {
  fs::create_directories(Path());  // a directory where the file should be
  std::vector<std::string> call = kMeasure;
  call.emplace_back("--json");
  const ProgramEnd end = box_.Run(call);
  EXPECT_EQ(end.exit_code, 0) << end.err;
  EXPECT_NE(end.err.find("this run is not in the history"), std::string::npos) << end.err;
  EXPECT_EQ(end.document()["schema"], "trimma.measure/1");
}

TEST_F(HistoryCli, TwoProgramsAtOnceAndOneKilledLeaveWholeRows) {
  Running killed = box_.Start(kMeasure);
  Running a = box_.Start(kMeasure);
  Running b = box_.Start(kMeasure);
  killed.Signal(SIGKILL);
  killed.Wait();
  EXPECT_EQ(a.Wait().exit_code, 0);
  EXPECT_EQ(b.Wait().exit_code, 0);
  const Json items = Items();
  EXPECT_GE(items.size(), 2);
  for (const Json& item : items) EXPECT_EQ(item["command"], "measure");
}

TEST_F(HistoryCli, FiltersAndForgets) {
  ExpectDocument(box_, kMeasure);
  ExpectDocument(box_, kMeasure);
  EXPECT_EQ(Items({"--limit", "1"}).size(), 1);
  EXPECT_EQ(Items({"--command", "tune"}).size(), 0);
  EXPECT_EQ(Items({"--model", "TINY"}).size(), 2);
  const std::string id = std::to_string(Items()[0]["id"].get<int>());
  EXPECT_EQ(ExpectDocument(box_, {"history", "--forget", id})["forgotten"], 1);
  EXPECT_EQ(ExpectDocument(box_, {"history", "--older-than", "90d"})["forgotten"], 0);
  EXPECT_EQ(Items().size(), 1);
}

TEST_F(HistoryCli, BadInputIsRefused) {
  ExpectDocument(box_, kMeasure);
  ExpectRefused(box_, {"history", "--show", "77"}, Code::kNotFound, "no run 77");
  ExpectRefused(box_, {"history", "--forget", "77"}, Code::kNotFound, "no run 77");
  ExpectRefused(box_, {"history", "--older-than", "soon"}, Code::kUsage, "no span of time");
}

}  // namespace
}  // namespace trimma::history_test
