#include "models/hub.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cstdlib>

#include "base/file.h"
#include "base/text.h"
#include "models/gguf_name.h"
#include "models/huggingface_cache.h"
#include "models/store_folder.h"
#include "net/json.h"
#include "net/sha256.h"

namespace trimma {
namespace {

using Json = nlohmann::json;

constexpr uint64_t kMostPageBytes = uint64_t{16} << 20;
constexpr int kMostPages = 50;
constexpr size_t kMostFiles = 10'000;
constexpr uint64_t kMostFileBytes = uint64_t{1} << 44;
constexpr double kMostListSeconds = 60;
constexpr size_t kMostFilesShown = 12;

std::string HubVariable(const char* name) {
  const char* value = std::getenv(name);
  return std::string(Trim(value == nullptr ? "" : value));
}

Error UnsoundList(const std::string& why) {
  return {Code::kInvalid, "the repository's list of files " + why,
          "nothing was fetched; the server is not to be trusted"};
}

// The server says in a header why it refuses; 401 is also its answer for what doesn't exist.
Error Refusal(const HttpAnswer& answer, const std::string& repo, bool with_token) {
  const std::string why = answer.Header("x-error-code");
  const bool absent =
      answer.status == 404 || why == "RepoNotFound" || (answer.status == 401 && why != "GatedRepo");
  if (absent) {
    return {Code::kNotFound,
            fmt::format("{} has no repository {}, or it is private", SafeText(answer.url.host, 100),
                        repo),
            with_token ? "the access token may not read it"
                       : "check the name; for a private one set HF_TOKEN"};
  }
  if (answer.status == 401 || answer.status == 403) {
    return {Code::kPermission,
            fmt::format("{} is given only to those who accepted its terms", repo),
            fmt::format("accept them at {}/{}, then set HF_TOKEN", answer.url.Origin(), repo)};
  }
  return StatusError(answer, repo);
}

}  // namespace

const HubFile* HubListing::Find(std::string_view path) const {
  const auto at =
      std::find_if(files.begin(), files.end(), [&](const HubFile& f) { return f.path == path; });
  return at == files.end() ? nullptr : &*at;
}

std::vector<std::string> HubListing::Paths() const {
  std::vector<std::string> paths;
  for (const HubFile& file : files) paths.push_back(file.path);
  return paths;
}

Result<std::vector<HubFile>> ParseHubTree(std::string_view text) {
  TRY(const Json json, ParseForeignJson(text, "the repository's list of files"));
  if (!json.is_array()) return UnsoundList("is no list");
  std::vector<HubFile> files;
  for (const Json& item : json) {
    if (TextOf(item, "type") != "file") continue;
    HubFile file;
    file.path = TextOf(item, "path").value_or("");
    if (!IsGgufName(file.path)) continue;
    if (!IsSafeSubpath(file.path))
      return UnsoundList(fmt::format("has a file \"{}\"", SafeText(file.path, 100)));
    const auto bytes = CountOf(item, "size");
    if (!bytes || *bytes > kMostFileBytes)
      return UnsoundList(fmt::format("gives no sound size for {}", SafeText(file.path, 100)));
    file.bytes = *bytes;
    if (const auto lfs = item.find("lfs"); lfs != item.end() && lfs->is_object()) {
      file.sha256 = TextOf(*lfs, "oid").value_or("");
      if (file.sha256.starts_with("sha256:")) file.sha256 = file.sha256.substr(7);
      if (!IsSha256Hex(file.sha256))
        return UnsoundList(fmt::format("gives no SHA-256 for {}", SafeText(file.path, 100)));
      if (lfs->contains("size") && CountOf(*lfs, "size") != bytes)
        return UnsoundList(fmt::format("gives two sizes for {}", SafeText(file.path, 100)));
    }
    files.push_back(std::move(file));
  }
  return files;
}

Result<std::string> ParseHubRefs(std::string_view text) {
  TRY(const Json json, ParseForeignJson(text, "the repository's list of branches"));
  const auto branches = json.is_object() ? json.find("branches") : json.end();
  if (json.is_object() && branches != json.end() && branches->is_array()) {
    for (const Json& branch : *branches) {
      if (TextOf(branch, "name") != "main") continue;
      std::string commit = TextOf(branch, "targetCommit").value_or("");
      if (IsCommit(commit)) return commit;
    }
  }
  return Error{Code::kInvalid, "the repository's list of branches has no commit for \"main\"", ""};
}

Result<HubOptions> HubFromEnvironment() {
  HubOptions options;
  if (std::string endpoint = HubVariable("HF_ENDPOINT"); !endpoint.empty()) {
    while (endpoint.ends_with('/')) endpoint.pop_back();
    options.endpoint = std::move(endpoint);
  }
  options.token = HubVariable("HF_TOKEN");
  if (!options.token.empty()) return options;
  std::string path = HubVariable("HF_TOKEN_PATH");
  if (path.empty() && !HubVariable("HF_HOME").empty()) path = HubVariable("HF_HOME") + "/token";
  if (path.empty()) path = HomeDirectory() + "/.cache/huggingface/token";
  const Result<std::string> content = ReadSmallFile(path, 4096);
  if (content.ok()) options.token = Trim(*content);
  return options;
}

Hub::Hub(HubOptions options) : options_(std::move(options)), client_({options_.insecure}) {
  options_.limits.total_seconds = kMostListSeconds;
}

Result<HttpAnswer> Hub::Get(const std::string& url, const std::string& repo) {
  HttpRequest request;
  request.url = url;
  request.accept = "application/json";
  request.token = options_.token;
  request.limits = options_.limits;
  request.limits.body_bytes = kMostPageBytes;
  TRY(HttpAnswer answer, client_.Fetch(request));
  if (answer.status != 200) return Refusal(answer, repo, !options_.token.empty());
  return answer;
}

Result<HubListing> Hub::List(const std::string& repo) {
  CHECK(IsHuggingFaceRepo(repo));
  HubListing listing;
  listing.repo = repo;
  const std::string base = fmt::format("{}/api/models/{}", options_.endpoint, repo);
  TRY(const HttpAnswer refs, Get(base + "/refs", repo));
  TRY(listing.commit, ParseHubRefs(refs.body));
  // The token goes with every page, so none may be asked for elsewhere, whatever host the page
  // before came from in the end.
  TRY(const Url endpoint, ParseUrl(options_.endpoint));
  std::string url = fmt::format("{}/tree/{}?recursive=true", base, listing.commit);
  for (int page = 0; !url.empty(); ++page) {
    if (page == kMostPages) return UnsoundList("goes on without end");
    TRY(const HttpAnswer answer, Get(url, repo));
    TRY(std::vector<HubFile> files, ParseHubTree(answer.body));
    std::move(files.begin(), files.end(), std::back_inserter(listing.files));
    if (listing.files.size() > kMostFiles) return UnsoundList("has too many files");
    url.clear();
    const auto next = NextPage(answer.Header("link"));
    if (!next) break;
    TRY(const Url followed, FollowFrom(answer.url, *next));
    if (followed.Origin() != endpoint.Origin()) return UnsoundList("goes on at another host");
    url = followed.Text();
  }
  std::sort(listing.files.begin(), listing.files.end(),
            [](const HubFile& a, const HubFile& b) { return a.path < b.path; });
  return listing;
}

BlobSource Hub::Source(const HubListing& listing, const HubFile& file) const {
  return {fmt::format("{}/{}/resolve/{}/{}", options_.endpoint, listing.repo, listing.commit,
                      EscapePath(file.path)),
          options_.token, file.sha256, file.bytes};
}

std::vector<HuggingFaceFile> ModelsOf(const HubListing& listing) {
  const std::vector<std::string> paths = listing.Paths();
  std::vector<std::string> notes;
  std::vector<HuggingFaceFile> models;
  for (const std::string& path : WholeModels(paths, notes)) {
    LocalModel model;
    model.source = ModelSource::kHuggingFace;
    model.path = path;
    model.projector_path = ProjectorFor(path, paths);
    models.push_back({listing.repo, path, QuantTag(path), std::move(model)});
  }
  NameByQuant(models);
  return models;
}

Result<std::string> HubRepoOf(const std::string& text) {
  std::string repo = text.substr(0, text.find(':'));
  if (IsHuggingFaceRepo(repo)) return repo;
  return Error{Code::kUsage,
               fmt::format("\"{}\" is no repository of Hugging Face", SafeText(text, 100)),
               "write hf:user/repo or hf:user/repo:QUANT"};
}

Result<HuggingFaceFile> ChooseFromHub(const std::string& text, const HubListing& listing) {
  const std::vector<HuggingFaceFile> models = ModelsOf(listing);
  std::vector<std::string> names;
  for (const HuggingFaceFile& model : models) names.push_back(model.model.name);
  if (names.size() > kMostFilesShown) names.resize(kMostFilesShown);
  if (models.empty()) {
    return Error{Code::kNotFound,
                 fmt::format("the repository {} holds no GGUF model", listing.repo),
                 "look for one whose name ends in -GGUF"};
  }
  const size_t colon = text.find(':');
  const std::string wanted = listing.repo + (colon == std::string::npos ? "" : text.substr(colon));
  const std::vector<LocalModel> matches = MatchHuggingFace(wanted, models);
  if (matches.empty()) {
    return Error{Code::kNotFound,
                 fmt::format("the repository {} has no model \"{}\"", listing.repo,
                             SafeText(text.substr(colon + 1), 80)),
                 fmt::format("it has {}", fmt::join(names, ", "))};
  }
  if (matches.size() > 1) {
    std::vector<std::string> fitting;
    for (const LocalModel& model : matches) fitting.push_back(model.name);
    return Error{Code::kUsage,
                 fmt::format("\"{}\" fits {} models: {}", SafeText(text, 100), fitting.size(),
                             fmt::join(fitting, ", ")),
                 "write one of these names in full"};
  }
  return *std::find_if(models.begin(), models.end(), [&](const HuggingFaceFile& file) {
    return file.model.name == matches.front().name;
  });
}

std::vector<HubFile> ShardsOf(const HubListing& listing, const std::string& file) {
  std::vector<HubFile> shards;
  const int count = ShardOf(file).count;
  if (const HubFile* found = listing.Find(file); found != nullptr && count == 1) return {*found};
  constexpr size_t kTail = std::string_view("00001-of-00002.gguf").size();
  const std::string base = file.substr(0, file.size() - kTail);
  for (int i = 1; i <= count; ++i) {
    const HubFile* shard = listing.Find(fmt::format("{}{:05}-of-{:05}.gguf", base, i, count));
    if (shard != nullptr) shards.push_back(*shard);
  }
  return shards;
}

}  // namespace trimma
