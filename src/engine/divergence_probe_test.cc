#include "engine/divergence_probe.h"

#include <gtest/gtest.h>

#include "hardware/temp_tree.h"
#include "support/tiny_model.h"

namespace trimma::divergence_probe_test {
namespace {

class DivergenceProbeTest : public testing::Test {
 protected:
  DivergenceProbeTest() {
    Model::Options options;
    options.writable = true;
    auto model = Model::Load(WriteTinyModel(tree_ / "m.gguf"), options);
    CHECK(model.ok());
    model_.emplace(std::move(model).value());
    for (int chunk = 0; chunk < 3; ++chunk) {
      std::vector<Token>& tokens = text_.chunks.emplace_back();
      for (int i = 0; i < 64; ++i) tokens.push_back(3 + (chunk * 31 + i * 7) % 256);
    }
  }
  DivergenceProbe Probe(uint64_t logits_bytes) {
    auto probe = DivergenceProbe::Create(*model_, text_, logits_bytes);
    CHECK(probe.ok());
    return std::move(probe).value();
  }

  TempTree tree_;
  std::optional<Model> model_;
  TokenText text_;
};

TEST_F(DivergenceProbeTest, AnUnchangedModelDoesNotDiverge) {
  DivergenceProbe probe = Probe(64 << 20);
  EXPECT_EQ(probe.positions(), 3 * (64 - 16 - 1));
  const auto kld = probe.Measure();
  ASSERT_TRUE(kld.ok());
  EXPECT_NEAR(*kld, 0, 1e-9);
}

TEST_F(DivergenceProbeTest, AChangedTensorShowsAndIsPutBack) {
  DivergenceProbe probe = Probe(64 << 20);
  const std::string name = "blk.0.ffn_down.weight";
  EXPECT_EQ(probe.TypeOf(name), tensor_type::kF16);
  const std::vector<char> kept = probe.Read(name);
  probe.Write(name, std::vector<char>(kept.size(), 0));
  const auto without = probe.Measure();
  ASSERT_TRUE(without.ok());
  EXPECT_GT(*without, 1e-4);
  probe.Write(name, kept);
  const auto again = probe.Measure();
  ASSERT_TRUE(again.ok());
  EXPECT_NEAR(*again, 0, 1e-9);
}

TEST_F(DivergenceProbeTest, FewPositionsAreSpreadWhereMemoryIsShort) {
  const uint64_t one = static_cast<uint64_t>(model_->vocabulary()) * sizeof(float);
  EXPECT_EQ(Probe(12 * one).positions(), 12);
  EXPECT_EQ(Probe(1).positions(), 3);
}

}  // namespace
}  // namespace trimma::divergence_probe_test
