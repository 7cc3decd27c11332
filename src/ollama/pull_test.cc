#include "ollama/pull.h"

#include <gtest/gtest.h>

#include "net/raw_server.h"

namespace trimma {
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
  uint64_t bytes = 0;
  uint64_t of = 0;
  std::string asked;
  const auto result = PullFrom(
      Report("{\"status\":\"pulling manifest\"}\n"
             "{\"status\":\"pulling a\",\"digest\":\"sha256:a\",\"total\":100,\"completed\":40}\n"
             "{\"status\":\"pulling b\",\"digest\":\"sha256:b\",\"total\":10,\"completed\":10}\n"
             "{\"status\":\"success\"}\n"),
      &asked, [&](const OllamaPullStep&, uint64_t done, uint64_t all) {
        bytes = done;
        of = all;
      });
  ASSERT_TRUE(result.ok()) << result.error().what;
  EXPECT_EQ(asked, "POST /api/pull HTTP/1.1");
  EXPECT_EQ(result->bytes, 110U);
  EXPECT_EQ(bytes, 50U);
  EXPECT_EQ(of, 110U);
}

TEST(OllamaPullTest, SaysWhatWentWrong) {
  const std::pair<const char*, Code> cases[] = {
      {"{\"error\":\"pull model manifest: file does not exist\"}\n", Code::kNotFound},
      {"{\"status\":\"x\"}\n{\"error\":\"dial tcp: timeout\"}\n", Code::kNetwork},
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
}  // namespace trimma
