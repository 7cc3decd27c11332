#include "llama_server/answers.h"

#include <gtest/gtest.h>

#include "hardware/temp_tree.h"
#include "support/fake_llama_server.h"

namespace trimma::answers_test {
namespace {

TEST(AnswersThroughServerTest, AsksThroughTheTemplate) {
  const TempTree tree;
  ServedQuestions questions;
  questions.prompts = {"Why?"};
  questions.most_tokens = 2;
  questions.templated = true;
  const LlamaServerProgram program = FakeLlamaServer(tree / "llama-server");
  const auto answers = AnswersThroughServer(program, {"m.gguf", {}}, questions, {});
  ASSERT_TRUE(answers.ok()) << answers.error().what;
  ASSERT_EQ(answers->size(), 1U);
  EXPECT_TRUE((*answers)[0].templated);
  EXPECT_EQ((*answers)[0].text, ">Why?<a> one two");
  EXPECT_EQ((*answers)[0].tokens.size(), 2U);
}

}  // namespace
}  // namespace trimma::answers_test
