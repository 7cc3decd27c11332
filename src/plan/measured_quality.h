// What was measured on this machine about the quality of quantised models, kept for later plans.
//
// One JSON file in the state directory. A measurement is found again by the SHA-256 of its
// reference and by the types of the judged file's tensors, so that a plan recognises a mix it was
// never told the file of. Hashing gigabytes takes a while; it is done when a measurement is kept,
// never when a plan is made: then only hashes of files that are unchanged since (size, time, inode)
// or whose name gives them away (Ollama's blobs) are used.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/file.h"
#include "base/result.h"
#include "gguf/reader.h"

namespace trimma {

struct MeasuredLoss {
  std::string reference;  // SHA-256 of the file it was measured against
  std::string candidate;  // of the judged file; "" where it was thrown away
  std::string types;      // TypesDigest() of the judged file
  std::string recipe;     // what the judged file calls itself: "Q4_K_M"
  bool importance = false;
  std::string kv_k = "f16";  // of the judged side; the reference runs with f16
  std::string kv_v = "f16";
  double mean_kld = 0;  // nats a token
  double low = 0;       // 95 %
  double high = 0;
  int64_t tokens = 0;  // scored
  std::string text;    // judged on
  // MixShare() of the judged file: what of the recipe's loss its actual types should have.
  double share = 1;
  bool operator==(const MeasuredLoss&) const = default;
};

// SHA-256 over names and types of all tensors, in order of name.
std::string TypesDigest(const GgufFile& file, const std::vector<TensorType>& types);
std::string TypesDigest(const GgufFile& file);

class MeasuredQualities {
 public:
  static std::string DefaultPath();  // "" without a home

  // A missing file is an empty store; so is one that can't be read or is none of ours, since a plan
  // is possible without it.
  static MeasuredQualities Load(const std::string& path = DefaultPath());

  // The hash of a file, as far as it is known without reading the file.
  std::optional<std::string> KnownHash(const GgufFile& file) const;

  const std::vector<MeasuredLoss>& losses() const { return losses_; }
  void Add(const MeasuredLoss& loss);  // replaces one of the same files, settings and text

  // Keeps `loss` (reference and candidate hash filled in from the files) in the store, beside what
  // other processes keep at the same time. `candidate` may be nullptr: not worth hashing.
  static Status Keep(MeasuredLoss loss, const GgufFile& reference, const GgufFile* candidate,
                     const std::string& path = DefaultPath());

 private:
  friend struct QualityStore;
  struct KnownFile {
    FileStamp stamp;
    std::string sha256;
  };
  std::map<std::string, KnownFile> files_;  // by absolute path
  std::vector<MeasuredLoss> losses_;        // the newest last
};

}  // namespace trimma
