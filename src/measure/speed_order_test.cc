#include "measure/speed_order.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

namespace trimma::speed_order_test {
namespace {

SpeedSubject Placed(int layers, uint32_t ubatch = 512) {
  SpeedSubject subject;
  subject.path = "m.gguf";
  subject.settings.gpu_layers = layers;
  subject.settings.ubatch = ubatch;
  return subject;
}

// The anchor's placement with two contexts, and two other placements, each twice.
std::vector<SpeedSubject> Subjects() {
  return {Placed(5), Placed(5),      Placed(5, 64), Placed(7),
          Placed(9), Placed(7, 128), Placed(5),     Placed(9)};
}
const std::vector<size_t> kMembers = {1, 2, 3, 4, 5, 6, 7};

// Models that are loaded in one round, which begins and ends with the anchor's.
int Loads(const std::vector<SpeedSubject>& subjects, std::vector<size_t> order) {
  order.push_back(0);
  int loads = 0;
  size_t loaded = 0;
  for (const size_t i : order) {
    if (!SamePlacement(subjects[loaded], subjects[i])) ++loads;
    loaded = i;
  }
  return loads;
}

TEST(RoundOrderTest, EachPlacementIsLoadedOnceWhereOnlyOneMayBe) {
  const auto subjects = Subjects();
  std::mt19937 random(1);
  std::set<size_t> firsts;
  for (int round = 0; round < 200; ++round) {
    auto order = RoundOrder(subjects, kMembers, true, random);
    EXPECT_EQ(Loads(subjects, order), 3) << "two others, and the anchor's again";
    firsts.insert(order.front());
    std::sort(order.begin(), order.end());
    ASSERT_EQ(order, kMembers);
  }
  EXPECT_EQ(firsts, (std::set<size_t>{1, 3, 4, 5, 6, 7})) << "all but 2, which needs a context";
}

TEST(RoundOrderTest, AContextIsMadeOnceAndTheAnchorsOwnStandBesideItsVisits) {
  const auto subjects = Subjects();
  std::mt19937 random(1);
  for (int round = 0; round < 200; ++round) {
    auto order = RoundOrder(subjects, {1, 2, 6}, true, random);
    EXPECT_NE(order[1], 2U) << "1 and 6 share a context";
    order = RoundOrder(subjects, kMembers, true, random);
    const auto is_own = [&](size_t i) { return SameContext(subjects[0], subjects[i]); };
    EXPECT_TRUE(is_own(order.front()) || is_own(order.back()));
  }
}

TEST(RoundOrderTest, IsAnyOrderWhereAllStayLoaded) {
  const auto subjects = Subjects();
  std::mt19937 random(1);
  std::set<std::vector<size_t>> seen;
  for (int round = 0; round < 200; ++round)
    seen.insert(RoundOrder(subjects, {1, 3, 6}, false, random));
  EXPECT_EQ(seen.size(), 6U);
  EXPECT_TRUE(RoundOrder(subjects, {}, true, random).empty());
}

}  // namespace
}  // namespace trimma::speed_order_test
