#include "ollama/pull.h"

#include <gtest/gtest.h>

#include "net/raw_server.h"

namespace trimma::pull_test {
namespace {

std::string Report(const std::string& lines) {
  return "HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\nConnection: close\r\n\r\n" +
         lines;
}

Result<OllamaPullResult> PullFrom(const std::string& answer, std::string* asked = nullptr,
                                  const OnPullStep& on_step = {}) {
  RawServer server([&](const RawRequest& request, const RawSend& send) {
    if (asked != nullptr) *asked = request.line;
    send(answer);
    return false;
  });
  return PullThroughOllama({"127.0.0.1", server.port()}, "gemma3:4b", false, on_step);
}

TEST(OllamaPullTest, FollowsTheReportToItsEnd) {
  OllamaPullBytes bytes;
  std::string asked;
  const auto result = PullFrom(
      Report("{\"status\":\"pulling manifest\"}\n"
             "{\"status\":\"pulling a\",\"digest\":\"sha256:a\",\"total\":100,\"completed\":40}\n"
             "{\"status\":\"pulling a\",\"digest\":\"sha256:a\",\"total\":100,\"completed\":70}\n"
             "{\"status\":\"pulling b\",\"digest\":\"sha256:b\",\"total\":10,\"completed\":10}\n"
             "{\"status\":\"success\"}\n"),
      &asked, [&](const OllamaPullStep&, const OllamaPullBytes& now) { bytes = now; });
  ASSERT_TRUE(result.ok()) << result.error().what;
  EXPECT_EQ(asked, "POST /api/pull HTTP/1.1");
  EXPECT_EQ(result->bytes, 110U);
  EXPECT_EQ(bytes.there, 50U);
  EXPECT_EQ(bytes.fetched, 30U);
  EXPECT_EQ(bytes.of, 110U);
}

TEST(OllamaPullTest, SaysWhatWentWrong) {
  const std::pair<const char*, Code> cases[] = {
      {"{\"error\":\"pull model manifest: file does not exist\"}\n", Code::kNotFound},
      {"{\"status\":\"x\"}\n{\"error\":\"dial tcp: timeout\"}\n", Code::kNetwork},
      {"{\"error\":\"pull model manifest: 412: The model you are attempting to pull requires a "
       "newer version of Ollama.\"}\n",
       Code::kFailure},
      {"{\"error\":\"dial tcp: lookup r.example: host not found\"}\n", Code::kNetwork},
      {"{\"status\":\"pulling manifest\"}\n", Code::kNetwork},  // it died half-way
      {"<html>", Code::kInvalid},
      {"[]\n", Code::kInvalid},
  };
  for (const auto& [lines, code] : cases) {
    const auto result = PullFrom(Report(lines));
    ASSERT_FALSE(result.ok()) << lines;
    EXPECT_EQ(result.error().code, code) << lines;
  }
  const std::string long_line(200 << 10, 'x');
  EXPECT_EQ(PullFrom(Report(long_line)).error().code, Code::kNetwork);
  EXPECT_EQ(PullFrom(RawAnswer("404 No", "", "{\"error\":\"model not found\"}")).error().code,
            Code::kNotFound);
  EXPECT_EQ(PullFrom(RawAnswer("500 No", "", "oops")).error().code, Code::kNetwork);
}

}  // namespace
}  // namespace trimma::pull_test
