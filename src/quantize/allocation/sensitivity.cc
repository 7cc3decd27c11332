#include "quantize/allocation/sensitivity.h"

#include <algorithm>
#include <charconv>
#include <map>
#include <set>

#include "engine/rows.h"
#include "quantize/allocation/candidates.h"
#include "quantize/allocation/error_curve.h"
#include "quantize/parallel.h"
#include "quantize/plain_rows.h"
#include "quantize/rounding/round_compensated.h"
#include "quantize/source_rows.h"

namespace trimma {
namespace {

constexpr uint64_t kSlabRows = 64;

// "blk.12.attn_q.weight": its layer, and its kind "attn_q.weight".
struct Place {
  int layer = -1;  // -1: of no layer
  std::string kind;
};

Place PlaceOf(const std::string& name) {
  if (!name.starts_with("blk.")) return {-1, name};
  int layer = -1;
  const auto [end, error] = std::from_chars(name.data() + 4, name.data() + name.size(), layer);
  if (error != std::errc() || end == name.data() + name.size()) return {-1, name};
  return {layer, end + 1};
}

uint64_t RowsPerMatrix(const TensorInfo& tensor) {
  return tensor.shape.size() > 1 ? tensor.shape[1] : 1;
}

class Workbench {
 public:
  Workbench(SourceRows source, const MomentsFile& moments, const SensitivityOptions& options)
      : source_(std::move(source)),
        moments_(moments),
        experts_(options.experts),
        threads_(options.threads) {}

  // Makes the moment of the tensor's input the one that errors are weighed with, or what is known
  // of each expert's.
  Status Choose(const TensorInfo& tensor) {
    entry_ = nullptr;
    if (experts_ != nullptr && experts_->entries.contains(tensor.name))
      entry_ = &experts_->entries.at(tensor.name);
    const auto input = moments_.InputOf(tensor.name);
    if (!input) {
      compensation_.reset();
      held_out_.reset();
      moment_.reset();
      chosen_.reset();
      return {};
    }
    if (chosen_ == input) return {};
    compensation_.reset();
    held_out_.reset();
    TRY(moment_, moments_.Moment(*input, threads_));
    chosen_ = input;
    return {};
  }
  ErrorWeights By(uint64_t matrix) const {
    if (moment_) return {&*moment_, nullptr};
    if (entry_ == nullptr) return {};
    const uint64_t of = entry_->matrices() > 1 ? matrix : 0;
    return {nullptr, entry_->sum2.data() + of * entry_->columns};
  }

  // The tensor rounded to its probe type, in the carrier's type; adds its error to `error`.
  Result<std::vector<char>> Spoilt(const TensorInfo& tensor, TensorType carrier, double& error) {
    const TensorType type = *ProbeType(tensor);
    const uint64_t n = tensor.row_length();
    const uint64_t rows = tensor.rows();
    const uint64_t rows_per_matrix = RowsPerMatrix(tensor);
    const uint64_t slabs_per_matrix = (rows_per_matrix + kSlabRows - 1) / kSlabRows;
    const uint64_t slabs = rows / rows_per_matrix * slabs_per_matrix;
    const uint64_t step = std::max<uint64_t>(1, slabs * kSlabRows / (kSampledRows + kSlabRows - 1));
    std::vector<float> diagonal;
    if (moment_) diagonal = moment_->Diagonal();
    PreparePlainRows(type);
    PrepareRows(carrier);
    std::vector<char> spoilt(rows * *RowBytes(carrier, n));
    std::vector<double> errors(slabs);
    std::vector<uint64_t> counted(slabs);
    TRY_STATUS(ParallelFor(slabs, threads_, [&](uint64_t i) -> Status {
      const uint64_t matrix = i / slabs_per_matrix;
      const uint64_t within = i % slabs_per_matrix * kSlabRows;
      const uint64_t first = matrix * rows_per_matrix + within;
      const uint64_t count = std::min(kSlabRows, rows_per_matrix - within);
      const ErrorWeights by = By(matrix);
      TRY(const std::vector<float> weights, source_.Read(tensor, first, count));
      std::vector<char> blocks(count * *RowBytes(type, n));
      QuantizePlainRows(type, weights.data(), count, n,
                        diagonal.empty() ? by.importance : diagonal.data(), blocks.data());
      std::vector<float> values(count * n);
      DequantizeRows(type, blocks.data(), count, n, values.data());
      char* to = spoilt.data() + first * *RowBytes(carrier, n);
      QuantizeRows(carrier, values.data(), count, n, nullptr, to);
      if (i % step != 0) return {};
      TRY(errors[i], ErrorOf({weights.data(), values.data(), count, n}, by, 1));
      counted[i] = count;
      return {};
    }));
    double sum = 0;
    uint64_t sampled = 0;
    for (uint64_t i = 0; i < slabs; ++i) sum += errors[i], sampled += counted[i];
    error += sum * static_cast<double>(rows) / static_cast<double>(sampled);
    return spoilt;
  }

