#include "plan/speed.h"

#include <gtest/gtest.h>

#include "plan/cell.h"
#include "plan/without_gpu.h"

namespace trimma::speed_test {
namespace {

using tensor_type::kF16;
using tensor_type::kF32;
using tensor_type::kQ4_K;
using tensor_type::kQ8_0;

struct Shape {
  uint32_t layers = 8, embedding = 2048, heads = 32, kv_heads = 8, feed_forward = 8192;
  uint32_t vocabulary = 32000, experts = 0, used = 0, window = 0;
  bool tied = false;
  const char* architecture = "llama";
};

GgufFile Model(const Shape& shape, TensorType type) {
  GgufFile file;
  const std::string arch = shape.architecture;
  file.metadata.Set("general.architecture", arch);
  file.metadata.Set(arch + ".block_count", shape.layers);
  file.metadata.Set(arch + ".embedding_length", shape.embedding);
  file.metadata.Set(arch + ".attention.head_count", shape.heads);
  file.metadata.Set(arch + ".attention.head_count_kv", shape.kv_heads);
  if (shape.window > 0) {
    file.metadata.Set(arch + ".attention.sliding_window", shape.window);
    file.metadata.Set(arch + ".attention.sliding_window_pattern", uint32_t{6});
  }
  if (shape.experts > 0) {
    file.metadata.Set(arch + ".expert_count", shape.experts);
    file.metadata.Set(arch + ".expert_used_count", shape.used);
  }
  const auto add = [&](const std::string& name, TensorType t, std::vector<uint64_t> dims) {
    file.tensors.push_back({name, t, std::move(dims)});
    file.tensors.back().bytes =
        *RowBytes(t, file.tensors.back().row_length()) * file.tensors.back().rows();
  };
  const uint64_t d = shape.embedding;
  const uint64_t kv = d / shape.heads * shape.kv_heads;
  const uint64_t f = shape.feed_forward;
  add("token_embd.weight", type, {d, shape.vocabulary});
  if (!shape.tied) add("output.weight", type, {d, shape.vocabulary});
  add("output_norm.weight", kF32, {d});
  for (uint32_t i = 0; i < shape.layers; ++i) {
    const std::string blk = "blk." + std::to_string(i) + ".";
    add(blk + "attn_norm.weight", kF32, {d});
    add(blk + "ffn_norm.weight", kF32, {d});
    add(blk + "attn_q.weight", type, {d, d});
    add(blk + "attn_k.weight", type, {d, kv});
    add(blk + "attn_v.weight", type, {d, kv});
    add(blk + "attn_output.weight", type, {d, d});
    const bool moe = shape.experts > 0;
    const std::string exps = moe ? "_exps.weight" : ".weight";
    const auto dims = [&](uint64_t a, uint64_t b) {
      return moe ? std::vector<uint64_t>{a, b, shape.experts} : std::vector<uint64_t>{a, b};
    };
    if (moe) add(blk + "ffn_gate_inp.weight", kF32, {d, shape.experts});
    add(blk + "ffn_gate" + exps, type, dims(d, f));
    add(blk + "ffn_up" + exps, type, dims(d, f));
    add(blk + "ffn_down" + exps, type, dims(f, d));
  }
  return file;
}

DeviceKernels Host() {
  DeviceKernels host;
  host.name = "host";
  host.backend = "CPU";
  host.threads = 8;
  for (const char* type : {"f32", "f16", "q8_0", "q4_K"})
    host.weights[type] = {4e-6, 4e10, 8e10, 2e-5, 5e11, 4e11};
  for (const char* kv : {"f16", "q8_0"}) host.attention[kv] = {2e-6, 1e-9, 1e-10, 5e-10, 1e-11};
  host.elements = {1e-10, 1e-10, 1e-10, 1e-10, 1e-10};
  host.memory = {{1e6, 8e10}, {2.5e8, 4e10}};
  host.op_seconds = 2e-6;
  host.norm_op_seconds = 2e-6;
  host.new_op_seconds = 2e-6;
  host.graph_seconds = 1e-5;
  return host;
}

DeviceKernels Gpu() {
  DeviceKernels gpu = Host();
  gpu.name = "GPU";
  gpu.backend = "CUDA";
  gpu.threads = 0;
  for (auto& [name, k] : gpu.weights) k = {3e-6, 8e11, 8e11, 5e-6, 5e13, 1e13};
  for (auto& [name, k] : gpu.attention) k = {4e-6, 1e-11, 1e-12, 1e-12, 1e-14};
  gpu.memory.clear();
  gpu.copy_bytes_per_s = 1.2e10;
  gpu.sync_seconds = 2e-5;
  return gpu;
}

RuntimeSettings At(uint32_t context, std::optional<int> gpu_layers = 0) {
  RuntimeSettings settings;
  settings.context = context;
  settings.gpu_layers = gpu_layers;
  return settings;
}

double Decode(const SpeedModel& model, const RuntimeSettings& settings) {
  const auto p = model.Predict(settings);
  return p.decode_tps ? p.decode_tps->value : 0;
}

TEST(SpeedModelTest, ATokenTakesItsBytesOverTheRate) {
  const SpeedModel model(Model({}, kQ8_0), {}, {}, Host());
  // 8 layers of (2 * 2048 + 2 * 512 + 3 * 8192) * 2048 weights and 32000 * 2048, 34 bytes for 32.
  const double bytes = (8.0 * (2 * 2048 + 2 * 512 + 3 * 8192) + 32000) * 2048 * 34 / 32;
  const double seconds = *model.TokenSeconds(At(4096), 0);
  EXPECT_GT(seconds, bytes / 4e10 / 1.1);  // models are read a little faster than matrices in turn
  EXPECT_LT(seconds, bytes / 4e10 * 1.1);  // starts and small operations
}

TEST(SpeedModelTest, ACardThatIsLeftOutIsAsNone) {
  const GgufFile file = Model({}, kQ8_0);
  const SpeedModel host(file, {}, {}, Host());
  const SpeedModel beside(file, {}, {Gpu()}, Host());
  RuntimeSettings without = At(8192, 9);
  without.use_gpu = false;
  EXPECT_EQ(beside.Predict(without).decode_tps, host.Predict(At(8192)).decode_tps);
  EXPECT_EQ(beside.Predict(without).ttft_ms, host.Predict(At(8192)).ttft_ms);
  // With no layer on it, it computes large batches all the same, and no single token.
  EXPECT_EQ(Decode(beside, At(8192, 0)), Decode(host, At(8192)));
  EXPECT_LT(beside.Predict(At(8192, 0)).ttft_ms->value, host.Predict(At(8192)).ttft_ms->value);
}

TEST(SpeedModelTest, AHostMayBeFasterThanAWeakCardAndIsNotThanAFastOne) {
  const GgufFile file = Model({}, kQ8_0);
  EXPECT_FALSE(HostMayBeFaster(SpeedModel(file, {}, {Gpu()}, Host()), At(8192, std::nullopt)));
  DeviceKernels weak = Gpu();
  for (auto& [name, kernel] : weak.weights) kernel.matvec_bytes_per_s = 3e10;
  EXPECT_TRUE(HostMayBeFaster(SpeedModel(file, {}, {weak}, Host()), At(8192, std::nullopt)));
}

TEST(SpeedModelTest, FewerBytesAndLessDepthAreFaster) {
  const GgufFile file = Model({}, kF16);
  const SpeedModel f16(file, {}, {}, Host());
  std::vector<TensorType> types;
  for (const TensorInfo& t : file.tensors) types.push_back(t.type == kF16 ? kQ4_K : t.type);
  const SpeedModel q4(file, types, {}, Host());
  EXPECT_GT(Decode(q4, At(4096)), 2 * Decode(f16, At(4096)));
  double before = 1e9;
  for (const uint32_t context : {1024U, 4096U, 16384U, 65536U}) {
    const double now = Decode(q4, At(context));
    EXPECT_LT(now, before);
    before = now;
  }
}

TEST(SpeedModelTest, ASlidingWindowBoundsWhatDepthCosts) {
  Shape shape;
  shape.window = 512;
  shape.architecture = "gemma3";
  const SpeedModel windowed(Model(shape, kQ8_0), {}, {}, Host());
  const SpeedModel full(Model({}, kQ8_0), {}, {}, Host());
  const auto growth = [](const SpeedModel& m) {
    return *m.TokenSeconds(At(4096), 32000) - *m.TokenSeconds(At(4096), 1000);
  };
  EXPECT_LT(growth(windowed), growth(full) / 4);  // 1 of 6 layers sees everything
  EXPECT_GT(growth(windowed), growth(full) / 12);
  EXPECT_LT(*windowed.PromptSeconds(At(32768), 32768), *full.PromptSeconds(At(32768), 32768));
}

TEST(SpeedModelTest, EveryLayerOnTheGpuMakesItFaster) {
  const SpeedModel model(Model({}, kQ4_K), {}, {Gpu()}, Host());
  double decode = 0;
  for (int layers = 1; layers <= 9; ++layers) {
    const double now = Decode(model, At(4096, layers));
    EXPECT_GT(now, decode) << layers;
    decode = now;
  }
  EXPECT_EQ(decode, Decode(model, At(4096, std::nullopt)));
  EXPECT_EQ(decode, Decode(model, At(4096, 99)));
}

TEST(SpeedModelTest, WeightsOnTheHostCrossTheBusInEveryBatch) {
  const GgufFile file = Model({}, kQ4_K);
  DeviceKernels slow = Gpu();
  slow.copy_bytes_per_s /= 4;
  const SpeedModel fast_bus(file, {}, {Gpu()}, Host());
  const SpeedModel slow_bus(file, {}, {slow}, Host());
  EXPECT_GT(*slow_bus.PromptSeconds(At(4096, 4), 512),
            2 * *fast_bus.PromptSeconds(At(4096, 4), 512));
  const double whole = *fast_bus.PromptSeconds(At(4096, 9), 512);
  EXPECT_NEAR(*slow_bus.PromptSeconds(At(4096, 9), 512), whole, whole / 50);  // the mask crosses
  RuntimeSettings large = At(4096, 4);
  large.ubatch = 2048;  // a quarter of the crossings
  EXPECT_LT(*slow_bus.PromptSeconds(large, 2048), *slow_bus.PromptSeconds(At(4096, 4), 2048));
}

TEST(SpeedModelTest, ExpertsOnTheHostCostLessThanWholeLayersThere) {
  Shape shape;
  shape.experts = 16;
  shape.used = 2;
  shape.feed_forward = 4096;
  const SpeedModel model(Model(shape, kQ4_K), {}, {Gpu()}, Host());
  RuntimeSettings experts = At(16384, 9);
  experts.host_tensors = {"ffn_.*_exps"};
  EXPECT_GT(Decode(model, experts), Decode(model, At(16384, 0)));
  EXPECT_LT(Decode(model, experts), Decode(model, At(16384, 9)));
}

TEST(SpeedModelTest, OnlyTheExpertsInUseAreRead) {
  Shape few;
  few.experts = 8;
  few.used = 2;
  few.feed_forward = 1024;
  Shape many = few;
  many.experts = 64;
  const double a = Decode(SpeedModel(Model(few, kQ4_K), {}, {}, Host()), At(2048));
  const double b = Decode(SpeedModel(Model(many, kQ4_K), {}, {}, Host()), At(2048));
  EXPECT_NEAR(a / b, 1, 0.15);
}

TEST(SpeedModelTest, AWaitIsThePromptOverItsSpeed) {
  const auto p = SpeedModel(Model({}, kQ4_K), {}, {}, Host()).Predict(At(4096));
  ASSERT_TRUE(p.prefill_tps && p.ttft_ms);
  EXPECT_NEAR(p.ttft_ms->value, 1000 * PromptTokens(4096) / p.prefill_tps->value, 1e-6);
  EXPECT_LT(p.ttft_ms->low, p.ttft_ms->value);
  EXPECT_GT(p.ttft_ms->high, p.ttft_ms->value);
  EXPECT_TRUE(p.ttft_ms->measured);
}

TEST(SpeedModelTest, AnUnsteadyMachineWidensTheInterval) {
  DeviceKernels host = Host();
  const auto steady = SpeedModel(Model({}, kQ4_K), {}, {}, host).Predict(At(4096, 0));
  host.unsteadiness = 0.5;
  const auto unsteady = SpeedModel(Model({}, kQ4_K), {}, {}, host).Predict(At(4096, 0));
  EXPECT_EQ(unsteady.decode_tps->value, steady.decode_tps->value);
  EXPECT_NEAR(unsteady.decode_tps->high / steady.decode_tps->high, 1.5, 1e-9);
  EXPECT_NEAR(steady.decode_tps->low / unsteady.decode_tps->low, 1.5, 1e-9);
  // Not that of a host which takes no part.
  const auto away = SpeedModel(Model({}, kQ4_K), {}, {Gpu()}, host).Predict(At(4096, std::nullopt));
  const auto same =
      SpeedModel(Model({}, kQ4_K), {}, {Gpu()}, Host()).Predict(At(4096, std::nullopt));
  EXPECT_EQ(away.decode_tps->high, same.decode_tps->high);
}

TEST(SpeedModelTest, NothingIsSaidWhereItWouldBeAGuess) {
  GgufFile recurrent = Model({}, kQ4_K);
  recurrent.metadata.Set("llama.ssm.state_size", uint32_t{16});
  EXPECT_FALSE(SpeedModel(recurrent, {}, {}, Host()).Predict(At(4096)).decode_tps);
  DeviceKernels host = Host();
  host.weights.erase("q4_K");
  EXPECT_FALSE(SpeedModel(Model({}, kQ4_K), {}, {}, host).Predict(At(4096)).decode_tps);
  RuntimeSettings odd = At(4096);
  odd.kv_k = "q4_0";  // not among the measured
  EXPECT_FALSE(SpeedModel(Model({}, kQ4_K), {}, {}, Host()).Predict(odd).decode_tps);
}

TEST(SpeedModelTest, BandwidthAloneGivesDecodingOnly) {
  const auto p =
      SpeedModel(Model({}, kQ4_K), {}, {}, KernelsOfBandwidth(2e10, 4)).Predict(At(4096));
  ASSERT_TRUE(p.decode_tps);
  EXPECT_FALSE(p.decode_tps->measured);
  EXPECT_GE(p.decode_tps->high / p.decode_tps->value, 1.3);
  EXPECT_FALSE(p.prefill_tps);
}

// What llama.cpp's users measured on cards that nobody here has; the sources stand in
// card_speed.cc.
TEST(SpeedModelTest, ADataSheetGivesPublishedSpeedsWithinItsInterval) {
  Shape llama8b;
  llama8b.layers = 32;
  llama8b.embedding = 4096;
  llama8b.feed_forward = 14336;
  llama8b.vocabulary = 128256;
  const auto q6 = *TensorTypeByName("q6_K");
  const CardSpeed rtx3090{"RTX 3090", 936e9, 71e12, 860};
  const SpeedModel a(Model(llama8b, q6), {}, {KernelsOfCard(rtx3090)}, KernelsOfBandwidth(3e10, 8));
  const auto p = a.Predict(At(8192, std::nullopt));  // a prompt of 2048
  ASSERT_TRUE(p.prefill_tps && p.decode_tps);
  EXPECT_LT(p.prefill_tps->low, 3491);
  EXPECT_GT(p.prefill_tps->high, 3491);
  EXPECT_FALSE(p.prefill_tps->measured);
  EXPECT_GE(p.decode_tps->high / p.decode_tps->value, 1.3);

  const auto q4 = *TensorTypeByName("q4_0");
  Shape llama7b = llama8b;
  llama7b.kv_heads = 32;
  llama7b.feed_forward = 11008;
  llama7b.vocabulary = 32000;
  const CardSpeed p40{"P40", 347e9, 11.8e12, 610};
  const SpeedModel b(Model(llama7b, q4), {}, {KernelsOfCard(p40)}, KernelsOfBandwidth(3e10, 8));
  const auto old = b.Predict(At(256, std::nullopt));
  ASSERT_TRUE(old.prefill_tps && old.decode_tps);
  EXPECT_LT(old.decode_tps->low, 56.8);
  EXPECT_GT(old.decode_tps->high, 56.8);
  EXPECT_LT(1 / *b.PromptSeconds(At(512, std::nullopt), 512) * 512, 912 * 1.7);
  EXPECT_GT(1 / *b.PromptSeconds(At(512, std::nullopt), 512) * 512, 912 / 1.7);
}

TEST(SpeedModelTest, NothingIsKnownOfACardWithoutBandwidth) {
  const SpeedModel model(Model({}, kQ4_K), {}, {KernelsOfCard({"unknown", 0, 0, 0})}, Host());
  EXPECT_FALSE(model.Predict(At(4096, 99)).decode_tps);
  EXPECT_TRUE(model.Predict(At(4096, 0)).decode_tps);
}

}  // namespace
}  // namespace trimma::speed_test
