// What is read of servers' words: addresses, headers, JSON; and which way a redirect may lead.
#include <gtest/gtest.h>

#include <random>

#include "net/headers.h"
#include "net/http.h"
#include "net/json.h"
#include "net/sha256.h"
#include "net/url.h"

namespace trimma::net_test {
namespace {

Url At(const std::string& text) {
  const Result<Url> url = ParseUrl(text);
  EXPECT_TRUE(url.ok()) << text;
  return url.ok() ? *url : Url{};
}

TEST(UrlTest, TakesAddressesApart) {
  EXPECT_EQ(At("https://HF.co/a/b?c=d"), (Url{"https", "hf.co", 443, "/a/b?c=d"}));
  EXPECT_EQ(At("http://[::1]:80").Text(), "http://[::1]/");
  EXPECT_EQ(At("http://h:5000/x").Origin(), "http://h:5000");
  for (const char* text : {"", "h", "ftp://h/", "file:///etc/passwd", "http://u@h/",
                           "http://u:p@h/", "http://h/ x", "http://h/\r\nX: y", "https://h:99999/"})
    EXPECT_FALSE(ParseUrl(text).ok()) << text;
}

TEST(UrlTest, FollowsRelativeAndAbsoluteAddresses) {
  const Url base = At("https://h/a/b");
  EXPECT_EQ(FollowFrom(base, "c")->Text(), "https://h/a/c");
  EXPECT_EQ(FollowFrom(base, "/c?d")->Text(), "https://h/c?d");
  EXPECT_EQ(FollowFrom(base, "//other/c")->Text(), "https://other/c");
  EXPECT_EQ(FollowFrom(base, "http://other:1/c")->Text(), "http://other:1/c");
}

TEST(UrlTest, ARedirectLeadsNeitherOutOfHttpsNorIntoAPrivateNetwork) {
  const RedirectRules rules;
  const Url from = At("https://h/a");
  EXPECT_TRUE(NextHop(from, "https://cdn/x", rules).ok());
  for (const char* to : {"http://h/a", "http://cdn/x", "https://127.0.0.1/x", "https://10.1.2.3/",
                         "https://169.254.169.254/latest", "https://192.168.0.1/", "https://[::1]/",
                         "https://[fe80::1]/", "https://[::ffff:10.0.0.1]/", "https://localhost/",
                         "https://0.0.0.0/", "https://2130706433/", "https://0x7f.1/"}) {
    const auto next = NextHop(from, to, rules);
    ASSERT_FALSE(next.ok()) << to;
    EXPECT_EQ(next.error().code, Code::kNetwork) << to;
  }
  EXPECT_TRUE(NextHop(At("http://127.0.0.1/a"), "http://127.0.0.1:1/b", {false, true}).ok());
  EXPECT_FALSE(NextHop(At("http://127.0.0.1/a"), "http://h/b", {false, true}).ok());
  EXPECT_TRUE(NextHop(At("http://h/a"), "http://h/b", {true, false}).ok());
}

TEST(UrlTest, PlainHttpIsForThisMachineAlone) {
  EXPECT_TRUE(CheckTransport(At("http://localhost/"), false).ok());
  EXPECT_TRUE(CheckTransport(At("http://127.9.9.9/"), false).ok());
  EXPECT_EQ(CheckTransport(At("http://h/"), false).error().code, Code::kNetwork);
  EXPECT_EQ(CheckTransport(At("http://127.0.0.1.evil.example/"), false).error().code,
            Code::kNetwork);
  EXPECT_TRUE(CheckTransport(At("http://h/"), true).ok());
}

TEST(HttpTest, SaysWhereNobodySpeaksTls) {
  HttpClient client({/*insecure=*/true});
  HttpRequest request;
  request.url = "https://127.0.0.1:1/";
  EXPECT_EQ(client.Fetch(request).error().code, Code::kNetwork);
  EXPECT_TRUE(client.no_tls());
  request.url = "https://h/ x";
  EXPECT_FALSE(client.Fetch(request).ok());
  EXPECT_FALSE(client.no_tls());
}

TEST(HeadersTest, ReadsContentRangesStrictly) {
  EXPECT_EQ(ParseContentRange("bytes 0-99/1000"), (ContentRange{0, 99, 1000}));
  EXPECT_EQ(ParseContentRange(" Bytes 5-5/* "), (ContentRange{5, 5, std::nullopt}));
  for (const char* text :
       {"", "bytes", "bytes 0-99", "bytes 9-5/10", "bytes 0-10/10", "bytes -5-9/10",
        "bytes +1-9/10", "bytes 0x1-9/10", "bytes 0-9/-1", "bytes 0-9/", "items 0-9/10",
        "bytes 0-99999999999999999999/*", "bytes */10"})
    EXPECT_EQ(ParseContentRange(text), std::nullopt) << text;
}

TEST(HeadersTest, ReadsWhereATokenIsToBeHad) {
  EXPECT_EQ(ParseBearerChallenge(R"(Bearer realm="https://r/t",service="s, t", scope=a:b)"),
            (BearerChallenge{"https://r/t", "s, t", "a:b"}));
  for (const char* text : {"", "Basic realm=\"x\"", "Bearer", "Bearer service=\"x\"",
                           "Bearer realm=\"x", "Bearer realm=\"x\" y", "Bearer realm=\"a\r\nb\""})
    EXPECT_EQ(ParseBearerChallenge(text), std::nullopt) << text;
}

TEST(HeadersTest, FindsTheNextPage) {
  EXPECT_EQ(NextPage(R"(<https://h/a>; rel="prev", <https://h/b>; rel="next")"), "https://h/b");
  EXPECT_EQ(NextPage("<https://h/a>; rel=\"prev\""), std::nullopt);
  EXPECT_EQ(NextPage("nothing"), std::nullopt);
}

TEST(HeadersTest, KnowsWhatMayBeAToken) {
  EXPECT_TRUE(IsToken("hf_AbC.1-2_3="));
  EXPECT_FALSE(IsToken(""));
  EXPECT_FALSE(IsToken("a b"));
  EXPECT_FALSE(IsToken("a\r\nX: y"));
}

TEST(JsonTest, AsksForFieldsByType) {
  const auto json = *ParseForeignJson(
      R"({"a":1,"b":-1,"c":1.0,"d":"x","e":9223372036854775808,"f":9223372036854775807})", "it");
  EXPECT_EQ(CountOf(json, "a"), 1U);
  for (const char* key : {"b", "c", "d", "e", "none"})
    EXPECT_EQ(CountOf(json, key), std::nullopt) << key;
  EXPECT_EQ(CountOf(json, "f"), static_cast<uint64_t>(INT64_MAX));
  EXPECT_EQ(TextOf(json, "d"), "x");
  EXPECT_EQ(TextOf(json, "a"), std::nullopt);
  EXPECT_EQ(CountOf(nlohmann::json::array(), "a"), std::nullopt);
}

TEST(JsonTest, RefusesWhatIsTooDeepButNotBracketsInText) {
  EXPECT_FALSE(ParseForeignJson(std::string(100, '['), "it").ok());
  EXPECT_TRUE(ParseForeignJson("\"" + std::string(100, '[') + "\"", "it").ok());
  EXPECT_TRUE(ParseForeignJson("\"\\\"" + std::string(100, '[') + "\"", "it").ok());
  EXPECT_EQ(ParseForeignJson("", "it").error().what, "it is no JSON");
  EXPECT_FALSE(ParseForeignJson("\"\xff\"", "it").ok());
}

TEST(Sha256Test, IsTheStandardsSum) {
  EXPECT_EQ(Sha256Hex("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_TRUE(IsSha256Hex(Sha256Hex("")));
  EXPECT_FALSE(IsSha256Hex(std::string(63, 'a')));
  EXPECT_FALSE(IsSha256Hex(std::string(64, 'G')));
}

// Whatever is read of a mutated header keeps the reader's promises.
TEST(HeadersTest, MutatedHeadersKeepThePromises) {
  std::mt19937 dice(1);
  const std::string seeds[] = {"bytes 0-99/1000",
                               R"(Bearer realm="https://r/t",service="s",scope="a")",
                               R"(<https://h/b>; rel="next")"};
  for (int i = 0; i < 20000; ++i) {
    std::string text = seeds[i % 3];
    for (int edits = 1 + static_cast<int>(dice() % 4); edits > 0; --edits) {
      const size_t at = dice() % text.size();
      if (dice() % 3 == 0)
        text.insert(at, 1, static_cast<char>(dice()));
      else
        text[at] = static_cast<char>(dice());
    }
    if (const auto range = ParseContentRange(text)) {
      ASSERT_LE(range->first, range->last);
      ASSERT_LT(range->last, range->total.value_or(UINT64_MAX));
    }
    const auto challenge = ParseBearerChallenge(text);
    ASSERT_TRUE(!challenge || !challenge->realm.empty());
    (void)NextPage(text);
  }
}

}  // namespace
}  // namespace trimma::net_test
