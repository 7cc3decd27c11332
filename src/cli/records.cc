#include "cli/records.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <filesystem>

#include "base/build_info.h"
#include "base/file.h"
#include "base/text.h"
#include "models/ollama_name.h"
#include "plan/file_hash.h"
#include "report/json_document.h"

namespace trimma {
namespace {

struct Profile {
  const char* name;
  double temperature;
  double top_p;
};

// "precise" is the guide's own pair; "creative" leaves the distribution nearly as the model learnt
// it.
constexpr std::array kProfiles = {Profile{"precise", 0.3, 0.8}, Profile{"balanced", 0.7, 0.9},
                                  Profile{"creative", 1.0, 0.95}};

std::string RecordDirectory() { return StateDirectory() + "/records"; }

std::string PathOfKept(const std::string& created) {
  std::string stamp = created;
  std::replace(stamp.begin(), stamp.end(), ':', '-');
  return fmt::format("{}/{}.json", RecordDirectory(), stamp);
}

}  // namespace

Result<std::string> KeepRecord(const Json& document, const std::string& created) {
  TRY_STATUS(MakeDirectories(RecordDirectory()));
  const std::string path = PathOfKept(created);
  TRY_STATUS(WriteFileAtomically(path, DumpDocument(document)));
  return path;
}

Result<std::string> NewestRecord() {
  std::string newest;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(RecordDirectory(), error)) {
    const std::string path = entry.path().string();
    // Names begin with the time, so the last name is the newest.
    if (path.ends_with(".json") && path > newest) newest = path;
  }
  if (newest.empty())
    return Error{Code::kNotFound, "there is no record of this machine yet",
                 "run `trimma optimize MODEL` first"};
  return newest;
}

namespace {

// "" where a field is missing or no text.
std::string At(const Json& json, const char* object, const char* field) {
  const Json inner = json.is_object() ? json.value(object, Json()) : Json();
  const Json value = inner.is_object() ? inner.value(field, Json()) : Json();
  return value.is_string() ? value.get<std::string>() : "";
}

// Discarded where there is no such file, or no JSON in it.
Json ReadRecord(const std::string& path) {
  const auto text = path.empty() ? Result<std::string>(Error{}) : ReadSmallFile(path);
  return Json::parse(text.ok() ? *text : "", nullptr, false);
}

// Where this machine keeps a record of the same time; "" for one that tells none.
std::string KeptPath(const Json& record) {
  const Json created = record.is_object() ? record.value("created", Json()) : Json();
  const std::string time = created.is_string() ? created.get<std::string>() : "";
  return time.empty() || time.find('/') != std::string::npos ? "" : PathOfKept(time);
}

bool IsAbout(const Json& record, const std::string& model) {
  if (At(record, "model", "argument") == model || At(record, "ollama", "name") == model ||
      "ollama:" + At(record, "ollama", "name") == model) {
    return true;
  }
  const std::string before = At(record, "model", "path");
  const std::string after = At(record, "files", "model");
  const std::string in_ollama = At(record, "files", "ollama_model");
  return SameFile(before, model) || SameFile(after, model) || SameFile(in_ollama, model);
}

}  // namespace

std::string OllamaMadeFrom(const std::string& record_path) {
  const Json json = ReadRecord(record_path);
  const std::string kept = At(ReadRecord(KeptPath(json)), "ollama", "name");
  return kept.empty() ? At(json, "ollama", "name") : kept;
}

Status NoteMadeInOllama(const std::string& record_path, const Json& model) {
  const std::string path = KeptPath(ReadRecord(record_path));
  Json kept = ReadRecord(path);
  if (!kept.is_object()) return {};
  kept["ollama"] = model;
  return WriteFileAtomically(path, DumpDocument(kept));
}

Result<std::string> RecordFor(const std::string& model) {
  std::vector<std::string> paths;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(RecordDirectory(), error))
    if (entry.path().extension() == ".json") paths.push_back(entry.path().string());
  std::sort(paths.rbegin(), paths.rend());  // names begin with the time
  for (const std::string& path : paths) {
    const auto text = ReadSmallFile(path);
    if (text.ok() && IsAbout(Json::parse(*text, nullptr, false), model)) return path;
  }
  return Error{Code::kNotFound,
               fmt::format("there is no record about {} on this machine", SafeText(model)),
               fmt::format("run `trimma optimize {}` first", SafeText(model))};
}

