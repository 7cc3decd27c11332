#include <fmt/format.h>

#include <chrono>

#include "base/clock.h"
#include "base/progress.h"
#include "base/text.h"
#include "base/units.h"
#include "cli/command.h"
#include "cli/common.h"
#include "models/online_name.h"
#include "models/pull.h"
#include "models/registry.h"
#include "models/variants.h"
#include "net/url.h"
#include "ollama/client.h"
#include "ollama/pull.h"

namespace trimma {
namespace {

struct PullFlags {
  std::string name;
  bool insecure = false;
  bool no_projector = false;
};

struct Pulled {
  PullResult result;
  std::string by = "trimma";  // or "ollama"
  double seconds = 0;
};

// Shows what is there, with a rate and the time left by what this run fetched alone.
class Meter {
 public:
  explicit Meter(Progress& progress) : progress_(progress) {}

  void Show(const std::string& stage, const PullProgress& now) {
    const uint64_t bytes = now.there + now.fetched;
    std::string text = fmt::format("{} of {}", FormatBytes(bytes), FormatBytes(now.of));
    if (!now.file.empty()) text = fmt::format("{}, {}", SafeText(now.file, 80), text);
    const double seconds = SecondsSince(start_);
    if (seconds > 0.5 && now.fetched > 0) {
      const double rate = static_cast<double>(now.fetched) / seconds;
      const double left = static_cast<double>(now.of - std::min(now.of, bytes)) / rate;
      text += fmt::format(", {}/s, {} left", FormatBytes(static_cast<uint64_t>(rate)),
                          FormatSeconds(left));
    }
    const double share = now.of == 0 ? 0 : static_cast<double>(bytes) / static_cast<double>(now.of);
    progress_.Update(stage, share, text, Progress::TimeLeft::kInDetail);
  }

