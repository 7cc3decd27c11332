// The models of TRIMMA_TEST_MODELS, if it is set: what no tiny model shows.
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>

#include "support/program.h"

namespace trimma::real_models_test {
namespace {

namespace fs = std::filesystem;

class RealModels : public testing::Test {
 protected:
  void SetUp() override {
    const char* folder = std::getenv("TRIMMA_TEST_MODELS");
    if (folder == nullptr || *folder == '\0') GTEST_SKIP() << "TRIMMA_TEST_MODELS is not set";
    for (const auto& entry : fs::directory_iterator(folder)) {
      if (entry.path().extension() == ".gguf")
        models_.push_back(fs::canonical(entry.path()).string());
    }
    if (models_.empty()) GTEST_SKIP() << "TRIMMA_TEST_MODELS holds no .gguf";
  }

  const Sandbox box_;
  std::vector<std::string> models_;
};

TEST_F(RealModels, AreSound) {
  for (const std::string& model : models_) {
    const Json inspect = ExpectDocument(box_, {"inspect", model});
    ASSERT_FALSE(HasFailure()) << model;
    EXPECT_EQ(inspect["file_bytes"], fs::file_size(model));
    EXPECT_GT(inspect["parameters"].get<uint64_t>(), 1'000'000U);
    EXPECT_GT(inspect["bits_per_weight"].get<double>(), 1);
  }
}

TEST_F(RealModels, ArePlanned) {
  for (const std::string& model : models_) {
    const Json plan = ExpectDocument(box_, {"plan", model});
    ASSERT_FALSE(HasFailure()) << model;
    EXPECT_LT(plan["recommended"].get<size_t>(), plan["cells"].size());
  }
}

TEST_F(RealModels, AnnounceWhatQuantisingWouldMake) {
  for (const std::string& model : models_) {
    const Json dry =
        ExpectDocument(box_, {"quantize", model, "-o", "q.gguf", "--type", "Q4_K_M", "--dry-run"});
    ASSERT_FALSE(HasFailure()) << model;
    EXPECT_LE(dry["file_bytes"].get<uint64_t>(), fs::file_size(model) + 1024);
    EXPECT_FALSE(box_.Exists("q.gguf"));
  }
}

}  // namespace
}  // namespace trimma::real_models_test
