#include "models/ollama_store.h"

#include <gtest/gtest.h>

#include "models/test_stores.h"

namespace trimma::ollama_store_test {
namespace {

constexpr const char* kGemma = "registry.ollama.ai/library/gemma3/4b";

Result<LocalModel> Open(const TempTree& tree, const char* name) {
  return OpenOllamaModel(tree / "ollama", *ParseOllamaName(name));
}

TEST(OllamaStoreTest, FindsModelAndProjector) {
  const TempTree tree;
  WriteBlob(tree, 'a');
  WriteBlob(tree, 'b');
  WriteManifest(tree, kGemma,
                Manifest(Layer("model", Digest('a')) + "," + Layer("projector", Digest('b')) + "," +
                         Layer("license", "whatever")));
  const Result<LocalModel> model = Open(tree, "gemma3:4b");
  ASSERT_TRUE(model.ok()) << model.error().what;
  EXPECT_EQ(model->name, "ollama:gemma3:4b");
  EXPECT_EQ(model->source, ModelSource::kOllama);
  EXPECT_EQ(model->path, tree / ("ollama/blobs/sha256-" + std::string(64, 'a')));
  EXPECT_EQ(model->projector_path, tree / ("ollama/blobs/sha256-" + std::string(64, 'b')));
}

TEST(OllamaStoreTest, TakesTheLastOfSeveralModelLayers) {
  const auto manifest = ParseOllamaManifest(
      Manifest(Layer("model", Digest('a')) + "," + Layer("model", Digest('b'))));
  ASSERT_TRUE(manifest.ok());
  EXPECT_EQ(manifest->model, Digest('b'));
  EXPECT_FALSE(manifest->projector.has_value());
}

TEST(OllamaStoreTest, ListsNamesWithHostAndNamespace) {
  const TempTree tree;
  WriteOllamaModel(tree, "gemma3", "4b", 'a');
  WriteManifest(tree, "hf.co/user/Repo-GGUF/Q4_K_M", Manifest(Layer("model", Digest('a'))));
  WriteManifest(tree, "registry.ollama.ai/me/mine/latest", "broken, but a name");
  WriteManifest(tree, "registry.ollama.ai/library/.DS_Store", "");
  WriteManifest(tree, "stray", "");
  Walk walk;
  std::vector<std::string> names;
  for (const OllamaName& name : OllamaNames(tree / "ollama", walk)) names.push_back(name.Short());
  EXPECT_EQ(names, (std::vector<std::string>{"hf.co/user/Repo-GGUF:Q4_K_M", "gemma3:4b",
                                             "me/mine:latest"}));
  EXPECT_EQ(walk.notes.size(), 1U);  // the stray file
}

TEST(OllamaStoreTest, RefusesDigestsThatAreNoDigests) {
  for (const std::string& digest :
       {std::string("sha256:../../etc/passwd"), std::string("sha256:") + std::string(63, 'a'),
        std::string("sha256:") + std::string(64, 'A'), Digest('g'),
        std::string("md5:") + std::string(64, 'a'), Digest('a') + "/../x", std::string()}) {
    const auto manifest = ParseOllamaManifest(Manifest(Layer("model", digest)));
    ASSERT_FALSE(manifest.ok()) << digest;
    EXPECT_EQ(manifest.error().code, Code::kInvalid);
  }
}

TEST(OllamaStoreTest, RefusesBrokenManifests) {
  for (const char* text :
       {"", "{", "[]", "null", "{}", R"({"layers":{}})", R"({"layers":[]})", R"({"layers":[1]})",
        R"({"layers":[{"mediaType":7,"digest":[]}]})", "\xff\xfe",
        R"({"layers":[{"mediaType":"application/vnd.ollama.image.tensor","digest":"x"}]})"}) {
    const auto manifest = ParseOllamaManifest(text);
    ASSERT_FALSE(manifest.ok()) << text;
    EXPECT_EQ(manifest.error().code, Code::kInvalid);
  }
  EXPECT_FALSE(ParseOllamaManifest(std::string(100'000, '[')).ok());
}

TEST(OllamaStoreTest, SaysWhatIsWrongAndHowToMendIt) {
  const TempTree tree;
  WriteManifest(tree, kGemma, Manifest(Layer("model", Digest('a'))));
  const auto missing = Open(tree, "gemma3:4b");
  ASSERT_FALSE(missing.ok());
  EXPECT_EQ(missing.error().code, Code::kNotFound);
  EXPECT_EQ(missing.error().hint, "fetch it again: ollama pull gemma3:4b");

  WriteManifest(tree, kGemma, "{");
  EXPECT_EQ(Open(tree, "gemma3:4b").error().code, Code::kInvalid);
  WriteManifest(tree, kGemma, std::string((4 << 20) + 1, ' '));
  EXPECT_EQ(Open(tree, "gemma3:4b").error().code, Code::kInvalid);
  EXPECT_EQ(Open(tree, "absent").error().code, Code::kNotFound);
}

TEST(OllamaStoreTest, ABlobMustLieInTheStore) {
  const TempTree tree;
  tree.Write("outside", "GGUF");
  tree.Link("ollama/blobs/sha256-" + std::string(64, 'a'), "../../outside");
  WriteManifest(tree, kGemma, Manifest(Layer("model", Digest('a'))));
  EXPECT_EQ(Open(tree, "gemma3:4b").error().code, Code::kNotFound);
}

TEST(OllamaStoreTest, FindsBlobsOfVeryOldStores) {
  const TempTree tree;
  tree.Write("ollama/blobs/" + Digest('a'), "GGUF");
  WriteManifest(tree, kGemma, Manifest(Layer("model", Digest('a'))));
  EXPECT_TRUE(Open(tree, "gemma3:4b").ok());
}

}  // namespace
}  // namespace trimma::ollama_store_test
