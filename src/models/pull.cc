#include "models/pull.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <mutex>

#include "base/file.h"
#include "base/text.h"
#include "models/gguf_name.h"
#include "models/ollama_store.h"
#include "models/registry.h"
#include "models/store_folder.h"
#include "models/variants.h"

namespace trimma {
namespace {

// "application/vnd.ollama.image.model" to "model".
std::string KindOf(const RegistryLayer& layer) {
  const size_t dot = layer.media_type.rfind('.');
  return SafeText(layer.media_type.substr(dot == std::string::npos ? 0 : dot + 1), 40);
}

// A link below `folder` at the path `file`, to a blob of the repository's folder above.
Status LinkSnapshot(const std::string& repo_folder, const std::string& commit,
                    const HubFile& file) {
  const std::string relative = fmt::format("snapshots/{}/{}", commit, file.path);
  TRY(const std::string folder, FolderIn(repo_folder, std::string(FolderOf(relative))));
  std::string up = "../../";
  for (const char c : file.path) {
    if (c == '/') up += "../";
  }
  const std::string target = fmt::format("{}blobs/{}", up, file.sha256);
  const std::string link = fmt::format("{}/{}", folder, FileOf(file.path));
  std::error_code ec;
  const std::filesystem::file_status status = std::filesystem::symlink_status(link, ec);
  if (std::filesystem::is_symlink(status) && std::filesystem::read_symlink(link, ec) == target)
    return {};
  if (std::filesystem::is_directory(status))
    return Error{Code::kInvalid, fmt::format("{} is a folder", link), "remove it"};
  // Made beside it and renamed: whoever reads the cache finds the old or the new one.
  const std::string fresh = fmt::format("{}/.trimma-link-{}", folder, getpid());
  unlink(fresh.c_str());
  if (symlink(target.c_str(), fresh.c_str()) != 0) return ErrnoError("link", fresh, errno);
  if (rename(fresh.c_str(), link.c_str()) != 0) {
    const int err = errno;
    unlink(fresh.c_str());
    return ErrnoError("link", link, err);
  }
  return {};
}

}  // namespace

Status FetchAll(const std::vector<PullItem>& items, const PullOptions& options,
                PullResult& result) {
  uint64_t missing = 0;
  for (const PullItem& item : items) {
    result.bytes += item.source.bytes;
    missing += MissingBytes(item.source, item.place);
  }
  if (missing > 0) TRY_STATUS(CheckRoom(options.root, missing));
  PullProgress progress;
  progress.of = result.bytes;
  for (const PullItem& item : items)
    progress.there += IsThere(item.source, item.place) ? item.source.bytes : 0;
  for (const PullItem& item : items) {
    const auto on_fetched = [&](uint64_t kept, uint64_t fetched) {
      PullProgress now = progress;
      now.file = item.what;
      now.there += kept;
      now.fetched += fetched;
      if (options.on_progress) options.on_progress(now);
    };
    Result<Downloaded> downloaded = Download(item.source, item.place, options.download, on_fetched);
    if (!downloaded.ok()) {
      Error error = downloaded.error();
      error.what = fmt::format("{}: {}", item.what, error.what);
      return error;
    }
    progress.there += downloaded->kept_bytes;
    progress.fetched += downloaded->was_there ? 0 : item.source.bytes - downloaded->kept_bytes;
    result.fetched_bytes += downloaded->fetched_bytes;
    result.kept_bytes += downloaded->kept_bytes;
    for (const std::string& note : downloaded->notes)
      result.notes.push_back(fmt::format("{}: {}", item.what, note));
    result.files.push_back(
        {item.what, item.place.path, item.source.sha256, item.source.bytes, downloaded->was_there});
  }
  return {};
}

Result<PullResult> PullFromRegistry(const OllamaName& name, const PullOptions& options) {
  Registry registry(name, options.download);
  const Result<RegistryManifest> found = registry.Manifest(name.tag);
  if (!found.ok())
    return found.error().code == Code::kNotFound ? NoSuchTag(registry) : found.error();
  const RegistryManifest& manifest = *found;
  TRY(const std::string blobs, FolderIn(options.root, "blobs"));
  TRY(const std::string parts, FolderIn(options.root, kPartFolder));
  std::mutex mutex;
  const auto renew = [&](const std::string& stale) -> Result<std::string> {
    const std::lock_guard<std::mutex> lock(mutex);
    if (registry.token() == stale) TRY_STATUS(registry.RenewToken());
    return registry.token();
  };
  std::vector<PullItem> items;
  for (const RegistryLayer& layer : manifest.Blobs()) {
    const std::string what = layer.sha256 == manifest.config.sha256 ? "config" : KindOf(layer);
    items.push_back(
        {what,
         {registry.BlobUrl(layer.sha256), registry.token(), layer.sha256, layer.bytes, renew},
         {fmt::format("{}/sha256-{}", blobs, layer.sha256), parts}});
  }
  PullResult result;
  if (registry.fell_back_to_plain())
    result.notes.push_back(fmt::format("{} speaks no TLS: asked in plain http", name.host));
  const Status fetched = FetchAll(items, options, result);
  rmdir(parts.c_str());  // only if nothing is left in it
  TRY_STATUS(fetched);
  const std::string path = "manifests/" + name.Path();
  TRY(const std::string folder, FolderIn(options.root, path.substr(0, path.rfind('/'))));
  TRY_STATUS(WriteFileAtomically(fmt::format("{}/{}", folder, name.tag), manifest.text));
  TRY(result.model, OpenOllamaModel(options.root, name));
  return result;
}

Result<PullResult> PullFromHub(const std::string& text, const HubOptions& hub_options,
                               const PullOptions& options) {
  TRY(const std::string repo, HubRepoOf(text));
  Hub hub(hub_options);
  TRY(const HubListing listing, hub.List(repo));
  TRY(const HuggingFaceFile chosen, ChooseFromHub(text, listing));
  std::vector<HubFile> files = ShardsOf(listing, chosen.file);
  const std::string& projector = chosen.model.projector_path;
  if (options.projector && !projector.empty()) files.push_back(*listing.Find(projector));

  std::string folder_name = "models--" + repo;
  folder_name.replace(folder_name.find('/'), 1, "--");
  TRY(const std::string folder, FolderIn(options.root, folder_name));
  TRY(const std::string blobs, FolderIn(folder, "blobs"));
  TRY(const std::string parts, FolderIn(options.root, kPartFolder));
  std::vector<PullItem> items;
  for (const HubFile& file : files) {
    if (file.sha256.empty()) {
      return Error{Code::kInvalid, fmt::format("the repository gives no SHA-256 for {}", file.path),
                   "nothing was fetched, since it could not be verified"};
    }
    items.push_back(
        {file.path, hub.Source(listing, file), {fmt::format("{}/{}", blobs, file.sha256), parts}});
  }
  PullResult result;
  const Status fetched = FetchAll(items, options, result);
  rmdir(parts.c_str());
  TRY_STATUS(fetched);
  for (const HubFile& file : files) TRY_STATUS(LinkSnapshot(folder, listing.commit, file));
  TRY(const std::string refs, FolderIn(folder, "refs"));
  TRY_STATUS(WriteFileAtomically(refs + "/main", listing.commit));
  result.model = chosen.model;
  const std::string snapshot = fmt::format("{}/snapshots/{}/", folder, listing.commit);
  result.model.path = snapshot + chosen.file;
  result.model.projector_path = options.projector && !projector.empty() ? snapshot + projector : "";
  return result;
}

}  // namespace trimma
