#include "plan/plan.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace trimma {
namespace {

constexpr uint64_t kMiB = 1ULL << 20;

using tensor_type::kF16;
using tensor_type::kF32;
using tensor_type::kQ4_0;
using tensor_type::kQ8_0;

TensorInfo Tensor(const std::string& name, TensorType type, std::vector<uint64_t> shape) {
  TensorInfo tensor{name, type, std::move(shape), 0, 0, 0};
  tensor.bytes = *RowBytes(type, tensor.row_length()) * tensor.rows();
  return tensor;
}

GgufFile ModelOf(TensorType type) {
  GgufFile file;
  file.metadata.Set("general.architecture", std::string("llama"));
  file.tensors = {Tensor("token_embd.weight", type, {64, 1000}),
                  Tensor("blk.0.attn_q.weight", type, {64, 64}),
                  Tensor("output_norm.weight", kF32, {64})};
  return file;
}

std::vector<TensorType> TypesOf(const GgufFile& file) {
  std::vector<TensorType> types;
  for (const TensorInfo& tensor : file.tensors) types.push_back(tensor.type);
  return types;
}

DeviceBytes Device(const char* name, uint64_t weights, uint64_t kv, uint64_t free = 0) {
  return {name, weights * kMiB, kv * kMiB, 10 * kMiB, free * kMiB};
}

// Mixes of 1000, 500 and 250 MiB of weights on the host; the cache takes 1 MiB for 32 tokens.
Pricing OnHost(const GgufFile& file, const std::vector<uint32_t>& contexts,
               const std::vector<std::string>& kv_types) {
  Pricing pricing;
  pricing.layers = 3;
  const char* labels[] = {"F16", "Q8_0", "Q4_K_M"};
  for (size_t m = 0; m < std::size(labels); ++m) {
    Mix mix;
    mix.label = labels[m];
    mix.recipe = m == 0 ? nullptr : FindFileType(labels[m]);
    mix.assignment.types = TypesOf(file);
    mix.file_bytes = (1000 >> m) * kMiB;
    pricing.mixes.push_back(mix);
    for (const uint32_t context : contexts) {
      for (const std::string& kv : kv_types) {
        PricedCell cell;
        cell.mix = m;
        cell.settings.context = context;
        cell.settings.kv_k = cell.settings.kv_v = kv;
        cell.settings.gpu_layers = 0;
        cell.devices = {Device("host", 1000 >> m, context / (kv == "f16" ? 32 : 64))};
        pricing.cells.push_back(cell);
      }
    }
  }
  return pricing;
}

Machine WithMemory(uint64_t available_mib) {
  Machine machine;
  machine.memory.available_bytes = available_mib * kMiB;
  machine.memory.total_bytes = 2 * machine.memory.available_bytes;
  return machine;
}

const PlanCell& Recommended(const Plan& plan) {
  CHECK(plan.recommended.has_value());
  return plan.cells[*plan.recommended];
}

TEST(BytesPerTokenTest, ATiedEmbeddingIsReadWholeAsTheHead) {
  const GgufFile file = ModelOf(kF16);
  EXPECT_EQ(BytesPerToken(file, TypesOf(file)), (64U * 1000 + 64 * 64) * 2 + 64 * 4);
}

TEST(BytesPerTokenTest, OfAnUntiedEmbeddingOneRowIsRead) {
  GgufFile file = ModelOf(kF16);
  file.tensors.push_back(Tensor("output.weight", kF16, {64, 1000}));
  EXPECT_EQ(BytesPerToken(file, TypesOf(file)), 64U * 2 + (64 * 64 + 64 * 1000) * 2 + 64 * 4);
}

TEST(BytesPerTokenTest, OfExpertsThoseUsedAreRead) {
  GgufFile file = ModelOf(kF16);
  file.tensors.push_back(Tensor("blk.0.ffn_up_exps.weight", kF16, {64, 128, 8}));
  const uint64_t without = BytesPerToken(ModelOf(kF16), TypesOf(ModelOf(kF16)));
  EXPECT_EQ(BytesPerToken(file, TypesOf(file)), without + 64 * 128 * 8 * 2)
      << "without counts: all of them";
  file.metadata.Set("llama.expert_count", uint32_t{8});
  file.metadata.Set("llama.expert_used_count", uint32_t{2});
  EXPECT_EQ(BytesPerToken(file, TypesOf(file)), without + 64 * 128 * 2 * 2);
}

TEST(BytesPerTokenTest, TheTypesOfTheMixCount) {
  const GgufFile file = ModelOf(kF16);
  EXPECT_EQ(BytesPerToken(file, {kQ8_0, kQ4_0, kF32}), 68U * 1000 + 36 * 64 + 64 * 4);
}

TEST(UsualContextsTest, EndWithWhatTheModelWasTrainedFor) {
  using Contexts = std::vector<uint32_t>;
  EXPECT_EQ(UsualContexts(131072), (Contexts{2048, 4096, 8192, 16384, 131072}));
  EXPECT_EQ(UsualContexts(8192), (Contexts{2048, 4096, 8192}));
  EXPECT_EQ(UsualContexts(512), Contexts{512});
  EXPECT_EQ(UsualContexts(5000), (Contexts{2048, 4096, 5000}));
  EXPECT_EQ(UsualContexts(0), (Contexts{2048, 4096, 8192, 16384}));
}

TEST(TrainedContextTest, ComesFromTheMetadataOrIsUnknown) {
  GgufFile file = ModelOf(kF16);
  EXPECT_EQ(TrainedContext(file), 0U);
  file.metadata.Set("llama.context_length", uint32_t{131072});
  EXPECT_EQ(TrainedContext(file), 131072U);
  file.metadata.Set("llama.context_length", uint64_t{1} << 40);
  EXPECT_EQ(TrainedContext(file), 0U);
  file.metadata.Set("llama.context_length", int32_t{-1});
  EXPECT_EQ(TrainedContext(file), 0U);
}

TEST(PlanTest, AnUnquantisedModelIsRecommendedInTheUsualBalance) {
  const GgufFile file = ModelOf(kF16);
  const Plan plan =
      MakePlan(file, WithMemory(8000), OnHost(file, {2048, 8192, 32768}, {"f16", "q8_0"}));
  ASSERT_EQ(plan.cells.size(), 18U);
  EXPECT_TRUE(std::all_of(plan.cells.begin(), plan.cells.end(),
                          [](const PlanCell& cell) { return cell.fits; }));
  EXPECT_EQ(Recommended(plan).type, "Q4_K_M");
  EXPECT_EQ(Recommended(plan).settings.context, 8192U) << "more is memory for something else";
  EXPECT_EQ(Recommended(plan).settings.kv_k, "f16");
  EXPECT_NE(plan.reason.find("Q4_K_M"), std::string::npos);
}

TEST(PlanTest, AQuantisedModelThatFitsStaysAsItIs) {
  const GgufFile file = ModelOf(kQ4_0);
  const Plan plan = MakePlan(file, WithMemory(8000), OnHost(file, {4096}, {"f16"}));
  EXPECT_EQ(Recommended(plan).mix, 0U);
  EXPECT_NE(plan.reason.find("quantised already"), std::string::npos) << plan.reason;
}

TEST(PlanTest, AQuantisedModelThatDoesNotFitIsMadeSmaller) {
  const GgufFile file = ModelOf(kQ8_0);
  const Plan plan = MakePlan(file, WithMemory(1000), OnHost(file, {4096}, {"f16"}));
  EXPECT_EQ(Recommended(plan).type, "Q8_0") << "the first smaller one that fits";
}

TEST(PlanTest, WhenNothingFitsThereIsAReasonInsteadOfAChoice) {
  const GgufFile file = ModelOf(kF16);
  const Plan plan = MakePlan(file, WithMemory(300), OnHost(file, {4096}, {"f16"}));
  EXPECT_FALSE(plan.recommended.has_value());
  EXPECT_EQ(plan.reason,
            "nothing fits: the smallest choice takes 388 MiB, 300 MiB of host memory are "
            "available");
  for (const PlanCell& cell : plan.cells) EXPECT_FALSE(cell.fits || cell.pareto);
  EXPECT_TRUE(ToJson(plan)["recommended"].is_null());
}

TEST(PlanTest, SomeHostMemoryIsAlwaysLeftFree) {
  const GgufFile file = ModelOf(kF16);
  const Pricing pricing = OnHost(file, {2048}, {"f16"});  // 1000 + 64 + 10, 574 and 324 MiB
  const uint64_t reserve = kHostReserveBytes / kMiB;
  EXPECT_TRUE(MakePlan(file, WithMemory(1074 + reserve), pricing).cells[0].fits);
  EXPECT_FALSE(MakePlan(file, WithMemory(1073 + reserve), pricing).cells[0].fits);
}

TEST(PlanTest, OnAGpuTheDriversMarginIsLeftFree) {
  const GgufFile file = ModelOf(kF16);
  Pricing pricing = OnHost(file, {2048}, {"f16"});
  const uint64_t margin = kGpuMarginBytes / kMiB;
  pricing.cells.resize(1);
  for (const uint64_t short_of : {0, 1}) {
    pricing.cells[0].devices = {Device("a card", 500, 64, 574 + margin - short_of),
                                Device("host", 500, 0)};
    EXPECT_EQ(MakePlan(file, WithMemory(8000), pricing).cells[0].fits, short_of == 0);
  }
}

TEST(PlanTest, MoreLayersOnTheGpuComeFirst) {
  const GgufFile file = ModelOf(kF16);
  Pricing pricing = OnHost(file, {8192}, {"f16", "q8_0"});
  for (PricedCell& cell : pricing.cells) {
    cell.devices.insert(cell.devices.begin(), Device("a card", 100, 100, 6000));
    cell.settings.gpu_layers = cell.settings.kv_k == "q8_0" ? 3 : 2;
  }
  const Plan plan = MakePlan(file, WithMemory(8000), pricing);
  EXPECT_EQ(Recommended(plan).settings.kv_k, "q8_0");
}

TEST(PlanTest, TheParetoFrontHoldsWhatNothingElseBeats) {
  const GgufFile file = ModelOf(kF16);
  Pricing pricing = OnHost(file, {2048, 4096}, {"f16"});
  // A fourth mix: as small as Q4_K_M, and yet it takes more memory.
  Mix worse = pricing.mixes[2];
  worse.label = "Q4_0";
  pricing.mixes.push_back(worse);
  PricedCell cell = pricing.cells.back();
  cell.mix = 3;
  cell.devices[0].compute_bytes += kMiB;
  pricing.cells.push_back(cell);
  const Plan plan = MakePlan(file, WithMemory(900), pricing);
  for (const PlanCell& c : plan.cells) {
    const bool fits = c.type != "F16";
    EXPECT_EQ(c.fits, fits) << c.type;
    EXPECT_EQ(c.pareto, fits && c.type != "Q4_0") << c.type << " " << c.settings.context;
  }
}

TEST(PlanTest, DecodingIsBoundByTheBytesReadWhereTheBandwidthIsKnown) {
  const GgufFile file = ModelOf(kF16);
  const Pricing pricing = OnHost(file, {2048}, {"f16"});
  Machine machine = WithMemory(8000);
  const Plan unknown = MakePlan(file, machine, pricing);
  EXPECT_FALSE(unknown.cells[0].decode_tps.has_value());
  EXPECT_NE(unknown.notes[0].find("bandwidth was not measured"), std::string::npos);
  machine.memory.bandwidth_bytes_per_s = 10e9;
  const Plan known = MakePlan(file, machine, pricing);
  const double bytes = static_cast<double>(BytesPerToken(file, TypesOf(file))) + 32.0 * kMiB;
  ASSERT_TRUE(known.cells[0].decode_tps.has_value());
  EXPECT_NEAR(*known.cells[0].decode_tps, 10e9 / bytes, 1e-6);
  EXPECT_TRUE(known.notes.empty());
}

TEST(PlanTest, NotesOfAMixAreShownUnderItsName) {
  const GgufFile file = ModelOf(kF16);
  Pricing pricing = OnHost(file, {2048}, {"f16"});
  pricing.mixes[2].assignment.notes = {"2 tensors are odd"};
  const Plan plan = MakePlan(file, WithMemory(8000), pricing);
  EXPECT_EQ(plan.notes.back(), "Q4_K_M: 2 tensors are odd");
}

TEST(PlanTest, JsonHasTheFieldsOfTheContract) {
  const GgufFile file = ModelOf(kF16);
  const Json json = ToJson(MakePlan(file, WithMemory(8000), OnHost(file, {2048}, {"f16"})));
  EXPECT_EQ(json["schema"], "trimma.plan/1");
  ASSERT_EQ(json["cells"].size(), 3U);
  for (const char* key : {"type", "file_bytes", "context", "kv_k", "kv_v", "gpu_layers", "devices",
                          "fits", "decode_tps", "prefill_tps", "mean_kld", "pareto"})
    EXPECT_TRUE(json["cells"][0].contains(key)) << key;
  for (const char* key :
       {"name", "weights_bytes", "kv_bytes", "compute_bytes", "total_bytes", "free_bytes"})
    EXPECT_TRUE(json["cells"][0]["devices"][0].contains(key)) << key;
  EXPECT_EQ(json["cells"][0]["devices"][0]["total_bytes"], 1074 * kMiB);
  EXPECT_EQ(json["recommended"], 2);
}

}  // namespace
}  // namespace trimma
