#include "plan/quality.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "gguf/file_type.h"
#include "plan/kv_loss.h"
#include "plan/mix_share.h"
#include "plan/quality_fit.h"

namespace trimma {
namespace {

// Parameter counts this near mean the same model, or another of its make (Llama 3 and 3.1).
constexpr double kSameSize = 0.02;
// Between models of one architecture and size, in ln: LLaMA 3 8B and a Llama 3.1 8B lie 0.95 apart.
constexpr double kKinSd = 0.6;
// More bits are gone from a quantised source than its types show, and the next rounding meets
// values that already lie on a grid: not known better than this, in ln.
constexpr double kRequantisedSd = 0.4;

Estimate FromMeasured(const MeasuredLoss& m) { return {m.mean_kld, m.low, m.high, true}; }

bool PlainKv(const MeasuredLoss& m) { return m.kv_k == "f16" && m.kv_v == "f16"; }

// Effects of known models of the same architecture and size.
std::vector<double> KinEffects(const std::string& architecture, double parameters) {
  std::set<std::string> seen;
  std::vector<double> effects;
  for (const LossPoint& point : KnownLosses()) {
    const KnownModel& model = *point.model;
    if (architecture != model.architecture ||
        std::abs(model.parameters / parameters - 1) > kSameSize || !seen.insert(model.name).second)
      continue;
    effects.push_back(KnownLossFit().effect.at(model.name));
  }
  return effects;
}

double Mean(const std::vector<double>& values) {
  double sum = 0;
  for (const double v : values) sum += v;
  return sum / static_cast<double>(values.size());
}

size_t KnownModels() {
  std::set<std::string> names;
  for (const LossPoint& point : KnownLosses()) names.insert(point.model->name);
  return names.size();
}

}  // namespace

LossTable LossTable::For(const GgufFile& file, const MeasuredQualities& known, bool importance) {
  LossTable table;
  for (const TensorInfo& tensor : file.tensors)
    table.tensors_.tensors.push_back({tensor.name, tensor.type, tensor.shape, 0, 0, 0});
  table.parameters_ = static_cast<double>(file.parameters());
  table.importance_ = importance;
  table.quantised_ = !IsUnquantised(file);
  const LossFit& fit = KnownLossFit();

  std::vector<double> anchors;
  std::string anchor_names;
  if (const auto hash = known.KnownHash(file)) {
    for (const MeasuredLoss& m : known.losses()) {
      if (m.candidate == *hash && m.reference != *hash && PlainKv(m))
        table.lost_already_ = FromMeasured(m);
      if (m.reference == *hash) table.measured_.push_back(m);
    }
    for (const MeasuredLoss& m : table.measured_) {
      const auto expected = fit.Expected(m.recipe, table.parameters_, m.importance);
      if (!PlainKv(m) || !expected || m.share <= 0 || m.mean_kld <= 0) continue;
      anchors.push_back(std::log(m.mean_kld / m.share) - *expected);
      if (anchor_names.find(m.recipe) == std::string::npos)
        anchor_names += (anchor_names.empty() ? "" : ", ") + m.recipe;
    }
  }
  if (!table.measured_.empty()) table.own_types_ = TypesDigest(file);
  const std::vector<double> kin = KinEffects(file.architecture(), table.parameters_);
  const std::string ladder =
      fmt::format("published measurements of {} models from 26 million to 35 billion parameters",
                  KnownModels());
  if (!anchors.empty()) {
    table.effect_ = Mean(anchors);
    table.sd_ = fit.type_sd * std::sqrt(1 + 1 / static_cast<double>(anchors.size()));
    table.basis_ = fmt::format(
        "quality loss: measured on this machine for {}; other types are expected from that and {}",
        anchor_names, ladder);
  } else if (!kin.empty()) {
    table.effect_ = Mean(kin);
    table.sd_ = std::hypot(kKinSd, fit.type_sd);
    table.basis_ = fmt::format(
        "quality loss: expected from measurements of a model of the same kind and size, and {}; "
        "not measured on this file",
        ladder);
  } else {
    table.sd_ = fit.unknown_sd();
    table.basis_ = fmt::format(
        "quality loss: expected from {}, not measured on this model, which may lose {:.0f} times "
        "as much or as little",
        ladder, FromLog(0, table.sd_).high);
  }
  if (table.quantised_) {
    table.sd_ = std::hypot(table.sd_, kRequantisedSd);
    table.basis_ += "; on top of what the file lost when it was quantised";
  }
  return table;
}

std::optional<Estimate> LossTable::Prior(const std::string& recipe, double share) const {
  if (share == 0) return kNoLoss;
  const auto expected = KnownLossFit().Expected(recipe, parameters_, importance_);
  if (!expected) return std::nullopt;
  return FromLog(*expected + effect_ + std::log(share), sd_);
}

const MeasuredLoss* LossTable::Measured(const std::string& types, const std::string& kv_k,
                                        const std::string& kv_v) const {
  const MeasuredLoss* best = nullptr;
  const auto rank = [&](const MeasuredLoss& m) {
    return std::pair(m.importance == importance_, m.tokens);
  };
  for (const MeasuredLoss& m : measured_) {
    if (m.types != types || m.kv_k != kv_k || m.kv_v != kv_v) continue;
    if (best == nullptr || rank(m) >= rank(*best)) best = &m;
  }
  return best;
}

std::optional<Estimate> LossTable::WeightsLoss(const Mix& mix) const {
  if (!mix.assignment.changes && mix.recipe == nullptr) return kNoLoss;
  if (!measured_.empty()) {
    const MeasuredLoss* m = Measured(TypesDigest(tensors_, mix.assignment.types), "f16", "f16");
    if (m != nullptr) return FromMeasured(*m);
  }
  const FileType* recipe = mix.recipe != nullptr ? mix.recipe : FindFileType(mix.label);
  if (recipe == nullptr) return std::nullopt;
  if (!InfoOf(recipe->base).quantized)
    return kNoLoss;  // BF16 to F16 costs 0.00003 (llama.cpp, tools/perplexity)
  const auto share = MixShare(tensors_, mix.assignment.types, *recipe);
  return share ? Prior(recipe->name, *share) : std::nullopt;
}

std::optional<Estimate> LossTable::KvLoss(const std::string& kv_k, const std::string& kv_v) const {
  if (!own_types_.empty()) {
    const MeasuredLoss* m = Measured(own_types_, kv_k, kv_v);
    if (m != nullptr) return FromMeasured(*m);
  }
  return ExpectedKvLoss(kv_k, kv_v);
}

std::optional<Estimate> LossTable::Loss(const Mix& mix, const std::string& kv_k,
                                        const std::string& kv_v) const {
  if (!measured_.empty() && mix.assignment.changes) {
    const MeasuredLoss* m = Measured(TypesDigest(tensors_, mix.assignment.types), kv_k, kv_v);
    if (m != nullptr) return FromMeasured(*m);
  }
  const auto weights = WeightsLoss(mix);
  const auto kv = KvLoss(kv_k, kv_v);
  if (!weights || !kv) return std::nullopt;
  return Sum(*weights, *kv);
}

std::optional<Estimate> LossTable::VendorQatLoss() const {
  const auto plain = Prior("Q4_0", 1);
  if (!plain) return std::nullopt;
  return Estimate{plain->value / 2, plain->value / 8, plain->value * 2, false};
}

}  // namespace trimma
