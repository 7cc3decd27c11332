// What Ollamas of several versions answered (tests/data/ollama-*.json, recorded by
// tools/record_ollama.py), replayed: read by the client, and by the commands.
//
// 0.17.4 has a runner of its own, 0.33.0 starts llama-server. Both are the releases as `go install
// github.com/ollama/ollama@vVERSION` builds them; tests/data/README.md says with which
// llama-server.
#include <cpp-httplib/httplib.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <optional>
#include <thread>

#include "base/file.h"
#include "base/text.h"
#include "doctor/gather.h"
#include "doctor/running_version.h"
#include "ollama/client.h"
#include "ollama/errors.h"
#include "support/program.h"

namespace trimma::recorded_ollama_test {
namespace {

// Answers as the recording does to the same call: method, path and the request's `model`. What was
// not recorded is a failure.
class RecordedOllama {
 public:
  explicit RecordedOllama(const std::string& version) {
    const auto text = ReadSmallFile(TRIMMA_SOURCE_DIR "/tests/data/ollama-" + version + ".json");
    CHECK(text.ok());
    answers_ = Json::parse(*text);
    const auto answer = [this](const httplib::Request& request, httplib::Response& response) {
      Answer(request, response);
    };
    server_.Get(".*", answer);
    server_.Post(".*", answer);
    address_.port = server_.bind_to_any_port("127.0.0.1");
    thread_ = std::thread([this] { server_.listen_after_bind(); });
    server_.wait_until_ready();
  }
  ~RecordedOllama() {
    server_.stop();
    thread_.join();
  }
  const OllamaAddress& address() const { return address_; }
  const Json& Recorded(const std::string& method, const std::string& path,
                       const std::string& model = "") const {
    static const Json none;
    for (const Json& one : answers_) {
      if (one["method"] != method || one["path"] != path) continue;
      if (model.empty() || one["request"]["model"] == model) return one;
    }
    return none;
  }

 private:
  void Answer(const httplib::Request& request, httplib::Response& response) const {
    const Json body = request.body.empty() ? Json() : Json::parse(request.body);
    const std::string model = body.is_object() ? WithoutLatest(body.value("model", "")) : "";
    const Json& found = Recorded(request.method, request.path, model);
    if (found.is_null()) {
      ADD_FAILURE() << request.method << " " << request.path << " " << request.body;
      response.status = 500;
      return;
    }
    response.status = found["status"];
    response.set_content(found["body"].get<std::string>(), found["type"].get<std::string>());
  }
  static std::string WithoutLatest(const std::string& name) {
    return name.ends_with(":latest") ? name.substr(0, name.rfind(':')) : name;
  }

  Json answers_;
  httplib::Server server_;
  std::thread thread_;
  OllamaAddress address_;
};

class RecordedOllamaTest : public testing::TestWithParam<const char*> {
 protected:
  RecordedOllamaTest() : ollama_(GetParam()) {
    auto client = OllamaClient::ConnectTo(ollama_.address());
    CHECK(client.ok());
    client_.emplace(*std::move(client));
    options_.environment = {{"OLLAMA_HOST", ollama_.address().Text()}};
  }
  // The text that the recorded pieces are.
  std::string Said(const std::string& path, const std::string& model) const {
    std::string text;
    const std::string body = ollama_.Recorded("POST", path, model)["body"];
    for (const std::string& line : Split(body, '\n')) {
      if (line.empty()) continue;
      const Json json = Json::parse(line);
      text +=
          path == "/api/chat" ? json["message"].value("content", "") : json.value("response", "");
    }
    return text;
  }

