#include <gtest/gtest.h>

#include "models/models.h"
#include "models/test_stores.h"

namespace trimma::resolve_test {
namespace {

class ResolveTest : public testing::Test {
 protected:
  Result<LocalModel> Resolve(const std::string& name) { return ResolveModel(name, RootsIn(tree_)); }
  std::string NameFor(const std::string& name) {
    const Result<LocalModel> model = Resolve(name);
    return model.ok() ? model->name : "error: " + model.error().what;
  }
  TempTree tree_;
};

TEST_F(ResolveTest, TakesAnExistingFileAsAPath) {
  tree_.Write("m.gguf", "GGUF");
  const Result<LocalModel> model = Resolve(tree_ / "m.gguf");
  ASSERT_TRUE(model.ok());
  EXPECT_EQ(model->source, ModelSource::kPath);
  EXPECT_EQ(model->path, tree_ / "m.gguf");
}

TEST_F(ResolveTest, FindsOllamaNamesInAnyCase) {
  WriteOllamaModel(tree_, "gemma3", "4b", 'a');
  WriteOllamaModel(tree_, "gemma3", "latest", 'b');
  EXPECT_EQ(NameFor("ollama:gemma3:4b"), "ollama:gemma3:4b");
  EXPECT_EQ(NameFor("Gemma3:4B"), "ollama:gemma3:4b");
  EXPECT_EQ(NameFor("gemma3"), "ollama:gemma3:latest");
  EXPECT_EQ(NameFor("library/gemma3:4b"), "ollama:gemma3:4b");
}

TEST_F(ResolveTest, PrefersTheExactCase) {
  WriteOllamaModel(tree_, "Gemma3", "4b", 'a');
  WriteOllamaModel(tree_, "gemma3", "4b", 'b');
  EXPECT_EQ(NameFor("gemma3:4b"), "ollama:gemma3:4b");
  EXPECT_EQ(NameFor("Gemma3:4b"), "ollama:Gemma3:4b");
}

TEST_F(ResolveTest, FindsEverySourceByPrefixAndBare) {
  WriteHuggingFaceFile(tree_, "user--repo-GGUF", 'a', "m-Q4_K_M.gguf");
  WriteLmStudioFile(tree_, "pub/model/file.gguf");
  EXPECT_EQ(NameFor("hf:user/repo-GGUF"), "hf:user/repo-GGUF:Q4_K_M");
  EXPECT_EQ(NameFor("repo-gguf:q4_k_m"), "hf:user/repo-GGUF:Q4_K_M");
  EXPECT_EQ(NameFor("lmstudio:pub/model/file.gguf"), "lmstudio:pub/model/file.gguf");
  EXPECT_EQ(NameFor("pub/model/file.gguf"), "lmstudio:pub/model/file.gguf");
  EXPECT_EQ(NameFor("file"), "lmstudio:pub/model/file.gguf");
}

TEST_F(ResolveTest, EveryListedNameResolvesToItself) {
  WriteOllamaModel(tree_, "gemma3", "4b", 'a');
  WriteManifest(tree_, "hf.co/u/R/Q8_0", Manifest(Layer("model", Digest('a'))));
  WriteHuggingFaceFile(tree_, "u--r", 'a', "sub/x-Q8_0.gguf");
  WriteHuggingFaceFile(tree_, "u--r", 'a', "y-Q8_0.gguf");
  WriteHuggingFaceFile(tree_, "u--r", 'a', "z-Q2_K.gguf");
  WriteLmStudioFile(tree_, "p/m/f.gguf");
  WriteManifest(tree_, "registry.ollama.ai/library/broken/latest", "{");
  const ModelList list = ListModels(RootsIn(tree_));
  EXPECT_EQ(list.items.size(), 6U);
  EXPECT_EQ(list.notes.size(), 1U);
  for (const LocalModel& model : list.items) {
    const Result<LocalModel> found = Resolve(model.name);
    ASSERT_TRUE(found.ok()) << found.error().what;
    EXPECT_EQ(found->path, model.path);
  }
}

TEST_F(ResolveTest, TheFirstRootCountsWhereTwoHoldTheSameName) {
  WriteLmStudioFile(tree_, "p/m/f.gguf");
  tree_.Write("lms2/p/m/f.gguf", "GGUF");
  ModelRoots roots = RootsIn(tree_);
  roots.lmstudio.push_back(tree_ / "lms2");
  ASSERT_EQ(ListModels(roots).items.size(), 1U);
  EXPECT_EQ(ListModels(roots).items[0].path, tree_ / "lms/p/m/f.gguf");
  EXPECT_EQ(ResolveModel("f", roots)->path, tree_ / "lms/p/m/f.gguf");
}

TEST_F(ResolveTest, ListsTheCandidatesOfAnAmbiguousName) {
  WriteHuggingFaceFile(tree_, "user--same", 'a', "m-Q4_K_M.gguf");
  WriteLmStudioFile(tree_, "pub/same/m.gguf");
  WriteOllamaModel(tree_, "same", "latest", 'a');
  const Result<LocalModel> model = Resolve("same");
  ASSERT_FALSE(model.ok());
  EXPECT_EQ(model.error().code, Code::kUsage);
  EXPECT_EQ(model.error().what,
            "\"same\" fits 3 models: ollama:same:latest, hf:user/same:Q4_K_M, "
            "lmstudio:pub/same/m.gguf");
}

TEST_F(ResolveTest, HintsAtNearNames) {
  WriteOllamaModel(tree_, "gemma3", "4b", 'a');
  WriteHuggingFaceFile(tree_, "user--repo", 'a', "m-Q4_K_M.gguf");
  const auto hint = [&](const char* name) {
    const Result<LocalModel> model = Resolve(name);
    EXPECT_EQ(model.ok() ? Code::kFailure : model.error().code, Code::kNotFound) << name;
    return model.ok() ? "" : model.error().hint;
  };
  EXPECT_EQ(hint("gema3:4b"), "did you mean ollama:gemma3:4b?");
  EXPECT_EQ(hint("ollama:gemma3"), "did you mean ollama:gemma3:4b?");
  EXPECT_EQ(hint("gemma3"), "did you mean ollama:gemma3:4b?");
  EXPECT_EQ(hint("hf:user/repo:Q5_K_M"), "did you mean hf:user/repo:Q4_K_M?");
  EXPECT_EQ(hint("something-else-entirely"), "trimma models lists what is here");
  EXPECT_EQ(Resolve("./absent.gguf").error().what, "there is no file ./absent.gguf");
}

TEST_F(ResolveTest, NamesAtMostThreeNearOnes) {
  for (const char tag : {'1', '2', '3', '4'})
    WriteOllamaModel(tree_, "m", std::string("4") + tag, 'a');
  EXPECT_EQ(Resolve("m:45").error().hint,
            "did you mean ollama:m:41 or ollama:m:42 or ollama:m:43?");
}

TEST_F(ResolveTest, SaysWhyABrokenModelCannotBeUsed) {
  WriteManifest(tree_, "registry.ollama.ai/library/m/latest", "{");
  EXPECT_EQ(Resolve("m").error().code, Code::kInvalid);
}

TEST_F(ResolveTest, SaysThatAFolderIsNoModel) {
  WriteOllamaModel(tree_, "tmp", "latest", 'a');
  EXPECT_EQ(Resolve(tree_ / "ollama").error().code, Code::kInvalid);
}

TEST_F(ResolveTest, RefusesHostileNames) {
  EXPECT_EQ(Resolve("").error().code, Code::kUsage);
  EXPECT_EQ(Resolve(std::string("a\0b", 3)).error().code, Code::kUsage);
  EXPECT_EQ(Resolve(std::string(5000, 'a')).error().code, Code::kUsage);
  EXPECT_EQ(Resolve("ollama:../../etc/passwd").error().code, Code::kUsage);
  EXPECT_EQ(Resolve("hf:../../etc").error().code, Code::kNotFound);
  EXPECT_EQ(Resolve("lmstudio:../../etc").error().code, Code::kNotFound);
  const Result<LocalModel> red = Resolve("\x1b[31mred");
  EXPECT_EQ(red.error().what, "no model \"?[31mred\" on this machine");
}

}  // namespace
}  // namespace trimma::resolve_test
