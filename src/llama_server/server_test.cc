#include "llama_server/server.h"

#include <gtest/gtest.h>

#include "hardware/temp_tree.h"
#include "support/fake_llama_server.h"

namespace trimma::server_test {
namespace {

class FakeServerTest : public testing::Test {
 protected:
  Result<LlamaServer> Start(const std::string& mode, double seconds = 30) {
    return LlamaServer::Start(FakeLlamaServer(tree_ / "llama-server", mode),
                              {"--ubatch-size", "10", "--threads", "4"}, seconds);
  }
  const TempTree tree_;
};

ServedRequest Request() {
  ServedRequest request;
  request.tokens = {1, 2, 3, 4, 5};
  request.most_tokens = 4;
  return request;
}

TEST_F(FakeServerTest, AnswersWithItsFigures) {
  auto server = Start("works");
  ASSERT_TRUE(server.ok()) << server.error().what;
  EXPECT_GT(server->load_ms(), 0);
  const auto answer = server->Complete(Request());
  ASSERT_TRUE(answer.ok()) << answer.error().what;
  EXPECT_EQ(answer->text, " one two three one");
  EXPECT_DOUBLE_EQ(*answer->PrefillRate(), 1000);
  EXPECT_DOUBLE_EQ(*answer->DecodeRate(), 4000);
  EXPECT_FALSE(answer->first_ms);
  EXPECT_GT(answer->total_s, 0);
  ServedRequest stream = Request();
  stream.stream = true;
  const auto streamed = server->Complete(stream);
  ASSERT_TRUE(streamed.ok()) << streamed.error().what;
  EXPECT_EQ(streamed->text, answer->text);
  ASSERT_TRUE(streamed->first_ms);
  EXPECT_LE(*streamed->first_ms, 1000 * streamed->total_s);
  EXPECT_DOUBLE_EQ(*streamed->PrefillRate(), 1000);
  const auto tokens = server->Tokenize("a b c");
  ASSERT_TRUE(tokens.ok());
  EXPECT_EQ(*tokens, (std::vector<int32_t>{1, 2, 3}));
  const auto templated = server->ApplyTemplate("Why?");
  ASSERT_TRUE(templated.ok());
  EXPECT_EQ(*templated, "<q>Why?<a>");
}

TEST_F(FakeServerTest, OneThatDiesAtItsStartSaysWhy) {
  const auto dies = Start("dies");
  ASSERT_FALSE(dies.ok());
  EXPECT_EQ(dies.error().code, Code::kFailure);
  EXPECT_NE(dies.error().what.find("failed to load model"), std::string::npos);
  const auto memory = Start("no-memory");
  ASSERT_FALSE(memory.ok());
  EXPECT_EQ(memory.error().code, Code::kNoFit);
}

TEST_F(FakeServerTest, OneThatIsNeverReadyIsEnded) {
  const auto hangs = Start("hangs", 1);
  ASSERT_FALSE(hangs.ok());
  EXPECT_NE(hangs.error().what.find("not ready within"), std::string::npos) << hangs.error().what;
}

TEST_F(FakeServerTest, OneThatDiesAnsweringSaysWhy) {
  for (const bool stream : {false, true}) {
    auto server = Start("breaks");
    ASSERT_TRUE(server.ok());
    ServedRequest request = Request();
    request.stream = stream;
    const auto answer = server->Complete(request);
    ASSERT_FALSE(answer.ok());
    EXPECT_NE(answer.error().what.find("an illegal access"), std::string::npos)
        << answer.error().what;
  }
}

TEST_F(FakeServerTest, SilenceRefusalsAndNonsenseAreErrors) {
  auto silent = Start("silent");
  ASSERT_TRUE(silent.ok());
  ServedRequest request = Request();
  request.most_seconds = 0.3;
  const auto nothing = silent->Complete(request);
  ASSERT_FALSE(nothing.ok());
  EXPECT_EQ(nothing.error().code, Code::kNetwork);
  auto refuses = Start("refuses");
  ASSERT_TRUE(refuses.ok());
  EXPECT_EQ(refuses->Complete(Request()).error().what,
            "llama-server says: the request exceeds the context");
  auto nonsense = Start("nonsense");
  ASSERT_TRUE(nonsense.ok());
  for (const bool stream : {false, true}) {
    ServedRequest of_nonsense = Request();
    of_nonsense.stream = stream;
    const auto answer = nonsense->Complete(of_nonsense);
    ASSERT_FALSE(answer.ok());
    EXPECT_TRUE(answer.error().code == Code::kInvalid || answer.error().code == Code::kNetwork);
  }
}

TEST(ParseOffloadedTest, ReadsTheLastSuchLine) {
  EXPECT_EQ(ParseOffloaded("load_tensors: offloaded 1/3 layers to GPU\nload_tensors: offloaded "
                           "20/33 layers to GPU\n"),
            std::pair(20, 33));
  for (const char* log :
       {"", "offloaded many", "offloaded 3", "offloaded 5/3 layers", "offloaded 5/"})
    EXPECT_FALSE(ParseOffloaded(log)) << log;
}

}  // namespace
}  // namespace trimma::server_test
