#include "cli/apply_ollama.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <thread>

#include "base/file.h"
#include "base/text.h"
#include "base/units.h"
#include "gguf/shards.h"
#include "models/ollama_name.h"
#include "ollama/errors.h"
#include "plan/file_hash.h"

namespace trimma {
namespace {

Result<NeededBlob> BlobOf(OllamaClient& client, const std::string& path) {
  TRY(const InputFile file, InputFile::Open(path));
  NeededBlob blob;
  blob.path = path;
  blob.bytes = file.bytes();
  std::string hash = HashFromName(path).value_or("");
  if (hash.empty()) {
    TRY(hash, HashFile(file));
  }
  blob.digest = "sha256:" + hash;
  TRY(blob.there, client.HasBlob(blob.digest));
  return blob;
}

// Where the former model is kept. By its content, so that a copy is never taken for another one.
std::string KeptName(const OllamaName& name, const std::string& digest) {
  constexpr size_t kMostTag = 80;
  OllamaName kept = name;
  const std::string end = fmt::format("-kept-{}", digest.substr(0, 8));
  kept.tag = name.tag.substr(0, kMostTag - end.size()) + end;
  return kept.Short();
}

// The same weights under Ollama's own defaults.
Json OllamasDefaults(const Applied& applied) {
  return {{"num_ctx", applied.settings.context},
          {"num_gpu", -1},
          {"num_thread", 0},
          {"num_batch", 512}};
}

std::optional<OllamaLoaded> FindLoaded(const std::vector<OllamaLoaded>& all,
                                       const std::string& name) {
  for (const OllamaLoaded& one : all)
    if (ToLower(WithTag(one.name)) == ToLower(name)) return one;
  return std::nullopt;
}

// Loads the model and reads back what Ollama made of it.
Status Check(OllamaClient& client, const OllamaChange& change, MadeModel& made) {
  TRY(const OllamaAnswer load, client.Load(change.name, Json::object()));
  // A load without a prompt is not timed by every version of Ollama.
  made.load_seconds = load.load_s > 0 ? load.load_s : load.total_s;
  TRY(made.show, client.Show(change.name));
  for (const std::string& line : ChangesBetween(change.after, made.show)) {
    const bool is_template = line.starts_with("template") && change.after.chat_template.empty();
    if (!is_template && !line.starts_with("weights"))
      made.notes.push_back(fmt::format("Ollama made of it: {}", line));
  }
  TRY(const std::vector<OllamaLoaded> all, client.Loaded());
  made.loaded = FindLoaded(all, change.name);
  if (!made.loaded) {
    made.notes.emplace_back("Ollama does not list the model as loaded");
    return {};
  }
  const Json& wanted = change.after.parameters.value("num_ctx", Json());
  if (wanted.is_number_integer() && made.loaded->context &&
      made.loaded->context != wanted.get<uint64_t>()) {
    made.notes.push_back(fmt::format("Ollama runs it with a context of {} tokens, not {}",
                                     *made.loaded->context, wanted.get<uint64_t>()));
  }
  return {};
}

Status Measure(OllamaClient& client, const OllamaChange& change, const MakeOptions& options,
               MadeModel& made) {
  if (options.measure_seconds <= 0) return {};
  ServedSpeedOptions speed;
  speed.budget_seconds = options.measure_seconds;
  // Short ones: the same weights under other settings are loaded anew at every visit.
  speed.samples = 1;
  speed.prompt_words = 100;
  speed.answer_tokens = 16;
  auto measured = MeasureServed(client, {change.compare_with, {change.name, Json::object()}}, speed,
                                [&](double share) {
                                  if (options.progress)
                                    options.progress("measuring before and after", share);
                                });
  if (!measured.ok()) {
    if (measured.error().code == Code::kInterrupted || measured.error().code == Code::kTerminated)
      return measured.error();
    made.notes.push_back(fmt::format("not measured: {}", measured.error().what));
    return {};
  }
  made.before = (*measured)[0];
  made.after = (*measured)[1];
  made.prefill = ComparePairs(made.before->prefill_samples, made.after->prefill_samples);
  made.decode = ComparePairs(made.before->decode_samples, made.after->decode_samples);
  return {};
}

// Deletes the copy of what NAME is: nothing is lost by it.
void DropCopy(OllamaClient& client, const ModelUndo& undo) {
  if (undo.kept.empty()) return;
  const auto kept = client.FindTag(undo.kept);
  if (kept.ok() && kept->has_value() && (*kept)->digest == undo.digest_before)
    (void)client.Delete(undo.kept);
}

// Whether Ollama has of that name what it had before; false also where it doesn't answer.
bool IsAsBefore(OllamaClient& client, const ModelUndo& undo) {
  const auto now = client.FindTag(undo.name);
  if (!now.ok()) return false;
  return now->has_value() ? (*now)->digest == undo.digest_before : undo.digest_before.empty();
}

// Not so of a connection that broke off: Ollama makes a model to its end then, too.
bool IsRefusal(const Error& error) {
  return error.code != Code::kNetwork && error.code != Code::kInterrupted &&
         error.code != Code::kTerminated && error.what.starts_with(kOllamaSays);
}

// After a create that failed, or whose end was not seen.
bool Settle(OllamaClient& client, const ModelUndo& undo, const Error& error) {
  constexpr auto kBetween = std::chrono::milliseconds(500);
  constexpr int kLooks = 6;
  client.IgnoreInterrupts();
  const bool refused = IsRefusal(error);
  for (int look = 0; look < (refused ? 2 : kLooks); ++look) {
    if (look > 0) std::this_thread::sleep_for(kBetween);
    const auto now = client.FindTag(undo.name);
    if (!now.ok()) return false;
    const std::string digest = *now ? (*now)->digest : "";
    // The manifest is the last thing that is written: now it is over.
    if (digest != undo.digest_before) return TakeBack(client, undo);
  }
  if (!refused) return false;
  DropCopy(client, undo);
  return true;
}

// One that Ollama made unobserved is known by what it was to be made of.
Status CheckIsOurs(OllamaClient& client, const ModelUndo& undo, const std::string& digest) {
  if (digest == undo.digest_after) return {};
  if (undo.digest_after.empty() && !undo.weights.empty()) {
    TRY(const OllamaShow show, client.Show(undo.name));
    if (show.weights_digest == undo.weights && SameParameters(show.parameters, undo.parameters))
      return {};
  }
  return Error{
      Code::kBusy,
      undo.digest_after.empty()
          ? fmt::format("{} in Ollama is not the model that was to be made; nothing is "
                        "taken back",
                        undo.name)
          : fmt::format("{} was changed in Ollama since; nothing is taken back", undo.name),
      undo.kept.empty() ? "" : fmt::format("the former model is {}", undo.kept)};
}

// From 0.30 on Ollama may store weights otherwise than they were sent. Of a model that the last
// apply made it is known what they were.
void KnowOurWeights(const std::string& host, const OllamaTag& tag, OllamaShow& show) {
  const auto note = ReadUndoNote();
  if (!note.ok() || !note->model || note->model->weights.empty()) return;
  const ModelUndo& last = *note->model;
  if (last.host == host && last.name == tag.name && last.digest_after == tag.digest)
    show.weights_digest = last.weights;
}

Status Prepare(OllamaClient& client, const OllamaChange& change, const MakeOptions& options,
               MadeModel& made) {
  for (const NeededBlob& blob : change.blobs) {
    if (blob.there) continue;
    const std::string stage = "handing " + FormatBytes(blob.bytes) + " to Ollama";
    TRY_STATUS(client.Upload(blob.digest, blob.path, [&](double share) {
      if (options.progress) options.progress(stage, share);
    }));
    made.sent_bytes += blob.bytes;
  }
  if (change.undo.kept.empty()) return {};
  return client.Copy(change.name, change.undo.kept);
}

}  // namespace

bool TakeBack(OllamaClient& client, const ModelUndo& undo) {
  client.IgnoreInterrupts();
  if (undo.kept.empty()) {
    (void)client.Delete(undo.name);
  } else {
    (void)client.Copy(undo.kept, undo.name);
  }
  const bool as_before = IsAsBefore(client, undo);
  if (as_before) DropCopy(client, undo);
  return as_before;
}

uint64_t OllamaChange::bytes_to_send() const {
  uint64_t bytes = 0;
  for (const NeededBlob& blob : blobs) bytes += blob.there ? 0 : blob.bytes;
  return bytes;
}

Result<OllamaChange> PlanOllamaModel(OllamaClient& client, const Applied& applied,
                                     const std::string& name) {
  TRY(const OllamaName parsed, ParseOllamaName(name));
  OllamaChange change;
  change.name = parsed.Short();
  change.undo.host = client.address().Text();
  change.undo.name = change.name;
  const std::string& weights =
      applied.ollama_path.empty() ? applied.model_path : applied.ollama_path;
  // Ollama's own form has the encoder in the same file.
  const std::string projector = applied.ollama_path.empty() ? applied.projector_path : "";
  if (ParseShardName(weights)) {
    return Error{Code::kInvalid,
                 fmt::format("{} is one of several shards, which Ollama takes only as one file",
                             SafeText(weights, 300)),
                 "join them with llama-gguf-split --merge"};
  }
  RecipeParts parts;
  parts.name = change.name;
  for (const std::string& path : {weights, projector}) {
    if (path.empty()) continue;
    TRY(NeededBlob blob, BlobOf(client, path));
    (change.blobs.empty() ? parts.weights_digest : parts.projector_digest) = blob.digest;
    change.blobs.push_back(std::move(blob));
  }
  if (!applied.ollama_original.empty()) {
    auto original = client.Show(applied.ollama_original);
    if (original.ok()) {
      parts.original = *std::move(original);
      parts.original_name = applied.ollama_original;
    } else if (original.error().code == Code::kNotFound) {
      change.notes.push_back(
          fmt::format("{} is not in this Ollama: its template and system prompt can't be kept",
                      SafeText(applied.ollama_original)));
    } else {
      return original.error();
    }
  }
  change.create = MakeRecipe(applied, parts);
  change.after = Foretell(change.create, parts);
  change.undo.weights = change.after.weights_digest;
  change.undo.parameters = change.after.parameters;
  if (parts.original && parts.original->has_adapter && change.create.from.empty())
    change.notes.emplace_back("the adapter of the original is left out: it fits its weights only");

  TRY(const auto former, client.FindTag(change.name));
  if (former) {
    TRY(change.before, client.Show(change.name));
    KnowOurWeights(change.undo.host, *former, *change.before);
    change.undo.digest_before = former->digest;
    change.undo.kept = KeptName(parsed, former->digest);
  }
  const bool beside = !former && parts.original;
  change.summary = ChangesBetween(beside ? parts.original : change.before, change.after);
  if (beside)
    change.summary.push_back(fmt::format("all else as in {}", SafeText(parts.original_name)));
  if (former) {
    change.compare_with.model = change.undo.kept;
    change.compared_text = fmt::format("{} as it was", change.name);
  } else if (parts.original) {
    change.compare_with.model = parts.original_name;
    change.compared_text = parts.original_name;
  } else {
    change.compare_with = {change.name, OllamasDefaults(applied)};
    change.compared_text = "the same weights under Ollama's own settings";
  }
  return change;
}

Making MakeOllamaModel(OllamaClient& client, const OllamaChange& change,
                       const MakeOptions& options) {
  MadeModel made;
  const auto tell = [&](const std::string& stage) {
    if (options.progress) options.progress(stage, 0);
  };
  if (const Status prepared = Prepare(client, change, options, made); !prepared.ok()) {
    client.IgnoreInterrupts();
    const bool as_before = IsAsBefore(client, change.undo);
    if (as_before) DropCopy(client, change.undo);
    return {prepared.error(), as_before};
  }
  const auto status =
      client.Create(change.create, [&](const std::string&) { tell("making " + change.name); });
  if (!status.ok()) return {status.error(), Settle(client, change.undo, status.error())};
  tell("loading " + change.name);
  Status checked = Check(client, change, made);
  if (checked.ok()) checked = Measure(client, change, options, made);
  if (!checked.ok()) {
    Error error = checked.error();
    const bool as_before = TakeBack(client, change.undo);
    error.what = fmt::format("{} can't be used{}: {}", change.name,
                             as_before ? ", and is taken back" : "", error.what);
    return {error, as_before};
  }
  const auto tag = client.FindTag(change.name);
  if (!tag.ok()) return {tag.error(), TakeBack(client, change.undo)};
  made.digest = *tag ? (*tag)->digest : "";
  return {std::move(made), false};
}

Result<std::optional<TakenBack>> UndoOllamaModel(const ModelUndo& undo, bool dry_run) {
  const auto address = ParseOllamaHost(undo.host);
  if (!address) return Error{Code::kInvalid, "the undo names no server", ""};
  TRY(OllamaClient client, OllamaClient::ConnectTo(*address));
  TRY(const auto now, client.FindTag(undo.name));
  if (now && !undo.digest_before.empty() && now->digest == undo.digest_before) {
    if (!dry_run) DropCopy(client, undo);
    return std::optional<TakenBack>();
  }
  if (now) TRY_STATUS(CheckIsOurs(client, undo, now->digest));
  TakenBack done{"", "ollama:" + undo.name, std::nullopt, std::nullopt};
  if (now) done.before = now->digest;
  if (undo.kept.empty()) {
    if (!now) return std::optional<TakenBack>();
    if (!dry_run) TRY_STATUS(client.Delete(undo.name));
    done.line = fmt::format("removed {} from Ollama", undo.name);
    return std::optional(done);
  }
  TRY(const auto kept, client.FindTag(undo.kept));
  if (!kept || kept->digest != undo.digest_before) {
    return Error{Code::kNotFound,
                 fmt::format("the former {} is gone: {} is not in Ollama", undo.name, undo.kept),
                 "fetch it again: ollama pull"};
  }
  if (!dry_run) {
    TRY_STATUS(client.Copy(undo.kept, undo.name));
    TRY_STATUS(client.Delete(undo.kept));
  }
  done.after = undo.digest_before;
  done.line = fmt::format("restored {} in Ollama", undo.name);
  return std::optional(done);
}

Json MadeModel::ToJson() const {
  Json json = {{"digest", digest},
               {"load_seconds", load_seconds},
               {"sent_bytes", sent_bytes},
               {"parameters", show.parameters},
               {"loaded", nullptr},
               {"before", before ? trimma::ToJson(*before) : Json()},
               {"after", after ? trimma::ToJson(*after) : Json()},
               {"prefill", trimma::ToJson(prefill)},
               {"decode", trimma::ToJson(decode)},
               {"notes", notes}};
  if (loaded) {
    json["loaded"] = {{"bytes", loaded->bytes},
                      {"gpu_bytes", loaded->gpu_bytes},
                      {"context", loaded->context.value_or(0)}};
  }
  return json;
}

}  // namespace trimma
