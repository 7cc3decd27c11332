#include "cli/common.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <filesystem>

#include "base/clock.h"
#include "base/progress.h"
#include "base/text.h"
#include "base/units.h"
#include "gguf/soundness.h"
#include "models/online_name.h"
#include "models/remote.h"
#include "models/view_cache.h"
#include "plan/plan.h"

namespace trimma {

namespace {

// Writes the text view, and says so: the user asked for something else.
Result<GgufFile> WriteView(const StoredModel& stored, const std::string& name, bool quiet) {
  TRY(const GgufFile header, HeaderOf(stored.view.text));
  TRY(const std::string path, TextViewPath(stored.file));
  if (!quiet) {
    fmt::print(stderr,
               "llama.cpp doesn't read {} as Ollama stores it: writing the text-only copy that it "
               "loads ({}) to {}\n",
               SafeText(name, 200), FormatBytes(header.file_bytes), SafeText(path, 500));
  }
  Progress progress(quiet);
  const Clock::time_point start = Clock::now();
  // Where blocks are shared it is done before anyone could read a line.
  return WriteTextView(stored.file, stored.view, [&](double share) {
    if (Clock::now() - start > std::chrono::seconds(1)) progress.Update("writing the copy", share);
  });
}

// The text view's file in place of the stored one, written where it is missing and will be loaded.
Status ReadByView(OpenedModel& model, EngineView view, bool quiet, OpenFor purpose) {
  StoredModel stored{model.local.path, std::move(model.file), std::move(view)};
  if (auto there = FindTextView(stored.file, stored.view)) {
    model.file = *std::move(there);
  } else if (purpose == OpenFor::kHeader) {
    TRY(model.file, HeaderOf(stored.view.text));
  } else {
    TRY(model.file, WriteView(stored, model.local.name, quiet));
  }
  TRY_STATUS(CheckModel(model.file));
  model.local.path = model.file.paths[0];
  model.stored = std::move(stored);
  return {};
}

Result<OpenedModel> OpenLocal(LocalModel local, bool quiet, OpenFor purpose) {
  OpenedModel model;
  model.local = std::move(local);
  TRY(model.file, ReadGguf(model.local.path));
  TRY_STATUS(CheckModel(model.file));
  TRY(auto view, EngineViewOf(model.file));
  if (view) TRY_STATUS(ReadByView(model, *std::move(view), quiet, purpose));
  return model;
}

}  // namespace

Result<OpenedModel> OpenModel(const std::string& name, bool quiet, OpenFor purpose) {
  TRY(LocalModel local, ResolveModel(name, DefaultModelRoots()));
  return OpenLocal(std::move(local), quiet, purpose);
}

bool IsUnwritten(const OpenedModel& model) {
  return model.stored && model.local.path == model.stored->path;
}

const std::string& StoredPath(const OpenedModel& model) {
  return model.stored ? model.stored->path : model.local.path;
}

std::vector<std::string> ViewNotes(const OpenedModel& model) {
  if (!model.stored) return {};
  const EngineView& view = model.stored->view;
  std::vector<std::string> notes = {fmt::format("read as: {}", fmt::join(view.text.changes, "; "))};
  if (view.projector) {
    for (const std::string& change : view.projector->changes) {
      if (change.starts_with("the ")) notes.push_back("of the projector: " + change);
    }
  } else if (!view.no_projector.empty()) {
    notes.push_back(fmt::format("the encoder in the file ({}) is in none of these figures: {}",
                                FormatBytes(view.projector_bytes), view.no_projector));
  }
  return notes;
}

std::string StemOf(const OpenedModel& model) {
  constexpr std::string_view kOllama = "ollama:";
  std::string stem = std::filesystem::path(StoredPath(model)).stem().string();
  if (model.local.source != ModelSource::kOllama || !model.local.name.starts_with(kOllama))
    return stem;
  stem = model.local.name.substr(kOllama.size());
  std::replace_if(stem.begin(), stem.end(), [](char c) { return c == '/' || c == ':'; }, '-');
  return stem;
}

void AddInsecureOption(CLI::App& app, bool& insecure) {
  app.add_flag("--insecure", insecure,
               "Allow plain http to another machine, where it speaks no TLS");
}

Result<OpenedModel> OpenModelOrHeader(const std::string& name, bool insecure) {
  // A model that is here, however damaged, is the one that was meant.
  Result<LocalModel> local = ResolveModel(name, DefaultModelRoots());
  if (local.ok()) return OpenLocal(*std::move(local), /*quiet=*/true, OpenFor::kHeader);
  if (local.error().code != Code::kNotFound || !MayAskNetwork(name)) return local.error();
  TRY(const OnlineName online, ParseOnlineName(name));
  Result<RemoteModel> remote = Error{Code::kInternal, "", ""};
  DownloadOptions download;
  download.insecure = insecure;
  download.plain = online.plain;
  if (online.source == ModelSource::kOllama) {
    remote = OpenInRegistry(online.ollama, download);
  } else {
    TRY(HubOptions hub, HubFromEnvironment());
    hub.insecure = insecure;
    remote = OpenInHub(online.hub, hub, download);
  }
  if (!remote.ok()) {
    Error error = remote.error();
    if (error.code == Code::kNetwork) error.what = local.error().what + "; " + error.what;
    return error;
  }
  OpenedModel model;
  model.local.name = remote->name;
  model.local.source = online.source;
  model.file = std::move(remote->file);
  model.remote_host = remote->where;
  model.remote_projector = std::move(remote->projector);
  TRY_STATUS(CheckModel(model.file));
  TRY(auto view, EngineViewOf(model.file));
  // Its paths are names elsewhere: here another file may have them, with losses of its own.
  if (!view) {
    model.file.paths.clear();
    return model;
  }
  StoredModel stored{"", std::move(model.file), *std::move(view)};
  TRY(model.file, HeaderOf(stored.view.text));
  TRY_STATUS(CheckModel(model.file));
  model.file.paths.clear();
  stored.file.paths.clear();
  model.stored = std::move(stored);
  return model;
}

Result<std::optional<GgufFile>> OpenProjector(const OpenedModel& model,
                                              const std::optional<std::string>& wish) {
  const bool has_inline = model.stored && model.stored->view.projector;
  if (!wish && model.local.projector_path.empty() && has_inline) {
    TRY(GgufFile projector, HeaderOf(*model.stored->view.projector));
    return std::optional<GgufFile>(std::move(projector));
  }
  if (!wish && model.remote_projector) {
    TRY_STATUS(CheckProjector(*model.remote_projector));
    return model.remote_projector;
  }
  const std::string path = wish.value_or(model.local.projector_path);
  if (path.empty() || ToLower(path) == "none") return std::optional<GgufFile>();
  TRY(GgufFile projector, ReadGguf(path));
  TRY_STATUS(CheckProjector(projector));
  return std::optional<GgufFile>(std::move(projector));
}

Result<const FileType*> ParseFileType(const std::string& name) {
  const FileType* type = FindFileType(name);
  if (type != nullptr) return type;
  const auto nearest = Nearest(name, FileTypeNames());
  return Error{
      Code::kUsage, fmt::format("there is no type \"{}\"", SafeText(name, 40)),
      nearest ? fmt::format("did you mean {}?", *nearest) : "for example Q4_K_M, Q8_0, IQ4_XS"};
}

Result<std::string> ParseKvType(const std::string& name) {
  const std::vector<std::string> names = {"f32",  "f16",    "bf16", "q8_0", "q4_0",
                                          "q4_1", "iq4_nl", "q5_0", "q5_1"};
  for (const std::string& known : names) {
    if (ToLower(name) == known) return known;
  }
  const auto nearest = Nearest(name, names);
  return Error{Code::kUsage, fmt::format("there is no KV-cache type \"{}\"", SafeText(name, 40)),
               nearest ? fmt::format("did you mean {}?", *nearest) : "for example f16, q8_0, q4_0"};
}

Status CheckContexts(const std::vector<uint32_t>& contexts, const GgufFile& file) {
  const uint32_t trained = TrainedContext(file);
  for (const uint32_t context : contexts) {
    if (context == 0)
      return Error{Code::kUsage, "a context of 0 tokens holds nothing", "for example 4096"};
    if (trained > 0 && context > trained) {
      return Error{Code::kUsage,
                   fmt::format("a context of {} tokens is beyond the model's {}", context, trained),
                   fmt::format("choose at most {}", trained)};
    }
  }
  return {};
}

std::string DisplayName(const OpenedModel& model) {
  const auto name = model.file.metadata.String("general.name");
  if (name && !Trim(*name).empty()) return SafeText(*name, 80);
  const std::string& path = StoredPath(model);
  if (path.empty()) return SafeText(model.local.name, 80);
  return SafeText(std::filesystem::path(path).filename().string(), 80);
}

}  // namespace trimma
