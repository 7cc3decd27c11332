// For tests: a registry and a repository on loopback that can lie in any way.
#pragma once

#include <map>
#include <set>
#include <string>

#include "hardware/temp_tree.h"
#include "models/pull.h"
#include "models/store_folder.h"
#include "net/raw_server.h"
#include "net/sha256.h"

namespace trimma {

// The same for the same seed, and never twice the same 4 KiB.
inline std::string SomeBytes(size_t count, uint32_t seed = 1) {
  std::string block(4096, '\0');
  for (char& c : block) {
    seed = seed * 1664525 + 1013904223;
    c = static_cast<char>(seed >> 24);
  }
  std::string bytes = "GGUF";
  bytes.reserve(count + block.size());
  while (bytes.size() < count) bytes += fmt::format("{:016x}", bytes.size()) + block;
  bytes.resize(count);
  return bytes;
}

inline constexpr size_t kBlobBytes = 5 << 18;  // too large to be fetched in one go
inline const std::string& SomeBlob() {
  static const std::string blob = SomeBytes(kBlobBytes);
  return blob;
}
inline const std::string& SomeBlobSum() {
  static const std::string sum = Sha256Hex(SomeBlob());
  return sum;
}

// What one server tells: by path, first what a case has replaced.
struct World {
  std::string blob = SomeBlob();
  std::string config = R"({"file_type":"Q4_0","model_type":"1B"})";
  std::string size = std::to_string(blob.size());
  std::string digest = "sha256:" + SomeBlobSum();
  std::string more_layers;
  std::string manifest;                        // "": made of the above
  std::map<std::string, RawHandler> replaced;  // by the path's beginning
  std::string file = "m-Q4_0.gguf";            // of the repository
  std::string oid = SomeBlobSum();
  std::string commit = std::string(40, 'a');

  std::string Manifest() const {
    if (!manifest.empty()) return manifest;
    return fmt::format(
        R"({{"schemaVersion":2,"config":{{"digest":"sha256:{}","size":{}}},"layers":[)"
        R"({{"mediaType":"application/vnd.ollama.image.model","digest":"{}","size":{}}}{}]}})",
        Sha256Hex(config), config.size(), digest, size, more_layers);
  }
  std::string Tree() const {
    return fmt::format(R"([{{"type":"file","path":"{}","size":{},"oid":"x",)"
                       R"("lfs":{{"oid":"{}","size":{}}}}}])",
                       file, size, oid, size);
  }
  bool Answer(const RawRequest& request, const RawSend& send) const {
    const std::string path = request.path();
    for (const auto& [start, handler] : replaced) {
      if (path.starts_with(start)) return handler(request, send);
    }
    const std::string v2 = "/v2/library/m/";
    if (path == v2 + "manifests/latest") return send(RawAnswer("200 OK", "", Manifest()));
    if (path == v2 + "blobs/sha256:" + Sha256Hex(config)) return send(RawFile(request, config));
    if (path.starts_with(v2 + "blobs/") || path.find("/resolve/") != std::string::npos)
      return send(RawFile(request, blob, "ETag: \"1\"\r\n"));
    if (path.ends_with("/refs")) {
      return send(RawAnswer(
          "200 OK", "",
          fmt::format(R"({{"branches":[{{"name":"main","targetCommit":"{}"}}]}})", commit)));
    }
    if (path.find("/tree/") != std::string::npos) return send(RawAnswer("200 OK", "", Tree()));
    return send(RawAnswer("404 Not Found", "", "no"));
  }
};

// A store in a temporary folder, and a server to fill it from.
class PullWorld {
 public:
  PullWorld() : server_([](const RawRequest&, const RawSend&) { return false; }) {
    options_.root = tree_ / "store";
    options_.download.tries = 1;
    options_.download.first_wait_seconds = 0.01;
    options_.download.limits.connect_seconds = 5;
  }
  void Serve(const World& world) {
    server_.Handle([world](const RawRequest& request, const RawSend& send) {
      return world.Answer(request, send);
    });
  }
  Result<PullResult> FromRegistry() {
    return PullFromRegistry({server_.host(), "library", "m", "latest"}, options_);
  }
  Result<PullResult> FromHub(const std::string& name = "u/m") {
    return PullFromHub(name, {"http://" + server_.host(), token_, false, options_.download.limits},
                       options_);
  }
  // Files, and links, of the store; those that are being fetched apart.
  std::set<std::string> Files(bool parts = false) const {
    std::set<std::string> files;
    namespace fs = std::filesystem;
    std::error_code ec;
    for (fs::recursive_directory_iterator at(options_.root, ec), end; at != end; at.increment(ec)) {
      const std::string path = at->path().lexically_relative(options_.root).string();
      const bool is_part = path.starts_with(kPartFolder);
      if (!fs::is_directory(at->symlink_status()) && is_part == parts) files.insert(path);
    }
    return files;
  }

  TempTree tree_;
  PullOptions options_;
  std::string token_;
  RawServer server_;
};

}  // namespace trimma
