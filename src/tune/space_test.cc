#include "tune/space.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "hardware/temp_tree.h"
#include "support/tiny_model.h"

namespace trimma::space_test {
namespace {

ModelFacts Quantised() {
  ModelFacts facts;
  facts.file_bytes = 100 << 20;
  facts.is_quantised = true;
  facts.kv_share = 0.1;
  facts.attention_share = 0.1;
  facts.kv_types = {"q8_0"};
  return facts;
}

SpaceOptions On(int cores, int threads) {
  SpaceOptions options;
  options.machine.cores = cores;
  options.machine.threads = threads;
  options.machine.available_bytes = 8ULL << 30;
  return options;
}

std::set<std::string> Names(const Space& space) {
  std::set<std::string> names;
  for (const Variation& variation : space.variations) names.insert(variation.what);
  return names;
}

std::string WhyNot(const Space& space, const std::string& what) {
  for (const NotTried& item : space.not_tried) {
    if (item.what == what) return item.why;
  }
  return "";
}

TEST(SpaceTest, NeverHoldsTheDefaultOrTheSameTwice) {
  for (int cores = 1; cores <= 16; ++cores) {
    for (const int threads : {cores, 2 * cores}) {
      for (const bool is_explicit : {false, true}) {
        SpaceOptions options = On(cores, threads);
        if (is_explicit) options.defaults.threads = cores;
        const Space space = MakeSpace(options, Quantised());
        EXPECT_EQ(Names(space).size(), space.variations.size());
        for (size_t i = 0; i < space.variations.size(); ++i) {
          const RuntimeSettings& settings = space.variations[i].settings;
          EXPECT_FALSE(settings == options.defaults) << space.variations[i].what;
          // Naming the threads that are taken anyway is no variation.
          EXPECT_FALSE(space.variations[i].knob == Knob::kThreads && settings.threads == cores);
          for (size_t j = 0; j < i; ++j)
            EXPECT_FALSE(settings == space.variations[j].settings) << space.variations[i].what;
        }
      }
    }
  }
}

TEST(SpaceTest, AVariationChangesItsKnobAlone) {
  const SpaceOptions options = On(8, 16);
  const Space space = MakeSpace(options, Quantised());
  for (const Variation& variation : space.variations) {
    RuntimeSettings back = variation.settings;
    Apply(variation.knob, options.defaults, back);
    // Decoding's threads pin prefill's, which would follow them.
    if (variation.knob == Knob::kThreads) {
      EXPECT_EQ(back.threads_batch, 8);
      back.threads_batch = std::nullopt;
    }
    EXPECT_EQ(back, options.defaults) << variation.what;
  }
}

TEST(SpaceTest, ThreadsOfThePhasesAreTriedApart) {
  const std::set<std::string> names = Names(MakeSpace(On(8, 16), Quantised()));
  for (const char* name :
       {"decode threads 2", "decode threads 4", "decode threads 6", "decode threads 7",
        "decode threads 16", "prefill threads 6", "prefill threads 7", "prefill threads 16"}) {
    EXPECT_TRUE(names.contains(name)) << name;
  }
  EXPECT_FALSE(names.contains("prefill threads 4")) << "it takes twice as long";
  for (const Variation& variation : MakeSpace(On(8, 16), Quantised()).variations) {
    EXPECT_FALSE(variation.knob == Knob::kThreads && variation.phases != Phases::kDecode);
    EXPECT_FALSE(variation.knob == Knob::kPrefillThreads && variation.phases != Phases::kPrefill);
  }
}

TEST(SpaceTest, OneCoreIsNotHalved) {
  for (const std::string& name : Names(MakeSpace(On(1, 1), Quantised())))
    EXPECT_EQ(name.find("threads"), std::string::npos) << name;
}

TEST(SpaceTest, APhysicalBatchBeyondThePromptIsNotTried) {
  SpaceOptions options = On(4, 4);
  options.prompt_tokens = 200;
  EXPECT_TRUE(Names(MakeSpace(options, Quantised())).contains("ubatch 128"));
  EXPECT_FALSE(Names(MakeSpace(options, Quantised())).contains("ubatch 1024"));
  options.prompt_tokens = 4096;
  EXPECT_TRUE(Names(MakeSpace(options, Quantised())).contains("ubatch 2048"));
  options.defaults.batch = 1024;
  EXPECT_FALSE(Names(MakeSpace(options, Quantised())).contains("ubatch 2048"));
}

TEST(SpaceTest, TheLogicalBatchMattersToLongPromptsAlone) {
  SpaceOptions options = On(4, 4);
  EXPECT_FALSE(WhyNot(MakeSpace(options, Quantised()), "logical batch").empty());
  options.prompt_tokens = 5000;
  const std::set<std::string> names = Names(MakeSpace(options, Quantised()));
  EXPECT_TRUE(names.contains("batch 4096"));
}

TEST(SpaceTest, AQuantisedVCacheIsOnlyTriedWithFlashAttention) {
  for (const FlashAttention flash :
       {FlashAttention::kAuto, FlashAttention::kOn, FlashAttention::kOff}) {
    SpaceOptions options = On(4, 4);
    options.defaults.flash_attention = flash;
    for (const Variation& variation : MakeSpace(options, Quantised()).variations) {
      EXPECT_FALSE(variation.settings.kv_v == "q8_0" &&
                   variation.settings.flash_attention == FlashAttention::kOff)
          << variation.what;
    }
  }
  SpaceOptions options = On(4, 4);
  options.defaults.kv_k = options.defaults.kv_v = "q8_0";
  EXPECT_FALSE(WhyNot(MakeSpace(options, Quantised()), "flash attention off").empty());
}

TEST(SpaceTest, WhatCannotMatterIsNotTriedAndSaid) {
  ModelFacts facts = Quantised();
  facts.is_quantised = false;
  facts.kv_share = facts.attention_share = 0.001;
  const Space space = MakeSpace(On(4, 4), facts);
  EXPECT_FALSE(WhyNot(space, "no weight repacking").empty());
  EXPECT_FALSE(WhyNot(space, "quantised KV cache").empty());
  EXPECT_FALSE(WhyNot(space, "weights locked").empty());
  for (const std::string& name : Names(space)) {
    EXPECT_EQ(name.find("KV cache"), std::string::npos);
    EXPECT_EQ(name.find("repack"), std::string::npos);
  }
}

TEST(SpaceTest, ASecondCopyOfTheWeightsNeedsRoom) {
  SpaceOptions options = On(4, 4);
  EXPECT_TRUE(Names(MakeSpace(options, Quantised())).contains("weights read, not mapped"));
  options.machine.available_bytes = 150 << 20;
  EXPECT_FALSE(Names(MakeSpace(options, Quantised())).contains("weights read, not mapped"));
  EXPECT_FALSE(Names(MakeSpace(options, Quantised())).contains("no weight repacking"));
}

TEST(SpaceTest, OnACardTheHostsSettingsDoNotMatter) {
  SpaceOptions options = On(8, 16);
  options.machine.has_gpu = true;
  for (const std::string& name : Names(MakeSpace(options, Quantised())))
    EXPECT_EQ(name.find("threads"), std::string::npos) << name;
  // A number that is all of them says the same.
  ModelFacts facts = Quantised();
  facts.layers = 25;
  options.defaults.gpu_layers = 25;
  EXPECT_EQ(WhyNot(MakeSpace(options, facts), "decode threads"), "all layers are on the GPU");
  options.defaults.gpu_layers = 24;
  EXPECT_EQ(WhyNot(MakeSpace(options, facts), "decode threads"), "");
  options.defaults.gpu_layers = 10;
  options.machine.placements = {{"GPU layers 11", 11, {}}, {"GPU layers 12", 12, {}}};
  const std::set<std::string> names = Names(MakeSpace(options, Quantised()));
  EXPECT_TRUE(names.contains("GPU layers 11"));
  EXPECT_TRUE(names.contains("decode threads 4"));
}

TEST(SpaceTest, APlacementIsOneChoice) {
  SpaceOptions options = On(8, 16);
  options.machine.has_gpu = true;
  options.defaults.gpu_layers = 10;
  options.machine.placements = {{"GPU layers 11", 11, {}}, {"feed-forward", 20, {"ffn"}}};
  const Space space = MakeSpace(options, Quantised());
  std::vector<const Variation*> placed;
  for (const Variation& variation : space.variations)
    if (variation.knob == Knob::kPlacement) placed.push_back(&variation);
  ASSERT_EQ(placed.size(), 2U);
  // Whichever is applied last holds alone.
  RuntimeSettings settings = options.defaults;
  Apply(Knob::kPlacement, placed[1]->settings, settings);
  EXPECT_EQ(settings.host_tensors, std::vector<std::string>{"ffn"});
  EXPECT_EQ(settings.gpu_layers, 20);
  Apply(Knob::kPlacement, placed[0]->settings, settings);
  EXPECT_EQ(settings.host_tensors, std::vector<std::string>());
  EXPECT_EQ(settings.gpu_layers, 11);
}

TEST(SpaceTest, UsersAreServedInTurnsOrTogether) {
  SpaceOptions options = On(4, 4);
  options.purpose = TuneFor::kBatch;
  options.users = options.defaults.parallel = 8;
  const std::set<std::string> names = Names(MakeSpace(options, Quantised()));
  for (const char* name : {"parallel 1", "parallel 2", "parallel 4"})
    EXPECT_TRUE(names.contains(name)) << name;
  EXPECT_FALSE(names.contains("parallel 8"));
}

TEST(SpaceTest, ForDocumentsDecodingIsNotTuned) {
  SpaceOptions options = On(4, 4);
  options.purpose = TuneFor::kDocuments;
  for (const Variation& variation : MakeSpace(options, Quantised()).variations)
    EXPECT_NE(variation.phases, Phases::kDecode);
}

TEST(FactsTest, TheCachesShareGrowsWithDepth) {
  const TempTree tree;
  TinyModelOptions tiny;
  tiny.embedding = 256;  // heads of 64: two blocks of q8_0
  const auto file = ReadGguf(WriteTinyModel(tree / "tiny.gguf", tiny));
  ASSERT_TRUE(file.ok());
  const ModelFacts shallow = FactsOf(*file, 16, 0);
  const ModelFacts deep = FactsOf(*file, 16, 4096);
  EXPECT_LT(shallow.kv_share, deep.kv_share);
  EXPECT_LT(shallow.attention_share, deep.attention_share);
  EXPECT_LT(deep.kv_share, 1);
  EXPECT_GT(shallow.kv_share, 0);
  EXPECT_FALSE(shallow.is_quantised);
  EXPECT_EQ(shallow.kv_types, std::vector<std::string>{"q8_0"});
  // 2 layers x 2 heads x (64 + 64) x 2 bytes a token.
  const double cache = 1024.0 * 16;
  EXPECT_DOUBLE_EQ(shallow.kv_share, cache / (cache + ActiveOf(*file).bytes));
}

TEST(FactsTest, OfExpertsOnlyThoseThatATokenMeetsCount) {
  const TempTree tree;
  TinyModelOptions tiny;
  tiny.experts = 8;
  tiny.experts_used = 2;
  const auto file = ReadGguf(WriteTinyModel(tree / "experts.gguf", tiny));
  ASSERT_TRUE(file.ok());
  double experts = 0;
  double others = 0;
  for (const TensorInfo& tensor : file->tensors)
    (tensor.name.find("_exps") != std::string::npos ? experts : others) +=
        static_cast<double>(tensor.bytes);
  ASSERT_GT(experts, 0);
  EXPECT_DOUBLE_EQ(ActiveOf(*file).bytes, others + experts / 4);
  EXPECT_LT(ActiveOf(*file).parameters, static_cast<double>(file->parameters()));
}

TEST(SpaceTest, CacheTypesThatNobodyMayTryAreNamedWithTheReason) {
  SpaceOptions options = On(4, 4);
  options.why_no_kv = "nobody could judge it";
  const Space space = MakeSpace(options, Quantised());
  EXPECT_EQ(WhyNot(space, "quantised KV cache"), "nobody could judge it");
  for (const Variation& variation : space.variations) EXPECT_NE(variation.knob, Knob::kKv);
}

}  // namespace
}  // namespace trimma::space_test
