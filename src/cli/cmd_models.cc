#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/text.h"
#include "base/units.h"
#include "cli/command.h"
#include "cli/common.h"
#include "gguf/file_type.h"
#include "models/engine_view.h"
#include "models/huggingface_cache.h"
#include "models/models.h"
#include "models/online_name.h"
#include "models/variants.h"
#include "report/table.h"

namespace trimma {
namespace {

struct ModelsFlags {
  std::string name;
  bool online = false;
  bool insecure = false;
};

struct Listing {
  Json items = Json::array();
  Json online;  // null where nobody asked
  std::vector<std::string> names;
  std::vector<HuggingFaceFile> hub;  // of Hugging Face, here and online
  std::vector<std::string> notes;
  std::string text;
};

void ListLocal(const std::string& wanted, Listing& listing) {
  const ModelRoots roots = DefaultModelRoots();
  const ModelList list = ListModels(roots);
  Walk walk;
  for (const std::string& root : roots.huggingface) {
    for (HuggingFaceFile& file : ListHuggingFace(root, walk))
      listing.hub.push_back(std::move(file));
  }
  TextTable table{{"name", "type", "bits/weight", "size", "projector"}, {}};
  listing.notes = list.notes;
  for (const LocalModel& model : list.items) {
    if (!wanted.empty() && !IsOfFamily(model.name, wanted)) continue;
    const auto file = ReadGguf(model.path);
    if (!file.ok()) {
      listing.notes.push_back(fmt::format("{}: {}", model.name, file.error().what));
      continue;
    }
    const bool has_projector = !model.projector_path.empty() || HoldsProjector(*file);
    listing.names.push_back(model.name);
    listing.items.push_back({{"name", model.name},
                             {"path", model.path},
                             {"source", NameOf(model.source)},
                             {"type", TypeLabel(*file)},
                             {"bits_per_weight", file->bits_per_weight()},
                             {"file_bytes", file->file_bytes},
                             {"has_projector", has_projector}});
    table.rows.push_back({SafeText(model.name, 60), TypeLabel(*file),
                          fmt::format("{:.2f}", file->bits_per_weight()),
                          FormatBytes(file->file_bytes), has_projector ? "yes" : ""});
  }
  if (!table.rows.empty()) {
    listing.text = RenderTable(table);
  } else if (wanted.empty()) {
    listing.text = "no local models found (Ollama, Hugging Face cache, LM Studio)\n";
  } else {
    listing.text = fmt::format("no model {} on this machine\n", SafeText(wanted));
  }
}

// "inside" its file, "beside" it, "none", or "unknown".
std::string ProjectorOf(const Variant& variant) {
  if (variant.projector_bytes > 0) return "beside";
  if (!variant.projector_inside) return "unknown";
  return *variant.projector_inside ? "inside" : "none";
}

Status ListOnline(const ModelsFlags& options, Listing& listing) {
  TRY(const OnlineName name, ParseOnlineName(options.name));
  VariantList variants;
  if (name.source == ModelSource::kOllama) {
    DownloadOptions download;
    download.insecure = options.insecure;
    download.plain = name.plain;
    TRY(variants, VariantsInRegistry(name.ollama, download));
  } else {
    TRY(HubOptions hub, HubFromEnvironment());
    hub.insecure = options.insecure;
    TRY(variants, VariantsInHub(name.hub.substr(0, name.hub.find(':')), hub));
  }
  listing.online = Json::array();
  TextTable table{{"online", "type", "size", "projector", "here"}, {}};
  for (const Variant& variant : variants.items) {
    const bool here =
        std::find(listing.names.begin(), listing.names.end(), variant.name) != listing.names.end();
    listing.online.push_back({{"name", variant.name},
                              {"type", variant.type},
                              {"file_bytes", variant.file_bytes},
                              {"projector", ProjectorOf(variant)},
                              {"projector_bytes", variant.projector_bytes},
                              {"here", here}});
    std::string projector = ProjectorOf(variant);
    if (projector == "inside") projector = "in the size";
    if (projector == "beside") projector = "+ " + FormatBytes(variant.projector_bytes);
    table.rows.push_back({SafeText(variant.name, 60), SafeText(variant.type, 20),
                          FormatBytes(variant.file_bytes), projector, here ? "yes" : ""});
  }
  for (HuggingFaceFile& file : variants.hub) listing.hub.push_back(std::move(file));
  for (std::string& note : variants.notes) listing.notes.push_back(std::move(note));
  if (!table.rows.empty()) listing.text += "\n" + RenderTable(table);
  return {};
}

// A tag, quant or file was named that exists neither here nor, where that was asked, online.
Status CheckExists(const ModelsFlags& options, const Listing& listing) {
  if (listing.names.empty() && (!listing.online.is_array() || listing.online.empty())) {
    return Error{Code::kNotFound, fmt::format("no model {} was found", SafeText(options.name)),
                 options.online ? "" : "--online asks the registry too"};
  }
  if (ToLower(options.name) == FamilyOf(options.name)) return {};
  std::vector<std::string> names = listing.names;
  if (listing.online.is_array()) {
    for (const Json& variant : listing.online) names.push_back(variant["name"]);
  }
  const std::string wanted = ToLower(options.name);
  for (const std::string& name : names) {
    const std::string known = ToLower(name);
    if (known == wanted || known.ends_with(":" + wanted) || known.ends_with("/" + wanted))
      return {};
  }
  const std::string in_hub = options.name.substr(options.name.starts_with("hf:") ? 3 : 0);
  if (!MatchHuggingFace(in_hub, listing.hub).empty()) return {};
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
  return Error{
      Code::kNotFound,
      fmt::format("{} does not exist {}", SafeText(options.name),
                  options.online ? "here or online" : "on this machine"),
      fmt::format("there {} {}{}", names.size() == 1 ? "is" : "are", fmt::join(names, ", "),
                  options.online ? "" : "; --online asks the registry too")};
}

Status Models(const ModelsFlags& options, const Shared& shared) {
  if (options.online && options.name.empty())
    return Error{Code::kUsage, "--online needs the name of a model", "for example gemma3:4b"};
  Listing listing;
  ListLocal(options.name, listing);
  if (options.online) TRY_STATUS(ListOnline(options, listing));
  if (!options.name.empty()) TRY_STATUS(CheckExists(options, listing));
  if (shared.json) {
    return PrintDocument({{"schema", "trimma.models/1"},
                          {"items", listing.items},
                          {"online", listing.online},
                          {"notes", listing.notes}});
  }
  for (const std::string& note : listing.notes)
    listing.text += fmt::format("note: {}\n", SafeText(note, 300));
  return PrintText(listing.text);
}

}  // namespace

Action DefineModels(CLI::App& app, const Shared& shared) {
  const auto options = std::make_shared<ModelsFlags>();
  app.add_option("NAME", options->name, "Only the variants of this model");
  app.add_flag("--online", options->online,
               "Ask the registry, or Hugging Face, for NAME's variants too");
  AddInsecureOption(app, options->insecure);
  return [options, &shared] { return Models(*options, shared); };
}

}  // namespace trimma
