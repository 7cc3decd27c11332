#include "quantize/allocation/sensitivity.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace trimma::sensitivity_test {
namespace {

std::vector<std::string> Names(int layers) {
  std::vector<std::string> names = {"token_embd.weight", "output.weight"};
  for (int layer = 0; layer < layers; ++layer) {
    for (const char* kind : {"attn_q.weight", "ffn_up.weight", "ffn_down.weight"})
      names.push_back("blk." + std::to_string(layer) + "." + kind);
  }
  return names;
}

std::string KindOf(const std::string& name) {
  return name.starts_with("blk.") ? name.substr(name.find('.', 4)) : name;
}

void ExpectPartition(const std::vector<std::vector<size_t>>& groups, size_t count) {
  std::vector<size_t> all;
  for (const auto& group : groups) all.insert(all.end(), group.begin(), group.end());
  std::sort(all.begin(), all.end());
  ASSERT_EQ(all.size(), count);
  for (size_t i = 0; i < count; ++i) EXPECT_EQ(all[i], i);
}

TEST(GroupTensorsTest, FewTensorsAreMeasuredOneByOne) {
  const auto groups = GroupTensors(Names(8), 64);
  ExpectPartition(groups, 26);
  EXPECT_EQ(groups.size(), 26);
}

TEST(GroupTensorsTest, ManyAreMeasuredByKindAndNeighbouringLayers) {
  const std::vector<std::string> names = Names(100);
  const auto groups = GroupTensors(names, 32);
  ExpectPartition(groups, names.size());
  EXPECT_EQ(groups.size(), 32);
  for (const auto& group : groups) {
    for (const size_t i : group) EXPECT_EQ(KindOf(names[i]), KindOf(names[group[0]]));
  }
}

TEST(GroupTensorsTest, TensorsOfNoLayerAreAlwaysAlone) {
  const auto groups = GroupTensors(Names(100), 1);
  EXPECT_EQ(groups.size(), 5);  // two of no layer, three kinds
}

TEST(TensorWorthTest, ComesBackFromJson) {
  const TensorWorth worth = {"a",        0.1,     2.0, {tensor_type::kQ4_K, tensor_type::kIQ4_XS},
                             {0.5, 0.7}, {1, 0.5}};
  const auto back = TensorWorthFromJson(ToJson(worth));
  ASSERT_TRUE(back.ok());
  EXPECT_EQ(back->types, worth.types);
  EXPECT_EQ(back->LossOf(1, false), 1.4);
  EXPECT_EQ(back->LossOf(1, true), 0.7);
  Json damaged = ToJson(worth);
  damaged["errors"].push_back(1);
  EXPECT_FALSE(TensorWorthFromJson(damaged).ok());
  damaged = ToJson(worth);
  damaged["shares"].erase(0);
  EXPECT_FALSE(TensorWorthFromJson(damaged).ok());
  damaged["types"] = "Q4_K";
  EXPECT_FALSE(TensorWorthFromJson(damaged).ok());
}

}  // namespace
}  // namespace trimma::sensitivity_test
