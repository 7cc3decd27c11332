// Quantising to what fits on a card.
#include <gtest/gtest.h>

#include <filesystem>

#include "support/program.h"
#include "support/tiny_model.h"

namespace trimma::fit_cli_test {
namespace {

class FitCli : public testing::Test {
 protected:
  void SetUp() override {
    WriteTinyModel(box_ / "wide.gguf", {.layers = 2, .embedding = 256, .feed_forward = 512});
    box_.Write("text.txt", SomeText(1200));
  }

  static std::vector<std::string> Call(uint64_t vram, const std::vector<std::string>& more = {}) {
    std::vector<std::string> call = {
        "quantize",           "wide.gguf",     "-o",       "q.gguf", "--fit", "--vram",
        std::to_string(vram), "--calibration", "text.txt", "--work", "work"};
    call.insert(call.end(), more.begin(), more.end());
    return call;
  }

  const Sandbox box_;
};

TEST_F(FitCli, AsManyBytesAsTheCardHoldsAndNotMore) {
  const Json plan = ExpectDocument(box_, {"plan", "wide.gguf", "--vram", "4GiB", "--types", "as-is",
                                          "--context", "512", "--kv", "f16"});
  ASSERT_FALSE(HasFailure());
  const Json& card = plan["cells"][0]["devices"][0];
  const auto bytes = [&](const char* field) { return card[field].get<uint64_t>(); };
  const uint64_t rest = bytes("kv_bytes") + bytes("compute_bytes") + bytes("reserve_bytes");
  const uint64_t weights = bytes("weights_bytes");
  ExpectRefused(box_, Call(rest + weights), Code::kUsage, "fits there as it is");
  const Json half = ExpectDocument(box_, Call(rest + weights / 2));
  ASSERT_FALSE(HasFailure());
  EXPECT_EQ(half["fit"]["context"], 512) << "the model's own, which is less than 4096";
  EXPECT_TRUE(half["fit"]["fits"]);
  EXPECT_LE(half["fit"]["devices"][0]["weights_bytes"], weights / 2);
  EXPECT_GE(half["fit"]["devices"][0]["weights_bytes"], weights / 10 * 4);
  EXPECT_LE(half["file_bytes"], half["budget_bytes"]);
  EXPECT_EQ(half["file_bytes"], std::filesystem::file_size(box_ / "q.gguf"));

  // With what is kept the dry run foretells it.
  const Json dry = ExpectDocument(box_, Call(rest + weights / 2, {"--dry-run"}));
  EXPECT_EQ(dry["file_bytes"], half["file_bytes"]);
  EXPECT_EQ(dry["fit"]["room_bytes"], half["fit"]["room_bytes"]);
  const ProgramEnd text = box_.Run(Call(rest + weights / 2, {"--dry-run"}));
  EXPECT_NE(text.out.find("runs wholly on card with"), std::string::npos) << text.out;
}

TEST_F(FitCli, WhereNothingFitsTheNearestIsNamed) {
  ExpectRefused(box_, Call(1 << 20), Code::kNoFit, "even with the fewest bits");
  ExpectRefused(box_, Call(1 << 20), Code::kNoFit, "are missing");
}

TEST_F(FitCli, ItsOptionsMeanNothingAlone) {
  ExpectRefused(box_,
                {"quantize", "wide.gguf", "-o", "q.gguf", "--size", "Q4_K_M", "--gpu", "RTX 2060"},
                Code::kUsage, "--fit");
  ExpectRefused(box_, {"quantize", "wide.gguf", "-o", "q.gguf", "--fit", "--bpw", "5"},
                Code::kUsage, "one of");
  ExpectRefused(box_, {"quantize", "wide.gguf", "-o", "q.gguf", "--fit", "--context", "100000"},
                Code::kUsage, "beyond the model's");
  ExpectRefused(box_, {"quantize", "wide.gguf", "-o", "q.gguf", "--fit", "--gpu", "RTX 20600"},
                Code::kNotFound, "");
}

}  // namespace
}  // namespace trimma::fit_cli_test
