#include "llama_server/answer.h"

#include <gtest/gtest.h>

namespace trimma::answer_test {
namespace {

using nlohmann::json;

json Completion() {
  return {{"content", " words"},
          {"tokens", {7, 8, 9}},
          {"stop", true},
          {"stop_type", "eos"},
          {"timings",
           {{"cache_n", 0},
            {"prompt_n", 100},
            {"prompt_ms", 50.0},
            {"predicted_n", 3},
            {"predicted_ms", 40.0},
            {"draft_n", 12},
            {"draft_n_accepted", 5}}}};
}

TEST(ParseCompletionTest, ReadsFiguresByItsClock) {
  const auto answer = ParseCompletion(Completion());
  ASSERT_TRUE(answer.ok());
  EXPECT_EQ(answer->text, " words");
  EXPECT_EQ(answer->tokens, (std::vector<int32_t>{7, 8, 9}));
  EXPECT_TRUE(answer->ended);
  EXPECT_DOUBLE_EQ(*answer->PrefillRate(), 2000);
  EXPECT_DOUBLE_EQ(*answer->DecodeRate(), 50)
      << "two steps in 40 ms: the first came with the prompt";
  EXPECT_EQ(answer->drafted, 12);
  EXPECT_EQ(answer->accepted, 5);
}

TEST(ParseCompletionTest, AnOlderVersionHasFlagsAndNoTokens) {
  json old = Completion();
  old.erase("tokens");
  old.erase("stop_type");
  old["stopped_eos"] = false;
  old["timings"].erase("draft_n");
  const auto answer = ParseCompletion(old);
  ASSERT_TRUE(answer.ok());
  EXPECT_TRUE(answer->tokens.empty());
  EXPECT_FALSE(answer->ended);
  EXPECT_EQ(answer->drafted, 0);
}

TEST(ParseCompletionTest, NothingToDivideIsNoRate) {
  json one = Completion();
  one["timings"]["predicted_n"] = 1;
  one["timings"]["prompt_ms"] = 0;
  const auto answer = ParseCompletion(one);
  ASSERT_TRUE(answer.ok());
  EXPECT_FALSE(answer->DecodeRate());
  EXPECT_FALSE(answer->PrefillRate());
}

TEST(ParseCompletionTest, RefusesNonsense) {
  std::vector<json> bad = {json::array(), json("text"), json::object()};
  for (const char* key : {"content", "timings"}) {
    bad.push_back(Completion());
    bad.back().erase(key);
  }
  for (const char* key : {"prompt_n", "prompt_ms", "predicted_n", "predicted_ms"}) {
    bad.push_back(Completion());
    bad.back()["timings"][key] = "many";
    bad.push_back(Completion());
    bad.back()["timings"][key] = -1;
  }
  bad.push_back(Completion());
  bad.back()["tokens"] = {"a"};
  for (const json& one : bad) {
    const auto answer = ParseCompletion(one);
    ASSERT_FALSE(answer.ok()) << one;
    EXPECT_EQ(answer.error().code, Code::kInvalid);
  }
}

TEST(ServerRefusedTest, SaysItsOwnSentence) {
  EXPECT_EQ(ServerRefused(400, R"({"error":{"code":400,"message":"too \u001b[1mlong"}})").what,
            "llama-server says: too ?[1mlong");
  EXPECT_EQ(ServerRefused(500, R"({"error":"plain"})").what, "llama-server says: plain");
  EXPECT_EQ(ServerRefused(502, "<html>").what, "llama-server says: status 502");
}

}  // namespace
}  // namespace trimma::answer_test
