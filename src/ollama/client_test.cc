#include "ollama/client.h"

#include <cpp-httplib/httplib.h>
#include <gtest/gtest.h>

#include <chrono>
#include <cstdlib>
#include <functional>
#include <thread>

namespace trimma::client_test {
namespace {

OllamaAddress Address(const char* text) {
  return ParseOllamaHost(text).value_or(OllamaAddress{"none", 0});
}

TEST(OllamaHostTest, ReadsTheFormsThatOllamaReads) {
  EXPECT_EQ(Address(""), (OllamaAddress{"127.0.0.1", 11434}));
  EXPECT_EQ(Address(" \"box\" "), (OllamaAddress{"box", 11434}));
  EXPECT_EQ(Address("box:1234"), (OllamaAddress{"box", 1234}));
  EXPECT_EQ(Address(":1234"), (OllamaAddress{"127.0.0.1", 1234}));
  EXPECT_EQ(Address("http://box"), (OllamaAddress{"box", 80}));
  EXPECT_EQ(Address("http://box:1234/path"), (OllamaAddress{"box", 1234}));
  EXPECT_EQ(Address("[::1]:1234"), (OllamaAddress{"::1", 1234}));
  EXPECT_EQ(Address("::1"), (OllamaAddress{"::1", 11434}));
  EXPECT_EQ(Address("0.0.0.0:1234"), (OllamaAddress{"127.0.0.1", 1234}));
  EXPECT_EQ(Address("[::]"), (OllamaAddress{"::1", 11434}));
  EXPECT_EQ(Address("box:99999"), (OllamaAddress{"box", 11434}));
  EXPECT_EQ(Address("box:x"), (OllamaAddress{"box", 11434}));
  EXPECT_EQ(ParseOllamaHost("https://box"), std::nullopt);
  EXPECT_EQ(Address("[::1]:80").Text(), "[::1]:80");
  EXPECT_EQ(Address("box").Text(), "box:11434");
}

// A server on a free port of this machine that OLLAMA_HOST points to.
class ClientTest : public testing::Test {
 protected:
  void Serve(const httplib::Server::Handler& handler) {
    server_.Get("/api/version", handler);
    Start();
  }
  void Start() {
    const int port = server_.bind_to_any_port("127.0.0.1");
    ASSERT_GT(port, 0);
    host_ = "127.0.0.1:" + std::to_string(port);
    setenv("OLLAMA_HOST", host_.c_str(), 1);
    thread_ = std::thread([this] { server_.listen_after_bind(); });
    server_.wait_until_ready();
  }
  void TearDown() override {
    server_.stop();
    if (thread_.joinable()) thread_.join();
    unsetenv("OLLAMA_HOST");
  }
  void ServeText(const std::string& text, int status = 200) {
    Serve([text, status](const httplib::Request&, httplib::Response& response) {
      response.status = status;
      response.set_content(text, "application/json");
    });
  }
  httplib::Server server_;
  std::thread thread_;
  std::string host_;
};

constexpr double kPatient = 5;  // a busy machine must not fail these tests

TEST_F(ClientTest, FindsARunningOllama) {
  ServeText(R"({"version":"0.12.3","new":1})");
  const std::optional<OllamaInfo> info = FindOllama(kPatient);
  ASSERT_TRUE(info.has_value());
  EXPECT_EQ(info->version, "0.12.3");
  EXPECT_EQ(info->host, host_);
}

TEST_F(ClientTest, MakesAStrangeVersionSafe) {
  ServeText("{\"version\":\"\\u001b[31m1\"}");
  EXPECT_EQ(FindOllama(kPatient)->version, "?[31m1");
}

TEST_F(ClientTest, IgnoresOtherServers) {
  std::string text;
  int status = 200;
  Serve([&](const httplib::Request&, httplib::Response& response) {
    response.status = status;
    response.set_content(text, "text/plain");
  });
  for (const char* other : {"", "garbage", "[]", "{}", R"({"version":7})", R"({"version":""})",
                            "{\"version\":\"", "\xff\xfe"}) {
    text = other;
    EXPECT_FALSE(FindOllama(kPatient).has_value()) << other;
  }
  text = R"({"version":"1"})";
  status = 500;
  EXPECT_FALSE(FindOllama(kPatient).has_value());
}

TEST_F(ClientTest, CutsOffAnEndlessBody) {
  Serve([](const httplib::Request&, httplib::Response& response) {
    response.set_chunked_content_provider("application/json", [](size_t, httplib::DataSink& sink) {
      const std::string spaces(16 << 10, ' ');
      return sink.write(spaces.data(), spaces.size());
    });
  });
  EXPECT_FALSE(FindOllama(kPatient).has_value());
}

TEST_F(ClientTest, DoesNotWaitForASlowServer) {
  Serve([](const httplib::Request&, httplib::Response& response) {
    response.set_chunked_content_provider("application/json", [](size_t, httplib::DataSink& sink) {
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
      return sink.write(" ", 1);
    });
  });
  const auto start = std::chrono::steady_clock::now();
  EXPECT_FALSE(FindOllama(0.3).has_value());
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(5));
}

TEST_F(ClientTest, FindsNothingWhereNobodyListens) {
  Start();
  server_.stop();
  thread_.join();
  EXPECT_FALSE(FindOllama(kPatient).has_value());
  setenv("OLLAMA_HOST", "https://127.0.0.1", 1);
  EXPECT_FALSE(FindOllama(kPatient).has_value());
}

}  // namespace
}  // namespace trimma::client_test