  // Errors of all its types and what compensation leaves of them, from a sample of the rows.
  Status Curve(const TensorInfo& tensor, TensorWorth& worth) {
    const std::vector<uint64_t> sample = SampleRows(tensor.rows());
    const uint64_t n = tensor.row_length();
    std::vector<float> rows(sample.size() * n);
    TRY_STATUS(ParallelFor(sample.size(), threads_, [&](uint64_t i) -> Status {
      TRY(const std::vector<float> row, source_.Read(tensor, sample[i], 1));
      std::copy(row.begin(), row.end(), rows.begin() + static_cast<ptrdiff_t>(i * n));
      return {};
    }));
    worth.errors.assign(worth.types.size(), 0);
    const uint64_t rows_per_matrix = RowsPerMatrix(tensor);
    for (size_t from = 0, to = 0; from < sample.size(); from = to) {
      const uint64_t matrix = sample[from] / rows_per_matrix;
      while (to < sample.size() && sample[to] / rows_per_matrix == matrix) ++to;
      TRY(const std::vector<double> errors,
          ErrorCurve({rows.data() + from * n, nullptr, to - from, n}, worth.types, By(matrix),
                     threads_));
      for (size_t t = 0; t < errors.size(); ++t) worth.errors[t] += errors[t];
    }
    const double scale = static_cast<double>(tensor.rows()) / static_cast<double>(sample.size());
    const WeightMatrix sampled = {rows.data(), sample.size(), n};
    for (double& e : worth.errors) e *= scale;
    TRY_STATUS(PrepareCompensation(worth.types));
    worth.shares.resize(worth.types.size());
    const int each = std::max(1, threads_ / std::max(1, static_cast<int>(worth.types.size())));
    return ParallelFor(worth.types.size(), threads_, [&](uint64_t t) -> Status {
      TRY(worth.shares[t], ShareOf(sampled, worth.types[t], each));
      return {};
    });
  }

 private:
  bool CanCompensate(TensorType type) const {
    return moment_ && CanRoundCompensated(type) && moment_->block() % InfoOf(type).block == 0;
  }

  Status PrepareCompensation(const std::vector<TensorType>& types) {
    if (compensation_ || std::none_of(types.begin(), types.end(),
                                      [&](TensorType type) { return CanCompensate(type); }))
      return {};
    TRY(held_out_, moments_.HeldOut(*chosen_, threads_));
    TRY(Compensation prepared, Compensation::Prepare(*moment_, threads_));
    compensation_ = std::move(prepared);
    return {};
  }

  // Prepared before.
  Result<double> ShareOf(const WeightMatrix& weights, TensorType type, int threads) const {
    if (!CanCompensate(type)) return 1.0;
    return CompensatedShare(weights, type, *compensation_, *held_out_, threads);
  }

