#include "models/variants.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <map>

#include "base/text.h"
#include "models/gguf_name.h"

namespace trimma {
namespace {

constexpr size_t kMostVariants = 60;
constexpr size_t kMostShown = 12;
constexpr uint64_t kPeekBytes = uint64_t{64} << 10;

// Whether the file's own keys announce a vision part. They stand before the tokenizer's, in the
// first kilobytes.
std::optional<bool> PeekForProjector(Registry& registry, const RegistryLayer& model,
                                     const DownloadOptions& options) {
  HttpClient client({options.insecure});
  HttpRequest request;
  request.url = registry.BlobUrl(model.sha256);
  request.token = registry.token();
  request.limits = options.limits;
  request.range = ByteRange{0, std::min(kPeekBytes, model.bytes), model.bytes};
  if (model.bytes == 0) return std::nullopt;
  const Result<HttpAnswer> answer = client.Fetch(request);
  if (!answer.ok() || answer->status != 206 || !answer->body.starts_with("GGUF"))
    return std::nullopt;
  if (answer->body.find(".vision.block_count") != std::string::npos) return true;
  if (answer->body.find("tokenizer.ggml.model") != std::string::npos) return false;
  return std::nullopt;
}

}  // namespace

std::vector<std::string> LikelyTags(const std::string& tag) {
  const std::string size = tag.substr(0, tag.find('-'));
  std::vector<std::string> tags = {tag, size, "latest"};
  if (size == "latest") return {"latest"};
  for (const char* kind : {"it", "instruct"}) {
    for (const char* type : {"q4_K_M", "q4_0", "q8_0", "fp16", "qat"})
      tags.push_back(fmt::format("{}-{}-{}", size, kind, type));
  }
  for (const char* type : {"q4_K_M", "q8_0", "fp16"})
    tags.push_back(fmt::format("{}-{}", size, type));
  std::vector<std::string> once;
  for (std::string& candidate : tags) {
    if (std::find(once.begin(), once.end(), candidate) == once.end())
      once.push_back(std::move(candidate));
  }
  return once;
}

Result<TagList> ExistingTags(Registry& registry, const std::string& tag) {
  Result<std::vector<std::string>> listed = registry.Tags();
  if (listed.ok()) return TagList{*std::move(listed), true};
  if (listed.error().code == Code::kNetwork) return listed.error();
  TagList list;
  for (const std::string& candidate : LikelyTags(tag)) {
    const Result<RegistryManifest> manifest = registry.Manifest(candidate);
    if (manifest.ok()) list.tags.push_back(candidate);
    if (!manifest.ok() && manifest.error().code == Code::kNetwork) return manifest.error();
  }
  return list;
}

Error NoSuchTag(Registry& registry) {
  const OllamaName& name = registry.name();
  Error error{Code::kNotFound, fmt::format("{} does not exist at {}", name.Short(), name.host), ""};
  Result<TagList> list = ExistingTags(registry, name.tag);
  if (!list.ok()) return error;
  std::vector<std::string>& tags = list->tags;
  if (tags.empty()) {
    error.hint = fmt::format("nor was any other tag of {} found there; check the name", name.model);
    return error;
  }
  if (tags.size() > kMostShown) {
    // Those of the same size first: they are what was meant.
    const std::string size = name.tag.substr(0, name.tag.find('-'));
    std::sort(tags.begin(), tags.end(), [&](const std::string& a, const std::string& b) {
      return std::pair(!a.starts_with(size), a) < std::pair(!b.starts_with(size), b);
    });
    tags.resize(kMostShown);
  }
  error.hint = fmt::format("there {} {}:{}", tags.size() == 1 ? "is" : "are", name.model,
                           fmt::join(tags, fmt::format(", {}:", name.model)));
  return error;
}

Result<VariantList> VariantsInRegistry(const OllamaName& name, const DownloadOptions& options) {
  Registry registry(name, options);
  TRY(TagList tags, ExistingTags(registry, name.tag));
  VariantList list;
  if (!tags.complete) {
    list.notes.push_back(fmt::format(
        "{} doesn't list its tags; these are the ones found by their usual names", name.host));
  }
  if (tags.tags.size() > kMostVariants) {
    list.notes.push_back(fmt::format("{} has {} tags; the first {} are shown", name.host,
                                     tags.tags.size(), kMostVariants));
    tags.tags.resize(kMostVariants);
  }
  std::map<std::string, std::optional<bool>> peeked;  // tags share their files
  for (const std::string& tag : tags.tags) {
    OllamaName tagged = name;
    tagged.tag = tag;
    const Result<RegistryManifest> manifest = registry.Manifest(tag);
    if (!manifest.ok()) {
      list.notes.push_back(fmt::format("{}: {}", tagged.Short(), manifest.error().what));
      continue;
    }
    const RegistryLayer& model = *manifest->Find("model");
    Variant variant{"ollama:" + tagged.Short(), "", model.bytes, std::nullopt, 0};
    if (const Result<RegistryConfig> config = registry.Config(*manifest); config.ok())
      variant.type = config->type;
    const RegistryLayer* projector = manifest->Find("projector");
    if (projector != nullptr) variant.projector_bytes = projector->bytes;
    const auto known = peeked.find(model.sha256);
    variant.projector_inside =
        known != peeked.end() ? known->second : PeekForProjector(registry, model, options);
    peeked[model.sha256] = variant.projector_inside;
    list.items.push_back(std::move(variant));
  }
  return list;
}

Result<VariantList> VariantsInHub(const std::string& repo, const HubOptions& hub_options) {
  Hub hub(hub_options);
  TRY(const HubListing listing, hub.List(repo));
  VariantList list;
  for (const HuggingFaceFile& model : ModelsOf(listing)) {
    Variant variant{model.model.name, model.quant, 0, false, 0};
    for (const HubFile& shard : ShardsOf(listing, model.file)) variant.file_bytes += shard.bytes;
    if (const HubFile* projector = listing.Find(model.model.projector_path))
      variant.projector_bytes = projector->bytes;
    list.items.push_back(std::move(variant));
    list.hub.push_back(model);
  }
  if (list.items.empty())
    list.notes.push_back(fmt::format("the repository {} holds no GGUF model", repo));
  return list;
}

}  // namespace trimma
