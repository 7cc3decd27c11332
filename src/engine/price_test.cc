#include "engine/price.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "engine/ghost.h"
#include "engine/rows.h"
#include "hardware/temp_tree.h"
#include "support/tiny_model.h"

namespace trimma::price_test {
namespace {

// The same model with its matrices in `type`.
TinyModel Quantized(TinyModel model, TensorType type) {
  PrepareRows(type);
  for (size_t i = 0; i < model.tensors.size(); ++i) {
    TensorPlan& tensor = model.tensors[i];
    if (tensor.shape.size() < 2) continue;
    const uint64_t n = tensor.shape[0];
    const uint64_t rows = tensor.shape[1];
    std::vector<float> values(n * rows);
    DequantizeRows(tensor.type, model.data[i].data(), rows, n, values.data());
    std::string blocks(*RowBytes(type, n) * rows, '\0');
    QuantizeRows(type, values.data(), rows, n, nullptr, blocks.data());
    tensor.type = type;
    model.data[i] = blocks;
  }
  return model;
}

TinyModelOptions Gemma() {
  TinyModelOptions options;
  options.architecture = "gemma3";
  options.layers = 7;
  options.embedding = 128;
  options.heads = 2;
  options.kv_heads = 1;
  options.head_size = 96;
  options.context = 8192;
  options.sliding_window = 64;
  return options;
}

TinyModelOptions Llama() {
  TinyModelOptions options;
  options.embedding = 128;
  options.context = 8192;
  options.tied = false;
  return options;
}

std::vector<RuntimeSettings> Grid() {
  std::vector<RuntimeSettings> grid;
  for (const uint32_t context : {512U, 4096U}) {
    for (const char* kv : {"f16", "q8_0"}) {
      RuntimeSettings settings;
      settings.context = context;
      settings.kv_k = settings.kv_v = kv;
      grid.push_back(settings);
    }
  }
  grid[0].flash_attention = FlashAttention::kOff;
  grid[1].ubatch = 64;
  return grid;
}

Json Prices(const Model& model) {
  Json prices = Json::array();
  for (const RuntimeSettings& settings : Grid()) {
    for (const uint32_t outputs : {0U, 1U}) {
      const auto devices = Price(model, settings, outputs);
      EXPECT_TRUE(devices.ok()) << devices.error().what;
      if (!devices.ok()) continue;
      for (DeviceBytes device : *devices) {
        device.free_bytes = 0;  // of a GPU: changes while we look
        prices.push_back(ToJson(device));
      }
    }
  }
  return prices;
}

// The ghost of a file against the file itself, priced without reading it and really loaded.
void ExpectGhostPricesLike(const std::string& path) {
  const auto file = ReadGguf(path);
  ASSERT_TRUE(file.ok());
  const auto ghost = LoadGhost(*file, {});
  ASSERT_TRUE(ghost.ok()) << ghost.error().what;
  Model::Options options;
  options.no_alloc = true;
  const auto bodiless = Model::Load(path, options);
  ASSERT_TRUE(bodiless.ok());
  EXPECT_EQ(Prices(*ghost), Prices(*bodiless)) << path;
}

TEST(PriceTest, AGhostCostsWhatTheFileCosts) {
  const TempTree tree;
  for (const TinyModelOptions& shape : {Llama(), Gemma()}) {
    const TinyModel f16 = MakeTinyModel(shape);
    tree.Write("f16.gguf", Assemble(f16));
    ExpectGhostPricesLike(tree / "f16.gguf");
    tree.Write("q4_0.gguf", Assemble(Quantized(f16, tensor_type::kQ4_0)));
    ExpectGhostPricesLike(tree / "q4_0.gguf");
  }
}

TEST(PriceTest, AMixThatNobodyMadeCostsWhatItWillCost) {
  const TempTree tree;
  const TinyModel f16 = MakeTinyModel(Gemma());
  tree.Write("f16.gguf", Assemble(f16));
  tree.Write("q8_0.gguf", Assemble(Quantized(f16, tensor_type::kQ8_0)));
  const auto source = ReadGguf(tree / "f16.gguf");
  const auto made = ReadGguf(tree / "q8_0.gguf");
  ASSERT_TRUE(source.ok() && made.ok());
  std::vector<TensorType> types;
  for (const TensorInfo& tensor : made->tensors) types.push_back(tensor.type);
  const auto imagined = LoadGhost(*source, types);
  const auto real = LoadGhost(*made, {});
  ASSERT_TRUE(imagined.ok() && real.ok());
  EXPECT_EQ(Prices(*imagined), Prices(*real));
}

// What llama_get_memory_breakdown says of a model that has its weights in memory.
TEST(PriceTest, APriceIsWhatALoadedModelTakes) {
  const TempTree tree;
  const std::string path = WriteTinyModel(tree / "tiny.gguf", Llama());
  const auto file = ReadGguf(path);
  const auto ghost = LoadGhost(*file, {});
  const auto loaded = Model::Load(path, {});
  ASSERT_TRUE(ghost.ok() && loaded.ok());
  RuntimeSettings settings;
  const auto imagined = Price(*ghost, settings, 1);
  const auto real = Price(*loaded, settings, 1);
  ASSERT_TRUE(imagined.ok() && real.ok());
  ASSERT_EQ(imagined->size(), real->size());
  EXPECT_EQ(imagined->back().kv_bytes, real->back().kv_bytes);
  EXPECT_EQ(imagined->back().compute_bytes, real->back().compute_bytes);
  uint64_t tensor_bytes = 0;
  for (const TensorInfo& tensor : file->tensors) tensor_bytes += tensor.bytes;
  if (real->size() == 1) {
    EXPECT_GE(imagined->back().weights_bytes, tensor_bytes);
    EXPECT_LT(imagined->back().weights_bytes, tensor_bytes + 65536);
  }
}

TEST(PriceTest, TheCacheGrowsWithTheContextExceptBehindAWindow) {
  const TempTree tree;
  const auto kv_bytes = [&](const TinyModelOptions& shape, uint32_t context) {
    const auto file = ReadGguf(WriteTinyModel(tree / "tiny.gguf", shape));
    const auto ghost = LoadGhost(*file, {}, {.gpu_layers = 0});
    RuntimeSettings settings;
    settings.context = context;
    return Price(*ghost, settings, 1)->back().kv_bytes;
  };
  // 2 layers x 2 heads x (32 + 32) x 2 bytes.
  EXPECT_EQ(kv_bytes(Llama(), 4096), 4096U * 512);
  EXPECT_EQ(kv_bytes(Llama(), 8192), 8192U * 512);
  // One layer of seven sees all: 192 x 2 bytes a token; six keep the window and a batch.
  const uint64_t more = kv_bytes(Gemma(), 8192) - kv_bytes(Gemma(), 4096);
  EXPECT_EQ(more, 4096U * 384);
}

TEST(PriceTest, LogitsForEveryTokenCostMoreThanForOne) {
  const TempTree tree;
  TinyModelOptions shape = Llama();
  shape.vocab = 4000;
  const auto file = ReadGguf(WriteTinyModel(tree / "tiny.gguf", shape));
  const auto ghost = LoadGhost(*file, {}, {.gpu_layers = 0});
  const auto one = Price(*ghost, {}, 1);
  const auto every = Price(*ghost, {}, 0);
  ASSERT_TRUE(one.ok() && every.ok());
  // A physical batch of rows of the vocabulary, in 32 bits.
  constexpr uint64_t kLogits = 512 * 4000 * sizeof(float);
  EXPECT_GE(every->back().compute_bytes, kLogits);
  EXPECT_LT(one->back().compute_bytes, kLogits);
}

TEST(PriceTest, ImpossibleSettingsAreAUsageError) {
  const TempTree tree;
  const auto file = ReadGguf(WriteTinyModel(tree / "tiny.gguf"));
  const auto ghost = LoadGhost(*file, {});
  RuntimeSettings settings;
  settings.kv_v = "q8_0";
  settings.flash_attention = FlashAttention::kOff;
  EXPECT_EQ(Price(*ghost, settings, 1).error().code, Code::kUsage);
}

TEST(GhostTest, NeedsNoWeightsAtAll) {
  const TempTree tree;
  const std::string path = WriteTinyModel(tree / "tiny.gguf", Llama());
  const auto file = ReadGguf(path);
  std::filesystem::remove(path);
  const auto ghost = LoadGhost(*file, {});
  ASSERT_TRUE(ghost.ok()) << ghost.error().what;
  EXPECT_EQ(ghost->vocabulary(), 300);
  EXPECT_EQ(ghost->layers(), 3);
}

TEST(GhostTest, AModelThatTheEngineRefusesIsNamedByItsOwnFile) {
  const TempTree tree;
  TinyModel lacking = MakeTinyModel();
  lacking.tensors.pop_back();
  lacking.data.pop_back();
  tree.Write("lacking.gguf", Assemble(lacking));
  const auto file = ReadGguf(tree / "lacking.gguf");
  ASSERT_TRUE(file.ok());
  const auto ghost = LoadGhost(*file, {});
  ASSERT_FALSE(ghost.ok());
  EXPECT_EQ(ghost.error().code, Code::kInvalid);
  EXPECT_NE(ghost.error().what.find("lacking.gguf"), std::string::npos) << ghost.error().what;
  EXPECT_EQ(ghost.error().what.find("/proc/"), std::string::npos) << ghost.error().what;
}

TEST(GhostTest, ASplitModelHasOneGhost) {
  const TempTree tree;
  const auto file = ReadGguf(WriteTinyModel(tree / "tiny.gguf"));
  GgufFile split = *file;
  split.metadata.Set("split.no", uint16_t{0});
  split.metadata.Set("split.count", uint16_t{2});
  split.metadata.Set("split.tensors.count", int32_t{20});
  EXPECT_TRUE(LoadGhost(split, {}).ok());
}

}  // namespace
}  // namespace trimma::price_test
