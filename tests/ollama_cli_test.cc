// trimma and a real Ollama: models made there, checked and taken back. Skipped without Ollama.
#include <gtest/gtest.h>

#include "base/file.h"
#include "models/ollama_store.h"
#include "plan/file_hash.h"
#include "report/json_document.h"
#include "report/record.h"
#include "support/ollama_server.h"
#include "support/program.h"
#include "support/tiny_model.h"

namespace trimma::ollama_cli_test {
namespace {

class OllamaCli : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    if (OllamaProgram().empty()) return;
    server_ = OllamaServer::Start().release();
  }
  static void TearDownTestSuite() {
    delete server_;
    server_ = nullptr;
  }
  void SetUp() override {
    if (OllamaProgram().empty()) GTEST_SKIP() << "there is no ollama (TRIMMA_TEST_OLLAMA)";
    ASSERT_NE(server_, nullptr);
    OllamaClient client = server_->Client();
    weights_ = WriteTinyModel(box_ / "tiny.gguf");
    const std::string digest = "sha256:" + *HashFile(*InputFile::Open(weights_));
    ASSERT_TRUE(client.Upload(digest, weights_, {}).ok());
    OllamaCreate create;
    create.name = "tiny:1b";
    create.file_digests = {digest};
    create.chat_template = "<q>{{ .Prompt }}<a>";
    create.system = "Be brief.";
    create.license = "Anyone may.";
    create.parameters = {{"num_ctx", 256}, {"num_thread", 1}, {"stop", {"<q>"}}, {"top_p", 0.5}};
    const Status made = client.Create(create, {});
    ASSERT_TRUE(made.ok()) << made.error().what;
    options_.environment = {{"OLLAMA_HOST", server_->host()}, {"OLLAMA_MODELS", server_->models()}};
  }
  void TearDown() override {
    if (server_ == nullptr) return;
    OllamaClient client = server_->Client();
    const auto tags = client.Tags();
    ASSERT_TRUE(tags.ok());
    for (const OllamaTag& tag : *tags) EXPECT_TRUE(client.Delete(tag.name).ok());
  }
  // A record about tiny:1b whose weights are at `path`; "": as Ollama stores them.
  void WriteRecord(const std::string& path = "", uint32_t context = 128) {
    OptimizeRecord record;
    record.created = "2025-01-02T03:04:05Z";
    record.model_argument = "ollama:tiny:1b";
    const auto stored = OpenOllamaModel(server_->models(), *ParseOllamaName("tiny:1b"));
    ASSERT_TRUE(stored.ok()) << stored.error().what;
    record.model_path = stored->path;
    record.files.model = path.empty() ? stored->path : path;
    record.after.settings.context = context;
    record.after.settings.threads = 1;
    record.after.settings.ubatch = 64;
    record.sampling = {0.7, 0.9, "balanced"};
    box_.Write("record.json", DumpDocument(ToJson(record)));
  }
  std::vector<std::string> Names() const {
    std::vector<std::string> names;
    OllamaClient client = server_->Client();
    const auto tags = client.Tags();
    for (const OllamaTag& tag : *tags) names.push_back(tag.name);
    std::sort(names.begin(), names.end());
    return names;
  }
  std::string DigestOf(const std::string& name) const {
    OllamaClient client = server_->Client();
    const auto tag = client.FindTag(name);
    return tag.ok() && tag->has_value() ? (*tag)->digest : "";
  }
  using Words = std::vector<std::string>;

  static OllamaServer* server_;
  const Sandbox box_;
  std::string weights_;
  RunOptions options_;
};
OllamaServer* OllamaCli::server_ = nullptr;

TEST_F(OllamaCli, ANewModelHasTheTunedSettingsAndAllThatWasTheOriginals) {
  WriteRecord();
  const std::string original = DigestOf("tiny:1b");
  const Json dry =
      ExpectDocument(box_, {"apply", "record.json", "--ollama", "tuned", "--dry-run"}, options_);
  EXPECT_EQ(Names(), (Words{"tiny:1b"})) << "a dry run";
  EXPECT_TRUE(dry["changes"][0]["before"].is_null());
  const Json apply = ExpectDocument(
      box_, {"apply", "record.json", "--ollama", "tuned", "--seconds", "0"}, options_);
  ASSERT_FALSE(HasFailure()) << server_->Log();
  EXPECT_EQ(apply["changes"][0]["target"], "ollama:tuned:latest");
  const Json& made = apply["ollama"]["made"];
  EXPECT_EQ(made["sent_bytes"], 0);
  EXPECT_EQ(made["loaded"]["context"], 128);
  EXPECT_EQ(made["notes"], Json::array());
  OllamaClient client = server_->Client();
  const auto show = client.Show("tuned");
  ASSERT_TRUE(show.ok());
  EXPECT_EQ(show->parameters, Json({{"num_ctx", 128},
                                    {"num_thread", 1},
                                    {"num_batch", 64},
                                    {"stop", {"<q>"}},
                                    {"temperature", 0.7},
                                    {"top_p", 0.5}}))
      << "its own top_p stays";
  EXPECT_EQ(show->system, "Be brief.");
  EXPECT_EQ(show->chat_template, "<q>{{ .Prompt }}<a>");
  EXPECT_EQ(show->license, "Anyone may.");
  EXPECT_NE(box_.Run({"apply", "record.json", "--ollama", "tuned"}, options_)
                .out.find("nothing to change"),
            std::string::npos);
  ExpectDocument(box_, {"apply", "--undo"}, options_);
  EXPECT_EQ(Names(), (Words{"tiny:1b"}));
  EXPECT_EQ(DigestOf("tiny:1b"), original);
}

