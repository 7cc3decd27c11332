#include "cli/optimize_ollama.h"

#include <fmt/format.h>

#include "base/text.h"
#include "cli/applying.h"
#include "cli/records.h"
#include "models/models.h"
#include "models/ollama_name.h"

namespace trimma {

std::string TrimmedName(const std::string& original, const std::string& type_before,
                        const std::string& type_after) {
  constexpr size_t kMostBytes = 80;
  constexpr std::string_view kEnd = "-trimma";
  const auto name = ParseOllamaName(original);
  if (!name.ok()) return "";
  OllamaName trimmed;
  trimmed.model = name->model.substr(0, kMostBytes - kEnd.size()) + std::string(kEnd);
  trimmed.tag = name->tag;
  const size_t type = ToLower(trimmed.tag).find(ToLower(type_before));
  if (!type_before.empty() && type != std::string::npos)
    trimmed.tag.replace(type, type_before.size(), ToLower(type_after));
  return trimmed.Short();
}

Result<OllamaGoal> ChooseOllamaGoal(const std::string& model,
                                    const std::optional<std::string>& wish) {
  if (wish == "none") return OllamaGoal{};
  if (wish) {
    TRY_STATUS(ParseOllamaName(*wish));
    TRY_STATUS(OllamaClient::Connect());
    return OllamaGoal{*wish, "", ""};
  }
  const auto local = ResolveModel(model, DefaultModelRoots());
  const std::string original =
      local.ok() && local->source == ModelSource::kOllama ? OllamaOriginal(model, local->path) : "";
  if (original.empty()) return OllamaGoal{};
  auto client = OllamaClient::Connect();
  const auto later = [](const std::string& why) {
    return OllamaGoal{std::nullopt, "",
                      why + "; once it does: trimma apply --ollama NAME makes the model there"};
  };
  if (!client.ok()) return later("Ollama does not run");
  const auto tag = client->FindTag(original);
  if (!tag.ok() || !tag->has_value())
    return later(fmt::format("the running Ollama does not list {}", SafeText(original)));
  return OllamaGoal{std::nullopt, original, ""};
}

Result<AppliedText> MakeOllamaGoal(const OptimizeRecord& record, const OllamaGoal& goal,
                                   double seconds, Progress& progress) {
  const std::string name =
      goal.name.value_or(TrimmedName(goal.beside, record.before.type, record.after.type));
  AppliedText shown;
  shown.record = record.files.record;
  TRY(OllamaClient client, OllamaClient::Connect());
  TRY(shown.model, PlanOllamaModel(client, AppliedFrom(record), name));
  if (shown.model->nothing_to_do()) return shown;
  MakeOptions make;
  make.measure_seconds = seconds;
  make.progress = [&](const std::string& stage, double share) { progress.Update(stage, share); };
  TRY(shown.made, MakeChanges({}, client, *shown.model, make));
  progress.Done();
  return shown;
}

}  // namespace trimma
