#include <algorithm>

#include "base/file.h"
#include "quantize/allocation/sensitivity.h"
#include "quantize/calibration/calibration_text.h"
#include "quantize/calibration/evaluation.h"
#include "quantize/fitted_model.h"
#include "quantize/learn_from.h"

namespace trimma {
namespace {

constexpr uint64_t kLogitsBytes = 256ULL << 20;

// At most `most` of its chunks, spread over the text.
TokenText Selection(const TokenText& text, size_t most) {
  TokenText some;
  some.description = text.description;
  const size_t count = std::min(text.chunks.size(), most);
  for (size_t i = 0; i < count; ++i)
    some.chunks.push_back(text.chunks[i * text.chunks.size() / count]);
  return some;
}

}  // namespace

Result<Json> SensitivityJob(const Json& request, const Emit& emit) {
  TRY(const GgufFile source, ReadGguf(request.at("source").get<std::string>()));
  TRY(const MomentsFile moments, MomentsFile::Open(request.at("moments").get<std::string>()));
  TRY(const std::string tokens, ReadSmallFile(request.at("tokens").get<std::string>()));
  TRY(const CalibrationText text, CalibrationFromJson(Json::parse(tokens, nullptr, false)));
  const auto tensors = request.at("tensors").get<std::vector<size_t>>();
  SensitivityOptions options;
  options.groups = request.at("groups");
  const TokenText selection =
      Selection(text.selection,
                ChunksForSensitivity(source.parameters(), std::min(options.groups, tensors.size()),
                                     text.selection.chunks.at(0).size()));
  Model::Options writable;
  writable.writable = true;
  const int threads = request.at("threads");
  const auto chunk_tokens = static_cast<uint32_t>(selection.chunks.at(0).size());
  TRY(const FittedModel carrier, LoadFitted(request.at("carrier").get<std::string>(), writable,
                                            ChunkSettings(chunk_tokens, threads)));
  TRY(DivergenceProbe probe, DivergenceProbe::Create(carrier.model, selection, kLogitsBytes));
  options.threads = threads;
  std::optional<Importance> experts;
  if (!request.at("experts").is_null()) {
    TRY(experts, ReadImportance(request["experts"].get<std::string>()));
    options.experts = &*experts;
  }
  TRY(const std::vector<TensorWorth> worths,
      MeasureWorth(source, tensors, moments, probe, options,
                   [&](double share) { emit({{"progress", share}}); }));
  Json measured = Json::array();
  for (const TensorWorth& worth : worths) measured.push_back(ToJson(worth));
  return Json{{"positions", probe.positions()}, {"tensors", measured}};
}

}  // namespace trimma
