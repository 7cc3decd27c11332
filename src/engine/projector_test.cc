#include "engine/projector.h"

#include <gtest/gtest.h>
#include <mtmd.h>

#include <regex>

#include "engine/model.h"
#include "engine/phantom.h"
#include "hardware/temp_tree.h"
#include "support/tiny_model.h"
#include "support/tiny_projector.h"

namespace trimma::projector_test {
namespace {

GgufFile Written(const TempTree& tree, const TinyModel& model) {
  tree.Write("mmproj.gguf", Assemble(model));
  const auto file = ReadGguf(tree / "mmproj.gguf");
  CHECK(file.ok());
  return *file;
}

uint64_t TensorBytes(const GgufFile& file) {
  uint64_t bytes = 0;
  for (const TensorInfo& tensor : file.tensors) bytes += tensor.bytes;
  return bytes;
}

ProjectorPlace OnHost() { return {std::vector<ggml_backend_device*>{}}; }

ProjectorPlace OnPhantom() { return {PhantomDevices({{"card", 750, 6ULL << 30, 6ULL << 30}})}; }

// What the engine says of a projector that it has really loaded: MiB of its compute buffer.
double LoadedComputeMebibytes(const std::string& projector, const Model& model) {
  static double mebibytes = 0;
  mebibytes = 0;
  mtmd_log_set(
      [](ggml_log_level, const char* text, void*) {
        std::cmatch match;
        if (std::regex_search(text, match, std::regex("compute buffer size = +([0-9.]+) MiB")))
          mebibytes = std::stod(match[1]);
      },
      nullptr);
  mtmd_context_params params = mtmd_context_params_default();
  params.use_gpu = false;
  mtmd_context* loaded = mtmd_init_from_file(projector.c_str(), model.get(), params);
  EXPECT_NE(loaded, nullptr);
  mtmd_free(loaded);
  mtmd_log_set([](ggml_log_level, const char*, void*) {}, nullptr);
  return mebibytes;
}

TEST(ProjectorTest, APriceIsWhatALoadedProjectorTakes) {
  const TempTree tree;
  TinyModelOptions text;
  text.architecture = "gemma3";
  text.embedding = kProjectorModelWidth;
  const auto model = Model::Load(WriteTinyModel(tree / "m.gguf", text), {});
  ASSERT_TRUE(model.ok());
  for (const uint32_t image : {224U, 448U}) {
    const GgufFile file = Written(tree, TinyProjector(image));
    const auto price = PriceProjector(file, OnHost());
    ASSERT_TRUE(price.ok()) << price.error().what;
    EXPECT_EQ(price->gpu_bytes, 0);
    const double compute = static_cast<double>(price->host_bytes - TensorBytes(file)) / (1 << 20);
    const double loaded = LoadedComputeMebibytes(file.paths[0], *model);
    EXPECT_GT(loaded, 0.1);
    EXPECT_NEAR(compute, loaded, 0.006) << image;  // the engine says two decimals
  }
}

TEST(ProjectorTest, OnACardItTakesTheCard) {
  const TempTree tree;
  const GgufFile file = Written(tree, TinyProjector(224));
  const auto price = PriceProjector(file, OnPhantom());
  ASSERT_TRUE(price.ok()) << price.error().what;
  EXPECT_GT(price->gpu_bytes, TensorBytes(file));
  EXPECT_LT(price->host_bytes, price->gpu_bytes);
  const auto larger = PriceProjector(Written(tree, TinyProjector(448)), OnPhantom());
  ASSERT_TRUE(larger.ok());
  EXPECT_GT(larger->gpu_bytes, price->gpu_bytes);
}

TEST(ProjectorTest, WithoutFlashAttentionItTakesMore) {
  const TempTree tree;
  const GgufFile file = Written(tree, TinyProjector(448));
  ProjectorPlace place = OnPhantom();
  const auto with = PriceProjector(file, place);
  place.flash_attention = FlashAttention::kOff;
  const auto without = PriceProjector(file, place);
  ASSERT_TRUE(with.ok() && without.ok());
  EXPECT_GT(without->gpu_bytes, with->gpu_bytes);
}

TEST(ProjectorTest, AnIncompleteOneIsAnError) {
  const TempTree tree;
  TinyModel encoder = TinyProjector(224);
  for (size_t i = 0; i < encoder.tensors.size(); ++i) {
    if (encoder.tensors[i].name != "mm.input_projection.weight") continue;
    encoder.tensors.erase(encoder.tensors.begin() + static_cast<long>(i));
    encoder.data.erase(encoder.data.begin() + static_cast<long>(i));
    break;
  }
  const auto price = PriceProjector(Written(tree, encoder), OnPhantom());
  ASSERT_FALSE(price.ok());
  EXPECT_EQ(price.error().code, Code::kInvalid);
  EXPECT_NE(price.error().what.find("mmproj.gguf"), std::string::npos);
}

}  // namespace
}  // namespace trimma::projector_test
