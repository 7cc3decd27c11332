#include "engine/chat.h"

#include <gtest/gtest.h>

#include "engine/jinja.h"
#include "engine/prefix_state.h"
#include "hardware/temp_tree.h"
#include "support/tiny_model.h"

namespace trimma::chat_test {
namespace {

// As SmolLM2 and many others have it; libllama's list knows it.
constexpr const char* kChatMl =
    "{% for message in messages %}{{'<|im_start|>' + message['role'] + '\\n' + message['content'] "
    "+ '<|im_end|>' + '\\n'}}{% endfor %}{% if add_generation_prompt %}{{ "
    "'<|im_start|>assistant\\n' }}{% endif %}";
// Of our own making, in no list.
constexpr const char* kOwn =
    "{{ bos_token }}{% for m in messages %}[{{ m.role | upper }}]{{ m.content | trim }}{% endfor %}"
    "{% if add_generation_prompt %}[ANSWER]{% endif %}";
// As Gemma 2 has it.
constexpr const char* kNoSystem =
    "{% for m in messages %}{% if m.role == 'system' %}{{ raise_exception('no system role') }}"
    "{% endif %}<{{ m.role }}>{{ m.content }}{% endfor %}<model>";
// Leaves out whatever it doesn't know, without a word.
constexpr const char* kDrops =
    "{% for m in messages %}{% if m.role == 'user' %}<user>{{ m.content }}{% endif %}{% endfor %}";

class ChatTest : public testing::Test {
 protected:
  const Model& Loaded(const std::string& chat_template = "") {
    TinyModel tiny = MakeTinyModel();
    if (!chat_template.empty()) tiny.metadata.Set("tokenizer.chat_template", chat_template);
    tree_.Write("tiny.gguf", Assemble(tiny));
    Result<Model> model = Model::Load(tree_ / "tiny.gguf", {});
    CHECK(model.ok());
    model_.emplace(std::move(model).value());
    return *model_;
  }
  std::string TextOf(const std::vector<Token>& tokens) const { return model_->Detokenize(tokens); }

  TempTree tree_;
  std::optional<Model> model_;
};

TEST(JinjaTest, RunsATemplate) {
  const auto text = RenderJinja("{% for x in list %}{{ x }},{% endfor %}{{ name | upper }}",
                                {{"list", {1, 2}}, {"name", "a"}});
  ASSERT_TRUE(text.ok()) << text.error().what;
  EXPECT_EQ(*text, "1,2,A");
}

TEST(JinjaTest, AWrongTemplateAndARefusalAreErrors) {
  for (const char* source : {"{% for %}", "{{ raise_exception('not so') }}"}) {
    const auto text = RenderJinja(source, Json::object());
    ASSERT_FALSE(text.ok()) << source;
    EXPECT_EQ(text.error().code, Code::kInvalid);
  }
}

TEST_F(ChatTest, ATemplateOfNoListIsRun) {
  const auto chat = ChatTemplate::Of(Loaded(kOwn));
  ASSERT_TRUE(chat.has_value());
  const auto text = chat->Render({{"system", " be brief "}, {"user", "Hi"}});
  ASSERT_TRUE(text.has_value());
  EXPECT_NE(text->find("[SYSTEM]be brief[USER]Hi[ANSWER]"), std::string::npos) << *text;
}

TEST_F(ChatTest, WithoutATemplateThereIsNoChat) {
  EXPECT_FALSE(ChatTemplate::Of(Loaded()).has_value());
  EXPECT_FALSE(ChatTemplate::Of(Loaded("{{ nobody knows this one }}")).has_value());
}

TEST_F(ChatTest, TheSystemPromptHasAPlaceInTheTemplate) {
  const SystemPromptFormat format(Loaded(kChatMl));
  EXPECT_EQ(format.role(), SystemRole::kOfTemplate);
  EXPECT_NE(TextOf(format.Tokens("Be brief.", "Why?"))
                .find("<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nWhy?"),
            std::string::npos);
}

TEST_F(ChatTest, ARefusedOrDroppedSystemRoleGoesIntoTheFirstMessage) {
  for (const char* source : {kNoSystem, kDrops}) {
    const SystemPromptFormat format(Loaded(source));
    EXPECT_EQ(format.role(), SystemRole::kFirstMessage) << source;
    EXPECT_NE(TextOf(format.Tokens("Be brief.", "Why?")).find("<user>Be brief.\nWhy?"),
              std::string::npos)
        << source;
  }
}

TEST_F(ChatTest, WithoutATemplateThePromptIsPlainText) {
  const SystemPromptFormat format(Loaded());
  EXPECT_EQ(format.role(), SystemRole::kPlainText);
  EXPECT_NE(TextOf(format.Tokens("Be brief.", "Why?")).find("Be brief.\n\nWhy?"),
            std::string::npos);
}

TEST_F(ChatTest, ThePrefixIsWhatAllQuestionsHaveInCommon) {
  const SystemPromptFormat format(Loaded(kChatMl));
  const std::vector<Token> prefix = format.Prefix("Be brief.", "Who?");
  const std::string text = TextOf(prefix);
  EXPECT_TRUE(text.ends_with("Be brief.<|im_end|>\n<|im_start|>user\n")) << text;
  for (const char* question : {"Who?", "Why?", "1", "\u00e5"}) {
    const std::vector<Token> all = format.Tokens("Be brief.", question);
    ASSERT_GT(all.size(), prefix.size());
    EXPECT_TRUE(std::equal(prefix.begin(), prefix.end(), all.begin())) << question;
  }
}

TEST_F(ChatTest, AKeptPrefixAnswersAsAnEvaluatedOne) {
  const Model& model = Loaded();
  Context::Options options;
  options.settings.context = 256;
  auto context = Context::Create(model, options);
  ASSERT_TRUE(context.ok());
  const std::vector<Token> prefix(40, 60);
  const std::vector<Token> question = {70, 71, 72};
  ASSERT_TRUE(context->Append(prefix).ok());
  const auto state = PrefixState::Save(*context);
  ASSERT_TRUE(state.ok());
  // 2 layers, K and V, 2 heads of 16, two bytes each, for every token; and some bookkeeping.
  EXPECT_GE(state->bytes(), 40U * 2 * 2 * 2 * 16 * 2);
  EXPECT_LT(state->bytes(), 40U * (2 * 2 * 2 * 16 * 2 + 16) + 256);
  ASSERT_TRUE(context->Append(question).ok());
  const std::vector<float> straight(context->Logits(-1), context->Logits(-1) + model.vocabulary());
  ASSERT_TRUE(context->Append(question).ok());
  ASSERT_TRUE(state->Restore(*context).ok());
  ASSERT_TRUE(context->Append(question).ok());
  for (int i = 0; i < model.vocabulary(); ++i)
    ASSERT_NEAR(context->Logits(-1)[i], straight[static_cast<size_t>(i)], 1e-4);
}

}  // namespace
}  // namespace trimma::chat_test
