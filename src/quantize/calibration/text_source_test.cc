#include "quantize/calibration/text_source.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "base/file.h"
#include "engine/chat.h"
#include "gguf/writer.h"
#include "hardware/temp_tree.h"
#include "quantize/calibration/prompts.h"
#include "support/tiny_model.h"

namespace trimma::text_source_test {
namespace {

constexpr const char* kEnglish =
    "The miller of the village had a cat that was as old as the mill, and it is said that the two "
    "of them were never seen apart from each other. ";
constexpr const char* kGerman =
    "Der Müller und die Katze sind nicht zu trennen, und das ist auch gut so, denn die Mäuse "
    "werden von ihr mit Fleiß gejagt. ";

class TextSourceTest : public testing::Test {
 protected:
  Model Loaded(const std::string& chat_template = "") {
    TinyModel tiny = MakeTinyModel();
    if (!chat_template.empty()) tiny.metadata.Set("tokenizer.chat_template", chat_template);
    tree_.Write("tiny.gguf", Assemble(tiny));
    Result<Model> model = Model::Load(tree_ / "tiny.gguf", {});
    CHECK(model.ok());
    return std::move(model).value();
  }
  std::string File(const std::string& piece, int times) {
    std::string text;
    for (int i = 0; i < times; ++i) text += piece;
    tree_.Write("own.txt", text);
    return tree_ / "own.txt";
  }
  static ObtainedText Obtained(const Model& model, const TextRequest& request) {
    auto text = ObtainText(model, request, [](double share) { EXPECT_LE(share, 1); });
    CHECK(text.ok());
    return std::move(text).value();
  }

