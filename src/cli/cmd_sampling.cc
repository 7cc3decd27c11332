#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/progress.h"
#include "base/text.h"
#include "base/units.h"
#include "cli/command.h"
#include "cli/common.h"
#include "cli/records.h"
#include "cli/remember.h"
#include "cli/runtime_options.h"
#include "measure/sampler_cost.h"
#include "report/table.h"

namespace trimma {
namespace {

// llama-server's own (common/common.h of llama.cpp): what runs beside a temperature and a top_p
// that were set. Ollama has the same top_k, and no min_p.
constexpr int kServerTopK = 40;
constexpr double kServerMinP = 0.05;

struct SamplingFlags {
  std::string model;
  std::string profile = "model";
  std::optional<int> top_k;
  std::optional<double> min_p;
  double budget_seconds = 10;
  RuntimeOptions runtime;
};

SamplerSettings ChainFor(const SamplingFlags& options, const Sampling& sampling,
                         const RecommendedSampling& recommended) {
  SamplerSettings chain;
  chain.temperature = sampling.temperature;
  chain.top_p = sampling.top_p;
  chain.top_k = kServerTopK;
  chain.min_p = kServerMinP;
  if (sampling.profile == "model") {
    if (recommended.top_k) chain.top_k = static_cast<int>(*recommended.top_k);
    if (recommended.min_p) chain.min_p = *recommended.min_p;
  }
  if (options.top_k) chain.top_k = *options.top_k;
  if (options.min_p) chain.min_p = *options.min_p;
  return chain;
}

Json RecommendedJson(const RecommendedSampling& r) {
  if (!r.Any()) return {};
  const auto number = [](const auto& value) { return value ? Json(*value) : Json(); };
  return {{"temperature", number(r.temperature)},
          {"top_p", number(r.top_p)},
          {"min_p", number(r.min_p)},
          {"top_k", number(r.top_k)}};
}

std::string RecommendedText(const RecommendedSampling& r) {
  if (!r.Any()) return "the model's metadata recommends nothing\n";
  std::string text;
  const auto add = [&](const char* name, const auto& value) {
    if (value) text += fmt::format("{}{} {:.4g}", text.empty() ? "" : ", ", name, 1.0 * *value);
  };
  add("temperature", r.temperature);
  add("top_p", r.top_p);
  add("top_k", r.top_k);
  add("min_p", r.min_p);
  return "the model itself recommends " + text + "\n";
}

std::string OrderText(const SamplerOrder& order) {
  return order.samplers.empty() ? "(nothing is cut off)"
                                : fmt::format("{}", fmt::join(order.samplers, ", "));
}

std::string SampleVerdict(const SamplerCost& cost, size_t cheapest) {
  const SamplerOrder& usual = cost.orders[0];
  const double share = usual.us.median / (10 * cost.decode_ms.median);  // per cent
  const std::string usual_text = fmt::format(
      "llama-server's order takes {:.0f} us a token, {:.1f} % of the {:.2f} ms of decoding it",
      usual.us.median, share, cost.decode_ms.median);
  if (cheapest == 0)
    return usual_text + "; no order that draws from the same distribution is clearly cheaper.\n";
  std::string names;
  for (const std::string& name : cost.orders[cheapest].samplers)
    names += (names.empty() ? "" : ";") + name;
  return fmt::format(
      "{}; the cheapest that draws from the same distribution takes {:.0f} us (llama-server "
      "--samplers \"{}\").\n",
      usual_text, cost.orders[cheapest].us.median, names);
}

std::string Describe(const SamplerCost& cost, size_t cheapest) {
  TextTable table{{"", "order", "us a token", "95 %", "draws"}, {}};
  for (size_t i = 0; i < cost.orders.size(); ++i) {
    const SamplerOrder& order = cost.orders[i];
    table.rows.push_back(
        {i == cheapest ? "*" : "", OrderText(order), fmt::format("{:.0f}", order.us.median),
         fmt::format("{:.0f} to {:.0f}", order.us.low, order.us.high),
         i == 0 ? "as llama-server does"
         : order.group == cost.orders[0].group
             ? "the same"
             : fmt::format("else (group {}, by up to {:.2g})", order.group, order.difference)});
  }
  return RenderTable(table) + "\n" + SampleVerdict(cost, cheapest);
}

Status RunSampling(const SamplingFlags& options, const Shared& shared) {
  TRY(const OpenedModel model, OpenModel(options.model, shared.quiet));
  TRY(const RuntimeSettings settings, ToSettings(options.runtime));
  TRY(const Sampling sampling, ChooseSampling(model.file, options.profile));
  const RecommendedSampling recommended = RecommendedBy(model.file);
  SamplerQuestion question;
  question.path = model.local.path;
  question.settings = settings;
  question.samplers = ChainFor(options, sampling, recommended);
  question.budget_seconds = options.budget_seconds;
  Progress progress(shared.quiet);
  const auto cost = MeasureSamplers(
      question, [&](double share) { progress.Update("measuring samplers", share); });
  progress.Done();
  if (!cost.ok()) return cost.error();
  const size_t cheapest = CheapestEqual(cost->orders);
  Json document = ToJson(*cost);
  document["schema"] = "trimma.sampling/1";
  document["model"] = StoredPath(model);
  document["settings"] = ToJson(settings);
  document["profile"] = sampling.profile;
  document["sampling"] = ToJson(question.samplers);
  document["recommended"] = RecommendedJson(recommended);
  document["usual"] = 0;
  document["cheapest"] = cheapest;
  const SamplerSettings& s = question.samplers;
  std::string text =
      fmt::format("{} ({}), a vocabulary of {}\n", DisplayName(model), TypeLabel(model.file),
                  FormatCount(static_cast<uint64_t>(cost->vocabulary)));
  text += fmt::format("{}: temperature {:.4g}, top_p {:.4g}, top_k {}, min_p {:.4g}\n",
                      sampling.profile, s.temperature, s.top_p, s.top_k, s.min_p);
  text += RecommendedText(recommended) + "\n";
  return PrintAndRemember(document, text + Describe(*cost, cheapest), shared.json,
                          StoredPath(model));
}

}  // namespace

Action DefineSampling(CLI::App& app, const Shared& shared) {
  const auto o = std::make_shared<SamplingFlags>();
  app.add_option("MODEL", o->model, "A model file or name")->required();
  app.add_option("--profile", o->profile,
                 "precise, balanced, creative, or model (its own recommendation; balanced where it "
                 "has none)")
      ->capture_default_str();
  app.add_option("--top-k", o->top_k, "0: off (default: the model's, else llama-server's 40)")
      ->check(CLI::Range(0, 1 << 30));
  app.add_option("--min-p", o->min_p, "0: off (default: the model's, else llama-server's 0.05)")
      ->check(CLI::Range(0.0, 1.0));
  app.add_option("--budget", o->budget_seconds, "Seconds for timing")
      ->capture_default_str()
      ->check(CLI::Range(0.1, 86400.0));
  AddRuntimeOptions(app, o->runtime);
  return [o, &shared] { return RunSampling(*o, shared); };
}

}  // namespace trimma
