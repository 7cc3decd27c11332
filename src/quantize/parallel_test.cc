#include "quantize/parallel.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <csignal>
#include <set>

namespace trimma::parallel_test {
namespace {

TEST(ParallelTest, EveryPieceIsDoneOnce) {
  for (const int threads : {1, 2, 7}) {
    for (const uint64_t count : {0U, 1U, 3U, 1000U}) {
      std::vector<std::atomic<int>> done(count);
      const Status status = ParallelFor(count, threads, [&](uint64_t i) -> Status {
        ++done[i];
        return {};
      });
      EXPECT_TRUE(status.ok());
      for (const std::atomic<int>& times : done) EXPECT_EQ(times, 1);
    }
  }
}

TEST(ParallelTest, OneThreadWorksInOrder) {
  std::vector<uint64_t> order;
  ASSERT_TRUE(ParallelFor(5, 1, [&](uint64_t i) -> Status {
                order.push_back(i);
                return {};
              }).ok());
  EXPECT_EQ(order, (std::vector<uint64_t>{0, 1, 2, 3, 4}));
}

TEST(ParallelTest, NoMoreThreadsThanPieces) {
  std::mutex mutex;
  std::set<std::thread::id> ids;
  ASSERT_TRUE(ParallelFor(2, 64, [&](uint64_t) -> Status {
                const std::lock_guard<std::mutex> lock(mutex);
                ids.insert(std::this_thread::get_id());
                return {};
              }).ok());
  EXPECT_LE(ids.size(), 2U);
}

TEST(ParallelTest, TheFirstErrorStopsTheRest) {
  std::atomic<int> done{0};
  const Status status = ParallelFor(1'000'000, 4, [&](uint64_t i) -> Status {
    ++done;
    if (i == 10) return Error{Code::kIo, "the disk is full", ""};
    return {};
  });
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error().code, Code::kIo);
  EXPECT_LT(done, 1'000'000);
}

[[noreturn]] void InterruptInTheMiddle() {
  InstallInterruptHandlers();
  std::atomic<int> done{0};
  const Status status = ParallelFor(100, 2, [&](uint64_t i) -> Status {
    ++done;
    if (i == 10) std::raise(SIGINT);
    return {};
  });
  const bool stopped = !status.ok() && done < 100;
  _exit(stopped ? static_cast<int>(status.error().code) : 0);
}

TEST(ParallelTest, AnInterruptStopsTheRest) {
  EXPECT_EXIT(InterruptInTheMiddle(), testing::ExitedWithCode(130), "");
}

}  // namespace
}  // namespace trimma::parallel_test
