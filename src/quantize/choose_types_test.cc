#include "quantize/choose_types.h"

#include <gtest/gtest.h>

#include <cmath>

#include "hardware/temp_tree.h"
#include "quantize/allocation/candidates.h"
#include "support/tiny_model.h"

namespace trimma::choose_types_test {
namespace {

using namespace tensor_type;

class ChooseTypesTest : public testing::Test {
 protected:
  ChooseTypesTest() {
    TinyModelOptions shape;
    shape.embedding = 256;
    shape.feed_forward = 512;
    shape.layers = 3;
    options_.source = WriteTinyModel(tree_ / "source.gguf", shape);
    options_.output = tree_ / "made.gguf";
    auto file = ReadGguf(options_.source);
    CHECK(file.ok());
    source_ = *file;
    options_.size_bytes = source_.file_bytes / 3;
  }

  // Every bit quarters the error.
  std::vector<TensorWorth> Worths(const Eligible& eligible) const {
    std::vector<TensorWorth> worths;
    for (const size_t i : eligible.tensors) {
      TensorWorth& worth = worths.emplace_back();
      worth.name = source_.tensors[i].name;
      worth.sensitivity = 1;
      worth.types = CandidateTypes(source_.tensors[i]);
      for (const TensorType type : worth.types)
        worth.errors.push_back(std::pow(4.0, -BitsOf(type)));
      worth.shares.assign(worth.types.size(), 1);
    }
    return worths;
  }

  ChosenTypes Chosen() const {
    const auto eligible = FindEligible(options_, source_);
    CHECK(eligible.ok());
    const auto chosen = ChooseTypes(options_, source_, *eligible, Worths(*eligible));
    EXPECT_TRUE(chosen.ok()) << chosen.error().what;
    return chosen.ok() ? *chosen : ChosenTypes{};
  }

  // Weights per second alike for all types, but for those named.
  static SpeedTarget Target(const std::map<std::string, double>& slower) {
    SpeedTarget target;
    DeviceKernels& host = target.host;
    host.name = "host";
    host.backend = "CPU";
    host.threads = 2;
    for (const char* name : {"f16", "q2_K", "q3_K", "iq4_xs", "q4_K", "q5_K", "q6_K", "q8_0"}) {
      const auto found = slower.find(name);
      const double speed = found == slower.end() ? 1 : 1 / found->second;
      const double bits = BitsOf(*TensorTypeByName(name));
      host.weights[name] = {1e-7, speed * bits * 5e8, speed * bits * 5e8,
                            1e-7, speed * 1e10,       speed * 1e10};
    }
    host.attention["f16"] = {2e-7, 1e-9, 1e-10, 5e-10, 1e-11};
    host.elements = {1e-10, 1e-10, 1e-10, 1e-10, 1e-10};
    host.op_seconds = host.norm_op_seconds = host.new_op_seconds = 1e-7;
    host.graph_seconds = 1e-6;
    target.settings.gpu_layers = 0;
    return target;
  }

  size_t Count(const ChosenTypes& chosen, TensorType type) const {
    return static_cast<size_t>(
        std::count(chosen.assignment.types.begin(), chosen.assignment.types.end(), type));
  }

  const TempTree tree_;
  QuantizeOptions options_;
  GgufFile source_;
};

TEST_F(ChooseTypesTest, FastTypesAreNoSlowerThanTheRecipes) {
  const ChosenTypes all = Chosen();
  EXPECT_FALSE(all.speed.has_value());
  const size_t usual = Count(all, kQ5_K);
  EXPECT_GT(usual, 0U) << "or the test shows nothing";
  // The recipe's own types are fast, what we would take is slow.
  options_.speed = SpeedWish{Target({{"q5_K", 4}}), FindFileType("Q4_K_M")};
  const ChosenTypes fast = Chosen();
  ASSERT_TRUE(fast.speed.has_value());
  EXPECT_EQ(fast.speed->baseline, "Q4_K_M");
  EXPECT_GE(fast.speed->decode, 0.975);
  EXPECT_GE(fast.speed->prefill, 0.975);
  EXPECT_LT(Count(fast, kQ5_K), usual);
  EXPECT_GT(fast.expected_loss, all.expected_loss);
}

TEST_F(ChooseTypesTest, WhereNoTypeIsSlowSpeedChangesNothing) {
  const ChosenTypes all = Chosen();
  options_.speed = SpeedWish{Target({}), FindFileType("Q4_K_M")};
  const ChosenTypes fast = Chosen();
  EXPECT_EQ(fast.assignment.types, all.assignment.types);
}

TEST_F(ChooseTypesTest, TheBaselineOfASizeIsTheLargestRecipeThatIsNoLarger) {
  options_.speed = SpeedWish{Target({}), nullptr};
  QuantizeOptions recipe = options_;
  recipe.recipe = FindFileType("Q6_K");
  const auto planned = PlanQuantize(recipe);
  ASSERT_TRUE(planned.ok());
  options_.size_bytes = planned->file_bytes + 1000;
  ASSERT_TRUE(Chosen().speed.has_value());
  EXPECT_EQ(Chosen().speed->baseline, "Q6_K");
}

TEST_F(ChooseTypesTest, UnknownSpeedsAreSaidAndLeaveTheTypesAlone) {
  const ChosenTypes all = Chosen();
  options_.speed = SpeedWish{SpeedTarget{}, FindFileType("Q4_K_M")};
  const ChosenTypes blind = Chosen();
  EXPECT_FALSE(blind.speed.has_value());
  EXPECT_EQ(blind.assignment.types, all.assignment.types);
  ASSERT_EQ(blind.notes.size(), 1U);
  EXPECT_NE(blind.notes[0].find("can't be predicted"), std::string::npos);
}

TEST_F(ChooseTypesTest, WhatFitsIsFoundByPricingMixes) {
  options_.size_bytes.reset();
  const uint64_t room_for = source_.file_bytes / 3;
  options_.fit = FitTarget{[&](const Assignment& mix) -> Result<int64_t> {
                             uint64_t bytes = 0;
                             for (size_t i = 0; i < mix.types.size(); ++i) {
                               const TensorInfo& tensor = source_.tensors[i];
                               bytes +=
                                   *RowBytes(mix.types[i], tensor.row_length()) * tensor.rows();
                             }
                             return static_cast<int64_t>(room_for) - static_cast<int64_t>(bytes);
                           },
                           [](const Assignment&, int64_t room) {
                             return Error{Code::kNoFit, std::to_string(room), ""};
                           }};
  const auto eligible = FindEligible(options_, source_);
  ASSERT_TRUE(eligible.ok());
  EXPECT_GT(eligible->fitting_bytes, eligible->least_bytes);
  const ChosenTypes chosen = Chosen();
  const auto left = options_.fit->room(chosen.assignment);
  EXPECT_GE(*left, 0);
  EXPECT_LT(*left, 300'000) << "little more than a step";
  EXPECT_GE(chosen.budget_bytes, *eligible->fitting_bytes - 1000);

  options_.fit->room = [](const Assignment&) -> Result<int64_t> { return -5; };
  EXPECT_EQ(FindEligible(options_, source_).error().what, "-5");
}

}  // namespace
}  // namespace trimma::choose_types_test