TEST_F(OllamaCli, AModelThatIsReplacedComesBack) {
  TinyModelOptions other;
  other.seed = 2;
  WriteRecord(WriteTinyModel(box_ / "other.gguf", other));
  const std::string original = DigestOf("tiny:1b");
  const Json apply = ExpectDocument(
      box_,
      {"apply", "record.json", "--ollama", "tiny:1b", "--config", "app.toml", "--seconds", "0"},
      options_);
  ASSERT_FALSE(HasFailure()) << server_->Log();
  EXPECT_NE(box_.Read("app.toml").find("name = \"tiny:1b\""), std::string::npos);
  EXPECT_GT(apply["ollama"]["made"]["sent_bytes"], 0);
  EXPECT_NE(DigestOf("tiny:1b"), original);
  OllamaClient client = server_->Client();
  EXPECT_EQ(client.Show("tiny:1b")->system, "Be brief.") << "of other weights too";
  EXPECT_EQ(Names().size(), 2U) << "the former model is kept";
  EXPECT_NE(box_.Run({"apply", "record.json", "--ollama", "tiny:1b"}, options_)
                .out.find("nothing to change"),
            std::string::npos);
  ExpectDocument(box_, {"apply", "--undo", "--dry-run"}, options_);
  EXPECT_EQ(Names().size(), 2U);
  ExpectDocument(box_, {"apply", "--undo"}, options_);
  EXPECT_EQ(Names(), (Words{"tiny:1b"}));
  EXPECT_EQ(DigestOf("tiny:1b"), original);
  EXPECT_FALSE(box_.Exists("app.toml"));
}

TEST_F(OllamaCli, ACopyOfTheUsersOwnIsNeverDeletedByAnotherApply) {
  const Words apply = {"apply", "record.json", "--ollama", "tiny:1b", "--seconds", "0"};
  WriteRecord();
  ExpectDocument(box_, apply, options_);
  const Words once = Names();
  WriteRecord("", 64);
  ExpectDocument(box_, apply, options_);
  EXPECT_EQ(Names(), once) << "the copy of the original, and no other";
  const Json other = ExpectDocument(
      box_, {"apply", "record.json", "--ollama", "tuned", "--seconds", "0"}, options_);
  ASSERT_FALSE(HasFailure()) << server_->Log();
  EXPECT_NE(other["ollama"]["made"]["notes"].dump().find("ollama rm tiny:1b-kept-"),
            std::string::npos)
      << other["ollama"];
  EXPECT_EQ(Names().size(), 3U) << "what was the user's own stays";
}

TEST_F(OllamaCli, AppliedTwiceAnUndoGoesBackToTheUsersOwn) {
  const std::string original = DigestOf("tiny:1b");
  const Words apply = {"apply", "record.json", "--ollama", "tiny:1b", "--seconds", "0"};
  WriteRecord();
  ExpectDocument(box_, apply, options_);
  WriteRecord("", 64);
  ExpectDocument(box_, apply, options_);
  const Json undo = ExpectDocument(box_, {"apply", "--undo"}, options_);
  EXPECT_EQ(undo["changes"][0]["target"], "ollama:tiny:1b");
  EXPECT_TRUE(undo["undo"].is_string());
  EXPECT_EQ(Names(), (Words{"tiny:1b"}));
  EXPECT_EQ(DigestOf("tiny:1b"), original);
}

TEST_F(OllamaCli, WhatSomeoneElseChangedSinceIsNotTakenBack) {
  WriteRecord();
  ExpectDocument(box_, {"apply", "record.json", "--ollama", "tuned", "--seconds", "0"}, options_);
  OllamaClient client = server_->Client();
  OllamaCreate mine;
  mine.name = "tuned";
  mine.from = "tuned";
  mine.system = "Mine.";
  ASSERT_TRUE(client.Create(mine, {}).ok());
  ExpectRefused(box_, {"apply", "--undo"}, Code::kBusy, "changed in Ollama since", options_);
  EXPECT_EQ(client.Show("tuned")->system, "Mine.");
}

