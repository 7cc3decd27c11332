#include "plan/pricing.h"

#include <gtest/gtest.h>

#include "engine/ghost.h"
#include "hardware/temp_tree.h"
#include "support/tiny_model.h"
#include "support/tiny_projector.h"

namespace trimma::pricing_test {
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
  const auto ghost =
      LoadGhost(file, mix.assignment.types, {.gpu_layers = cell.settings.gpu_layers});
  CHECK(ghost.ok());
  const auto devices = Price(*ghost, cell.settings, outputs);
  CHECK(devices.ok());
  return *devices;
}

void ExpectComposedEqualsDirect(const GgufFile& file, const PricingRequest& request) {
  const auto pricing = PriceMixes(file, request);
  ASSERT_TRUE(pricing.ok()) << pricing.error().what;
  ASSERT_EQ(pricing->cells.size(),
            pricing->mixes.size() * request.contexts.size() * request.kv.size());
  for (const PricedCell& cell : pricing->cells) {
    const Mix& mix = pricing->mixes[cell.mix];
    const auto direct = Direct(file, mix, cell, request.target.bench_outputs ? 0 : 1);
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
    request.kv = {{"f16", "f16"}, {"q8_0", "q8_0"}, {"q8_0", "f16"}};
    ExpectComposedEqualsDirect(file, request);
    request.target.bench_outputs = true;
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
  request.kv = {{"q8_0", "q8_0"}, {"f16", "f16"}};
  const auto pricing = PriceMixes(file, request);
  ASSERT_TRUE(pricing.ok()) << pricing.error().what;
  EXPECT_EQ(pricing->layers, 3);
  size_t i = 0;
  for (const size_t mix : {0, 1}) {
    for (const uint32_t context : request.contexts) {
      for (const KvTypes& kv : request.kv) {
        const PricedCell& cell = pricing->cells.at(i++);
        EXPECT_EQ(cell.mix, mix);
        EXPECT_EQ(cell.settings.context, context);
        EXPECT_EQ((KvTypes{cell.settings.kv_k, cell.settings.kv_v}), kv);
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
  request.kv = {{}};
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
  request.kv = {{}};
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
  const auto ghost = LoadGhost(file, {}, {.gpu_layers = 0});
  const auto direct = Price(*ghost, settings, 1);
  ASSERT_EQ(devices->size(), direct->size());
  EXPECT_EQ(ToJson(devices->back()), ToJson(direct->back()));
}

// A card of this size; half of the tiny model's bytes are more than it has.
PricingTarget OnCard(uint64_t free_bytes) {
  PricingTarget target;
  target.cards = {PhantomCard{"a card", 750, free_bytes, free_bytes}};
  Overhead overhead;
  overhead.fixed_bytes = 1 << 20;
  overhead.pool_bytes_per_activation = 1;
  target.overheads = {overhead};
  return target;
}

// What a card must have for everything, reserve included.
uint64_t NeededForAll(const GgufFile& file, const RuntimeSettings& settings) {
  const auto devices = PriceSettings(file, settings, OnCard(1ULL << 40));
  CHECK(devices.ok());
  return devices->at(0).total_bytes() + devices->at(0).reserve_bytes;
}

TEST(PricingTest, ACardThatIsNotThereTakesWhatItCanHold) {
  const TempTree tree;
  TinyModelOptions shape = Shape("llama");
  shape.layers = 6;
  const GgufFile file = Written(tree, shape);
  RuntimeSettings all;
  all.context = 2048;
  const uint64_t needed = NeededForAll(file, all);
  int before = 99;
  for (const uint64_t missing : {0, 1, 2'000'000, 1 << 30}) {
    PricingRequest request;
    request.contexts = {2048};
    request.kv = {{}};
    request.target = OnCard(needed > missing ? needed - missing : 0);
    const auto pricing = PriceMixes(file, request);
    ASSERT_TRUE(pricing.ok()) << pricing.error().what;
    const PricedCell& cell = pricing->cells.at(0);
    ASSERT_EQ(cell.devices.size(), 2U);
    EXPECT_EQ(cell.devices[0].name, "a card");
    const int layers = *cell.settings.gpu_layers;
    EXPECT_EQ(layers == pricing->layers, missing == 0) << missing;
    EXPECT_LE(layers, before);
    before = layers;
    if (layers == 0) continue;  // takes what is never there: nothing was left to choose
    EXPECT_LE(cell.devices[0].total_bytes() + cell.devices[0].reserve_bytes,
              cell.devices[0].free_bytes);
    if (layers == pricing->layers) continue;
    // One layer more would not have fitted.
    RuntimeSettings more = cell.settings;
    more.gpu_layers = layers + 1;
    const auto priced = PriceSettings(file, more, request.target);
    ASSERT_TRUE(priced.ok());
    EXPECT_GT(priced->at(0).total_bytes() + priced->at(0).reserve_bytes, priced->at(0).free_bytes);
  }
}

// One ghost serves for all of these, so they must be one placement to the engine.
TEST(PricingTest, NoNumberOfLayersIsAllOfThemAndMoreThanAllToo) {
  const TempTree tree;
  const GgufFile file = Written(tree, Shape("gemma3"));
  const auto bytes = [&](std::optional<int> layers, const PricingTarget& target) {
    RuntimeSettings settings;
    settings.gpu_layers = layers;
    const auto devices = PriceSettings(file, settings, target);
    CHECK(devices.ok());
    Json json;
    for (const DeviceBytes& device : *devices) json.push_back(ToJson(device));
    return json;
  };
  const PricingTarget card = OnCard(1ULL << 40);
  const Json all = bytes(std::nullopt, card);
  EXPECT_EQ(bytes(3, card), all);
  EXPECT_EQ(bytes(99, card), all);
  EXPECT_NE(bytes(2, card), all);
  PricingTarget none;
  none.cards.emplace();
  EXPECT_EQ(bytes(99, none), bytes(0, none));
}

TEST(PricingTest, TwoCardsShareTheLayersAndNoCardLeavesThemOnTheHost) {
  const TempTree tree;
  TinyModelOptions shape = Shape("llama");
  shape.layers = 6;
  const GgufFile file = Written(tree, shape);
  PricingRequest request;
  request.contexts = {2048};
  request.kv = {{}};
  const PhantomCard card{"a card", 860, 8ULL << 30, 8ULL << 30};
  request.target.cards = {card, card};
  const auto two = PriceMixes(file, request);
  ASSERT_TRUE(two.ok()) << two.error().what;
  ASSERT_EQ(two->cells.at(0).devices.size(), 3U);
  EXPECT_GT(two->cells[0].devices[0].kv_bytes, 0U);
  EXPECT_GT(two->cells[0].devices[1].kv_bytes, 0U);
  request.target.cards.emplace();
  const auto none = PriceMixes(file, request);
  ASSERT_TRUE(none.ok());
  EXPECT_EQ(none->cells.at(0).devices.size(), 1U);
  EXPECT_EQ(none->cells[0].settings.gpu_layers, 0);
}

// Cells of a request on one card, then those that leave it out; what the latter cost where there is
// no card at all.
TEST(PricingTest, ChoicesOfWhichTheCardHoldsNothingArePricedWithoutItToo) {
  const TempTree tree;
  TinyModelOptions shape = Shape("llama");
  shape.layers = 6;
  const GgufFile file = Written(tree, shape);
  tree.Write("mmproj.gguf", Assemble(TinyProjector(224)));
  const auto projector = ReadGguf(tree / "mmproj.gguf");
  ASSERT_TRUE(projector.ok());
  PricingRequest request;
  request.recipes = Recipes({"Q8_0"});
  request.contexts = {1024, 8192};
  request.kv = {{"f16", "f16"}, {"q8_0", "q8_0"}};
  request.target = OnCard(1ULL << 40);
  request.target.projector = *projector;
  const size_t choices = 8;
  const auto whole = PriceMixes(file, request);
  ASSERT_TRUE(whole.ok()) << whole.error().what;
  ASSERT_EQ(whole->cells.size(), choices) << "the card holds all of them";
  request.always_without_gpu = true;
  const auto twice = PriceMixes(file, request);
  ASSERT_TRUE(twice.ok()) << twice.error().what;
  ASSERT_EQ(twice->cells.size(), 2 * choices);

  PricingRequest bare = request;
  bare.target.cards.emplace();
  const auto none = PriceMixes(file, bare);
  ASSERT_TRUE(none.ok()) << none.error().what;
  ASSERT_EQ(none->cells.size(), choices);
  for (size_t i = 0; i < choices; ++i) {
    const PricedCell& without = twice->cells[choices + i];
    const PricedCell& twin = twice->cells[i];
    EXPECT_FALSE(without.settings.use_gpu);
    EXPECT_EQ(without.settings.gpu_layers, 0);
    EXPECT_EQ(std::tie(without.mix, without.settings.context, without.settings.kv_k),
              std::tie(twin.mix, twin.settings.context, twin.settings.kv_k));
    ASSERT_EQ(without.devices.size(), 2U);
    EXPECT_EQ(without.devices[0].name, "a card");
    EXPECT_EQ(without.devices[0].total_bytes() + without.devices[0].reserve_bytes, 0U);
    EXPECT_EQ(without.devices[0].free_bytes, twin.devices[0].free_bytes);
    EXPECT_EQ(ToJson(without.devices[1]), ToJson(none->cells[i].devices[0]));
  }

  // A card that some choices lie on in part needs no other way, one without room does.
  request.always_without_gpu = false;
  const DeviceBytes& largest = whole->cells[2].devices[0];  // F16, 8192, f16
  request.target.cards->front().free_bytes = largest.total_bytes() + largest.reserve_bytes - 1;
  const auto some = PriceMixes(file, request);
  ASSERT_TRUE(some.ok()) << some.error().what;
  ASSERT_EQ(some->cells.size(), choices);
  EXPECT_LT(some->cells[2].settings.gpu_layers, some->layers);
  request.target.cards->front().free_bytes = 1;
  const auto all = PriceMixes(file, request);
  ASSERT_TRUE(all.ok()) << all.error().what;
  ASSERT_EQ(all->cells.size(), 2 * choices);
  EXPECT_FALSE(all->cells[choices].settings.use_gpu);
}

TEST(PricingTest, WithoutLayersACardIsStillUsedAndLeftOutItIsNot) {
  const TempTree tree;
  const GgufFile file = Written(tree, Shape("gemma3"));
  RuntimeSettings settings;
  settings.gpu_layers = 0;
  const auto used = PriceSettings(file, settings, OnCard(1ULL << 40));
  settings.use_gpu = false;
  const auto left_out = PriceSettings(file, settings, OnCard(1ULL << 40));
  ASSERT_TRUE(used.ok() && left_out.ok());
  EXPECT_GT(used->front().compute_bytes, 0U) << "for the batches that it computes";
  EXPECT_EQ(used->front().weights_bytes, 0U);
  ASSERT_EQ(left_out->size(), 1U);
  EXPECT_EQ(left_out->front().name, "host");
}

TEST(PricingTest, SequencesSideBySideAndTensorsOnTheHostAreInThePrice) {
  const TempTree tree;
  const GgufFile file = Written(tree, Shape("gemma3"));
  RuntimeSettings settings;
  settings.context = 8192;
  const auto one = PriceSettings(file, settings, OnCard(1ULL << 40));
  settings.parallel = 4;
  const auto four = PriceSettings(file, settings, OnCard(1ULL << 40));
  ASSERT_TRUE(one.ok() && four.ok());
  // Behind a sliding window every sequence keeps a window of its own.
  EXPECT_GT(four->at(0).kv_bytes, one->at(0).kv_bytes);
  settings.parallel = 1;
  settings.host_tensors = {"ffn_"};
  const auto apart = PriceSettings(file, settings, OnCard(1ULL << 40));
  ASSERT_TRUE(apart.ok());
  EXPECT_LT(apart->at(0).weights_bytes, one->at(0).weights_bytes);
  EXPECT_EQ(apart->at(0).weights_bytes + apart->at(1).weights_bytes,
            one->at(0).weights_bytes + one->at(1).weights_bytes);
}

TEST(PricingTest, ErrorsOfTheChildKeepTheirCodesAndNameTheFile) {
  const TempTree tree;
  GgufFile lacking = Written(tree, Shape("llama"));
  lacking.tensors.pop_back();
  for (const Error& error : {PriceMixes(lacking, {}).error(), PriceSettings(lacking, {}).error(),
                             AskRecipes(lacking, Recipes({"Q8_0"})).error()}) {
    EXPECT_EQ(error.code, Code::kInvalid);
    EXPECT_NE(error.what.find("tiny.gguf"), std::string::npos) << error.what;
  }
  GgufFile empty;
  EXPECT_EQ(PriceMixes(empty, {}).error().code, Code::kInvalid);
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

TEST(PricingTest, AProjectorTakesItsBytesOfTheFirstDeviceInEveryCell) {
  const TempTree tree;
  const GgufFile file = Written(tree, Shape("gemma3"));
  tree.Write("mmproj.gguf", Assemble(TinyProjector(224)));
  PricingRequest request;
  request.recipes = Recipes({"Q8_0"});
  request.contexts = {512, 4096};
  request.kv = {{"f16", "f16"}};
  for (const size_t cards : {0U, 2U}) {
    request.target.cards = std::vector<PhantomCard>(cards, {"card", 750, 6ULL << 30, 6ULL << 30});
    request.target.projector.reset();
    const auto without = PriceMixes(file, request);
    const auto projector = ReadGguf(tree / "mmproj.gguf");
    ASSERT_TRUE(projector.ok());
    request.target.projector = *projector;
    const auto with = PriceMixes(file, request);
    ASSERT_TRUE(without.ok() && with.ok());
    const uint64_t bytes = with->cells[0].devices[0].projector_bytes;
    EXPECT_GT(bytes, projector->file_bytes / 2);
    for (size_t i = 0; i < with->cells.size(); ++i) {
      const auto& devices = with->cells[i].devices;
      EXPECT_EQ(devices[0].total_bytes(), without->cells[i].devices[0].total_bytes() + bytes);
      if (cards > 1) {
        EXPECT_EQ(devices[1].projector_bytes, 0);
      }
    }
  }
}

}  // namespace
}  // namespace trimma::pricing_test
