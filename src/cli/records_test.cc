#include "cli/records.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstdlib>

#include "base/file.h"
#include "cli/optimize_ollama.h"
#include "hardware/temp_tree.h"
#include "report/test_record.h"

namespace trimma::records_test {
namespace {

class RecordsTest : public testing::Test {
 protected:
  RecordsTest() {
    const char* old = std::getenv("XDG_STATE_HOME");
    if (old != nullptr) old_ = old;
    had_ = old != nullptr;
    setenv("XDG_STATE_HOME", (tree_ / "state").c_str(), 1);
  }
  ~RecordsTest() override {
    had_ ? setenv("XDG_STATE_HOME", old_.c_str(), 1) : unsetenv("XDG_STATE_HOME");
  }
  Result<Applied> From(const Json& json) {
    tree_.Write("record.json", json.dump());
    return AppliedFromRecord(tree_ / "record.json");
  }
  TempTree tree_;

 private:
  std::string old_;
  bool had_ = false;
};

TEST_F(RecordsTest, BeforeTheFirstThereIsNone) {
  const auto newest = NewestRecord();
  ASSERT_FALSE(newest.ok());
  EXPECT_EQ(newest.error().code, Code::kNotFound);
  EXPECT_NE(newest.error().hint.find("trimma optimize"), std::string::npos);
}

TEST_F(RecordsTest, TheNewestIsTheLastByTime) {
  const Json json = ToJson(FullRecord());
  const auto second = KeepRecord(json, "2026-02-03T10:00:00Z");
  const auto first = KeepRecord(json, "2026-02-03T09:59:59Z");
  ASSERT_TRUE(first.ok() && second.ok()) << second.error().what;
  tree_.Write("state/trimma/records/zzz.txt", "not a record");
  EXPECT_EQ(*NewestRecord(), *second);
  EXPECT_EQ(second->find(':'), std::string::npos) << "a name that every file system takes";
}

TEST_F(RecordsTest, RecordsAreForTheirOwnerAlone) {
  const auto kept = KeepRecord(ToJson(FullRecord()), "2026-02-03T10:00:00Z");
  ASSERT_TRUE(kept.ok());
  struct stat st{};
  ASSERT_EQ(stat((tree_ / "state/trimma/records").c_str(), &st), 0);
  EXPECT_EQ(st.st_mode & 0777U, 0700U);
}

TEST_F(RecordsTest, AKeptRecordSaysWhatToApply) {
  OptimizeRecord record = FullRecord();
  record.files.model = "/models/tiny-Q5_K_M.gguf";
  record.after.settings.context = 8192;
  record.sampling = {0.3, 0.8, "precise"};
  const auto kept = KeepRecord(ToJson(record), "2026-02-03T10:00:00Z");
  ASSERT_TRUE(kept.ok());
  const auto applied = AppliedFromRecord(*kept);
  ASSERT_TRUE(applied.ok()) << applied.error().what;
  EXPECT_EQ(applied->model_path, "/models/tiny-Q5_K_M.gguf");
  EXPECT_EQ(applied->settings, record.after.settings);
  EXPECT_EQ(applied->sampling, record.sampling);
  EXPECT_EQ(applied->engine_version, EngineText());
  const Applied direct = AppliedFrom(record);
  EXPECT_EQ(applied->name, direct.name);
  EXPECT_EQ(applied->model_path, direct.model_path);
}

TEST_F(RecordsTest, WhatWasMadeInOllamaIsFoundFromAnyCopyOfARecord) {
  Json json = ToJson(FullRecord());
  json["created"] = "2026-02-03T10:00:00Z";
  tree_.Write("record.json", json.dump());
  EXPECT_TRUE(NoteMadeInOllama(tree_ / "record.json", {{"name", "g:1b"}}).ok());
  EXPECT_EQ(OllamaMadeFrom(tree_ / "record.json"), "") << "this machine keeps no such record";
  ASSERT_TRUE(KeepRecord(json, "2026-02-03T10:00:00Z").ok());
  ASSERT_TRUE(NoteMadeInOllama(tree_ / "record.json", {{"name", "g:1b"}}).ok());
  EXPECT_EQ(OllamaMadeFrom(tree_ / "record.json"), "g:1b");
  EXPECT_EQ(OllamaMadeFrom(*NewestRecord()), "g:1b");
  EXPECT_EQ(*ReadSmallFile(tree_ / "record.json"), json.dump()) << "a user's file";
}

TEST_F(RecordsTest, AnotherDocumentIsInvalid) {
  const Json full = ToJson(FullRecord());
  std::vector<Json> others = {Json(),
                              Json::array(),
                              Json("text"),
                              Json::object(),
                              Json{{"schema", 1}},
                              Json{{"schema", "trimma.plan/1"}},
                              Json{{"schema", "trimma.optimize/1"}}};
  for (const char* key : {"files", "model", "after", "sampling"}) {
    Json lacking = full;
    lacking.erase(key);
    others.push_back(lacking);
    Json wrong = full;
    wrong[key] = 7;
    others.push_back(wrong);
  }
  Json settings = full;
  settings["after"]["settings"]["context"] = -1;
  others.push_back(settings);
  for (const Json& other : others) {
    const auto applied = From(other);
    ASSERT_FALSE(applied.ok()) << other.dump().substr(0, 80);
    EXPECT_EQ(applied.error().code, Code::kInvalid) << other.dump().substr(0, 80);
  }
  tree_.Write("record.json", "{\"schema\":");
  EXPECT_EQ(AppliedFromRecord(tree_ / "record.json").error().code, Code::kInvalid);
  EXPECT_EQ(AppliedFromRecord(tree_ / "none.json").error().code, Code::kNotFound);
}

TEST(ServedNameTest, AnOllamaModelKeepsItsNameWhileItKeepsItsWeights) {
  EXPECT_EQ(ServedName("ollama:gemma3:4b", true, "/blobs/sha256-abc"), "gemma3:4b");
  EXPECT_EQ(ServedName("ollama:gemma3:4b", false, "/m/Gemma3-4B-Q5_K_M.gguf"), "gemma3-4b-q5_k_m");
}

TEST(ServedNameTest, AFileIsCalledByItsNameInLowerCase) {
  EXPECT_EQ(ServedName("/models/Tiny.gguf", true, "/models/Tiny.gguf"), "tiny");
  EXPECT_EQ(ServedName("./Tiny.gguf", false, "/out/Tiny-Q4_0.gguf"), "tiny-q4_0");
}

TEST(TrimmedNameTest, StandsBesideTheOriginalAndNamesItsOwnType) {
  EXPECT_EQ(TrimmedName("gemma3:4b", "Q4_K_M", "Q4_K_M"), "gemma3-trimma:4b");
  EXPECT_EQ(TrimmedName("gemma3", "F16", "Q8_0"), "gemma3-trimma:latest");
  EXPECT_EQ(TrimmedName("hf.co/me/m:1b-F16", "F16", "Q8_0"), "m-trimma:1b-q8_0");
  EXPECT_EQ(TrimmedName("../etc", "F16", "Q8_0"), "");
}

TEST(ChooseSamplingTest, ProfilesHaveTheirPairs) {
  const auto precise = ChooseSampling(GgufFile(), "precise");
  ASSERT_TRUE(precise.ok());
  EXPECT_EQ(*precise, (Sampling{0.3, 0.8, "precise", true})) << "the guide's own";
  EXPECT_EQ(ChooseSampling(GgufFile(), "balanced")->profile, "balanced");
  EXPECT_EQ(ChooseSampling(GgufFile(), "creative")->profile, "creative");
}

TEST(ChooseSamplingTest, TheModelsOwnRecommendationCountsWhereItHasOne) {
  GgufFile file;
  EXPECT_EQ(ChooseSampling(file, "model")->profile, "balanced");
  file.metadata.Set("general.sampling.temp", 1.0F);
  EXPECT_EQ(ChooseSampling(file, "model")->profile, "balanced") << "half a recommendation";
  file.metadata.Set("general.sampling.top_p", 0.5F);
  EXPECT_EQ(*ChooseSampling(file, "model"), (Sampling{1.0, 0.5, "model"}));
  EXPECT_EQ(ChooseSampling(file, "precise")->profile, "precise");
}

TEST(ChooseSamplingTest, AnUnknownProfileIsAUsageError) {
  const auto sampling = ChooseSampling(GgufFile(), "wild\x1b");
  ASSERT_FALSE(sampling.ok());
  EXPECT_EQ(sampling.error().code, Code::kUsage);
  EXPECT_EQ(sampling.error().what.find('\x1b'), std::string::npos);
}

TEST(EngineTextTest, NamesVersionAndCommit) {
  EXPECT_TRUE(EngineText().starts_with("llama.cpp v")) << EngineText();
  EXPECT_TRUE(EngineText().ends_with(")"));
}

}  // namespace
}  // namespace trimma::records_test