  SourceRows source_;
  const MomentsFile& moments_;
  const Importance* experts_;
  int threads_;
  const ImportanceEntry* entry_ = nullptr;  // of the tensor, where it is of experts
  std::optional<SecondMoment> moment_;
  std::optional<SecondMoment> held_out_;      // made with the compensation
  std::optional<Compensation> compensation_;  // of moment_, when a curve first needs it
  std::optional<size_t> chosen_;
};

}  // namespace

std::vector<std::vector<size_t>> GroupTensors(const std::vector<std::string>& names, size_t most) {
  std::map<std::string, std::vector<std::pair<int, size_t>>> kinds;
  std::vector<std::vector<size_t>> groups;
  for (size_t i = 0; i < names.size(); ++i) {
    const Place place = PlaceOf(names[i]);
    if (place.layer < 0) {
      groups.push_back({i});
    } else {
      kinds[place.kind].push_back({place.layer, i});
    }
  }
  if (kinds.empty()) return groups;
  const size_t room = most > groups.size() ? most - groups.size() : 0;
  const size_t bands = std::max<size_t>(1, room / kinds.size());
  for (auto& [kind, members] : kinds) {
    std::sort(members.begin(), members.end());
    const size_t count = std::min(bands, members.size());
    for (size_t band = 0; band < count; ++band) {
      std::vector<size_t>& group = groups.emplace_back();
      for (size_t m = members.size() * band / count; m < members.size() * (band + 1) / count; ++m)
        group.push_back(members[m].second);
    }
  }
  return groups;
}

Result<std::vector<TensorWorth>> MeasureWorth(const GgufFile& source,
                                              const std::vector<size_t>& wanted,
                                              const MomentsFile& moments, DivergenceProbe& probe,
                                              const SensitivityOptions& options,
                                              const std::function<void(double)>& progress) {
  std::vector<size_t> tensors;
  for (const size_t t : wanted) {
    if (probe.Has(source.tensors[t].name)) tensors.push_back(t);
  }
  TRY(SourceRows rows, SourceRows::Open(source));
  Workbench bench(std::move(rows), moments, options);
  std::vector<TensorWorth> worths(tensors.size());
  std::vector<std::string> names;
  for (const size_t t : tensors) names.push_back(source.tensors[t].name);

  const std::vector<std::vector<size_t>> groups = GroupTensors(names, options.groups);
  for (size_t g = 0; g < groups.size(); ++g) {
    double error = 0;
    std::map<std::string, std::vector<char>> kept;
    for (const size_t i : groups[g]) {
      const TensorInfo& tensor = source.tensors[tensors[i]];
      TRY_STATUS(bench.Choose(tensor));
      std::vector<char>& original = kept[tensor.name] = probe.Read(tensor.name);
      TRY(const std::vector<char> spoilt, bench.Spoilt(tensor, probe.TypeOf(tensor.name), error));
      CHECK(spoilt.size() == original.size());
      probe.Write(tensor.name, spoilt);
    }
    TRY(const double kld, probe.Measure());
    for (const auto& [name, bytes] : kept) probe.Write(name, bytes);
    for (const size_t i : groups[g]) {
      worths[i].probe_kld = kld;
      worths[i].sensitivity = error > 0 ? std::max(kld, 0.0) / error : 0;
    }
    progress(0.9 * static_cast<double>(g + 1) / static_cast<double>(groups.size()));
  }
  for (size_t i = 0; i < tensors.size(); ++i) {
    const TensorInfo& tensor = source.tensors[tensors[i]];
    TRY_STATUS(bench.Choose(tensor));
    worths[i].name = tensor.name;
    worths[i].types = CandidateTypes(tensor);
    TRY_STATUS(bench.Curve(tensor, worths[i]));
    progress(0.9 + 0.1 * static_cast<double>(i + 1) / static_cast<double>(tensors.size()));
  }
  return worths;
}

Json ToJson(const TensorWorth& worth) {
  Json types = Json::array();
  for (const TensorType type : worth.types) types.push_back(NameOf(type));
  return {{"name", worth.name}, {"probe_kld", worth.probe_kld}, {"sensitivity", worth.sensitivity},
          {"types", types},     {"errors", worth.errors},       {"shares", worth.shares}};
}

Result<TensorWorth> TensorWorthFromJson(const Json& json) {
  const Error damaged{Code::kInvalid, "the measured sensitivities are damaged", "start anew"};
  try {
    TensorWorth worth;
    worth.name = json.at("name");
    worth.probe_kld = json.at("probe_kld");
    worth.sensitivity = json.at("sensitivity");
    for (const Json& name : json.at("types")) {
      const auto type = TensorTypeByName(name.get<std::string>());
      if (!type) return damaged;
      worth.types.push_back(*type);
    }
    worth.errors = json.at("errors").get<std::vector<double>>();
    worth.shares = json.at("shares").get<std::vector<double>>();
    if (worth.errors.size() != worth.types.size() || worth.shares.size() != worth.types.size())
      return damaged;
    return worth;
  } catch (const nlohmann::json::exception&) {
    return damaged;
  }
}

}  // namespace trimma
