// MeasureWorth on a small model: what it finds, and that it leaves the model as it was.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>

#include "hardware/temp_tree.h"
#include "plan/assignment.h"
#include "quantize/allocation/candidates.h"
#include "quantize/allocation/sensitivity.h"
#include "quantize/calibration/calibration_text.h"
#include "quantize/calibration/diagonals.h"
#include "quantize/calibration/moments.h"
#include "support/tiny_model.h"

namespace trimma::measure_worth_test {
namespace {

class MeasureWorthTest : public testing::Test {
 protected:
  MeasureWorthTest() {
    shape_.embedding = shape_.feed_forward = 256;
    ObtainedText text;
    for (int chunk = 0; chunk < 6; ++chunk) {
      std::vector<Token>& tokens = text.file.chunks.emplace_back();
      for (int i = 0; i < 64; ++i) tokens.push_back(3 + (chunk * 37 + i * 11) % 256);
    }
    text_ = CutCalibration(text);
  }

  void Load() {
    tiny_ = MakeTinyModel(shape_);
    tree_.Write("m.gguf", Assemble(tiny_));
    auto source = ReadGguf(tree_ / "m.gguf");
    CHECK(source.ok());
    source_ = std::move(source).value();
    Model::Options options;
    options.writable = true;
    auto carrier = Model::Load(tree_ / "m.gguf", options);
    CHECK(carrier.ok());
    carrier_.emplace(std::move(carrier).value());
    CHECK(GatherMoments(*carrier_, text_, {tree_ / "moments.gguf"}, [](double) {}).ok());
    for (size_t i = 0; i < source_.tensors.size(); ++i) {
      if (source_.tensors[i].shape.size() > 1 && ProbeType(source_.tensors[i]))
        matrices_.push_back(i);
    }
  }

  Result<std::vector<TensorWorth>> Measured(const SensitivityOptions& options) {
    auto probe = DivergenceProbe::Create(*carrier_, text_.selection, 64 << 20);
    CHECK(probe.ok());
    const auto moments = MomentsFile::Open(tree_ / "moments.gguf");
    CHECK(moments.ok());
    double before = 0;
    auto worths = MeasureWorth(source_, matrices_, *moments, *probe, options, [&](double share) {
      EXPECT_GE(share, before);
      before = share;
    });
    const auto left = probe->Measure();
    CHECK(left.ok());
    EXPECT_NEAR(*left, 0, 1e-9) << "the carrier is as it was";
    return worths;
  }

  TempTree tree_;
  TinyModelOptions shape_;
  TinyModel tiny_;
  CalibrationText text_;
  GgufFile source_;
  std::optional<Model> carrier_;
  std::vector<size_t> matrices_;
};

TEST_F(MeasureWorthTest, EveryMatrixHasAWorthAndFewerBitsErrMore) {
  Load();
  const auto worths = Measured({64, 2});
  ASSERT_TRUE(worths.ok()) << worths.error().what;
  ASSERT_EQ(worths->size(), matrices_.size());
  for (const TensorWorth& worth : *worths) {
    EXPECT_GT(worth.probe_kld, 0) << worth.name;
    EXPECT_GT(worth.sensitivity, 0) << worth.name;
    ASSERT_EQ(worth.types, CandidateTypes(*source_.FindTensor(worth.name)));
    ASSERT_EQ(worth.errors.size(), worth.types.size());
    for (size_t a = 0; a < worth.types.size(); ++a) {
      EXPECT_GT(worth.shares[a], 0);
      EXPECT_LE(worth.shares[a], 1);
      for (size_t b = 0; b < worth.types.size(); ++b) {
        const bool far = BitsOf(worth.types[a]) < BitsOf(worth.types[b]) - 0.6;
        EXPECT_TRUE(!far || worth.errors[a] > worth.errors[b]) << worth.name;
      }
    }
  }
}

TEST_F(MeasureWorthTest, AGroupSharesOneMeasurement) {
  shape_.layers = 3;
  Load();
  const auto worths = Measured({1, 1});
  ASSERT_TRUE(worths.ok());
  std::map<std::string, double> kinds;
  for (const TensorWorth& worth : *worths) {
    if (!worth.name.starts_with("blk.")) continue;
    const auto [kind, is_new] = kinds.emplace(worth.name.substr(5), worth.probe_kld);
    EXPECT_TRUE(is_new || kind->second == worth.probe_kld) << worth.name;
  }
  EXPECT_EQ(kinds.size(), 7);
}

TEST_F(MeasureWorthTest, ExpertsErrAsTheirOwnTokensWeigh) {
  shape_.experts = 4;
  Load();
  const auto experts =
      GatherDiagonals(*carrier_, text_.moments, ActivationTap::Matrices::kExperts, [](double) {});
  ASSERT_TRUE(experts.ok());
  EXPECT_EQ(experts->entries.size(), 6);  // gate, up and down of two layers
  SensitivityOptions options;
  const auto alike = Measured(options);
  options.experts = &*experts;
  const auto weighed = Measured(options);
  ASSERT_TRUE(alike.ok() && weighed.ok());
  for (size_t i = 0; i < weighed->size(); ++i) {
    const TensorWorth& worth = (*weighed)[i];
    if (!worth.name.ends_with("_exps.weight")) {
      EXPECT_EQ(worth.errors, (*alike)[i].errors) << worth.name;
      continue;
    }
    EXPECT_GT(worth.sensitivity, 0) << worth.name;
    EXPECT_NE(worth.errors, (*alike)[i].errors) << worth.name;
    for (const double share : worth.shares) EXPECT_EQ(share, 1);
  }
}

TEST_F(MeasureWorthTest, ThreadsChangeNothing) {
  Load();
  const auto one = Measured({64, 1});
  const auto three = Measured({64, 3});
  ASSERT_TRUE(one.ok() && three.ok());
  for (size_t i = 0; i < one->size(); ++i) EXPECT_EQ(ToJson((*one)[i]), ToJson((*three)[i]));
}

TEST_F(MeasureWorthTest, AWeightThatIsNoNumberIsNamed) {
  Load();
  // The carrier was sound; the source has been damaged since.
  const uint16_t nan = 0x7E00;
  for (size_t i = 0; i < tiny_.tensors.size(); ++i) {
    if (tiny_.tensors[i].name == "blk.1.ffn_up.weight")
      std::memcpy(tiny_.data[i].data() + 1000, &nan, sizeof nan);
  }
  tree_.Write("m.gguf", Assemble(tiny_));
  const auto worths = Measured({64, 2});
  ASSERT_FALSE(worths.ok());
  EXPECT_EQ(worths.error().code, Code::kInvalid);
  EXPECT_NE(worths.error().what.find("blk.1.ffn_up.weight"), std::string::npos);
}

}  // namespace
}  // namespace trimma::measure_worth_test
