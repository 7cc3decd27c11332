#include "cli/keep_quality.h"

#include <fmt/format.h>

#include <cmath>
#include <map>

#include "gguf/file_type.h"
#include "plan/measured_quality.h"
#include "plan/mix_share.h"

namespace trimma {
namespace {

// Which part of the recipe's loss the judged file's types should have; 1 where that can't be told.
double ShareOf(const GgufFile& reference, const GgufFile& judged) {
  const FileType* recipe = FindFileType(TypeLabel(judged));
  if (recipe == nullptr) return 1;
  std::map<std::string_view, TensorType> types;
  for (const TensorInfo& tensor : judged.tensors) types[tensor.name] = tensor.type;
  std::vector<TensorType> in_order;
  for (const TensorInfo& tensor : reference.tensors) {
    const auto found = types.find(tensor.name);
    if (found == types.end()) return 1;
    in_order.push_back(found->second);
  }
  return MixShare(reference, in_order, *recipe).value_or(1);
}

}  // namespace

RuntimeSettings ReferenceSettings(RuntimeSettings candidate) {
  candidate.kv_k = candidate.kv_v = "f16";
  return candidate;
}

bool MadeWithImportance(const GgufFile& file) {
  return file.metadata.Has("quantize.imatrix.dataset");
}

void KeepQuality(const GgufFile& reference, const JudgedFile& judged, const Quality& quality,
                 Progress& progress) {
  // One chunk says nothing of how far off its mean is.
  if (!std::isfinite(quality.mean_kld) || !std::isfinite(quality.mean_kld_high)) {
    progress.Done();
    fmt::print(stderr, "trimma: a measurement on so little text is not kept for later plans\n");
    return;
  }
  if (quality.left_cards == LeftCards::kReference) {
    progress.Done();
    fmt::print(stderr,
               "trimma: a measurement on two kinds of device is not kept for later plans\n");
    return;
  }
  MeasuredLoss loss;
  loss.types = TypesDigest(judged.file);
  loss.recipe = TypeLabel(judged.file);
  loss.importance = judged.importance;
  loss.kv_k = judged.settings.kv_k;
  loss.kv_v = judged.settings.kv_v;
  loss.mean_kld = quality.mean_kld;
  loss.low = quality.mean_kld_low;
  loss.high = quality.mean_kld_high;
  loss.tokens = quality.tokens;
  loss.text =
      fmt::format("{}, chunks of {}, {} scored", quality.text, quality.chunk, quality.score);
  loss.share = ShareOf(reference, judged.file);
  progress.Update("keeping the measurement for later plans", 0);
  const Status kept =
      MeasuredQualities::Keep(loss, reference, judged.lasting ? &judged.file : nullptr);
  if (!kept.ok()) {
    progress.Done();
    fmt::print(stderr, "trimma: the measurement is not kept for later plans: {}\n",
               kept.error().what);
  }
}

}  // namespace trimma
