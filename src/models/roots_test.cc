#include <gtest/gtest.h>

#include <cstdlib>
#include <map>
#include <optional>

#include "hardware/temp_tree.h"
#include "models/models.h"

namespace trimma::roots_test {
namespace {

using Names = std::vector<std::string>;
using Variables = std::map<std::string, std::string>;

// Exactly these variables of those that count; the former values come back afterwards.
class Environment {
 public:
  explicit Environment(const Variables& values) {
    for (const char* name : {"HOME", "OLLAMA_MODELS", "LLAMA_CACHE", "HF_HUB_CACHE",
                             "HUGGINGFACE_HUB_CACHE", "HF_HOME", "XDG_CACHE_HOME"}) {
      const char* old = std::getenv(name);
      old_[name] = old == nullptr ? std::nullopt : std::optional<std::string>(old);
      unsetenv(name);
    }
    for (const auto& [name, value] : values) setenv(name.c_str(), value.c_str(), 1);
  }
  ~Environment() {
    for (const auto& [name, value] : old_) {
      unsetenv(name.c_str());
      if (value) setenv(name.c_str(), value->c_str(), 1);
    }
  }
  Environment(const Environment&) = delete;
  Environment& operator=(const Environment&) = delete;

 private:
  std::map<std::string, std::optional<std::string>> old_;
};

TEST(RootsTest, LieBelowHomeByDefault) {
  const Environment environment(Variables{{"HOME", "/h"}});
  const ModelRoots roots = DefaultModelRoots();
  EXPECT_EQ(roots.ollama, (Names{"/h/.ollama/models", "/usr/share/ollama/.ollama/models"}));
  EXPECT_EQ(roots.huggingface, Names{"/h/.cache/huggingface/hub"});
  EXPECT_EQ(roots.lmstudio, (Names{"/h/.lmstudio/models", "/h/.cache/lm-studio/models"}));
}

TEST(RootsTest, VariablesComeInHuggingFacesOrder) {
  Variables values = {{"HOME", "/h"}};
  const auto hub = [&] {
    const Environment environment(values);
    return DefaultModelRoots().huggingface;
  };
  values["XDG_CACHE_HOME"] = "/x";
  EXPECT_EQ(hub(), Names{"/x/huggingface/hub"});
  values["HF_HOME"] = "/hf";
  EXPECT_EQ(hub(), Names{"/hf/hub"});
  values["HUGGINGFACE_HUB_CACHE"] = "/old";
  EXPECT_EQ(hub(), Names{"/old"});
  values["HF_HUB_CACHE"] = "/new";
  EXPECT_EQ(hub(), Names{"/new"});
  values["LLAMA_CACHE"] = "/llama";
  EXPECT_EQ(hub(), (Names{"/llama", "/new"}));
}

TEST(RootsTest, TakesOllamasVariableWithoutQuotes) {
  const Environment environment(Variables{{"HOME", "/h"}, {"OLLAMA_MODELS", " \"/m\" "}});
  EXPECT_EQ(DefaultModelRoots().ollama.front(), "/m");
}

TEST(RootsTest, FollowsLmStudiosPointer) {
  const TempTree tree;
  tree.Write(".lmstudio-home-pointer", "/moved/lmstudio\n");
  const Environment environment(Variables{{"HOME", tree / ""}});
  EXPECT_EQ(DefaultModelRoots().lmstudio.front(), "/moved/lmstudio/models");
}

TEST(RootsTest, WithoutHomeOnlyFixedPlacesRemain) {
  const Environment environment(Variables{});
  const ModelRoots roots = DefaultModelRoots();
  EXPECT_EQ(roots.ollama, Names{"/usr/share/ollama/.ollama/models"});
  EXPECT_TRUE(roots.huggingface.empty());
  EXPECT_TRUE(roots.lmstudio.empty());
}

}  // namespace
}  // namespace trimma::roots_test
