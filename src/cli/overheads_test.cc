#include "cli/overheads.h"

#include <gtest/gtest.h>

#include "base/units.h"

namespace trimma::overheads_test {
namespace {

Machine With(uint64_t gpu_mib, uint64_t host_mib) {
  Machine machine;
  machine.memory.available_bytes = host_mib * kMiB;
  machine.gpus = {{"a card", "CUDA", 8192 * kMiB, gpu_mib * kMiB}};
  return machine;
}

TEST(MemoryGoneTest, AWobbleIsNoChange) {
  EXPECT_FALSE(MemoryGone(With(6000, 16000), With(5990, 15000)).has_value());
  EXPECT_FALSE(MemoryGone(With(6000, 16000), With(7000, 20000)).has_value()) << "more is welcome";
}

TEST(MemoryGoneTest, WhatAnotherProgramTookIsSaid) {
  const auto gone = MemoryGone(With(6000, 16000), With(5000, 16000));
  ASSERT_TRUE(gone.has_value());
  EXPECT_NE(gone->find("a card"), std::string::npos);
  EXPECT_NE(gone->find("0.98 GiB"), std::string::npos) << *gone;
}

TEST(MemoryGoneTest, TheHostCountsToo) {
  const auto gone = MemoryGone(With(6000, 16000), With(6000, 4000));
  ASSERT_TRUE(gone.has_value());
  EXPECT_NE(gone->find("host"), std::string::npos) << *gone;
}

TEST(KnownOverheadsTest, WithoutLearningThereIsAnEstimateForEachCard) {
  const auto known = KnownOverheads(With(6000, 16000).gpus);
  ASSERT_EQ(known.size(), 1U);
  EXPECT_FALSE(known[0].learned);
  EXPECT_TRUE(KnownOverheads({}).empty());
}

}  // namespace
}  // namespace trimma::overheads_test
