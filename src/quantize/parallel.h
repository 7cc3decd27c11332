// A parallel loop over chunks of work.
#pragma once

#include <atomic>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "base/interrupt.h"
#include "base/result.h"

namespace trimma {

// Calls work(i) for i in [0, count) from `threads` threads; each call returns a Status. The first
// error, or an interrupt, stops the rest and is returned.
template <typename Work>
Status ParallelFor(uint64_t count, int threads, const Work& work) {
  std::atomic<uint64_t> next{0};
  std::atomic<bool> stop{false};
  std::mutex mutex;
  std::optional<Error> first;
  const auto run = [&] {
    while (!stop) {
      const uint64_t i = next.fetch_add(1);
      if (i >= count) return;
      Status status = CheckInterrupted();
      if (status.ok()) status = work(i);
      if (status.ok()) continue;
      const std::lock_guard<std::mutex> lock(mutex);
      if (!first) first = status.error();
      stop = true;
    }
  };
  std::vector<std::thread> workers;
  const auto n = static_cast<uint64_t>(threads) < count ? threads : static_cast<int>(count);
  for (int i = 1; i < n; ++i) workers.emplace_back(run);
  run();
  for (std::thread& worker : workers) worker.join();
  if (first) return *first;
  return {};
}

}  // namespace trimma
