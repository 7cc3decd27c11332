// The running Ollama, and the models in the stores with their parameters.
#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <set>

#include "base/file.h"
#include "base/text.h"
#include "doctor/gather.h"
#include "gguf/file_type.h"
#include "gguf/reader.h"
#include "history/quick_hash.h"
#include "models/ollama_name.h"
#include "plan/plan.h"

namespace trimma {
namespace {

namespace fs = std::filesystem;
using Parameters = std::map<std::string, std::string>;

constexpr uint64_t kMostManifest = 4 << 20;
// Models that the API alone knows are asked one by one.
constexpr size_t kMostAsked = 32;

std::string ParameterText(const Json& value) {
  return value.is_string() ? value.get<std::string>() : value.dump();
}

// The layer of a manifest that holds the PARAMETER lines as JSON; none: no parameters.
Fact<Parameters> StoredParameters(const std::string& root, const OllamaName& name) {
  const std::string path = fmt::format("{}/manifests/{}", root, name.Path());
  const auto text = ReadSmallFile(path, kMostManifest);
  if (!text.ok()) return Fact<Parameters>::Unknown(text.error().what);
  const Json manifest = Json::parse(*text, nullptr, false);
  const auto broken = Fact<Parameters>::Unknown(fmt::format("{} is no manifest", path));
  if (!manifest.is_object() || !manifest.contains("layers") || !manifest["layers"].is_array())
    return broken;
  for (const Json& layer : manifest["layers"]) {
    if (!layer.is_object() ||
        layer.value("mediaType", Json()) != "application/vnd.ollama.image.params")
      continue;
    const Json digest = layer.value("digest", Json());
    const std::string id = digest.is_string() ? digest.get<std::string>() : "";
    if (!IsOllamaDigest(id)) return broken;
    const auto blob = ReadSmallFile(fmt::format("{}/blobs/sha256-{}", root, id.substr(7)), 1 << 20);
    if (!blob.ok()) return Fact<Parameters>::Unknown(blob.error().what);
    const Json json = Json::parse(*blob, nullptr, false);
    if (!json.is_object()) return broken;
    Parameters parameters;
    for (const auto& [key, value] : json.items()) parameters[key] = ParameterText(value);
    return parameters;
  }
  return Parameters{};
}

// The digest in the name of a blob: "sha256-<64 digits>" of Ollama's, the bare digits of the cache
// that Hugging Face's tools share.
std::string DigestOf(const std::string& path) {
  std::error_code error;
  const fs::path real = fs::canonical(path, error);
  std::string name = error ? "" : real.filename().string();
  if (name.starts_with("sha256-")) name = name.substr(7);
  const bool is_digest =
      name.size() == 64 && name.find_first_not_of("0123456789abcdef") == std::string::npos;
  return is_digest ? name : "";
}

DoctorModel FromHeader(const LocalModel& local, const GgufFile& file) {
  DoctorModel model;
  model.name = local.name;
  model.path = local.path;
  model.in_ollama = local.source == ModelSource::kOllama;
  model.architecture = file.architecture();
  model.type = TypeLabel(file);
  model.layers = static_cast<uint64_t>(
      std::max<int64_t>(0, file.metadata.Integer(model.architecture + ".block_count").value_or(0)));
  model.trained_context = TrainedContext(file);
  model.file_bytes = file.file_bytes;
  model.quantised = !IsUnquantised(file);
  model.has_projector = !local.projector_path.empty();
  model.source_sha256 = file.metadata.String("quantize.trimma.source_sha256").value_or("");
  model.sha256 = DigestOf(local.path);
  struct stat st{};
  if (stat(local.path.c_str(), &st) == 0) {
    model.device = st.st_dev;
    model.inode = st.st_ino;
  }
  return model;
}

// A hash of samples, where two files of one size might be the same.
void HashTwins(std::vector<DoctorModel>& models) {
  std::map<uint64_t, std::vector<DoctorModel*>> by_size;
  for (DoctorModel& model : models)
    if (!model.path.empty()) by_size[model.file_bytes].push_back(&model);
  for (const auto& [bytes, twins] : by_size) {
    const bool apart = std::any_of(twins.begin(), twins.end(), [&](const DoctorModel* m) {
      return m->inode != twins.front()->inode || m->device != twins.front()->device;
    });
    if (!apart) continue;
    for (DoctorModel* twin : twins)
      if (const auto hash = QuickHash({twin->path}); hash.ok()) twin->quick_hash = *hash;
  }
}

// What the API says of a model whose file can't be read: the service's store, mostly.
DoctorModel FromApi(const std::string& name, const OllamaShow& show) {
  DoctorModel model;
  model.name = "ollama:" + SafeText(name, 200);
  model.in_ollama = true;
  Parameters parameters;
  for (const auto& [key, value] : show.parameters.items()) parameters[key] = ParameterText(value);
  model.parameters = parameters;
  model.architecture = SafeText(show.architecture, 60);
  model.layers = show.layers;
  model.trained_context = show.trained_context;
  model.has_projector = show.has_projector;
  return model;
}

void AddFromApi(const Surroundings& around, DoctorFacts& facts, std::vector<DoctorModel>& models) {
  if (!facts.ollama || !around.ollama) return;
  auto client = OllamaClient::ConnectTo(*around.ollama, around.timeout_s);
  const auto tags = client.ok() ? client->Tags() : Result<std::vector<OllamaTag>>(client.error());
  if (!tags.ok()) {
    facts.model_notes.push_back(tags.error().what);
    return;
  }
  std::set<std::string> known;
  for (const DoctorModel& model : models) known.insert(ToLower(model.name));
  size_t asked = 0;
  for (const auto& [name, digest, bytes, type] : *tags) {
    if (known.contains(ToLower("ollama:" + name))) continue;
    if (around.only_model && around.only_model->name != "ollama:" + name) continue;
    if (++asked > kMostAsked) {
      facts.model_notes.push_back(
          fmt::format("only {} of Ollama's models were asked for", kMostAsked));
      return;
    }
    if (const auto show = client->Show(name); show.ok()) models.push_back(FromApi(name, *show));
  }
}

// What is in memory; unknown where one is larger on the cards than it is, or nothing at all.
Fact<std::vector<OllamaLoaded>> LoadedOf(OllamaClient& client) {
  using Loaded = Fact<std::vector<OllamaLoaded>>;
  auto loaded = client.Loaded();
  if (!loaded.ok()) return Loaded::Unknown(loaded.error().what);
  for (const OllamaLoaded& one : *loaded) {
    if (one.bytes == 0 || one.gpu_bytes > one.bytes) {
      return Loaded::Unknown(
          fmt::format("the Ollama at {} says that {} takes {} bytes, {} of them "
                      "on cards",
                      client.address().Text(), one.name, one.bytes, one.gpu_bytes));
    }
  }
  return *std::move(loaded);
}

// A name that stands for another machine's address, or an address of this machine's network that no
// readable process names, is not taken for this machine: unknown is better than wrong.
bool IsLocal(const OllamaAddress& address, const DoctorFacts& facts) {
  if (address.host.starts_with("127.") || address.host == "localhost" || address.host == "::1")
    return true;
  if (!facts.servers) return false;
  return std::any_of(facts.servers->begin(), facts.servers->end(), [&](const ServerProcess& s) {
    if (s.program != "ollama" || s.in_container || !s.environment) return false;
    const auto host = s.environment->find("OLLAMA_HOST");
    return host != s.environment->end() && ParseOllamaHost(host->second) == address;
  });
}

}  // namespace

void GatherOllama(const Surroundings& around, DoctorFacts& facts) {
  if (!around.ollama) {
    facts.ollama =
        Fact<OllamaFacts>::Unknown("OLLAMA_HOST names a server by https, which is not asked");
    return;
  }
  auto client = OllamaClient::ConnectTo(*around.ollama, around.timeout_s);
  if (!client.ok()) {
    facts.ollama = Fact<OllamaFacts>::Unknown(client.error().what);
    return;
  }
  OllamaFacts ollama;
  ollama.host = around.ollama->Text();
  ollama.version = client->version();
  ollama.is_local = IsLocal(*around.ollama, facts);
  ollama.loaded = LoadedOf(*client);
  facts.ollama = ollama;
}

void GatherModels(const Surroundings& around, DoctorFacts& facts) {
  ModelList list;
  if (around.only_model)
    list.items = {*around.only_model};
  else
    list = ListModels(around.models);
  facts.model_notes = list.notes;
  std::vector<DoctorModel> models;
  std::map<std::string, DoctorModel> read;  // several names may have one file
  for (const LocalModel& local : list.items) {
    auto found = read.find(local.path);
    if (found == read.end()) {
      const auto file = ReadGguf(local.path);
      if (!file.ok()) {
        facts.model_notes.push_back(fmt::format("{}: {}", local.name, file.error().what));
        continue;
      }
      found = read.emplace(local.path, FromHeader(local, *file)).first;
    }
    DoctorModel model = found->second;
    model.name = local.name;
    model.in_ollama = local.source == ModelSource::kOllama;
    model.has_projector = !local.projector_path.empty();
    if (model.in_ollama) {
      const auto name = ParseOllamaName(local.name.substr(std::string_view("ollama:").size()));
      // The blob lies in <root>/blobs.
      const std::string root = fs::path(local.path).parent_path().parent_path().string();
      if (name.ok()) model.parameters = StoredParameters(root, *name);
    }
    models.push_back(std::move(model));
  }
  HashTwins(models);
  AddFromApi(around, facts, models);
  facts.models = std::move(models);
}

}  // namespace trimma
