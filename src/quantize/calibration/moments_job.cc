#include <chrono>

#include "base/file.h"
#include "quantize/calibration/evaluation.h"
#include "quantize/calibration/moments.h"
#include "quantize/fitted_model.h"

namespace trimma {
namespace {

constexpr int kChunkTokens = 512;
constexpr size_t kShortestChunk = 16;
constexpr double kTextShare = 0.3;  // of the progress, where text is generated

// Several rounds of generation: many short texts teach more than few.
Result<TokenText> Generate(const Model& model, double seconds, size_t chunks,
                           const std::function<void(double)>& beat) {
  RuntimeSettings settings;
  settings.context = settings.batch = kChunkTokens;
  const auto start = std::chrono::steady_clock::now();
  const auto spent = [&] {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  };
  TokenText all;
  for (uint32_t round = 0; all.chunks.size() < chunks && (round == 0 || spent() < seconds);
       ++round) {
    const GenerateOptions options = {kChunkTokens, seconds - (round == 0 ? 0 : spent()),
                                     kCalibrationSeed + round};
    TRY(TokenText text, GenerateText(model, settings, options,
                                     [&](double) { beat(std::min(spent() / seconds, 1.0)); }));
    all.description = text.description;
    // The last round ends when the time does; shorter texts would make uneven chunks.
    if (round > 0 && text.chunks[0].size() != all.chunks[0].size()) break;
    for (std::vector<Token>& chunk : text.chunks) all.chunks.push_back(std::move(chunk));
  }
  if (all.chunks.size() > chunks) all.chunks.resize(chunks);
  return all;
}

PassCost CostOf(const FittedModel& fitted) {
  return fitted.note.empty() ? PassCost::kLittle : PassCost::kMuch;
}

}  // namespace

Result<Json> MomentsJob(const Json& request, const Emit& emit) {
  const int threads = request.at("threads");
  const bool generates = request.at("text_file").is_null();
  RuntimeSettings room = ChunkSettings(kChunkTokens, threads);
  if (generates) room.context *= kGeneratedSequences;
  TRY(const FittedModel fitted, LoadFitted(request.at("model").get<std::string>(), {}, room));
  const Model& model = fitted.model;
  const size_t chunks = request.at("chunks");
  const auto report = [&](double share) { emit({{"progress", share}}); };
  Result<TokenText> text = generates ? Generate(model, request.at("generate_seconds"), chunks,
                                                [&](double share) { report(kTextShare * share); })
                                     : TextFromFile(model, request["text_file"].get<std::string>(),
                                                    kChunkTokens, static_cast<int>(chunks));
  if (!text.ok()) return text.error();
  const CalibrationText cut = CutCalibration(*text);
  GatherOptions options;
  options.output = request.at("moments");
  options.memory_bytes = request.at("memory_bytes");
  options.threads = threads;
  options.note = fitted.note;
  options.cost = CostOf(fitted);
  if (request.value("on_host", false))
    options.device_of = [](const ggml_tensor*) -> ggml_backend_device* { return nullptr; };
  const double head = generates ? kTextShare : 0;
  TRY(const Gathered gathered,
      GatherMoments(model, cut, options, [&](double share) { report(head + (1 - head) * share); }));
  TRY_STATUS(WriteFileAtomically(request.at("tokens").get<std::string>(), ToJson(cut).dump()));
  return Json{{"text", cut.moments.description},
              {"chunks", cut.moments.chunks.size()},
              {"passes", gathered.passes},
              {"blocked", gathered.blocked.size()},
              {"on_devices", gathered.on_devices},
              {"gathering", gathered.note},
              {"note", cut.note}};
}

Result<GatheringPlan> AskGathering(const std::string& model, uint64_t memory_bytes, int threads) {
  TRY(const Json answer,
      RunChild("gathering",
               {{"model", model}, {"memory_bytes", memory_bytes}, {"threads", threads}}));
  return GatheringPlan{answer.at("inputs"), answer.at("passes"), answer.at("blocked")};
}

Result<Json> GatheringJob(const Json& request, const Emit&) {
  GatherOptions options;
  options.memory_bytes = request.at("memory_bytes");
  options.threads = request.at("threads");
  TRY(const FittedModel fitted, LoadFitted(request.at("model").get<std::string>(), {},
                                           ChunkSettings(kChunkTokens, options.threads)));
  options.cost = CostOf(fitted);
  // Which tokens doesn't matter: every matrix but those of experts sees all of them.
  std::vector<Token> tokens(kShortestChunk, 0);
  if (fitted.model.adds_bos()) tokens[0] = fitted.model.bos();
  TRY(const GatheringPlan plan, PlanGathering(fitted.model, tokens, options));
  return Json{{"inputs", plan.inputs}, {"passes", plan.passes}, {"blocked", plan.blocked}};
}

}  // namespace trimma
