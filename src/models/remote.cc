#include "models/remote.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <thread>

#include "base/interrupt.h"
#include "base/text.h"
#include "gguf/shards.h"
#include "models/registry.h"
#include "models/variants.h"

namespace trimma {
namespace {

constexpr uint64_t kFirstPiece = uint64_t{512} << 10;
constexpr uint64_t kMostHeaderBytes = uint64_t{96} << 20;

// Tried again where what went wrong may pass.
Result<HttpAnswer> Insist(HttpClient& client, const HttpRequest& request,
                          const DownloadOptions& options) {
  constexpr int kTries = 3;  // somebody waits at a prompt
  double wait = options.first_wait_seconds;
  for (int left = std::min(kTries, options.tries);; wait *= 2) {
    Result<HttpAnswer> answer = client.Fetch(request);
    const bool may_pass = answer.ok() ? MayPass(answer->status) : client.may_pass();
    if (!may_pass || --left <= 0) return answer;
    TRY_STATUS(CheckInterrupted());
    std::this_thread::sleep_for(std::chrono::duration<double>(wait));
  }
}

// The next bytes of the head.
Status Grow(HttpClient& client, const BlobSource& source, const DownloadOptions& options,
            std::string& etag, std::string& head) {
  const uint64_t wanted =
      std::min({source.bytes, kMostHeaderBytes, std::max(kFirstPiece, uint64_t{head.size()} * 4)});
  HttpRequest request;
  request.url = source.url;
  request.token = source.token;
  request.limits = options.limits;
  request.etag = etag;
  request.range = ByteRange{head.size(), wanted - head.size(), source.bytes};
  TRY(const HttpAnswer answer, Insist(client, request, options));
  const std::string host = SafeText(answer.url.host, 100);
  if (answer.whole_instead) {
    const auto length = ParseCount(answer.Header("content-length"));
    const std::string length_text =
        length ? fmt::format("all {} bytes", *length) : std::string("everything");
    return Error{Code::kNetwork,
                 fmt::format("{} was asked for the file's header alone and would send {}", host,
                             length_text),
                 "it can't be planned without fetching it: trimma pull"};
  }
  if (answer.status != 206) return StatusError(answer, "the file's header");
  etag = answer.Header("etag");
  head += answer.body;
  return {};
}

}  // namespace

Result<GgufFile> ReadRemoteHeader(const BlobSource& source, const std::string& name,
                                  const DownloadOptions& options, uint64_t& fetched_bytes) {
  if (source.bytes == 0)
    return Error{Code::kInvalid, fmt::format("{} is empty", SafeText(name)), ""};
  HttpClient client({options.insecure});
  std::string head;
  std::string etag;
  while (true) {
    const uint64_t before = head.size();
    TRY_STATUS(Grow(client, source, options, etag, head));
    fetched_bytes += head.size() - before;
    TRY(std::optional<GgufFile> file, ParseGrowingGguf(head, source.bytes, name));
    if (file) return *std::move(file);
    if (head.size() >= std::min(source.bytes, kMostHeaderBytes)) {
      return Error{
          Code::kInvalid,
          fmt::format("{}: its header is longer than {} bytes", SafeText(name), head.size()), ""};
    }
  }
}

Result<RemoteModel> OpenInRegistry(const OllamaName& name, const DownloadOptions& options) {
  Registry registry(name, options);
  const Result<RegistryManifest> found = registry.Manifest(name.tag);
  if (!found.ok())
    return found.error().code == Code::kNotFound ? NoSuchTag(registry) : found.error();
  const RegistryManifest& manifest = *found;
  RemoteModel remote{"ollama:" + name.Short(), name.host, {}, {}, 0};
  const auto read = [&](const RegistryLayer& layer) {
    return ReadRemoteHeader(
        {registry.BlobUrl(layer.sha256), registry.token(), layer.sha256, layer.bytes}, remote.name,
        options, remote.fetched_bytes);
  };
  TRY(remote.file, read(*manifest.Find("model")));
  if (const RegistryLayer* projector = manifest.Find("projector")) {
    TRY(remote.projector, read(*projector));
  }
  return remote;
}

Result<RemoteModel> OpenInHub(const std::string& text, const HubOptions& hub_options,
                              const DownloadOptions& options) {
  TRY(const std::string repo, HubRepoOf(text));
  Hub hub(hub_options);
  TRY(const HubListing listing, hub.List(repo));
  TRY(const HuggingFaceFile chosen, ChooseFromHub(text, listing));
  TRY(const Url endpoint, ParseUrl(hub_options.endpoint));
  const std::string origin = endpoint.Origin();
  RemoteModel remote{chosen.model.name, origin.substr(origin.find("://") + 3), {}, {}, 0};
  // Shards look for each other by name: the repository's paths serve as such.
  const auto read = [&](const std::string& path) -> Result<GgufFile> {
    const HubFile* file = listing.Find(path);
    if (file == nullptr)
      return Error{Code::kNotFound, fmt::format("{} has no {}", repo, SafeText(path)), ""};
    return ReadRemoteHeader(hub.Source(listing, *file), path, options, remote.fetched_bytes);
  };
  TRY(remote.file, read(chosen.file));
  TRY(const uint32_t shards, SplitCount(remote.file));
  if (shards > 1) {
    TRY(remote.file, ReadShards(std::move(remote.file), read));
  }
  if (!chosen.model.projector_path.empty()) {
    TRY(remote.projector, read(chosen.model.projector_path));
  }
  return remote;
}

}  // namespace trimma