  TempTree tree_;
};

// As SmolLM2 and many others have it.
constexpr const char* kChatMl =
    "{% for message in messages %}{{'<|im_start|>' + message['role'] + '\\n' + message['content'] "
    "+ "
    "'<|im_end|>' + '\\n'}}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' "
    "}}{% endif %}";

TEST_F(TextSourceTest, AFileAloneIsTakenAsItIs) {
  const Model model = Loaded();
  const ObtainedText text = Obtained(model, {File(kEnglish, 30), false, 1, 100});
  EXPECT_TRUE(text.generated.chunks.empty());
  EXPECT_EQ(text.record.file, "own.txt");
  EXPECT_EQ(text.record.file_chunks, text.file.chunks.size());
  EXPECT_EQ(text.record.chunk_tokens, 512);
  EXPECT_EQ(text.record.seeds, 0);
  EXPECT_EQ(text.All().description, "own.txt");
}

TEST_F(TextSourceTest, TextInOneLanguageIsSaidToBe) {
  const Model model = Loaded();
  const ObtainedText english = Obtained(model, {File(kEnglish, 30), false, 1, 100});
  ASSERT_EQ(english.record.languages.size(), 1);
  EXPECT_EQ(english.record.languages[0].language, "English");
  ASSERT_EQ(english.notes.size(), 1);
  EXPECT_NE(english.notes[0].find("looks like English alone"), std::string::npos);

  tree_.Write("two.txt", *ReadSmallFile(File(kEnglish, 30)) + *ReadSmallFile(File(kGerman, 30)));
  const ObtainedText two = Obtained(model, {tree_ / "two.txt", false, 1, 100});
  EXPECT_GE(two.record.languages.size(), 2);
  EXPECT_TRUE(two.notes.empty());
}

TEST_F(TextSourceTest, AShortFileIsCutIntoShortChunks) {
  const Model model = Loaded();
  const ObtainedText text = Obtained(model, {File(kEnglish, 2), false, 1, 100});
  EXPECT_GE(text.file.chunks.size(), 2);
  EXPECT_LT(text.record.chunk_tokens, 512);
  const auto none = ObtainText(model, {File("too short", 1), false, 1, 100}, [](double) {});
  ASSERT_FALSE(none.ok());
  EXPECT_EQ(none.error().code, Code::kInvalid);
  EXPECT_NE(none.error().hint.find("--generate"), std::string::npos);
  EXPECT_EQ(ObtainText(model, {tree_ / "none", false, 1, 100}, [](double) {}).error().code,
            Code::kNotFound);
}

TEST_F(TextSourceTest, AModelWithoutATemplateWritesFromItsBeginningOfText) {
  const Model model = Loaded();
  const ObtainedText text = Obtained(model, {std::nullopt, true, 0.001, 100});
  // 16 sequences of 64 tokens, when the time is up, make two chunks.
  ASSERT_EQ(text.generated.chunks.size(), 2);
  EXPECT_EQ(text.record.sequences, 16);
  EXPECT_EQ(text.record.chats, 0);
  EXPECT_TRUE(text.record.prompted_in.empty());
  for (const std::vector<Token>& chunk : text.generated.chunks) {
    ASSERT_EQ(chunk.size(), 512);
    for (size_t i = 0; i < chunk.size(); i += 64) EXPECT_EQ(chunk[i], model.bos());
  }
}

TEST_F(TextSourceTest, EveryRoundHasASeedOfItsOwn) {
  const Model model = Loaded();
  const ObtainedText text = Obtained(model, {std::nullopt, true, 300, 20});
  EXPECT_EQ(text.generated.chunks.size(), 20);
  EXPECT_EQ(text.record.seeds, 2);
  const std::set<std::vector<Token>> distinct(text.generated.chunks.begin(),
                                              text.generated.chunks.end());
  EXPECT_EQ(distinct.size(), 20);
}

TEST_F(TextSourceTest, WhereThereIsATemplateHalfOfTheSequencesAreAnswers) {
  const Model model = Loaded(kChatMl);
  const ObtainedText text = Obtained(model, {std::nullopt, true, 0.001, 100});
  EXPECT_EQ(text.record.sequences, 16);
  EXPECT_EQ(text.record.chats, 8);
  EXPECT_EQ(text.record.prompted_in[0], "en");
  EXPECT_GE(text.record.prompted_in.size(), 5);
  const auto chat = ChatWith(model, Prompts()[0].text);
  ASSERT_TRUE(chat.has_value());
  EXPECT_LE(model.Detokenize(chat->opening).find("<|im_start|>user"), 1);  // after a space
  // The second sequence; its first 64 tokens are all of the prompt.
  const auto from = text.generated.chunks[0].begin() + 64;
  EXPECT_TRUE(std::equal(from, from + 64, chat->opening.begin()));
}

TEST_F(TextSourceTest, AnAnswersEndIsAsTheTemplatePutsIt) {
  const Model model = Loaded(kChatMl);
  const auto chat = ChatWith(model, "Hello");
  ASSERT_TRUE(chat.has_value());
  EXPECT_EQ(model.Detokenize(chat->following),
            "<|im_end|>\n<|im_start|>user\nHello<|im_end|>\n<|im_start|>assistant\n");
  EXPECT_FALSE(ChatWith(Loaded(), "Hello").has_value());
  EXPECT_FALSE(ChatWith(Loaded("{{ nobody knows this one }}"), "Hello").has_value());
}

TEST_F(TextSourceTest, AFileAndTheModelMakeOneText) {
  const Model model = Loaded();
  const ObtainedText text = Obtained(model, {File(kEnglish, 30), true, 0.001, 8});
  EXPECT_EQ(text.file.chunks.size() + text.generated.chunks.size(), 8);
  EXPECT_EQ(text.generated.chunks.size(), 2);
  EXPECT_EQ(text.All().chunks.size(), 8);
  EXPECT_EQ(text.All().description, "own.txt and text the model wrote");
  EXPECT_TRUE(text.notes.empty());
  // The model's first sequence goes on from the file.
  const std::vector<Token> own = model.Tokenize(kEnglish, false);
  EXPECT_TRUE(std::equal(own.begin(), own.begin() + 24, text.generated.chunks[0].begin() + 1));
}

TEST_F(TextSourceTest, AFileTooShortForChunksStillBeginsSequences) {
  const Model model = Loaded();
  const ObtainedText text = Obtained(model, {File("Be brief and kind.", 1), true, 0.001, 8});
  EXPECT_TRUE(text.file.chunks.empty());
  EXPECT_EQ(text.record.file, "own.txt");
  ASSERT_EQ(text.notes.size(), 1);
  EXPECT_NE(text.notes[0].find("own.txt is too short"), std::string::npos);
  const std::vector<Token> own = model.Tokenize("Be brief", false);
  EXPECT_TRUE(std::equal(own.begin(), own.end(), text.generated.chunks[0].begin() + 1));
}

TEST(PromptsTest, AreInManyLanguagesAndInCode) {
  std::set<std::string> languages;
  for (const Prompt& prompt : Prompts()) languages.insert(prompt.language);
  EXPECT_GE(languages.size(), 15);
  EXPECT_EQ(languages.count("code"), 1);
}

TEST(LearningTextTest, ComesBackFromJsonAndTakesTheSameRoom) {
  const LearningText text = {"a.txt",
                             std::string(64, 'e'),
                             80,
                             80,
                             96,
                             48,
                             4711,
                             6,
                             512,
                             {"en", "code"},
                             {{"English", 100}, {"", 50}, {"code", 10}}};
  EXPECT_EQ(LearningTextFromJson(ToJson(text)), text);
  EXPECT_EQ(DescribeLanguages(text), "English 62 %, unknown 31 %, code 6 %");
  LearningText many = text;
  for (int i = 0; i < 30; ++i) many.languages.push_back({"Danish or Norwegian", 1});
  EXPECT_LE(DescribeLanguages(many).size(), kLanguagesBytes);
  const auto bytes = [](const LearningText& of) {
    Metadata metadata;
    Tell(of, metadata);
    return LayOutGguf(metadata, {})->header.size();
  };
  EXPECT_EQ(bytes(text), bytes(many));
  EXPECT_EQ(bytes(text), bytes({}));
}

}  // namespace
}  // namespace trimma::text_source_test
