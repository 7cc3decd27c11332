#include "plan/pricing.h"

#include <gtest/gtest.h>

#include "engine/ghost.h"
#include "hardware/temp_tree.h"
#include "support/tiny_model.h"

namespace trimma {
namespace {

GgufFile Written(const TempTree& tree, const TinyModelOptions& options) {
  const auto file = ReadGguf(WriteTinyModel(tree / "tiny.gguf", options));
  CHECK(file.ok());
  return *file;
}

TinyModelOptions Shape(const char* architecture) {
  TinyModelOptions options;
  options.architecture = architecture;
  options.embedding = 256;
  options.heads = 4;
  options.kv_heads = 2;
  options.feed_forward = 512;
  options.context = 8192;
  return options;
}

std::vector<const FileType*> Recipes(const std::vector<const char*>& names) {
  std::vector<const FileType*> recipes;
  for (const char* name : names) recipes.push_back(FindFileType(name));
  return recipes;
}

// The price of a cell asked of the engine itself, nothing composed.
std::vector<DeviceBytes> Direct(const GgufFile& file, const Mix& mix, const PricedCell& cell,
                                uint32_t outputs) {
  const auto ghost = LoadGhost(file, mix.assignment.types, cell.settings.gpu_layers);
  CHECK(ghost.ok());
  const auto devices = Price(*ghost, cell.settings, outputs);
  CHECK(devices.ok());
  return *devices;
}

void ExpectComposedEqualsDirect(const GgufFile& file, const PricingRequest& request) {
  const auto pricing = PriceMixes(file, request);
  ASSERT_TRUE(pricing.ok()) << pricing.error().what;
  ASSERT_EQ(pricing->cells.size(),
            pricing->mixes.size() * request.contexts.size() * request.kv_types.size());
  for (const PricedCell& cell : pricing->cells) {
    const Mix& mix = pricing->mixes[cell.mix];
    const auto direct = Direct(file, mix, cell, request.bench_outputs ? 0 : 1);
    ASSERT_EQ(cell.devices.size(), direct.size());
    for (size_t d = 0; d < direct.size(); ++d) {
      const std::string where = mix.label + " " + std::to_string(cell.settings.context) + " " +
                                cell.settings.kv_k + " on " + direct[d].name;
      EXPECT_EQ(cell.devices[d].weights_bytes, direct[d].weights_bytes) << where;
      EXPECT_EQ(cell.devices[d].kv_bytes, direct[d].kv_bytes) << where;
      EXPECT_EQ(cell.devices[d].compute_bytes, direct[d].compute_bytes) << where;
    }
  }
}

TEST(PricingTest, ComposedCellsCostWhatEachCellCostsAlone) {
  const TempTree tree;
  for (const char* architecture : {"llama", "gemma3"}) {
    const GgufFile file = Written(tree, Shape(architecture));
    PricingRequest request;
    request.recipes = Recipes({"Q8_0", "Q4_K_M", "Q4_0"});
    request.contexts = {2048, 8192};
    request.kv_types = {"f16", "q8_0"};
    ExpectComposedEqualsDirect(file, request);
    request.bench_outputs = true;
    request.recipes = Recipes({"IQ4_XS"});
    ExpectComposedEqualsDirect(file, request);
  }
}

TEST(PricingTest, CellsComeInTheOrderOfTheRequest) {
  const TempTree tree;
  const GgufFile file = Written(tree, Shape("llama"));
  PricingRequest request;
  request.recipes = Recipes({"Q8_0"});
  request.contexts = {4096, 2048};
  request.kv_types = {"q8_0", "f16"};
  const auto pricing = PriceMixes(file, request);
  ASSERT_TRUE(pricing.ok()) << pricing.error().what;
  EXPECT_EQ(pricing->layers, 3);
  size_t i = 0;
  for (const size_t mix : {0, 1}) {
    for (const uint32_t context : request.contexts) {
      for (const std::string& kv : request.kv_types) {
        const PricedCell& cell = pricing->cells.at(i++);
        EXPECT_EQ(cell.mix, mix);
        EXPECT_EQ(cell.settings.context, context);
        EXPECT_EQ(cell.settings.kv_k, kv);
        EXPECT_EQ(cell.settings.kv_v, kv);
        EXPECT_TRUE(cell.settings.gpu_layers.has_value());
      }
    }
  }
}

TEST(PricingTest, TheFileAsItIsComesFirstAndRecipesThatChangeNothingAreLeftOut) {
  const TempTree tree;
  const GgufFile file = Written(tree, Shape("llama"));
  PricingRequest request;
  request.recipes = Recipes({"F16", "Q8_0"});
  request.contexts = {2048};
  request.kv_types = {"f16"};
  const auto pricing = PriceMixes(file, request);
  ASSERT_TRUE(pricing.ok());
  ASSERT_EQ(pricing->mixes.size(), 2U);
  EXPECT_EQ(pricing->mixes[0].recipe, nullptr);
  EXPECT_EQ(pricing->mixes[0].label, "F16");
  EXPECT_EQ(pricing->mixes[0].file_bytes, file.file_bytes);
  EXPECT_EQ(pricing->mixes[1].label, "Q8_0");
}

TEST(PricingTest, AnnouncedBytesAreThoseOfTheFileToBe) {
  const TempTree tree;
  const GgufFile file = Written(tree, Shape("gemma3"));
  PricingRequest request;
  request.recipes = Recipes({"Q8_0", "Q5_K_M", "Q4_0"});
  request.contexts = {2048};
  request.kv_types = {"f16"};
  const auto pricing = PriceMixes(file, request);
  const auto types = AskRecipes(file, request.recipes);
  ASSERT_TRUE(pricing.ok() && types.ok());
  ASSERT_EQ(pricing->mixes.size(), 4U);
  for (size_t r = 0; r < request.recipes.size(); ++r) {
    const FileType& recipe = *request.recipes[r];
    const Assignment assignment = Assign(file, recipe, types->at(r));
    EXPECT_EQ(pricing->mixes[r + 1].assignment.types, assignment.types) << recipe.name;
    EXPECT_EQ(pricing->mixes[r + 1].file_bytes, LayOutOutput(file, assignment, recipe)->file_bytes)
        << recipe.name;
  }
}

TEST(PricingTest, OneSettingIsPricedAsTheEnginePricesIt) {
  const TempTree tree;
  const GgufFile file = Written(tree, Shape("llama"));
  RuntimeSettings settings;
  settings.context = 3000;
  settings.kv_k = "q8_0";
  settings.gpu_layers = 0;
  const auto devices = PriceSettings(file, settings);
  ASSERT_TRUE(devices.ok()) << devices.error().what;
  const auto ghost = LoadGhost(file, {}, 0);
  const auto direct = Price(*ghost, settings, 1);
  ASSERT_EQ(devices->size(), direct->size());
  EXPECT_EQ(ToJson(devices->back()), ToJson(direct->back()));
}

TEST(PricingTest, ErrorsOfTheChildKeepTheirCodes) {
  GgufFile missing;
  missing.paths = {"/nonexistent/model.gguf"};
  EXPECT_EQ(PriceSettings(missing, {}).error().code, Code::kNotFound);
  EXPECT_EQ(AskRecipes(missing, Recipes({"Q8_0"})).error().code, Code::kNotFound);
  const TempTree tree;
  tree.Write("text.gguf", "no model at all, whatever its name says");
  GgufFile text;
  text.paths = {tree / "text.gguf"};
  EXPECT_EQ(PriceMixes(text, {}).error().code, Code::kInvalid);
}

TEST(PricingTest, AnUnknownJobIsABugNotACrash) {
  const auto result = RunChild("no-such-job", Json::object());
  ASSERT_FALSE(result.ok());
  EXPECT_EQ(result.error().code, Code::kInternal);
  EXPECT_NE(result.error().what.find("no-such-job"), std::string::npos);
}

TEST(PricingTest, ARequestWithoutItsFieldsIsInternalNotACrash) {
  for (const char* job :
       {"pricing", "price", "recipes", "speed", "quality", "quantize", "importance"}) {
    const auto result = RunChild(job, Json::object());
    ASSERT_FALSE(result.ok()) << job;
    EXPECT_EQ(result.error().code, Code::kInternal) << job;
  }
}

}  // namespace
}  // namespace trimma
