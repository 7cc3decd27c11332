// Pulls that go well, break off and go on, against a server on loopback.
#include "models/pull.h"

#include <gtest/gtest.h>

#include <mutex>

#include "base/file.h"
#include "models/part_ledger.h"
#include "models/remote.h"
#include "models/test_registry.h"
#include "models/variants.h"

namespace trimma::pull_test {
namespace {

constexpr const char* kBlobs = "/v2/library/m/blobs/sha256:";

std::string Read(const std::string& path) {
  const auto content = ReadSmallFile(path);
  return content.ok() ? *content : content.error().what;
}

const std::string& LargeBlob() {
  static const std::string blob = SomeBytes(10 << 20, 3);  // two parts
  return blob;
}

World LargeWorld() {
  static const std::string sum = Sha256Hex(LargeBlob());
  World world;
  world.blob = LargeBlob();
  world.size = std::to_string(world.blob.size());
  world.oid = sum;
  world.digest = "sha256:" + world.oid;
  return world;
}

TEST(PullTest, FillsAStoreAsOllamaDoes) {
  PullWorld pull;
  const World world = LargeWorld();
  pull.Serve(world);
  const auto result = pull.FromRegistry();
  ASSERT_TRUE(result.ok()) << result.error().what;
  const std::string manifest = "manifests/" + pull.server_.host() + "/library/m/latest";
  EXPECT_EQ(pull.Files(),
            (std::set<std::string>{"blobs/sha256-" + Sha256Hex(world.config),
                                   "blobs/sha256-" + Sha256Hex(world.blob), manifest}));
  EXPECT_FALSE(std::filesystem::exists(pull.tree_ / "store/.trimma-pull"));
  EXPECT_EQ(Read(pull.options_.root + "/" + manifest), world.Manifest());
  EXPECT_EQ(Read(result->model.path), world.blob);
  EXPECT_EQ(result->fetched_bytes, world.blob.size() + world.config.size());

  const auto again = pull.FromRegistry();
  ASSERT_TRUE(again.ok()) << again.error().what;
  EXPECT_EQ(again->fetched_bytes, 0U);
  EXPECT_TRUE(again->files[0].was_there);
}

TEST(PullTest, FillsTheCacheAsHuggingFaceDoes) {
  PullWorld pull;
  World world;
  world.file = "sub/m-Q4_0.gguf";
  pull.Serve(world);
  const auto result = pull.FromHub("u/m:q4_0");
  ASSERT_TRUE(result.ok()) << result.error().what;
  EXPECT_EQ(result->model.name, "hf:u/m:Q4_0");
  const std::string snapshot = "models--u--m/snapshots/" + world.commit + "/sub/m-Q4_0.gguf";
  EXPECT_EQ(pull.Files(), (std::set<std::string>{"models--u--m/blobs/" + world.oid,
                                                 "models--u--m/refs/main", snapshot}));
  EXPECT_EQ(std::filesystem::read_symlink(pull.options_.root + "/" + snapshot),
            "../../../blobs/" + world.oid);
  EXPECT_EQ(Read(result->model.path), world.blob);
  Walk walk;
  const auto listed = ListHuggingFace(pull.options_.root, walk);
  ASSERT_EQ(listed.size(), 1U);
  EXPECT_EQ(listed[0].model.name, result->model.name);
}

TEST(PullTest, TakesTheProjectorThatTheRepositoryHas) {
  PullWorld pull;
  World world;
  const std::string projector = SomeBytes(2000, 9);
  world.replaced["/api/models/u/m/tree/"] = [world, projector](const RawRequest&,
                                                               const RawSend& send) {
    std::string tree = world.Tree();
    tree.back() = ',';
    return send(RawAnswer(
        "200 OK", "",
        tree +
            fmt::format(
                R"({{"type":"file","path":"mmproj-F16.gguf","size":2000,"lfs":{{"oid":"{}"}}}}])",
                Sha256Hex(projector))));
  };
  world.replaced["/u/m/resolve/" + world.commit + "/mmproj"] =
      [projector](const RawRequest& request, const RawSend& send) {
        return send(RawFile(request, projector));
      };
  pull.Serve(world);
  auto result = pull.FromHub();
  ASSERT_TRUE(result.ok()) << result.error().what;
  EXPECT_EQ(Read(result->model.projector_path), projector);
  pull.options_.projector = false;
  result = pull.FromHub();
  EXPECT_EQ(result->model.projector_path, "");
}

// The connection breaks after every 1.5 MiB; nothing is fetched twice.
TEST(PullTest, GoesOnWhereAConnectionBroke) {
  PullWorld pull;
  World world = LargeWorld();
  std::mutex mutex;
  uint64_t sent = 0;
  world.replaced[kBlobs + world.oid] = [&](const RawRequest& request, const RawSend& send) {
    const auto range = *request.range();
    const uint64_t count = std::min<uint64_t>(range.second - range.first + 1, 3 << 19);
    const bool alive = send(
        fmt::format("HTTP/1.1 206 P\r\nContent-Length: {}\r\nContent-Range: bytes {}-{}/{}\r\n\r\n",
                    range.second - range.first + 1, range.first, range.second, world.blob.size()) +
        world.blob.substr(range.first, count));
    const std::lock_guard<std::mutex> lock(mutex);
    sent += count;
    return alive && count == range.second - range.first + 1;
  };
  pull.Serve(world);
  pull.options_.download.tries = 2;
  const auto result = pull.FromRegistry();
  ASSERT_TRUE(result.ok()) << result.error().what;
  EXPECT_EQ(Read(result->model.path), world.blob);
  EXPECT_LE(sent, world.blob.size() + 1);  // the byte that finds out about ranges
}

TEST(PullTest, ALaterRunKeepsWhatAnEarlierOneFetched) {
  PullWorld pull;
  World world = LargeWorld();
  World failing = world;
  std::atomic<bool> sent{false};
  failing.replaced[kBlobs + world.oid] = [&](const RawRequest& request, const RawSend& send) {
    if (request.range()->first < 8 << 20) {
      const bool alive = send(RawFile(request, world.blob));
      sent = request.range()->second > 0;
      return alive;
    }
    while (!sent && send("")) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    return false;  // the second part never comes
  };
  pull.Serve(failing);
  const auto broken = pull.FromRegistry();
  ASSERT_FALSE(broken.ok());
  EXPECT_EQ(broken.error().code, Code::kNetwork);
  EXPECT_EQ(pull.Files(/*parts=*/true).size(), 2U);
  pull.Serve(world);
  const auto result = pull.FromRegistry();
  ASSERT_TRUE(result.ok()) << result.error().what;
  EXPECT_GT(result->kept_bytes, 1U << 20);
  // The config was fetched after the broken file, so never before.
  EXPECT_EQ(result->kept_bytes + result->fetched_bytes, world.blob.size() + world.config.size());
  EXPECT_EQ(Read(result->model.path), world.blob);
}

TEST(PullTest, WhatAnInterruptedRunLeftDamagedIsFetchedAfresh) {
  PullWorld pull;
  const World world = LargeWorld();
  const std::string part = pull.tree_ / ("store/.trimma-pull/" + world.oid);
  std::filesystem::create_directories(pull.tree_ / "store/.trimma-pull");
  {
    auto ledger = PartLedger::Open(part + ".parts", world.blob.size());
    ASSERT_TRUE(ledger.ok());
    const auto first = (*ledger)->Claim();
    ASSERT_TRUE((*ledger)->Add(*first, first->count).ok());
  }
  pull.tree_.Write("store/.trimma-pull/" + world.oid + ".part",
                   std::string(world.blob.size(), 'x'));
  pull.Serve(world);
  const auto result = pull.FromRegistry();
  ASSERT_TRUE(result.ok()) << result.error().what;
  EXPECT_EQ(Read(result->model.path), world.blob);
  // The whole once, and what was fetched to go with the damaged part.
  EXPECT_EQ(result->kept_bytes, 0U);
  EXPECT_EQ(result->fetched_bytes, world.blob.size() + (2 << 20) + world.config.size());
  ASSERT_EQ(result->notes.size(), 1U);
  EXPECT_NE(result->notes[0].find("damaged"), std::string::npos);
}

TEST(PullTest, AServerWithoutRangesServesToo) {
  PullWorld pull;
  World world;
  world.replaced[kBlobs + world.oid] = [&](const RawRequest&, const RawSend& send) {
    return send(RawAnswer("200 OK", "", world.blob));
  };
  pull.Serve(world);
  const auto result = pull.FromRegistry();
  ASSERT_TRUE(result.ok()) << result.error().what;
  EXPECT_EQ(Read(result->model.path), world.blob);
  EXPECT_EQ(result->notes.size(), 1U);
}

TEST(PullTest, AnAddressThatExpiredIsAskedForAgain) {
  PullWorld pull;
  World world = LargeWorld();
  std::atomic<int> signatures{0};
  world.replaced[kBlobs + world.oid] = [&](const RawRequest&, const RawSend& send) {
    return send(
        RawAnswer("307 Moved", fmt::format("Location: /store?signature={}\r\n", ++signatures), ""));
  };
  world.replaced["/store?"] = [&](const RawRequest& request, const RawSend& send) {
    const bool expired = request.path() == "/store?signature=1" && request.range()->second != 0;
    return send(expired ? RawAnswer("403 Expired", "", "") : RawFile(request, world.blob));
  };
  pull.Serve(world);
  pull.options_.download.tries = 3;
  const auto result = pull.FromRegistry();
  ASSERT_TRUE(result.ok()) << result.error().what;
  EXPECT_EQ(Read(result->model.path), world.blob);
}

// A token for minutes, a pull of hours.
TEST(PullTest, ATokenThatExpiredIsAskedForAgain) {
  PullWorld pull;
  World world = LargeWorld();
  std::atomic<int> tokens{0};
  std::atomic<bool> probed{false};
  const std::string realm = "http://" + pull.server_.host() + "/token";
  const std::string closed =
      RawAnswer("401 No", "WWW-Authenticate: Bearer realm=\"" + realm + "\"\r\n", "");
  const auto bears = [](const RawRequest& request, const std::string& token) {
    const auto at = request.headers.find("authorization");
    return at != request.headers.end() && at->second == "Bearer " + token;
  };
  world.replaced["/token"] = [&](const RawRequest&, const RawSend& send) {
    return send(RawAnswer("200 OK", "", fmt::format(R"({{"token":"t{}"}})", ++tokens)));
  };
  const std::string manifest = world.Manifest();
  world.replaced["/v2/library/m/manifests/"] = [=](const RawRequest& request, const RawSend& send) {
    return send(bears(request, "t1") ? RawAnswer("200 OK", "", manifest) : closed);
  };
  world.replaced[kBlobs + world.oid] = [&](const RawRequest& request, const RawSend& send) {
    const bool first = !probed.exchange(true) && bears(request, "t1");
    return send(first || bears(request, "t2") ? RawFile(request, world.blob) : closed);
  };
  pull.Serve(world);
  pull.options_.download.tries = 3;
  const auto result = pull.FromRegistry();
  ASSERT_TRUE(result.ok()) << result.error().what;
  EXPECT_EQ(Read(result->model.path), world.blob);
  EXPECT_EQ(tokens, 2);
}

TEST(PullTest, TwoAtOnceDontMix) {
  PullWorld pull;
  const World world = LargeWorld();
  pull.Serve(world);
  std::filesystem::create_directories(pull.tree_ / "store/.trimma-pull");
  auto other = PartLedger::Open(pull.tree_ / ("store/.trimma-pull/" + world.oid + ".parts"),
                                world.blob.size());
  ASSERT_TRUE(other.ok());
  EXPECT_EQ(pull.FromRegistry().error().code, Code::kBusy);
}

TEST(PullTest, ATagThatDoesNotExistIsAnsweredWithThoseThatDo) {
  PullWorld pull;
  World world;
  const std::string manifest = world.Manifest();
  world.replaced["/v2/library/m/manifests/"] = [manifest](const RawRequest& request,
                                                          const RawSend& send) {
    const std::string path = request.path();
    const std::string tag = path.substr(path.rfind('/') + 1);
    const bool known = tag == "4b" || tag == "4b-it-q8_0" || tag == "latest";
    return send(known ? RawAnswer("200 OK", "", manifest) : RawAnswer("404 No", "", ""));
  };
  pull.Serve(world);
  const OllamaName name{pull.server_.host(), "library", "m", "4b-q4_0"};
  const auto missing = PullFromRegistry(name, pull.options_);
  EXPECT_EQ(missing.error().code, Code::kNotFound);
  EXPECT_NE(missing.error().what.find("4b-q4_0 does not exist"), std::string::npos);
  EXPECT_EQ(missing.error().hint, "there are m:4b, m:latest, m:4b-it-q8_0");

  // A registry that lists its tags is believed.
  world.replaced["/v2/library/m/tags/list"] = [](const RawRequest&, const RawSend& send) {
    return send(RawAnswer("200 OK", "", R"({"tags":["4b","../x","zz"]})"));
  };
  pull.Serve(world);
  EXPECT_EQ(PullFromRegistry(name, pull.options_).error().hint, "there are m:4b, m:zz");
  const auto variants = VariantsInRegistry(name, pull.options_.download);
  ASSERT_TRUE(variants.ok()) << variants.error().what;
  ASSERT_EQ(variants->items.size(), 1U);  // "zz" has no manifest, which a note says
  EXPECT_EQ(variants->items[0].type, "Q4_0");
  EXPECT_EQ(variants->items[0].file_bytes, world.blob.size());
  EXPECT_EQ(variants->notes.size(), 1U);
}

TEST(PullTest, AQuantThatDoesNotExistIsAnsweredWithThoseThatDo) {
  PullWorld pull;
  pull.Serve({});
  const auto missing = pull.FromHub("u/m:Q2_K");
  EXPECT_EQ(missing.error().code, Code::kNotFound);
  EXPECT_EQ(missing.error().hint, "it has hf:u/m:Q4_0");
}

TEST(RemoteHeaderTest, ReadsTheHeaderAlone) {
  PullWorld pull;
  World world;
  // A header of 700 KB, which the first piece doesn't hold, before 40 MB that must not be fetched.
  std::string head = "GGUF";
  const auto number = [&](uint64_t value, int bytes) {
    for (int i = 0; i < bytes; ++i) head += static_cast<char>(value >> (8 * i));
  };
  number(3, 4);
  number(1, 8);  // tensors
  number(1, 8);  // keys
  number(3, 8);
  head += "key";
  number(8, 4);
  number(700'000, 8);
  head += std::string(700'000, 'v');
  number(1, 8);
  head += "t";
  number(1, 4);
  number(10'000'000, 8);
  number(0, 4);  // F32
  number(0, 8);
  const uint64_t data = (head.size() + 31) / 32 * 32;
  const uint64_t total = data + 40'000'000;
  uint64_t served = 0;
  world.replaced["/f"] = [&](const RawRequest& request, const RawSend& send) {
    const auto range = *request.range();
    std::string piece = range.first < head.size() ? head.substr(range.first) : "";
    piece.resize(range.second - range.first + 1);
    served += piece.size();
    return send(RawAnswer(
        "206 P", fmt::format("Content-Range: bytes {}-{}/{}\r\n", range.first, range.second, total),
        piece));
  };
  pull.Serve(world);
  uint64_t fetched = 0;
  const BlobSource source{"http://" + pull.server_.host() + "/f", "", "", total};
  const auto file = ReadRemoteHeader(source, "far.gguf", pull.options_.download, fetched);
  ASSERT_TRUE(file.ok()) << file.error().what;
  EXPECT_EQ(file->tensors.size(), 1U);
  EXPECT_EQ(file->file_bytes, total);
  EXPECT_EQ(fetched, served);
  EXPECT_LT(served, 3U << 20);

  BlobSource lying = source;
  lying.bytes += 1;
  EXPECT_EQ(ReadRemoteHeader(lying, "far.gguf", pull.options_.download, fetched).error().code,
            Code::kNetwork);
  world.replaced["/f"] = [](const RawRequest&, const RawSend& send) {
    send("HTTP/1.1 200 OK\r\nContent-Length: 40700000\r\n\r\nGGUF");
    return false;
  };
  pull.Serve(world);
  const auto whole = ReadRemoteHeader(source, "far.gguf", pull.options_.download, fetched);
  EXPECT_EQ(whole.error().code, Code::kNetwork);
  EXPECT_NE(whole.error().what.find("would send all 40700000 bytes"), std::string::npos);
}

}  // namespace
}  // namespace trimma::pull_test
