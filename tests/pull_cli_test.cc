// `trimma pull`, `models --online`, and planning what isn't here, as a user runs them, against a
// server on loopback.
#include <gtest/gtest.h>

#include "net/raw_server.h"
#include "net/sha256.h"
#include "support/program.h"
#include "support/tiny_model.h"

namespace trimma::pull_cli_test {
namespace {

class PullCliTest : public testing::Test {
 protected:
  PullCliTest()
      : model_(Assemble(MakeTinyModel())),
        server_([this](const RawRequest& request, const RawSend& send) {
          return send(Answer(request));
        }) {
    // Nobody listens at port 1: no Ollama answers.
    options_.environment = {{"OLLAMA_HOST", "127.0.0.1:1"},
                            {"HF_ENDPOINT", "http://" + server_.host()},
                            {"HF_TOKEN", "hf_x"}};
  }
  std::string Answer(const RawRequest& request) const {
    const std::string path = request.path();
    const std::string sum = Sha256Hex(model_);
    if (path == "/v2/library/tiny/manifests/1b") {
      return RawAnswer(
          "200 OK", "",
          fmt::format(R"({{"config":{{"digest":"sha256:{}","size":2}},"layers":[{{"mediaType":)"
                      R"("application/vnd.ollama.image.model","digest":"sha256:{}","size":{}}}]}})",
                      Sha256Hex("{}"), sum, model_.size()));
    }
    if (path.ends_with(Sha256Hex("{}"))) return RawFile(request, "{}");
    if (path.ends_with(sum) || path.find("/resolve/") != std::string::npos)
      return RawFile(request, model_);
    if (path == "/v2/library/tiny/tags/list") return RawAnswer("200 OK", "", R"({"tags":["1b"]})");
    const std::string commit(40, 'c');
    if (path == "/api/models/u/tiny/refs")
      return RawAnswer("200 OK", "",
                       R"({"branches":[{"name":"main","targetCommit":")" + commit + "\"}]}");
    if (path.starts_with("/api/models/u/tiny/tree/" + commit)) {
      return RawAnswer("200 OK", "",
                       fmt::format(R"([{{"type":"file","path":"tiny-F16.gguf","size":{},)"
                                   R"("lfs":{{"oid":"{}"}}}}])",
                                   model_.size(), sum));
    }
    return RawAnswer("404 Not Found", "", "");
  }
  std::string Name(const std::string& tag) const {
    return fmt::format("ollama:{}/library/tiny:{}", server_.host(), tag);
  }

