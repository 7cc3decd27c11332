// Hugging Face over the network: what a repository holds, and where its files are.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "models/download.h"
#include "models/huggingface_cache.h"
#include "net/http.h"

namespace trimma {

struct HubFile {
  std::string path;    // in the repository; safe to join to a folder
  std::string sha256;  // "" for small files, which the repository keeps by another sum
  uint64_t bytes = 0;
  bool operator==(const HubFile&) const = default;
};

struct HubListing {
  std::string repo;            // "user/repo"
  std::string commit;          // 40 hexadecimal digits
  std::vector<HubFile> files;  // GGUF files alone, sorted

  const HubFile* Find(std::string_view path) const;
  std::vector<std::string> Paths() const;
};

// One page of a repository's tree. What is no GGUF is left out; kInvalid for GGUF files with unsafe
// paths, sums of another form or absent sizes.
Result<std::vector<HubFile>> ParseHubTree(std::string_view text);

// The commit of the branch "main" in a list of refs.
Result<std::string> ParseHubRefs(std::string_view text);

struct HubOptions {
  std::string endpoint = "https://huggingface.co";
  std::string token;  // "": none
  bool insecure = false;
  HttpLimits limits;
};
// HF_ENDPOINT; HF_TOKEN, or the file HF_TOKEN_PATH, $HF_HOME/token, ~/.cache/huggingface/token.
Result<HubOptions> HubFromEnvironment();

class Hub {
 public:
  explicit Hub(HubOptions options);

  Result<HubListing> List(const std::string& repo);
  BlobSource Source(const HubListing& listing, const HubFile& file) const;

 private:
  Result<HttpAnswer> Get(const std::string& url, const std::string& repo);

  HubOptions options_;
  HttpClient client_;
};

// The repository's models, named as local ones are ("hf:user/repo:Q4_K_M"); LocalModel::path is the
// file in the repository, projector_path its projector. Split ones as their first shard.
std::vector<HuggingFaceFile> ModelsOf(const HubListing& listing);

// The one model that "user/repo[:QUANT]" means there; kNotFound with those that exist.
Result<HuggingFaceFile> ChooseFromHub(const std::string& text, const HubListing& listing);

// All shards of a file of the listing, in order; the file alone if it is whole.
std::vector<HubFile> ShardsOf(const HubListing& listing, const std::string& file);

// "user/repo" of "user/repo[:QUANT]"; kUsage for what is no repository.
Result<std::string> HubRepoOf(const std::string& text);

}  // namespace trimma