 private:
  Progress& progress_;
  Clock::time_point start_ = Clock::now();
};

// A running server fetches into its own store, wherever that is.
Result<Pulled> ThroughOllama(const OllamaAddress& address, const OnlineName& wanted, bool insecure,
                             Progress& progress) {
  TRY_STATUS(CheckPlainName(wanted.plain, insecure));
  const OllamaName& name = wanted.ollama;
  Meter meter(progress);
  Pulled pulled;
  pulled.by = "ollama";
  const std::string stage = fmt::format("Ollama at {} pulls {}", address.Text(), name.Short());
  const auto on_step = [&](const OllamaPullStep&, const OllamaPullBytes& bytes) {
    meter.Show(stage, {"", bytes.there, bytes.fetched, bytes.of});
  };
  const std::string called = (wanted.plain ? "http://" : "") + name.Short();
  Result<OllamaPullResult> result = PullThroughOllama(address, called, insecure, on_step);
  if (!result.ok() && result.error().code == Code::kNotFound) {
    DownloadOptions download;
    download.insecure = insecure;
    download.plain = wanted.plain;
    Registry registry(name, download);
    return NoSuchTag(registry);
  }
  if (!result.ok()) return result.error();
  pulled.result.bytes = result->bytes;
  pulled.result.model.name = "ollama:" + name.Short();
  pulled.result.model.source = ModelSource::kOllama;
  // A store of this machine may hold a model of that name which is another one.
  const bool is_here = IsLoopback(address.host);
  Result<LocalModel> local = is_here ? ResolveModel(pulled.result.model.name, DefaultModelRoots())
                                     : Error{Code::kNotFound, "", ""};
  if (local.ok()) {
    pulled.result.model = *std::move(local);
  } else {
    pulled.result.notes.push_back(
        "the server's store can't be read from here; ask the server for the model by its name");
  }
  pulled.result.notes.push_back(
      fmt::format("fetched by the Ollama at {}, into its own store", address.Text()));
  return pulled;
}

Error NoHome(const char* variable) {
  return {Code::kUsage, "there is no home directory to put the model into",
          fmt::format("set HOME or {}", variable)};
}

Result<Pulled> PullByOurselves(const OnlineName& name, const PullFlags& options,
                               Progress& progress) {
  const ModelRoots roots = DefaultModelRoots();
  PullOptions pull;
  pull.download.insecure = options.insecure;
  pull.download.plain = name.plain;
  pull.projector = !options.no_projector;
  Meter meter(progress);
  const std::string stage = "fetching " + SafeText(options.name, 80);
  pull.on_progress = [&](const PullProgress& now) { meter.Show(stage, now); };
  Pulled pulled;
  if (name.source == ModelSource::kOllama) {
    pull.root = roots.ollama_pull;
    if (pull.root.empty()) return NoHome("OLLAMA_MODELS");
    TRY(pulled.result, PullFromRegistry(name.ollama, pull));
    pulled.result.notes.push_back(
        fmt::format("no Ollama server answers, so it was put into {}, where a server of this user "
                    "looks",
                    pull.root));
    return pulled;
  }
  pull.root = roots.huggingface_pull;
  if (pull.root.empty()) return NoHome("HF_HOME");
  TRY(HubOptions hub, HubFromEnvironment());
  hub.insecure = options.insecure;
  TRY(pulled.result, PullFromHub(name.hub, hub, pull));
  return pulled;
}

Json ToDocument(const Pulled& pulled) {
  const PullResult& result = pulled.result;
  Json files = Json::array();
  for (const PulledFile& file : result.files) {
    files.push_back({{"what", file.what},
                     {"path", file.path},
                     {"sha256", file.sha256},
                     {"bytes", file.bytes},
                     {"was_there", file.was_there}});
  }
  return {{"schema", "trimma.pull/1"},
          {"name", result.model.name},
          {"source", NameOf(result.model.source)},
          {"path", result.model.path},
          {"projector_path",
           result.model.projector_path.empty() ? Json() : Json(result.model.projector_path)},
          {"by", pulled.by},
          {"bytes", result.bytes},
          {"fetched_bytes", pulled.by == "ollama" ? Json() : Json(result.fetched_bytes)},
          {"kept_bytes", pulled.by == "ollama" ? Json() : Json(result.kept_bytes)},
          {"seconds", pulled.seconds},
          {"files", files},
          {"notes", result.notes}};
}

std::string Describe(const Pulled& pulled) {
  const PullResult& result = pulled.result;
  std::string text = fmt::format("{}\n", SafeText(result.model.name));
  if (!result.model.path.empty())
    text += fmt::format("model      {}\n", SafeText(result.model.path, 500));
  if (!result.model.projector_path.empty())
    text += fmt::format("projector  {}\n", SafeText(result.model.projector_path, 500));
  text += fmt::format("size       {}", FormatBytes(result.bytes));
  if (pulled.by == "trimma") {
    text += fmt::format(", {} fetched in {}", FormatBytes(result.fetched_bytes),
                        FormatSeconds(pulled.seconds));
    if (result.kept_bytes > 0)
      text += fmt::format(", {} kept of an interrupted pull", FormatBytes(result.kept_bytes));
    uint64_t there = 0;
    for (const PulledFile& file : result.files) there += file.was_there ? file.bytes : 0;
    if (result.fetched_bytes + result.kept_bytes > 0) text += "; SHA-256 verified";
    if (there > 0) text += fmt::format("; {} already here, not read again", FormatBytes(there));
  } else {
    text += fmt::format(" in {}", FormatSeconds(pulled.seconds));
  }
  text += "\n";
  for (const std::string& note : result.notes)
    text += fmt::format("note: {}\n", SafeText(note, 300));
  return text;
}

Status Pull(const PullFlags& options, const Shared& shared) {
  TRY(const OnlineName name, ParseOnlineName(options.name));
  if (options.no_projector && name.source == ModelSource::kOllama) {
    return Error{Code::kUsage, "--no-projector is for models of Hugging Face",
                 "an Ollama model is pulled as its manifest lists it; leave the option out"};
  }
  Progress progress(shared.quiet);
  const Clock::time_point start = Clock::now();
  std::optional<OllamaAddress> server;
  if (name.source == ModelSource::kOllama && FindOllama()) {
    const char* variable = std::getenv("OLLAMA_HOST");
    server = ParseOllamaHost(variable == nullptr ? "" : variable);
  }
  TRY(Pulled pulled, server ? ThroughOllama(*server, name, options.insecure, progress)
                            : PullByOurselves(name, options, progress));
  progress.Done();
  pulled.seconds = SecondsSince(start);
  return shared.json ? PrintDocument(ToDocument(pulled)) : PrintText(Describe(pulled));
}

}  // namespace

Action DefinePull(CLI::App& app, const Shared& shared) {
  const auto options = std::make_shared<PullFlags>();
  app.add_option("NAME", options->name, "ollama:NAME or hf:USER/REPO[:QUANT]")->required();
  AddInsecureOption(app, options->insecure);
  app.add_flag("--no-projector", options->no_projector,
               "Hugging Face: leave the model's vision or audio projector there");
  return [options, &shared] { return Pull(*options, shared); };
}

}  // namespace trimma