  std::string model_;
  RawServer server_;
  Sandbox box_;
  RunOptions options_;
};

TEST_F(PullCliTest, WhatWasPulledIsThereForEveryCommand) {
  const Json pulled = ExpectDocument(box_, {"pull", Name("1b")}, options_);
  EXPECT_EQ(pulled["schema"], "trimma.pull/1");
  EXPECT_EQ(pulled["source"], "ollama");
  EXPECT_EQ(pulled["by"], "trimma");
  EXPECT_EQ(pulled["fetched_bytes"], model_.size() + 2);
  const Json hub = ExpectDocument(box_, {"pull", "hf:u/tiny"}, options_);
  EXPECT_EQ(hub["name"], "hf:u/tiny:F16");
  const Json models = ExpectDocument(box_, {"models"}, options_);
  EXPECT_EQ(models["schema"], "trimma.models/1");
  EXPECT_EQ(models["items"].size(), 2U);
  const Json inspected = ExpectDocument(box_, {"inspect", "hf:u/tiny"}, options_);
  EXPECT_TRUE(inspected["header_from"].is_null());
  EXPECT_EQ(inspected["file_bytes"], model_.size());
  for (const char* name : {"hf:u/tiny:f16", "u/tiny:F16", "tiny:f16", "hf:u/tiny:tiny-f16.gguf"})
    ExpectDocument(box_, {"models", name}, options_);
  ExpectRefused(box_, {"models", "hf:u/tiny:Q2_K"}, Code::kNotFound, "does not exist", options_);
  const Json online = ExpectDocument(box_, {"models", Name("1b"), "--online"}, options_);
  ASSERT_EQ(online["online"].size(), 1U);
  EXPECT_EQ(online["online"][0]["projector"], "none");
  EXPECT_EQ(online["online"][0]["here"], true);
}

TEST_F(PullCliTest, PlainHttpIsTheUsersWord) {
  const std::string name = fmt::format("ollama:http://{}/library/tiny:1b", server_.host());
  for (const std::vector<std::string>& call : std::vector<std::vector<std::string>>{
           {"pull", name}, {"inspect", name}, {"plan", name}, {"models", name, "--online"}}) {
    ExpectRefused(box_, call, Code::kNetwork, "without encryption", options_);
  }
  const Json inspected = ExpectDocument(box_, {"inspect", name, "--insecure"}, options_);
  EXPECT_EQ(inspected["header_from"], server_.host());
  const Json plan = ExpectDocument(box_, {"plan", name, "--insecure", "--gpu", "none"}, options_);
  EXPECT_EQ(plan["header_from"], server_.host());
  const Json pulled = ExpectDocument(box_, {"pull", name, "--insecure"}, options_);
  EXPECT_EQ(pulled["name"], Name("1b"));
  EXPECT_TRUE(ExpectDocument(box_, {"inspect", name}, options_)["header_from"].is_null());

  RunOptions elsewhere = options_;
  elsewhere.environment["HF_ENDPOINT"] = "http://models.invalid";
  ExpectRefused(box_, {"inspect", "hf:v/tiny"}, Code::kNetwork, "without encryption", elsewhere);
  const ProgramEnd asked = box_.Run({"inspect", "hf:v/tiny", "--insecure"}, elsewhere);
  EXPECT_EQ(asked.exit_code, static_cast<int>(Code::kNetwork));
  EXPECT_EQ(asked.err.find("without encryption"), std::string::npos) << asked.err;
}

TEST_F(PullCliTest, WhatIsNotHereIsPlannedFromItsHeader) {
  const auto before = box_.Snapshot();
  for (const std::string& name : {Name("1b"), std::string("hf:u/tiny")}) {
    const Json inspected = ExpectDocument(box_, {"inspect", name}, options_);
    EXPECT_EQ(inspected["header_from"], server_.host());
    EXPECT_EQ(inspected["file_bytes"], model_.size());
    const Json plan = ExpectDocument(box_, {"plan", name, "--gpu", "none"}, options_);
    EXPECT_EQ(plan["header_from"], server_.host());
  }
  EXPECT_EQ(box_.Snapshot(), before);
}

TEST_F(PullCliTest, AStoreThatIsDamagedIsNotPassedOver) {
  const Json pulled = ExpectDocument(box_, {"pull", Name("1b")}, options_);
  ASSERT_EQ(std::remove(pulled["path"].get<std::string>().c_str()), 0);
  const size_t asked = server_.requests().size();
  ExpectRefused(box_, {"inspect", Name("1b")}, Code::kInvalid, "is not in", options_);
  EXPECT_EQ(server_.requests().size(), asked);
}

TEST_F(PullCliTest, APullNeedsAHome) {
  RunOptions homeless = options_;
  for (const char* name : {"HOME", "HF_HOME", "HF_HUB_CACHE", "XDG_CACHE_HOME", "OLLAMA_MODELS"})
    homeless.environment[name] = "";
  ExpectRefused(box_, {"pull", "hf:u/tiny"}, Code::kUsage, "no home", homeless);
  ExpectRefused(box_, {"pull", Name("1b")}, Code::kUsage, "no home", homeless);
  ExpectRefused(box_, {"pull", Name("1b"), "--no-projector"}, Code::kUsage, "--no-projector",
                options_);
}

TEST_F(PullCliTest, AProxyIsNotAskedForThisMachine) {
  for (const char* name : {"http_proxy", "all_proxy"})
    options_.environment[name] = "http://127.0.0.1:1";
  EXPECT_EQ(ExpectDocument(box_, {"inspect", "hf:u/tiny"}, options_)["header_from"],
            server_.host());
}

TEST_F(PullCliTest, WhatDoesNotExistIsSaidInOneSentence) {
  ExpectRefused(box_, {"pull", Name("1b-q4_0")}, Code::kNotFound, "does not exist", options_);
  ExpectRefused(box_, {"inspect", Name("1b-q4_0")}, Code::kNotFound, "does not exist", options_);
  ExpectRefused(box_, {"models", Name("1b-q4_0"), "--online"}, Code::kNotFound, "does not exist",
                options_);
  ExpectRefused(box_, {"pull", "hf:u/tiny:Q4_0"}, Code::kNotFound, "has no model", options_);
  ExpectRefused(box_, {"pull", "hf:u/other"}, Code::kNotFound, "no repository", options_);
  ExpectRefused(box_, {"pull", "u/tiny"}, Code::kUsage, "Ollama or of Hugging Face", options_);
  ExpectRefused(box_, {"pull", "lmstudio:u/tiny"}, Code::kUsage, "no registry", options_);
  ExpectRefused(box_, {"pull", "hf:../../etc"}, Code::kUsage, "no repository", options_);
  ExpectRefused(box_, {"pull", "ollama:http.example.invalid/a/b"}, Code::kNetwork, "can't be asked",
                options_);
}

TEST_F(PullCliTest, ABareNameNeverAsksTheNetwork) {
  const std::string bare = Name("1b").substr(std::string("ollama:").size());
  ExpectRefused(box_, {"inspect", bare}, Code::kNotFound, "no model", options_);
  ExpectRefused(box_, {"plan", "u/tiny"}, Code::kNotFound, "no model", options_);
  EXPECT_TRUE(server_.requests().empty());
}

}  // namespace
}  // namespace trimma::pull_cli_test
