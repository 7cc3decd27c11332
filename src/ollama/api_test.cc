// The client against servers that answer well, wrongly, too much, or not to the end.
#include <cpp-httplib/httplib.h>
#include <gtest/gtest.h>

#include <thread>

#include "hardware/temp_tree.h"
#include "ollama/client.h"
#include "ollama/errors.h"

namespace trimma::api_test {
namespace {

const std::string kDigest = "sha256:" + std::string(64, 'a');

class ApiTest : public testing::Test {
 protected:
  ApiTest() {
    server_.Get("/api/version", [](const httplib::Request&, httplib::Response& response) {
      response.set_content(R"({"version":"0.17.4"})", "application/json");
    });
  }
  ~ApiTest() override {
    server_.stop();
    if (thread_.joinable()) thread_.join();
  }
  // Answers every POST to `path` so.
  void Post(const char* path, const std::string& body, int status = 200) {
    server_.Post(path, [body, status](const httplib::Request&, httplib::Response& response) {
      response.status = status;
      response.set_content(body, "application/json");
    });
  }
  void Get(const char* path, const std::string& body) {
    server_.Get(path, [body](const httplib::Request&, httplib::Response& response) {
      response.set_content(body, "application/json");
    });
  }
  OllamaClient Client() {
    address_.port = server_.bind_to_any_port("127.0.0.1");
    thread_ = std::thread([this] { server_.listen_after_bind(); });
    server_.wait_until_ready();
    auto client = OllamaClient::ConnectTo(address_);
    CHECK(client.ok());
    return *std::move(client);
  }
  httplib::Server server_;
  std::thread thread_;
  OllamaAddress address_;
};

TEST_F(ApiTest, ReadsWhatIsThereAndWhatIsLoaded) {
  Get("/api/tags",
      R"({"models":[{"name":"Gemma3:4b","digest":"d1","size":9,"details":{"quantization_level":"Q8_0"}}]})");
  Get("/api/ps",
      R"({"models":[{"name":"g:latest","digest":"d1","size":9,"size_vram":4,"context_length":2048}]})");
  OllamaClient client = Client();
  EXPECT_EQ(client.version(), "0.17.4");
  const auto tag = client.FindTag("gemma3:4B");
  ASSERT_TRUE(tag.ok() && tag->has_value());
  EXPECT_EQ((*tag)->type, "Q8_0");
  EXPECT_FALSE(client.FindTag("gemma3")->has_value()) << "that is gemma3:latest";
  const auto loaded = client.Loaded();
  ASSERT_TRUE(loaded.ok());
  EXPECT_EQ(loaded->at(0).context, 2048U);
  EXPECT_EQ(loaded->at(0).gpu_bytes, 4U);
}

TEST_F(ApiTest, WhatIsNoAnswerOfOllamaIsInvalid) {
  std::string deep(100000, '[');
  std::string body;
  server_.Get("/api/tags", [&](const httplib::Request&, httplib::Response& response) {
    response.set_content(body, "application/json");
  });
  OllamaClient client = Client();
  for (const std::string& text :
       {std::string(), std::string("<html>"), std::string("[]"), std::string("{}"), deep,
        std::string(R"({"models":7})"), std::string(R"({"models":[7]})"),
        std::string(R"({"models":[{"name":7}]})"),
        std::string(R"({"models":[{"name":"\u001b[2J"}]})"), std::string(17 << 20, ' ')}) {
    body = text;
    const auto tags = client.Tags();
    ASSERT_FALSE(tags.ok()) << text.substr(0, 40);
    EXPECT_EQ(tags.error().code, Code::kInvalid) << text.substr(0, 40);
  }
  body = R"({"models":null})";
  EXPECT_TRUE(client.Tags().ok()) << "an empty list of Go's";
}

TEST_F(ApiTest, AnAnswerArrivesPieceByPiece) {
  server_.Post("/api/generate", [](const httplib::Request& request, httplib::Response& response) {
    const Json body = Json::parse(request.body);
    EXPECT_EQ(body["options"]["num_predict"], 3);
    EXPECT_EQ(body["raw"], true);
    response.set_chunked_content_provider(
        "application/x-ndjson", [](size_t, httplib::DataSink& sink) {
          for (const std::string piece :
               {"{\"response\":\"a\",\"done\":false}\n{\"resp", "onse\":\"b\",\"done\":false}\n",
                "{\"response\":\"\",\"done\":true,\"done_reason\":\"length\",\"eval_count\":10,"
                "\"eval_duration\":500000000,\"prompt_eval_count\":20,"
                "\"prompt_eval_duration\":250000000,\"load_duration\":1000000000}"}) {
            sink.write(piece.data(), piece.size());
          }
          sink.done();
          return true;
        });
  });
  OllamaClient client = Client();
  OllamaPrompt prompt;
  prompt.model = "g";
  prompt.text = "x";
  prompt.options["num_predict"] = 3;
  std::string pieces;
  const auto answer =
      client.Generate(prompt, [&](std::string_view text) { pieces += std::string(text) + "|"; });
  ASSERT_TRUE(answer.ok()) << answer.error().what;
  EXPECT_EQ(pieces, "a|b|");
  EXPECT_EQ(answer->text, "ab");
  EXPECT_EQ(answer->done_reason, "length");
  EXPECT_DOUBLE_EQ(*answer->DecodeRate(), 20);
  EXPECT_DOUBLE_EQ(*answer->PrefillRate(), 80);
  EXPECT_DOUBLE_EQ(answer->load_s, 1);
  EXPECT_GT(answer->total_s, 0);
}

TEST_F(ApiTest, AConversationIsAnsweredAndWhatIsThoughtIsKeptApart) {
  Json asked;
  server_.Post("/api/chat", [&](const httplib::Request& request, httplib::Response& response) {
    asked = Json::parse(request.body);
    response.set_content(
        "{\"message\":{\"role\":\"assistant\",\"content\":\"\",\"thinking\":\"h\"},\"done\":false}"
        "\n"
        "{\"message\":{\"role\":\"assistant\",\"content\":\"\",\"thinking\":\"m\"},\"done\":false}"
        "\n"
        "{\"message\":{\"role\":\"assistant\",\"content\":\"a\"},\"done\":false}\n"
        "{\"message\":7,\"response\":8,\"done\":false}\n"
        "{\"message\":{\"role\":\"assistant\",\"content\":\"\"},\"done\":true,"
        "\"done_reason\":\"stop\",\"eval_count\":5,\"prompt_eval_count\":9}\n",
        "application/x-ndjson");
  });
  OllamaClient client = Client();
  OllamaChat chat;
  chat.model = "g";
  chat.messages = {{"system", "Be brief."}, {"user", "x\xff"}};
  chat.options["num_predict"] = 3;
  std::string pieces;
  const auto answer =
      client.Chat(chat, [&](std::string_view text) { pieces += std::string(text) + "|"; });
  ASSERT_TRUE(answer.ok()) << answer.error().what;
  EXPECT_EQ(asked, Json::parse(R"({"model":"g","stream":true,"options":{"num_predict":3},
      "messages":[{"role":"system","content":"Be brief."},{"role":"user","content":"x\ufffd"}]})"));
  EXPECT_EQ(pieces, "h|m|a|");
  EXPECT_EQ(answer->thinking, "hm");
  EXPECT_EQ(answer->text, "a");
  EXPECT_EQ(answer->pieces, 3);
  EXPECT_EQ(answer->done_reason, "stop");
  EXPECT_EQ(answer->prompt_tokens, 9);
  EXPECT_EQ(answer->answer_tokens, 5);
}

TEST_F(ApiTest, AConversationEndsAsATextDoes) {
  std::string body;
  int status = 200;
  server_.Post("/api/chat", [&](const httplib::Request&, httplib::Response& response) {
    response.status = status;
    response.set_content(body, "application/json");
  });
  OllamaClient client = Client();
  const auto code = [&](const std::string& said, int with = 200) {
    body = said;
    status = with;
    const auto answer = client.Chat({"g", {{"user", "x"}}, Json::object(), {}}, {});
    return answer.ok() ? std::optional<Code>() : answer.error().code;
  };
  const std::string piece = R"({"message":{"role":"assistant","content":"a"},"done":false})";
  EXPECT_EQ(code(piece + "\n"), Code::kNetwork) << "it broke off";
  EXPECT_EQ(code(piece + "\n{\"error\":\"runner died\"}\n"), Code::kFailure);
  EXPECT_EQ(code(piece + "\n[]\n"), Code::kInvalid);
  EXPECT_EQ(code(piece + "\n<html>\n"), Code::kInvalid);
  EXPECT_EQ(code(std::string(17 << 20, ' ')), Code::kInvalid) << "a line without end";
  EXPECT_EQ(code(R"({"error":"\"g\" does not support chat"})", 400), Code::kInvalid);
  EXPECT_EQ(code(R"({"error":"model 'g' not found"})", 404), Code::kNotFound);
  EXPECT_EQ(code(R"({"error":"server busy"})", 503), Code::kBusy);
  EXPECT_EQ(code(R"({"done":true,"done_reason":"stop"})"), std::nullopt);
}

TEST_F(ApiTest, AnErrorInTheMiddleOfAStreamIsAnError) {
  Post("/api/generate",
       "{\"response\":\"a\",\"done\":false}\n{\"error\":\"runner \\u001b[2J died\"}\n");
  Post("/api/create", "{\"status\":\"parsing GGUF\"}\n");
  OllamaClient client = Client();
  const auto answer = client.Generate({"g", "x", Json::object(), {}, {}, {}}, {});
  ASSERT_FALSE(answer.ok());
  EXPECT_EQ(answer.error().code, Code::kFailure);
  EXPECT_EQ(answer.error().what, "Ollama says: runner ?[2J died");
  EXPECT_EQ(client.Create({}, {}).error().code, Code::kFailure) << "it never said success";
}

TEST_F(ApiTest, AnAnswerThatTakesTooLongIsCutAndStillCounts) {
  server_.Post("/api/generate", [](const httplib::Request&, httplib::Response& response) {
    response.set_chunked_content_provider(
        "application/x-ndjson", [](size_t, httplib::DataSink& sink) {
          const std::string line = "{\"response\":\"a\",\"done\":false}\n";
          std::this_thread::sleep_for(std::chrono::milliseconds(5));
          return sink.write(line.data(), line.size());
        });
  });
  OllamaClient client = Client();
  OllamaPrompt prompt;
  prompt.text = "x";
  prompt.most_seconds = 0.1;
  const auto answer = client.Generate(prompt, {});
  ASSERT_TRUE(answer.ok()) << answer.error().what;
  EXPECT_EQ(answer->done_reason, "cut");
  EXPECT_GT(answer->pieces, 0);
}

TEST_F(ApiTest, AnAnswerThatBreaksOffIsNoAnswer) {
  Post("/api/generate", "{\"response\":\"a\",\"done\":false}\n");
  OllamaClient client = Client();
  const auto answer = client.Generate({"g", "x", Json::object(), {}, {}, {}}, {});
  ASSERT_FALSE(answer.ok());
  EXPECT_EQ(answer.error().code, Code::kNetwork);
}

TEST_F(ApiTest, ServersThatGoAwayAreTheNetworksFault) {
  Get("/api/tags", R"({"models":[]})");
  OllamaClient client = Client();
  server_.stop();
  thread_.join();
  EXPECT_EQ(client.Tags().error().code, Code::kNetwork);
  const auto none = OllamaClient::ConnectTo(address_);
  ASSERT_FALSE(none.ok());
  EXPECT_EQ(none.error().code, Code::kNetwork);
  EXPECT_NE(none.error().hint.find("ollama serve"), std::string::npos);
}

TEST_F(ApiTest, ABlobIsSentWholeAndOnlyItsDigestIsAsked) {
  std::string got;
  server_.Post(R"(/api/blobs/(.+))", [&](const httplib::Request& request, httplib::Response& r) {
    got = request.matches[1].str() + " " + std::to_string(request.body.size());
    r.status = 201;
  });
  server_.Get(R"(/api/blobs/(.+))", [&](const httplib::Request& request, httplib::Response& r) {
    r.status = request.matches[1] == kDigest ? 200 : 404;
  });
  OllamaClient client = Client();
  EXPECT_TRUE(*client.HasBlob(kDigest));
  EXPECT_FALSE(*client.HasBlob("sha256:" + std::string(64, 'b')));
  TempTree tree;
  tree.Write("w.gguf", std::string(3 << 20, 'x'));
  double last = 0;
  ASSERT_TRUE(client.Upload(kDigest, tree / "w.gguf", [&](double share) { last = share; }).ok());
  EXPECT_EQ(got, kDigest + " " + std::to_string(3 << 20));
  EXPECT_EQ(last, 1);
}

TEST(OllamaErrorsTest, KeepItsSentenceAndOurCode) {
  const auto refused = [](int status, const char* body) {
    return OllamaRefused(status, body, "0.17.4");
  };
  EXPECT_EQ(refused(404, R"({"error":"model 'x' not found"})").code, Code::kNotFound);
  EXPECT_EQ(refused(404, R"({"error":"model 'x' not found"})").what,
            "Ollama says: model 'x' not found");
  EXPECT_EQ(refused(400, R"({"error":"invalid model name"})").code, Code::kInvalid);
  EXPECT_EQ(refused(503, R"({"error":"server busy"})").code, Code::kBusy);
  EXPECT_EQ(refused(403, R"({"error":"no"})").code, Code::kPermission);
  EXPECT_EQ(refused(502, "<html>bad gateway").code, Code::kInvalid);
  for (const Error& newer :
       {refused(412, R"({"error":"pull model manifest: 412: requires a newer version of Ollama"})"),
        refused(500, R"({"error":"unable to load model: unknown model architecture: 'zeta'"})")}) {
    EXPECT_NE(newer.hint.find("update Ollama, which is 0.17.4 here"), std::string::npos)
        << newer.what;
  }
}

TEST(OllamaTypesTest, ReadsParametersAsGoPrintsThem) {
  EXPECT_EQ(ParseParameters("num_ctx                        4096\n"
                            "temperature                    0.5\n"
                            "big                            1e+06\n"
                            "use_mmap                       false\n"
                            "stop                           \"<end>\"\n"
                            "stop                           \"\\x01\\u00e9\\a\\\"\"\n"
                            "broken                         map[x]\n"
                            "none\n"),
            Json({{"num_ctx", 4096},
                  {"temperature", 0.5},
                  {"big", 1e6},
                  {"use_mmap", false},
                  {"stop", {"<end>", "\x01\xc3\xa9\x07\""}}}));
  EXPECT_EQ(ParseParameters("stop \"a\"")["stop"], Json({"a"})) << "a list of one";
}

TEST(OllamaTypesTest, FindsTheBlobsInAModelfileAndNotInItsTexts) {
  Json json = {{"details", {{"family", "gemma3"}}},
               {"modelfile", "# FROM old\nFROM /m/blobs/sha256-" + std::string(64, 'a') +
                                 "\nFROM /m/blobs/sha256-" + std::string(64, 'b') +
                                 "\nTEMPLATE \"\"\"x\nFROM /m/blobs/sha256-" +
                                 std::string(64, 'c') + "\n\"\"\"\nRENDERER gemma\nPARSER p\n"}};
  const auto show = ParseShow(json);
  ASSERT_TRUE(show.ok());
  EXPECT_EQ(show->weights_digest, kDigest);
  EXPECT_EQ(show->projector_digests, std::vector{"sha256:" + std::string(64, 'b')});
  EXPECT_EQ(show->renderer, "gemma");
  EXPECT_EQ(show->parser, "p");
  for (const char* bad : {"[]", "{}", "{\"details\":7}", "7"})
    EXPECT_EQ(ParseShow(Json::parse(bad)).error().code, Code::kInvalid) << bad;
  EXPECT_FALSE(IsOllamaDigest("sha256:../../etc/passwd"));
  EXPECT_FALSE(IsOllamaDigest("sha256:" + std::string(64, 'A')));
}

}  // namespace
}  // namespace trimma::api_test
