#include <fmt/format.h>

#include <chrono>

#include "base/progress.h"
#include "base/text.h"
#include "base/units.h"
#include "cli/command.h"
#include "models/online_name.h"
#include "models/pull.h"
#include "models/registry.h"
#include "models/variants.h"
#include "ollama/client.h"
#include "ollama/pull.h"

namespace trimma {
namespace {

using Clock = std::chrono::steady_clock;

struct Options {
  std::string name;
  bool insecure = false;
  bool no_projector = false;
};

struct Pulled {
  PullResult result;
  std::string by = "trimma";  // or "ollama"
  double seconds = 0;
};

// Rate over what this run fetched; time left is the progress line's own.
class Rate {
 public:
  std::string Text(uint64_t bytes, uint64_t of) {
    if (!first_) first_ = bytes;
    const double seconds = std::chrono::duration<double>(Clock::now() - start_).count();
    const uint64_t fetched = bytes - std::min(bytes, *first_);
    std::string text = fmt::format("{} of {}", FormatBytes(bytes), FormatBytes(of));
    if (seconds > 0.5)
      text += fmt::format(
          ", {}/s", FormatBytes(static_cast<uint64_t>(static_cast<double>(fetched) / seconds)));
    return text;
  }

 private:
  Clock::time_point start_ = Clock::now();
  std::optional<uint64_t> first_;
};

double Share(uint64_t bytes, uint64_t of) {
  return of == 0 ? 0 : static_cast<double>(bytes) / static_cast<double>(of);
}

// A running server fetches into its own store, wherever that is.
Result<Pulled> ThroughOllama(const OllamaAddress& address, const OllamaName& name, bool insecure,
                             Progress& progress) {
  Rate rate;
  Pulled pulled;
  pulled.by = "ollama";
  const std::string stage = fmt::format("Ollama at {} pulls {}", address.Text(), name.Short());
  const auto on_step = [&](const OllamaPullStep&, uint64_t bytes, uint64_t of) {
    progress.Update(stage, Share(bytes, of), rate.Text(bytes, of));
  };
  Result<OllamaPullResult> result = PullThroughOllama(address, name.Short(), insecure, on_step);
  if (!result.ok() && result.error().code == Code::kNotFound) {
    Registry registry(name, insecure);
    return NoSuchTag(registry);
  }
  if (!result.ok()) return result.error();
  pulled.result.bytes = result->bytes;
  pulled.result.model.name = "ollama:" + name.Short();
  pulled.result.model.source = ModelSource::kOllama;
  const Result<LocalModel> local = ResolveModel(pulled.result.model.name, DefaultModelRoots());
  if (local.ok()) {
    pulled.result.model = *local;
  } else {
    pulled.result.notes.push_back(
        "the server's store can't be read from here; ask the server for the model by its name");
  }
  pulled.result.notes.push_back(
      fmt::format("fetched by the Ollama at {}, into its own store", address.Text()));
  return pulled;
}

Result<Pulled> PullByOurselves(const OnlineName& name, const Options& options, Progress& progress) {
  const ModelRoots roots = DefaultModelRoots();
  PullOptions pull;
  pull.download.insecure = options.insecure;
  pull.projector = !options.no_projector;
  Rate rate;
  pull.on_progress = [&](const std::string& what, uint64_t bytes, uint64_t of) {
    progress.Update("fetching " + SafeText(what, 80), Share(bytes, of), rate.Text(bytes, of));
  };
  Pulled pulled;
  if (name.source == ModelSource::kOllama) {
    pull.root = roots.ollama.front();
    TRY(pulled.result, PullFromRegistry(name.ollama, pull));
    pulled.result.notes.push_back(
        fmt::format("no Ollama server answers, so it was put into {}, where a server of this user "
                    "looks",
                    pull.root));
    return pulled;
  }
  // The last: Hugging Face's own; the one before is llama.cpp's alone.
  pull.root = roots.huggingface.back();
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
    text += "; SHA-256 verified";
  } else {
    text += fmt::format(" in {}", FormatSeconds(pulled.seconds));
  }
  text += "\n";
  for (const std::string& note : result.notes)
    text += fmt::format("note: {}\n", SafeText(note, 300));
  return text;
}

Status Pull(const Options& options, const Shared& shared) {
  TRY(const OnlineName name, ParseOnlineName(options.name));
  Progress progress(shared.quiet);
  const Clock::time_point start = Clock::now();
  std::optional<OllamaAddress> server;
  if (name.source == ModelSource::kOllama && FindOllama()) {
    const char* variable = std::getenv("OLLAMA_HOST");
    server = ParseOllamaHost(variable == nullptr ? "" : variable);
  }
  TRY(Pulled pulled, server ? ThroughOllama(*server, name.ollama, options.insecure, progress)
                            : PullByOurselves(name, options, progress));
  progress.Done();
  pulled.seconds = std::chrono::duration<double>(Clock::now() - start).count();
  return shared.json ? PrintDocument(ToDocument(pulled)) : PrintText(Describe(pulled));
}

}  // namespace

Action DefinePull(CLI::App& app, const Shared& shared) {
  const auto options = std::make_shared<Options>();
  app.add_option("NAME", options->name, "ollama:NAME or hf:USER/REPO[:QUANT]")->required();
  app.add_flag("--insecure", options->insecure, "Allow plain http to another machine");
  app.add_flag("--no-projector", options->no_projector,
               "Hugging Face: leave the model's vision or audio projector there");
  return [options, &shared] { return Pull(*options, shared); };
}

}  // namespace trimma