TEST_F(OllamaCli, AModelThatOllamaCannotRunIsTakenBack) {
  TinyModel strange = MakeTinyModel();
  strange.metadata.Set("general.architecture", Value(std::string("zeta")));
  box_.Write("strange.gguf", Assemble(strange));
  WriteRecord(box_ / "strange.gguf");
  const std::string original = DigestOf("tiny:1b");
  // From 0.30 on Ollama refuses to make it, before it loads it in vain.
  ExpectRefused(box_, {"apply", "record.json", "--ollama", "tiny:1b"}, Code::kFailure,
                "Ollama says: ", options_);
  EXPECT_EQ(Names(), (Words{"tiny:1b"}));
  EXPECT_EQ(DigestOf("tiny:1b"), original);
  ExpectRefused(box_, {"apply", "--undo"}, Code::kNotFound, "take back", options_);
}

TEST_F(OllamaCli, ARunningOllamaIsMeasuredThroughItsApi) {
  const Json measure =
      ExpectDocument(box_,
                     {"measure", "ollama:tiny:1b", "--through", "ollama", "--rounds", "3",
                      "--prompt-tokens", "16", "--decode-tokens", "8", "--threads", "1"},
                     options_);
  ASSERT_FALSE(HasFailure()) << server_->Log();
  EXPECT_GT(measure["speed"]["prefill_tps"]["median"], 0);
  EXPECT_TRUE(measure["quality"].is_null());
  EXPECT_EQ(measure["through"]["options"], Json({{"num_thread", 1}}));
  ExpectRefused(box_, {"measure", "tiny:1b", "--through", "ollama", "--quality"}, Code::kUsage,
                "no logits", options_);
  ExpectRefused(box_, {"measure", "tiny:1b", "--through", "ollama", "--kv", "q8_0"}, Code::kUsage,
                "environment", options_);
  ExpectRefused(box_, {"measure", "tiny:1b", "--through", "ollama", "--max-kld", "0.1"},
                Code::kUsage, "--max-kld has no meaning", options_);
  ExpectRefused(box_, {"tune", "tiny:1b", "--through", "ollama", "--users", "2"}, Code::kUsage,
                "--users has no meaning", options_);
  ExpectRefused(box_, {"measure", "tiny:1b", "--through", "ollama", "--no-repack"}, Code::kUsage,
                "--no-repack", options_);
  ExpectRefused(box_, {"measure", "absent", "--through", "ollama"}, Code::kNotFound, "absent",
                options_);
}

TEST_F(OllamaCli, AnswersAreComparedAsAnApplicationGetsThem) {
  OllamaClient client = server_->Client();
  ASSERT_TRUE(client.Copy("tiny:1b", "same:1b").ok());
  OllamaCreate plain;
  plain.name = "plain:1b";
  plain.file_digests = {"sha256:" + *HashFile(*InputFile::Open(weights_))};
  plain.parameters = {{"num_ctx", 256}, {"num_thread", 1}};
  const Status made = client.Create(plain, {});
  ASSERT_TRUE(made.ok()) << made.error().what;
  box_.Write("prompts.txt", "How are you?\n");
  const Json compare = ExpectDocument(
      box_,
      {"compare", "tiny:1b", "same:1b", "plain:1b", "--through", "ollama", "--skip", "speed",
       "--prompts", "prompts.txt", "--answer-tokens", "6", "--threads", "1"},
      options_);
  ASSERT_FALSE(HasFailure()) << server_->Log();
  const Json& answers = compare["answers"][0]["answers"];
  ASSERT_EQ(answers.size(), 3U) << compare;
  EXPECT_EQ(answers[0]["text"], answers[1]["text"]);
  EXPECT_TRUE(answers[0]["templated"].get<bool>());
  EXPECT_FALSE(answers[2]["templated"].get<bool>());
  EXPECT_GT(answers[0]["prompt_tokens"].get<int>(),
            answers[2]["prompt_tokens"].get<int>() + static_cast<int>(std::string("<q>").size()))
      << "the template and the system prompt come with it";
  const auto chat =
      client.Chat({"tiny:1b", {{"user", "How are you?"}}, Json{{"num_predict", 6}}, {}}, {});
  ASSERT_TRUE(chat.ok()) << chat.error().what;
  EXPECT_EQ(answers[0]["prompt_tokens"], chat->prompt_tokens);
}

}  // namespace
}  // namespace trimma::ollama_cli_test
