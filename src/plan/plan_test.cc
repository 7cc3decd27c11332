#include "plan/plan.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "base/units.h"

namespace trimma::plan_test {
namespace {

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

Plan PlanOf(const GgufFile& file, const Machine& machine, const Pricing& pricing,
            const Wishes& wishes = {}) {
  const LossTable losses = LossTable::For(file, MeasuredQualities());
  return MakePlan({file, machine, pricing, losses, {}, std::nullopt, wishes});
}

const PlanCell& Recommended(const Plan& plan) {
  CHECK(plan.recommended.has_value());
  return plan.cells[*plan.recommended];
}

TEST(UsualContextsTest, EndWithWhatTheModelWasTrainedFor) {
  using Contexts = std::vector<uint32_t>;
  EXPECT_EQ(UsualContexts(131072), (Contexts{2048, 4096, 8192, 16384, 32768, 131072}));
  EXPECT_EQ(UsualContexts(8192), (Contexts{2048, 4096, 8192}));
  EXPECT_EQ(UsualContexts(512), Contexts{512});
  EXPECT_EQ(UsualContexts(5000), (Contexts{2048, 4096, 5000}));
  EXPECT_EQ(UsualContexts(0), (Contexts{2048, 4096, 8192, 16384, 32768}));
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

// What to recommend is choose_test.cc's; here is what MakePlan makes of prices and machine.
TEST(PlanTest, AQuantisedModelThatFitsStaysAsItIs) {
  const GgufFile file = ModelOf(kQ4_0);
  const Plan plan = PlanOf(file, WithMemory(8000), OnHost(file, {4096}, {"f16"}));
  EXPECT_EQ(Recommended(plan).mix, 0U);
  EXPECT_FALSE(plan.reason.empty());
  EXPECT_FALSE(plan.refusal.has_value());
}

TEST(PlanTest, WhenNothingFitsThereIsARefusalInsteadOfAChoice) {
  const GgufFile file = ModelOf(kF16);
  const Plan plan = PlanOf(file, WithMemory(300), OnHost(file, {4096}, {"f16"}));
  EXPECT_FALSE(plan.recommended.has_value());
  ASSERT_TRUE(plan.refusal.has_value());
  EXPECT_EQ(plan.refusal->code, Code::kNoFit);
  for (const PlanCell& cell : plan.cells) EXPECT_FALSE(cell.fits || cell.pareto);
  EXPECT_TRUE(ToJson(plan)["recommended"].is_null());
}

TEST(PlanTest, SomeHostMemoryIsAlwaysLeftFree) {
  const GgufFile file = ModelOf(kF16);
  const Pricing pricing = OnHost(file, {2048}, {"f16"});  // 1000 + 64 + 10, 574 and 324 MiB
  const uint64_t reserve = kHostReserveBytes / kMiB;
  EXPECT_TRUE(PlanOf(file, WithMemory(1074 + reserve), pricing).cells[0].fits);
  EXPECT_FALSE(PlanOf(file, WithMemory(1073 + reserve), pricing).cells[0].fits);
}

TEST(PlanTest, OnAGpuWhatTheDriverTakesIsLeftFree) {
  const GgufFile file = ModelOf(kF16);
  Pricing pricing = OnHost(file, {2048}, {"f16"});
  pricing.mixes.resize(1);
  pricing.cells.resize(1);
  for (const uint64_t short_of : {0, 1}) {
    pricing.cells[0].devices = {Device("a card", 500, 64, 574 + 300 - short_of),
                                Device("host", 500, 0)};
    pricing.cells[0].devices[0].reserve_bytes = 300 * kMiB;
    EXPECT_EQ(PlanOf(file, WithMemory(8000), pricing).cells[0].fits, short_of == 0);
  }
}

TEST(PlanTest, AHostThatIsTooSmallIsALimitBesideTheCard) {
  const GgufFile file = ModelOf(kF16);
  Pricing pricing = OnHost(file, {2048}, {"f16"});
  pricing.mixes.resize(1);
  pricing.cells.resize(1);
  pricing.cells[0].devices = {Device("a card", 500, 64, 8000), Device("host", 500, 0)};
  const uint64_t reserve = kHostReserveBytes / kMiB;
  EXPECT_TRUE(PlanOf(file, WithMemory(510 + reserve), pricing).cells[0].fits);
  EXPECT_FALSE(PlanOf(file, WithMemory(509 + reserve), pricing).cells[0].fits);
}

TEST(PlanTest, WholeIsAllLayersAndAllTensorsOnTheCard) {
  const GgufFile file = ModelOf(kF16);
  Pricing pricing = OnHost(file, {2048}, {"f16"});
  pricing.mixes.resize(1);
  pricing.cells.resize(1);
  EXPECT_TRUE(PlanOf(file, WithMemory(8000), pricing).cells[0].whole) << "a host alone";
  PricedCell& cell = pricing.cells[0];
  cell.devices = {Device("a card", 500, 64, 8000), Device("host", 500, 0)};
  cell.settings.gpu_layers = pricing.layers;
  EXPECT_TRUE(PlanOf(file, WithMemory(8000), pricing).cells[0].whole);
  cell.settings.gpu_layers = pricing.layers - 1;
  EXPECT_FALSE(PlanOf(file, WithMemory(8000), pricing).cells[0].whole);
  cell.settings.gpu_layers = pricing.layers;
  cell.settings.host_tensors = {"exps"};
  EXPECT_FALSE(PlanOf(file, WithMemory(8000), pricing).cells[0].whole);
}

TEST(PlanTest, WithoutMeasuredKernelsThereIsNoSpeedAndANoteSaysHowToGetIt) {
  GgufFile file = ModelOf(kF16);
  const Pricing pricing = OnHost(file, {2048}, {"f16"});
  const Plan unknown = PlanOf(file, WithMemory(8000), pricing);
  EXPECT_FALSE(unknown.cells[0].decode_tps.has_value());
  EXPECT_TRUE(std::any_of(unknown.notes.begin(), unknown.notes.end(), [](const std::string& n) {
    return n.find("scan --bench") != std::string::npos;
  }));
}

TEST(PlanTest, NotesOfAMixAreShownUnderItsName) {
  const GgufFile file = ModelOf(kF16);
  Pricing pricing = OnHost(file, {2048}, {"f16"});
  pricing.mixes[2].assignment.notes = {"2 tensors are odd"};
  const Plan plan = PlanOf(file, WithMemory(8000), pricing);
  EXPECT_EQ(plan.notes.back(), "Q4_K_M: 2 tensors are odd");
}

TEST(PlanTest, JsonHasTheFieldsOfTheContract) {
  const GgufFile file = ModelOf(kF16);
  const Json json = ToJson(PlanOf(file, WithMemory(8000), OnHost(file, {2048}, {"f16"})));
  EXPECT_EQ(json["schema"], "trimma.plan/1");
  ASSERT_EQ(json["cells"].size(), 3U);
  for (const char* key : {"type", "file_bytes", "context", "kv_k", "kv_v", "gpu_layers", "devices",
                          "fits", "decode_tps", "prefill_tps", "mean_kld", "pareto"})
    EXPECT_TRUE(json["cells"][0].contains(key)) << key;
  for (const char* key :
       {"name", "weights_bytes", "kv_bytes", "compute_bytes", "total_bytes", "free_bytes"})
    EXPECT_TRUE(json["cells"][0]["devices"][0].contains(key)) << key;
  EXPECT_EQ(json["cells"][0]["devices"][0]["total_bytes"], 1074 * kMiB);
  EXPECT_TRUE(json["recommended"].is_number());
}

}  // namespace
}  // namespace trimma::plan_test
