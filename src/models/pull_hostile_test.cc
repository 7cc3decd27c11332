// What a hostile server may try, one row each: the right exit code, one sentence, and a store that
// holds nothing new.
#include <gtest/gtest.h>

#include <chrono>

#include "base/file.h"
#include "models/test_registry.h"

namespace trimma::pull_hostile_test {
namespace {

constexpr const char* kBlobs = "/v2/library/m/blobs/sha256:";
constexpr const char* kManifests = "/v2/library/m/manifests/";

struct Attack {
  const char* name;
  Code code;
  const char* words;  // of the sentence
  std::function<void(World&)> arrange;
  bool hub = false;
};

RawHandler Always(const std::string& answer) {
  return [answer](const RawRequest&, const RawSend& send) {
    send(answer);
    return false;
  };
}

// Says the head, then `piece` for as long as anybody listens.
RawHandler Endless(const std::string& head, const std::string& piece, int pause_ms = 0) {
  return [=](const RawRequest&, const RawSend& send) {
    if (!send(head)) return false;
    while (send(piece)) std::this_thread::sleep_for(std::chrono::milliseconds(pause_ms));
    return false;
  };
}

RawHandler Silent(const std::string& head = "") { return Endless(head, "", 20); }

// The blob's own path, not the config's: both begin alike, so it is put in full.
RawHandler& BlobOf(World& world) { return world.replaced[kBlobs + SomeBlobSum()]; }

std::string Redirect(const std::string& to) {
  return RawAnswer("307 Temporary Redirect", "Location: " + to + "\r\n", "");
}

// A 206 as honest as `range` and `body` are.
RawHandler Part(std::function<std::string(std::pair<uint64_t, uint64_t>)> range, std::string body) {
  return [=](const RawRequest& request, const RawSend& send) {
    const std::string header = range(*request.range());
    return send(RawAnswer("206 Partial Content",
                          header.empty() ? "" : "Content-Range: bytes " + header + "\r\n", body));
  };
}

const std::string kEndlessHead = "HTTP/1.1 200 OK\r\n\r\n";

std::vector<Attack> ManifestAttacks() {
  const auto manifest = [](std::string text) {
    return [text](World& world) { world.manifest = text; };
  };
  const auto digest = [](std::string text) { return [text](World& w) { w.digest = text; }; };
  const auto size = [](std::string text) { return [text](World& w) { w.size = text; }; };
  const auto answer = [](RawHandler handler) {
    return [handler](World& w) { w.replaced[kManifests] = handler; };
  };
  std::string layers;
  for (int i = 0; i < 70; ++i)
    layers += R"(,{"digest":"sha256:)" + Sha256Hex("x") + R"(","size":1})";
  return {
      {"traversal digest", Code::kInvalid, "no SHA-256 digest",
       digest("sha256:../../../../etc/passwd")},
      {"short digest", Code::kInvalid, "no SHA-256 digest", digest("sha256:abc")},
      {"digest in capitals", Code::kInvalid, "digest", digest("sha256:" + std::string(64, 'A'))},
      {"digest of another sum", Code::kInvalid, "digest", digest("sha512:" + std::string(64, 'a'))},
      {"digest with a NUL", Code::kInvalid, "digest",
       digest("sha256:" + std::string(60, 'a') + "\\u0000aaa")},
      {"negative size", Code::kInvalid, "no sound size", size("-1")},
      {"size as text", Code::kInvalid, "no sound size", size("\"12\"")},
      {"size with a fraction", Code::kInvalid, "no sound size", size("1e3")},
      {"size beyond 64 bits", Code::kInvalid, "no sound size", size("18446744073709551617")},
      {"size that no model has", Code::kInvalid, "no sound size", size("99999999999999")},
      {"size that no disk here has", Code::kIo, "more are needed", size("17000000000000")},
      {"two sizes for one digest", Code::kInvalid, "two sizes",
       [](World& w) { w.more_layers = fmt::format(R"(,{{"digest":"{}","size":5}})", w.digest); }},
      {"too many layers", Code::kInvalid, "layers", [=](World& w) { w.more_layers = layers; }},
      {"no layers", Code::kInvalid, "no layers", manifest(R"({"config":{}})")},
      {"no model", Code::kInvalid, "no GGUF layer",
       [](World& w) {
         w.manifest =
             fmt::format(R"({{"config":{{"digest":"{}","size":1}},"layers":[]}})", w.digest);
       }},
      {"no JSON", Code::kInvalid, "no JSON", manifest("<html>")},
      {"deep JSON", Code::kInvalid, "too deeply", manifest(std::string(1 << 20, '['))},
      {"giant manifest", Code::kNetwork, "at most",
       answer(Always("HTTP/1.1 200 OK\r\nContent-Length: 10737418240\r\n\r\n{"))},
      {"endless manifest", Code::kNetwork, "more than",
       answer(Endless(kEndlessHead, std::string(64 << 10, ' ')))},
      {"endless headers", Code::kNetwork, "headers without end",
       answer(Endless("HTTP/1.1 200 OK\r\n", "X-A: " + std::string(1000, 'a') + "\r\n"))},
      {"endless error", Code::kNetwork, "without end",
       answer(Endless("HTTP/1.1 500 No\r\n\r\n", std::string(64 << 10, ' ')))},
      {"gzip nobody asked for", Code::kNetwork, "coding",
       answer(Always(RawAnswer("200 OK", "Content-Encoding: gzip\r\n", "\x1f\x8b")))},
      {"a part unasked", Code::kNetwork, "unasked",
       answer(Always(RawAnswer("206 Partial Content", "Content-Range: bytes 0-0/9\r\n", "{")))},
      {"no HTTP", Code::kNetwork, "can't be asked", answer(Always("SSH-2.0-x\r\n\r\n"))},
      {"nothing", Code::kNetwork, "can't be asked", answer(Always(""))},
      {"negative length", Code::kNetwork, "can't be asked",
       answer(Always("HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n{}"))},
      {"silence", Code::kNetwork, "next to nothing", answer(Silent())},
      {"wants somebody signed in", Code::kPermission, "signed in",
       answer(Always(RawAnswer("401 No", "", "")))},
      {"realm on another host", Code::kNetwork, "another host",
       answer(Always(RawAnswer(
           "401 No", "WWW-Authenticate: Bearer realm=\"https://evil.example/t\"\r\n", "")))},
  };
}

std::vector<Attack> BlobAttacks() {
  const auto blob = [](RawHandler handler) { return [handler](World& w) { BlobOf(w) = handler; }; };
  const auto honest = [](std::pair<uint64_t, uint64_t> r) {
    return fmt::format("{}-{}/{}", r.first, r.second, kBlobBytes);
  };
  return {
      {"wrong bytes", Code::kInvalid, "SHA-256",
       [](World& w) {
         const std::string digest = w.digest;
         const std::string bad = SomeBytes(w.blob.size(), 7);
         BlobOf(w) = [bad](const RawRequest& r, const RawSend& send) {
           return send(RawFile(r, bad));
         };
       }},
      {"shorter than announced", Code::kNetwork, "answers with",
       [](World& w) {
         const std::string less = w.blob.substr(0, 5 << 17);
         BlobOf(w) = [less](const RawRequest& r, const RawSend& send) {
           return send(RawFile(r, less));
         };
       }},
      {"range begins elsewhere", Code::kNetwork, "answers with",
       blob(Part([](auto) { return "5-5/1310720"; }, "x"))},
      {"range without saying so", Code::kNetwork, "answers with",
       blob(Part([](auto) { return ""; }, "x"))},
      {"range in words", Code::kNetwork, "answers with",
       blob(Part([](auto) { return "all/-1"; }, "x"))},
      {"more than the range", Code::kNetwork, "more than",
       blob(Part(honest, std::string(1 << 16, 'x')))},
      {"less than the range", Code::kNetwork, "ended after",
       blob([=](const RawRequest& r, const RawSend& send) {
         const auto range = *r.range();
         const bool probe = range.second == 0;
         return send(RawAnswer("206 Partial", "Content-Range: bytes " + honest(range) + "\r\n",
                               probe ? "x" : std::string(1000, 'x')));
       })},
      {"no ranges, no end", Code::kNetwork, "more than",
       blob(Endless(kEndlessHead, std::string(1 << 20, 'x')))},
      {"no ranges, too short", Code::kNetwork, "sent 5 bytes",
       blob(Always(RawAnswer("200 OK", "", "short")))},
      {"another ETag half-way", Code::kNetwork, "changed",
       [](World& w) {
         const std::string bytes = w.blob;
         BlobOf(w) = [bytes](const RawRequest& r, const RawSend& send) {
           return send(
               RawFile(r, bytes, r.range()->second == 0 ? "ETag: \"1\"\r\n" : "ETag: \"2\"\r\n"));
         };
       }},
      {"stall half-way", Code::kNetwork, "next to nothing",
       [=](World& w) {
         BlobOf(w) = [=](const RawRequest& r, const RawSend& send) {
           if (r.range()->second == 0) return send(RawFile(r, std::string(kBlobBytes, 'x')));
           return Silent("HTTP/1.1 206 P\r\nContent-Range: bytes " + honest(*r.range()) +
                         "\r\n\r\nxx")(r, send);
         };
       }},
      {"drip", Code::kNetwork, "next to nothing",
       [=](World& w) {
         BlobOf(w) = [=](const RawRequest& r, const RawSend& send) {
           if (r.range()->second == 0) return send(RawFile(r, std::string(kBlobBytes, 'x')));
           return Endless(
               "HTTP/1.1 206 P\r\nContent-Range: bytes " + honest(*r.range()) + "\r\n\r\n", "x",
               30)(r, send);
         };
       }},
      {"cut off", Code::kNetwork, "can't be asked",
       [=](World& w) {
         BlobOf(w) = [=](const RawRequest& r, const RawSend& send) {
           if (r.range()->second == 0) return send(RawFile(r, std::string(kBlobBytes, 'x')));
           send("HTTP/1.1 206 P\r\nContent-Length: 1310720\r\nContent-Range: bytes " +
                honest(*r.range()) + "\r\n\r\nxx");
           return false;
         };
       }},
      {"redirect loop", Code::kNetwork, "redirects more than",
       [](World& w) {
         BlobOf(w) = [](const RawRequest& r, const RawSend& send) {
           return send(Redirect(r.path()));
         };
       }},
      {"redirect to a file", Code::kNetwork, "no address",
       blob(Always(Redirect("file:///etc/passwd")))},
      {"redirect to another protocol", Code::kNetwork, "no address",
       blob(Always(Redirect("gopher://127.0.0.1/")))},
      {"redirect with a blank and a line", Code::kNetwork, "no address",
       blob(Always(Redirect("http://127.0.0.1/ HTTP/1.1\tX: y")))},
      {"redirect as another user", Code::kNetwork, "no address",
       blob(Always(Redirect("http://a:b@127.0.0.1/")))},
      {"redirect to plain http elsewhere", Code::kNetwork, "without encryption",
       blob(Always(Redirect("http://example.org/x")))},
      {"redirect nowhere", Code::kNetwork, "no address", blob(Always(Redirect("")))},
      {"server error", Code::kNetwork, "HTTP 503", blob(Always(RawAnswer("503 No", "", "no")))},
      {"forbidden", Code::kPermission, "HTTP 403", blob(Always(RawAnswer("403 No", "", "no")))},
      {"gone", Code::kNotFound, "has no sha256", blob(Always(RawAnswer("404 No", "", "no")))},
  };
}

std::vector<Attack> HubAttacks() {
  const auto file = [](std::string path) { return [path](World& w) { w.file = path; }; };
  const auto oid = [](std::string text) { return [text](World& w) { w.oid = text; }; };
  const auto tree = [](RawHandler handler) {
    return [handler](World& w) { w.replaced["/api/models/u/m/tree/"] = handler; };
  };
  const auto refused = [](std::string status, std::string headers) {
    return [=](World& w) { w.replaced["/api/"] = Always(RawAnswer(status, headers, "")); };
  };
  const std::string next = "Link: </api/models/u/m/tree/x?cursor=1>; rel=\"next\"\r\n";
  return {
      {"file outside", Code::kInvalid, "has a file", file("../../evil-Q4_0.gguf"), true},
      {"file outside, deeper", Code::kInvalid, "has a file", file("a/../../e-Q4_0.gguf"), true},
      {"absolute file", Code::kInvalid, "has a file", file("/etc/e-Q4_0.gguf"), true},
      {"file with a control character", Code::kInvalid, "has a file", file("a\\u001b[2J-Q4_0.gguf"),
       true},
      {"file name without end", Code::kInvalid, "has a file",
       file(std::string(300, 'a') + "-Q4_0.gguf"), true},
      {"sum that is a path", Code::kInvalid, "no SHA-256", oid("../../../etc/passwd"), true},
      {"commit that is a path", Code::kInvalid, "no commit",
       [](World& w) { w.commit = "../../../etc"; }, true},
      {"negative size in the tree", Code::kInvalid, "no sound size",
       [](World& w) { w.size = "-7"; }, true},
      {"file that isn't announced", Code::kInvalid, "SHA-256", oid(std::string(64, 'b')), true},
      {"pages without end", Code::kInvalid, "without end",
       tree(Always(RawAnswer("200 OK", next, "[]"))), true},
      {"pages on another host", Code::kInvalid, "another host",
       tree(Always(RawAnswer("200 OK", "Link: <http://127.0.0.2/x>; rel=\"next\"\r\n", "[]"))),
       true},
      {"pages beside a redirect's target", Code::kInvalid, "another host",
       [](World& w) {
         w.replaced["/api/models/u/m/tree/"] = [](const RawRequest& r, const RawSend& send) {
           const std::string& host = r.headers.at("host");
           return send(Redirect("http://localhost" + host.substr(host.find(':')) + "/elsewhere"));
         };
         w.replaced["/elsewhere"] =
             Always(RawAnswer("200 OK", "Link: </elsewhere2>; rel=\"next\"\r\n", "[]"));
       },
       true},
      {"tree that is none", Code::kInvalid, "no list", tree(Always(RawAnswer("200 OK", "", "{}"))),
       true},
      {"without a sum", Code::kInvalid, "no SHA-256",
       tree(Always(RawAnswer("200 OK", "", R"([{"type":"file","path":"m.gguf","size":9}])"))),
       true},
      {"gated", Code::kPermission, "accepted its terms",
       [](World& w) {
         w.replaced["/u/m/resolve/"] =
             Always(RawAnswer("403 No", "X-Error-Code: GatedRepo\r\n", ""));
       },
       true},
      {"gated list", Code::kPermission, "accepted its terms",
       refused("401 No", "X-Error-Code: GatedRepo\r\n"), true},
      {"absent", Code::kNotFound, "no repository",
       refused("401 No", "X-Error-Code: RepoNotFound\r\n"), true},
  };
}

TEST(PullHostileTest, EveryAttackEndsWithItsCodeAndLeavesTheStoreAsItWas) {
  int safe = 0;
  int tried = 0;
  for (const auto& attacks : {ManifestAttacks(), BlobAttacks(), HubAttacks()}) {
    for (const Attack& attack : attacks) {
      PullWorld pull;
      World world;
      attack.arrange(world);
      pull.Serve(world);
      // Only those that stall are waited for: a busy machine must not fail the others.
      const bool stalls = std::string_view(attack.words) == "next to nothing";
      if (stalls) pull.options_.download.limits.stall_seconds = 0.4;
      const auto result = attack.hub ? pull.FromHub() : pull.FromRegistry();
      ++tried;
      const std::set<std::string> files = pull.Files();
      // A sound config may be there already: nothing names it before the manifest does.
      const bool untouched =
          files.empty() ||
          files == std::set<std::string>{"blobs/sha256-" + Sha256Hex(world.config)};
      EXPECT_TRUE(untouched) << attack.name << ": " << *files.rbegin();
      ASSERT_FALSE(result.ok()) << attack.name;
      EXPECT_EQ(result.error().code, attack.code) << attack.name << ": " << result.error().what;
      const bool said = result.error().what.find(attack.words) != std::string::npos;
      EXPECT_TRUE(said) << attack.name << ": " << result.error().what;
      safe += untouched && said && result.error().code == attack.code ? 1 : 0;
    }
  }
  // ./dev bench pull reads this line.
  std::printf("hostile servers: %d of %d safe\n", safe, tried);
}

TEST(PullHostileTest, NoTokenGoesToAnotherHost) {
  const World world;
  RawServer elsewhere([&](const RawRequest& request, const RawSend& send) {
    return send(RawFile(request, world.blob));
  });
  PullWorld pull;
  pull.token_ = "hf_secret";
  World redirecting = world;
  redirecting.replaced["/u/m/resolve/"] = [&](const RawRequest& request, const RawSend& send) {
    return send(Redirect(fmt::format("http://localhost:{}{}", elsewhere.port(), request.path())));
  };
  pull.Serve(redirecting);
  const auto result = pull.FromHub();
  ASSERT_TRUE(result.ok()) << result.error().what;
  ASSERT_FALSE(elsewhere.requests().empty());
  for (const RawRequest& request : elsewhere.requests())
    EXPECT_EQ(request.headers.count("authorization"), 0U);
  EXPECT_EQ(pull.server_.requests().front().headers.at("authorization"), "Bearer hf_secret");
}

TEST(PullHostileTest, ATokenWithALineBreakIsNotSent) {
  PullWorld pull;
  pull.Serve({});
  pull.token_ = "hf_x\r\nX-Evil: 1";
  EXPECT_EQ(pull.FromHub().error().code, Code::kUsage);
  EXPECT_TRUE(pull.server_.requests().empty());
}

TEST(PullHostileTest, AFalseTokenOfTheRegistryIsNotSent) {
  PullWorld pull;
  World world;
  world.replaced[kManifests] = Always(RawAnswer(
      "401 No", "WWW-Authenticate: Bearer realm=\"http://" + pull.server_.host() + "/token\"\r\n",
      ""));
  world.replaced["/token"] = Always(RawAnswer("200 OK", "", R"({"token":"a\r\nX-Evil: 1"})"));
  pull.Serve(world);
  EXPECT_EQ(pull.FromRegistry().error().code, Code::kInvalid);
}

// What stands in the store's place, put there by whoever else can write to it.
TEST(PullHostileTest, LinksInTheStoreLeadNowhere) {
  for (const char* place : {"blobs", "manifests", ".trimma-pull"}) {
    PullWorld pull;
    pull.Serve({});
    pull.tree_.Write("outside/precious", "precious");
    pull.tree_.Link(std::string("store/") + place, "../outside");
    const auto result = pull.FromRegistry();
    ASSERT_FALSE(result.ok()) << place;
    EXPECT_EQ(result.error().code, Code::kInvalid) << place;
    int files = 0;
    for (const auto& entry : std::filesystem::directory_iterator(pull.tree_ / "outside")) {
      EXPECT_EQ(entry.path().filename(), "precious");
      ++files;
    }
    EXPECT_EQ(files, 1) << place;
  }
}

TEST(PullHostileTest, ALinkUnderTheBlobsNameIsReplacedAndItsTargetUntouched) {
  PullWorld pull;
  const World world;
  pull.Serve(world);
  const std::string precious(world.blob.size(), 'p');
  pull.tree_.Write("outside/precious", precious);
  const std::string blob = "store/blobs/sha256-" + Sha256Hex(world.blob);
  pull.tree_.Link(blob, "../../outside/precious");
  const auto result = pull.FromRegistry();
  ASSERT_TRUE(result.ok()) << result.error().what;
  EXPECT_FALSE(std::filesystem::is_symlink(pull.tree_ / blob));
  EXPECT_EQ(*ReadSmallFile(pull.tree_ / "outside/precious"), precious);
  EXPECT_EQ(*ReadSmallFile(pull.tree_ / blob), world.blob);
}

}  // namespace
}  // namespace trimma::pull_hostile_test
