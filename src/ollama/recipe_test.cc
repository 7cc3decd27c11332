// What a model in Ollama is made of, and what is said of its speed: without a server.
#include "ollama/recipe.h"

#include <gtest/gtest.h>

#include "ollama/served_speed.h"

namespace trimma::recipe_test {
namespace {

const std::string kOld = "sha256:" + std::string(64, 'a');
const std::string kNew = "sha256:" + std::string(64, 'b');
const std::string kEyes = "sha256:" + std::string(64, 'e');

Applied Tuned() {
  Applied applied;
  applied.name = "g";
  applied.model_path = "/m/g.gguf";
  applied.settings.context = 8192;
  applied.settings.threads = 3;
  applied.settings.gpu_layers = 20;
  applied.sampling = {0.7, 0.9, "balanced"};
  return applied;
}

RecipeParts Parts(const std::string& weights) {
  RecipeParts parts;
  parts.name = "g-trimma";
  parts.weights_digest = weights;
  parts.original_name = "g:4b";
  OllamaShow original;
  original.weights_digest = kOld;
  original.parameters = {
      {"num_ctx", 2048}, {"temperature", 1.0}, {"top_k", 64}, {"stop", {"<end>"}}};
  original.chat_template = "{{ .Prompt }}";
  original.system = "Be brief.";
  original.license = "Apache";
  original.renderer = "r";
  parts.original = original;
  return parts;
}

TEST(OllamaRecipeTest, TheSameWeightsAreTakenFromTheOriginalWithAllThatBelongsToThem) {
  const OllamaCreate create = MakeRecipe(Tuned(), Parts(kOld));
  EXPECT_EQ(create.from, "g:4b");
  EXPECT_TRUE(create.file_digests.empty());
  EXPECT_EQ(create.parameters, Json({{"num_ctx", 8192},
                                     {"num_batch", 512},
                                     {"num_gpu", 20},
                                     {"num_thread", 3},
                                     {"top_p", 0.9}}))
      << "its own temperature stays";
  const OllamaShow after = Foretell(create, Parts(kOld));
  EXPECT_EQ(after.parameters["top_k"], 64);
  EXPECT_EQ(after.parameters["temperature"], 1.0);
  EXPECT_EQ(after.system, "Be brief.");
}

TEST(OllamaRecipeTest, OtherWeightsGetTheOriginalsTextsAndParameters) {
  RecipeParts parts = Parts(kNew);
  parts.projector_digest = kEyes;
  parts.original->projector_digests = {kEyes};
  const Json body = ToJson(MakeRecipe(Tuned(), parts));
  EXPECT_FALSE(body.contains("from"));
  EXPECT_EQ(body["files"], Json({{"model.gguf", kNew}, {"projector-1.gguf", kEyes}}));
  EXPECT_EQ(body["template"], "{{ .Prompt }}");
  EXPECT_EQ(body["system"], "Be brief.");
  EXPECT_EQ(body["license"], "Apache");
  EXPECT_EQ(body["renderer"], "r");
  EXPECT_EQ(body["parameters"]["stop"], Json({"<end>"}));
  EXPECT_EQ(body["parameters"]["num_ctx"], 8192);
}

TEST(OllamaRecipeTest, AProjectorThatIsNotWantedIsLeftOut) {
  RecipeParts parts = Parts(kOld);
  parts.original->projector_digests = {kEyes};
  const OllamaCreate create = MakeRecipe(Tuned(), parts);
  EXPECT_EQ(create.from, "");
  EXPECT_EQ(create.file_digests, std::vector{kOld});
}

TEST(OllamaRecipeTest, AnotherProjectorIsAnotherModel) {
  RecipeParts parts = Parts(kOld);
  parts.original->projector_digests = {kEyes};
  parts.projector_digest = kNew;
  const OllamaCreate create = MakeRecipe(Tuned(), parts);
  EXPECT_EQ(create.from, "");
  EXPECT_EQ(create.file_digests, (std::vector{kOld, kNew}));
}

TEST(OllamaRecipeTest, WhatReadsTheAnswersIsPartOfTheModel) {
  OllamaShow other = *Parts(kOld).original;
  other.parser = "p";
  other.has_adapter = true;
  EXPECT_FALSE(SameModel(*Parts(kOld).original, other));
  EXPECT_EQ(ChangesBetween(Parts(kOld).original, other),
            (std::vector<std::string>{"parser p", "with an adapter"}));
}

TEST(OllamaRecipeTest, ChosenSamplingReplacesTheOriginals) {
  Applied applied = Tuned();
  applied.sampling = {0.3, 0.8, "precise", true};
  EXPECT_EQ(MakeRecipe(applied, Parts(kOld)).parameters["temperature"], 0.3);
}

TEST(OllamaRecipeTest, WhatTheTuningLeavesOpenIsOpenedAgain) {
  RecipeParts parts = Parts(kOld);
  parts.original->parameters["num_gpu"] = 1;
  parts.original->parameters["num_thread"] = 1;
  Applied applied = Tuned();
  applied.settings.threads.reset();
  applied.settings.gpu_layers.reset();
  const Json parameters = MakeRecipe(applied, parts).parameters;
  EXPECT_EQ(parameters["num_gpu"], -1);
  EXPECT_EQ(parameters["num_thread"], 0);
  applied.settings.use_gpu = false;
  applied.settings.load_mode = LoadMode::kRead;
  EXPECT_EQ(TunedParameters(applied)["num_gpu"], 0);
  EXPECT_EQ(TunedParameters(applied)["use_mmap"], false);
}

TEST(OllamaRecipeTest, WhatIsTunedIsToldFromWhatIsNot) {
  const RecipeParts parts = Parts(kOld);
  const OllamaShow tuned = Foretell(MakeRecipe(Tuned(), parts), parts);
  EXPECT_TRUE(HoldsTuning(tuned, Tuned()));
  EXPECT_FALSE(HoldsTuning(*parts.original, Tuned()));
  Applied other = Tuned();
  other.settings.threads.reset();
  EXPECT_FALSE(HoldsTuning(tuned, other)) << "it fixes what the record leaves open";
  other = Tuned();
  other.sampling = {0.3, 0.8, "precise", true};
  EXPECT_FALSE(HoldsTuning(tuned, other));
}

TEST(OllamaRecipeTest, ChangesAreToldAndTheSameIsTheSame) {
  const RecipeParts parts = Parts(kOld);
  const OllamaShow after = Foretell(MakeRecipe(Tuned(), parts), parts);
  EXPECT_FALSE(SameModel(*parts.original, after));
  EXPECT_TRUE(SameModel(after, after));
  OllamaShow read = after;
  read.parameters["top_p"] = 0.9F;  // as a server may print it
  EXPECT_TRUE(SameModel(after, read));
  EXPECT_EQ(ChangesBetween(parts.original, after),
            (std::vector<std::string>{"num_batch = 512 (new)", "num_ctx = 8192 (was 2048)",
                                      "num_gpu = 20 (new)", "num_thread = 3 (new)",
                                      "top_p = 0.9 (new)"}));
  EXPECT_EQ(ChangesBetween(std::nullopt, after)[0], "weights aaaaaaaaaaaa");
  EXPECT_NE(DescribeShow(after).find("PARAMETER stop <end>\n"), std::string::npos);
}

TEST(ServedSpeedTest, ADifferenceIsOneThatAllPairsShow) {
  EXPECT_EQ(ComparePairs({100, 101, 99}, {120, 122, 119}).verdict, "faster");
  EXPECT_EQ(ComparePairs({120, 122, 119}, {100, 101, 99}).verdict, "slower");
  EXPECT_EQ(ComparePairs({100, 120, 90}, {118, 95, 101}).verdict, "no difference");
  const ServedChange one = ComparePairs({100}, {200});
  EXPECT_EQ(one.verdict, "not measured");
  EXPECT_FALSE(one.ratio.has_value());
  const ServedChange change = ComparePairs({100, 100, 100}, {200, 201, 199});
  EXPECT_NEAR(change.ratio->mean, 2, 0.01);
  EXPECT_EQ(ToJson(change)["pairs"], 3);
}

TEST(ServedSpeedTest, ARoundThatOneSideMissedIsNoPair) {
  const ServedChange change = ComparePairs({100, 0, 100, 100}, {200, 100, 200, 0});
  EXPECT_EQ(change.pairs, 2);
  EXPECT_NEAR(change.ratio->mean, 2, 0.01);
}

TEST(ServedSpeedTest, NoPromptBeginsAsAnother) {
  const std::string a = ServedPrompt(50, 17);
  EXPECT_EQ(a, ServedPrompt(50, 17));
  EXPECT_NE(a[0], ServedPrompt(50, 18)[0]) << "not even the first digit is the same";
}

}  // namespace
}  // namespace trimma::recipe_test
