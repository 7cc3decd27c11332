#include "report/record.h"

#include <gtest/gtest.h>

#include <limits>

#include "report/json_document.h"
#include "report/test_record.h"

namespace trimma::record_test {
namespace {

TEST(RecordTest, HasEveryFieldOfTheContract) {
  const Json json = ToJson(FullRecord());
  for (const char* state : {"before", "after"}) {
    for (const char* field : {"file_bytes", "memory_bytes", "speed", "quality"}) {
      EXPECT_TRUE(json[state].contains(field)) << state << " " << field;
    }
  }
  for (const char* field : {"model", "config", "modelfile", "env", "report", "record"}) {
    EXPECT_TRUE(json["files"][field].is_string()) << field;
  }
  EXPECT_EQ(json["after"]["file_bytes"], 19'300'000);
  EXPECT_TRUE(json["before"]["quality"].is_null());
  EXPECT_TRUE(json["after"]["quality"].is_object());
  EXPECT_EQ(json["points"].size(), 3U);
  EXPECT_EQ(json["memory"].size(), 2U);
  EXPECT_EQ(json["trials"].size(), 2U);
}

TEST(RecordTest, AbsentFiguresAreNull) {
  const Json json = ToJson(FullRecord());
  EXPECT_TRUE(json["trials"][1]["decode_tps"]["median"].is_null());
  EXPECT_TRUE(json["points"][0]["mean_kld"].is_null());
  const Json empty = ToJson(OptimizeRecord{});
  EXPECT_TRUE(empty["files"].contains("model"));
  EXPECT_TRUE(empty["files"]["model"].is_null());
  EXPECT_TRUE(empty["points"].is_array());
}

TEST(JsonDocumentTest, SchemaComesFirstAndTheRestIsSorted) {
  const std::string text = DumpDocument(ToJson(FullRecord()));
  EXPECT_EQ(text.rfind("{\n  \"schema\": \"trimma.optimize/1\",\n  \"after\"", 0), 0U);
  EXPECT_EQ(text.back(), '\n');
  EXPECT_EQ(Json::parse(text), ToJson(FullRecord()));
}

TEST(JsonDocumentTest, SurvivesInvalidTextAndFigures) {
  const Json json = {
      {"schema", "x/1"}, {"name", "a\xFF"}, {"figure", std::numeric_limits<double>::infinity()}};
  const Json parsed = Json::parse(DumpDocument(json));
  EXPECT_EQ(parsed["name"], "a\xEF\xBF\xBD");
  EXPECT_TRUE(parsed["figure"].is_null());
}

TEST(JsonDocumentTest, WritesNothingThatActsOnATerminal) {
  const Json json = {{"name", "\xC3\xA5\xE2\x80\xAE\xC2\x9B"}};
  const std::string text = DumpDocument(json);
  EXPECT_NE(text.find("\\u202e"), std::string::npos);
  EXPECT_EQ(Json::parse(text), json);
  EXPECT_NE(DumpDocument({{"name", "\xC3\xA5"}}).find("\xC3\xA5"), std::string::npos);
}

}  // namespace
}  // namespace trimma::record_test
