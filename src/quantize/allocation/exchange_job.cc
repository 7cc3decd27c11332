#include "quantize/allocation/exchange_job.h"

#include <cmath>
#include <map>
#include <numeric>

#include "base/file.h"
#include "quantize/allocation/exchange.h"
#include "quantize/allocation/mixed_carrier.h"
#include "quantize/calibration/calibration_text.h"
#include "quantize/calibration/evaluation.h"
#include "quantize/fitted_model.h"

namespace trimma {
namespace {

double MeanOf(const std::vector<double>& values) {
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

// Of a change seen in each of the chunks; one chunk says nothing of the spread.
double StandardError(const std::vector<double>& before, const std::vector<double>& after) {
  const auto n = static_cast<double>(before.size());
  if (before.size() < 2) return std::abs(after[0] - before[0]);
  const double mean = MeanOf(after) - MeanOf(before);
  double squares = 0;
  for (size_t i = 0; i < before.size(); ++i) {
    const double off = after[i] - before[i] - mean;
    squares += off * off;
  }
  return std::sqrt(squares / (n - 1) / n);
}

Result<MixChoices> ChoicesFromJson(const Json& json) {
  MixChoices choices;
  choices.chosen = json.at("chosen").get<std::vector<size_t>>();
  choices.spare_bytes = json.at("spare_bytes");
  for (const Json& tensor : json.at("tensors")) {
    TypeChoices& some = choices.tensors.emplace_back();
    for (const Json& choice : tensor) {
      const TypeInfo* info = FindType(choice.at(0).get<uint32_t>());
      if (info == nullptr)
        return Error{Code::kInternal, "a request names an unknown tensor type", ""};
      some.push_back({info->type, choice.at(1), choice.at(2)});
    }
  }
  return choices;
}

// All that the allocation may look at: what the sensitivities were measured on, and what the
// rounding was chosen on. The judging text is another.
TokenText Judging(const CalibrationText& text) {
  TokenText all = text.selection;
  all.chunks.insert(all.chunks.end(), text.held_out.chunks.begin(), text.held_out.chunks.end());
  return all;
}

class Trials {
 public:
  Trials(const GgufFile& source, const MixChoices& choices, DivergenceProbe& probe,
         MixedCarrier& carrier)
      : source_(source),
        choices_(choices),
        probe_(probe),
        carrier_(carrier),
        search_(choices.tensors, choices.chosen, choices.spare_bytes) {}

  Result<Exchanged> Run(int most, const std::function<void(double)>& progress) {
    Exchanged exchanged;
    for (size_t i = 0; i < choices_.tensors.size(); ++i) {
      if (choices_.tensors[i].size() > 1 ||
          TypeOf(i, choices_.chosen[i]) != source_.tensors[i].type)
        TRY_STATUS(carrier_.Put(source_.tensors[i], TypeOf(i, choices_.chosen[i])));
    }
    TRY(now_, probe_.MeasureChunks());
    exchanged.before = MeanOf(now_);
    while (exchanged.trials < most) {
      const auto exchange = search_.Next();
      if (!exchange) break;
      TRY(const bool taken, Try(*exchange));
      ++exchanged.trials;
      exchanged.taken += taken;
      progress(static_cast<double>(exchanged.trials) / most);
    }
    exchanged.chosen = search_.chosen();
    exchanged.after = MeanOf(now_);
    return exchanged;
  }

 private:
  TensorType TypeOf(size_t tensor, size_t choice) const {
    return choices_.tensors[tensor][choice].type;
  }

  // Better by more than one standard error, or it may be chance: then it stays as it was.
  Result<bool> Try(const Exchange& exchange) {
    std::map<std::string, std::vector<char>> kept;
    for (const ExchangeStep& step : exchange) {
      const TensorInfo& tensor = source_.tensors[step.tensor];
      if (!probe_.Has(tensor.name)) continue;
      kept[tensor.name] = probe_.Read(tensor.name);
      TRY_STATUS(carrier_.Put(tensor, TypeOf(step.tensor, step.to)));
    }
    TRY(const std::vector<double> then, probe_.MeasureChunks());
    ExchangeResult result;
    result.change = MeanOf(then) - MeanOf(now_);
    result.standard_error = StandardError(now_, then);
    result.taken = result.change < -result.standard_error;
    search_.Learn(exchange, result);
    if (result.taken) {
      now_ = then;
    } else {
      for (const auto& [name, bytes] : kept) probe_.Write(name, bytes);
    }
    return result.taken;
  }

  const GgufFile& source_;
  const MixChoices& choices_;
  DivergenceProbe& probe_;
  MixedCarrier& carrier_;
  Exchanges search_;
  std::vector<double> now_;  // of each chunk
};

}  // namespace

Json ToJson(const MixChoices& choices) {
  Json tensors = Json::array();
  for (const TypeChoices& some : choices.tensors) {
    Json items = Json::array();
    for (const TypeChoice& choice : some)
      items.push_back({static_cast<uint32_t>(choice.type), choice.bytes, choice.loss});
    tensors.push_back(std::move(items));
  }
  return {{"tensors", tensors}, {"chosen", choices.chosen}, {"spare_bytes", choices.spare_bytes}};
}

Json ToJson(const Exchanged& exchanged) {
  return {{"chosen", exchanged.chosen},
          {"trials", exchanged.trials},
          {"taken", exchanged.taken},
          {"before", exchanged.before},
          {"after", exchanged.after}};
}

Result<Exchanged> ExchangedFromJson(const Json& json) {
  try {
    return Exchanged{json.at("chosen").get<std::vector<size_t>>(), json.at("trials"),
                     json.at("taken"), json.at("before"), json.at("after")};
  } catch (const nlohmann::json::exception&) {
    return Error{Code::kInvalid, "the kept exchanges are damaged", "start anew"};
  }
}

Result<Json> ExchangeJob(const Json& request, const Emit& emit) {
  TRY(const GgufFile source, ReadGguf(request.at("source").get<std::string>()));
  TRY(const MomentsFile moments, MomentsFile::Open(request.at("moments").get<std::string>()));
  TRY(const std::string tokens, ReadSmallFile(request.at("tokens").get<std::string>()));
  TRY(const CalibrationText text, CalibrationFromJson(Json::parse(tokens, nullptr, false)));
  TRY(const MixChoices choices, ChoicesFromJson(request.at("choices")));
  CHECK(choices.tensors.size() == source.tensors.size());
  MixedCarrierOptions options;
  options.threads = request.at("threads");
  options.compensate = request.at("compensate");
  options.memory_bytes = request.at("memory_bytes");
  options.weighing.moments = &moments;
  std::optional<Importance> experts;
  if (!request.at("experts").is_null()) {
    TRY(experts, ReadImportance(request["experts"].get<std::string>()));
    options.weighing.importance = &*experts;
  }
  const TokenText judging = Judging(text);
  Model::Options writable;
  writable.writable = true;
  const auto chunk_tokens = static_cast<uint32_t>(judging.chunks.at(0).size());
  TRY(const FittedModel model, LoadFitted(request.at("carrier").get<std::string>(), writable,
                                          ChunkSettings(chunk_tokens, options.threads)));
  TRY(DivergenceProbe probe,
      DivergenceProbe::Create(model.model, judging, options.memory_bytes / 2));
  TRY(MixedCarrier carrier, MixedCarrier::Open(source, probe, options));
  Trials trials(source, choices, probe, carrier);
  TRY(const Exchanged exchanged, trials.Run(request.at("trials").get<int>(),
                                            [&](double share) { emit({{"progress", share}}); }));
  return ToJson(exchanged);
}

}  // namespace trimma