Result<Applied> AppliedFromRecord(const std::string& path) {
  TRY(const std::string text, ReadSmallFile(path));
  const Json json = Json::parse(text, nullptr, false);
  const Error invalid{Code::kInvalid,
                      fmt::format("{} is not a record of `trimma optimize`", SafeText(path, 300)),
                      "name a record.json"};
  if (!json.is_object()) return invalid;
  try {
    if (json.at("schema") != "trimma.optimize/1") return invalid;
    Applied applied;
    applied.model_path = json.at("files").at("model");
    const Json projector = json["files"].value("projector", Json());
    if (projector.is_string()) applied.projector_path = projector;
    const Json ollama = json["files"].value("ollama_model", Json());
    if (ollama.is_string()) applied.ollama_path = ollama;
    const std::string original = json.at("model").at("path");
    const bool kept = original == applied.model_path || original == applied.ollama_path;
    applied.name = ServedName(json.at("model").at("argument"), kept, applied.model_path);
    TRY(applied.settings, RuntimeSettingsFromJson(json.at("after").at("settings")));
    applied.sampling = {json.at("sampling").at("temperature"), json.at("sampling").at("top_p"),
                        json.at("sampling").at("profile"), json["sampling"].value("chosen", false)};
    applied.ollama_original =
        OllamaOriginal(json.at("model").at("argument"), json.at("model").at("path"));
    applied.trimma_version = build_info::kVersion;
    applied.engine_version = EngineText();
    return applied;
  } catch (const nlohmann::json::exception&) {
    return invalid;
  }
}

Applied AppliedFrom(const OptimizeRecord& record) {
  return {ServedName(record.model_argument, record.weights_kept(), record.files.model),
          record.files.model,
          record.files.projector,
          record.after.settings,
          record.sampling,
          record.trimma_version,
          EngineText(),
          record.files.ollama_model,
          OllamaOriginal(record.model_argument, record.model_path)};
}

std::string OllamaOriginal(const std::string& argument, const std::string& model_path) {
  constexpr std::string_view kOllama = "ollama:";
  if (argument.starts_with(kOllama)) return argument.substr(kOllama.size());
  // A bare name that led into Ollama's store.
  return HashFromName(model_path) && argument != model_path && ParseOllamaName(argument).ok()
             ? argument
             : "";
}

std::string ServedName(const std::string& argument, bool weights_kept,
                       const std::string& model_path) {
  constexpr std::string_view kOllama = "ollama:";
  if (weights_kept && argument.starts_with(kOllama)) return argument.substr(kOllama.size());
  const bool is_path =
      argument.find('/') != std::string::npos || ToLower(argument).ends_with(".gguf");
  if (weights_kept && !is_path) return argument;
  return ToLower(std::filesystem::path(model_path).stem().string());
}

Result<Sampling> ChooseSampling(const GgufFile& file, const std::string& profile) {
  const RecommendedSampling own = RecommendedBy(file);
  if (profile == "model" && own.temperature && own.top_p)
    return Sampling{*own.temperature, *own.top_p, "model", false};
  const std::string wanted = profile == "model" ? "balanced" : profile;
  for (const Profile& p : kProfiles) {
    if (wanted == p.name) return Sampling{p.temperature, p.top_p, p.name, profile != "model"};
  }
  return Error{Code::kUsage,
               fmt::format("there is no sampling profile \"{}\"", SafeText(profile, 40)),
               "precise, balanced, creative or model"};
}

RecommendedSampling RecommendedBy(const GgufFile& file) {
  RecommendedSampling r;
  r.temperature = file.metadata.Number("general.sampling.temp");
  r.top_p = file.metadata.Number("general.sampling.top_p");
  r.min_p = file.metadata.Number("general.sampling.min_p");
  r.top_k = file.metadata.Integer("general.sampling.top_k");
  return r;
}

std::string EngineText() {
  return fmt::format("llama.cpp {} ({})", build_info::kEngineVersion,
                     std::string(build_info::kEngineCommit).substr(0, 12));
}

}  // namespace trimma