  RecordedOllama ollama_;
  std::optional<OllamaClient> client_;
  const Sandbox box_;
  RunOptions options_;
};

TEST_P(RecordedOllamaTest, TheClientReadsWhatItIs) {
  EXPECT_EQ(client_->version(), GetParam());
  const auto tags = client_->Tags();
  ASSERT_TRUE(tags.ok());
  ASSERT_EQ(tags->size(), 2U);
  for (const OllamaTag& tag : *tags) {
    EXPECT_EQ(tag.type, "F16") << tag.name;
    EXPECT_GT(tag.bytes, 0U);
    EXPECT_EQ(tag.digest.size(), 64U);
  }
  EXPECT_TRUE(client_->FindTag("plain")->has_value());

  const auto show = client_->Show("tiny:1b");
  ASSERT_TRUE(show.ok()) << show.error().what;
  EXPECT_TRUE(IsOllamaDigest(show->weights_digest));
  EXPECT_EQ(show->chat_template, "<q>{{ .System }}{{ .Prompt }}<a>");
  EXPECT_EQ(show->system, "Be brief.");
  EXPECT_EQ(show->license, "Anyone may.");
  EXPECT_EQ(show->parameters,
            Json({{"num_ctx", 256}, {"num_thread", 1}, {"stop", {"<q>"}}, {"top_p", 0.5}}));
  EXPECT_EQ(show->type, "F16");
  EXPECT_EQ(show->family, "llama");
  EXPECT_EQ(show->architecture, "llama");
  EXPECT_GT(show->layers, 0U);
  EXPECT_GT(show->trained_context, 0U);
  EXPECT_FALSE(show->has_projector);
  EXPECT_EQ(show->capabilities, std::vector<std::string>{"completion"});
  EXPECT_EQ(client_->Show("absent").error().code, Code::kNotFound);

  const auto loaded = client_->Loaded();
  ASSERT_TRUE(loaded.ok());
  ASSERT_FALSE(loaded->empty());
  for (const OllamaLoaded& model : *loaded) {
    EXPECT_GT(model.bytes, 0U) << model.name;
    EXPECT_EQ(model.gpu_bytes, 0U) << model.name;
    EXPECT_EQ(model.context, 256U) << model.name;
  }
}

TEST_P(RecordedOllamaTest, TheClientReadsWhatItSays) {
  OllamaPrompt prompt;
  prompt.model = "tiny:1b";
  prompt.text = "one two three four five six";
  for (const bool chat : {false, true}) {
    SCOPED_TRACE(chat);
    const auto answer = chat ? client_->Chat({"tiny:1b", {{"user", "x"}}, Json::object(), {}}, {})
                             : client_->Generate(prompt, {});
    ASSERT_TRUE(answer.ok()) << answer.error().what;
    EXPECT_EQ(answer->text, Said(chat ? "/api/chat" : "/api/generate", "tiny:1b"));
    EXPECT_NE(answer->text, "");
    EXPECT_EQ(answer->thinking, "");
    EXPECT_EQ(answer->done_reason, "length");
    EXPECT_EQ(answer->answer_tokens, 6);
    EXPECT_GT(answer->prompt_tokens, 6);
    EXPECT_GT(answer->prompt_s, 0);
    EXPECT_GT(answer->load_s, 0);
    EXPECT_TRUE(answer->PrefillRate() && answer->DecodeRate());
  }
  prompt.model = "absent";
  EXPECT_EQ(client_->Generate(prompt, {}).error().code, Code::kNotFound);
  const auto absent = client_->Chat({"absent", {{"user", "x"}}, Json::object(), {}}, {});
  ASSERT_FALSE(absent.ok());
  EXPECT_EQ(absent.error().code, Code::kNotFound);
  EXPECT_EQ(absent.error().what.substr(0, kOllamaSays.size()), kOllamaSays);
}

TEST_P(RecordedOllamaTest, CommandsTakeItsAnswers) {
  box_.Write("prompts.txt", "How are you?\n");
  const Json compare =
      ExpectDocument(box_,
                     {"compare", "tiny:1b", "plain", "--through", "ollama", "--skip", "speed",
                      "--prompts", "prompts.txt", "--answer-tokens", "6"},
                     options_);
  ASSERT_FALSE(HasFailure());
  const Json& answers = compare["answers"][0]["answers"];
  EXPECT_EQ(answers[0]["text"], Said("/api/chat", "tiny:1b"));
  EXPECT_EQ(answers[1]["text"], Said("/api/generate", "plain")) << "it has no template";
  EXPECT_EQ(answers[0]["templated"], true);
  EXPECT_EQ(answers[1]["templated"], false);
  EXPECT_GT(answers[0]["prompt_tokens"], answers[1]["prompt_tokens"]);

  const Json measure = ExpectDocument(
      box_, {"measure", "tiny:1b", "--through", "ollama", "--rounds", "3"}, options_);
  EXPECT_EQ(measure["through"]["version"], GetParam());
  EXPECT_GT(measure["speed"]["prefill_tps"]["median"], 0);
  EXPECT_GT(measure["speed"]["decode_tps"]["median"], 0);
}

TEST_P(RecordedOllamaTest, DoctorKnowsWhichItIs) {
  Surroundings around;
  around.root = box_ / "root";
  around.ollama = ollama_.address();
  around.timeout_s = 5;
  const DoctorFacts facts = GatherFacts(around);
  ASSERT_TRUE(facts.ollama && facts.ollama->loaded && facts.models);
  const auto version = RunningVersion(facts);
  ASSERT_TRUE(version);
  EXPECT_EQ(RunsLlamaServer(*version), GetParam() != std::string("0.17.4"));
  EXPECT_EQ(facts.ollama->loaded->front().context, 256U);
  ASSERT_EQ(facts.models->size(), 2U);
  for (const DoctorModel& model : *facts.models) {
    EXPECT_EQ(model.architecture, "llama");
    ASSERT_TRUE(model.parameters);
    EXPECT_EQ(model.parameters->at("num_ctx"), "256");
  }
}

INSTANTIATE_TEST_SUITE_P(Versions, RecordedOllamaTest, testing::Values("0.17.4", "0.33.0"),
                         [](const auto& version) {
                           std::string name = version.param;
                           std::replace(name.begin(), name.end(), '.', '_');
                           return name;
                         });

}  // namespace
}  // namespace trimma::recorded_ollama_test
