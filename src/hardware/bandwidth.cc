#include "hardware/bandwidth.h"

#include <algorithm>
#include <barrier>
#include <chrono>
#include <cstdlib>
#include <memory>
#include <system_error>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "hardware/machine.h"

namespace trimma {
namespace {

constexpr uint64_t kLine = 64;  // bytes of a cache line; a share is a multiple of it
constexpr uint64_t kLeastBuffer = 16ULL << 20;
constexpr int kMostThreads = 1024;

struct Free {
  void operator()(uint64_t* memory) const { std::free(memory); }
};
using Buffer = std::unique_ptr<uint64_t[], Free>;

struct Share {
  uint64_t* words = nullptr;
  size_t lines = 0;
  uint64_t sum = 0;
};

// One addition per word, 16 independent sums: the compiler makes vectors of them, and no
// addition waits for the one before, so that memory is what limits.
uint64_t Sum(const uint64_t* words, size_t lines) {
  constexpr size_t kSums = 2 * kLine / sizeof(uint64_t);
  uint64_t sums[kSums] = {};
  const size_t words_in_pairs = lines / 2 * kSums;
  for (size_t at = 0; at < words_in_pairs; at += kSums) {
    for (size_t i = 0; i < kSums; ++i) sums[i] += words[at + i];
  }
  uint64_t total = 0;
  for (const uint64_t sum : sums) total += sum;
  return total;
}

// At most a quarter of what is free: measuring must not push the page cache or us out.
uint64_t BufferBytes(const BandwidthOptions& options) {
  const uint64_t available = Probe().memory.available_bytes;
  uint64_t bytes = std::max(options.buffer_bytes, kLeastBuffer);
  if (available > 0) bytes = std::clamp(available / 4, kLeastBuffer, bytes);
  return bytes;
}

Buffer Allocate(uint64_t& bytes) {
  // A page at least, so that every thread's share starts on a line of its own.
  bytes = bytes / 4096 * 4096;
  auto* memory = static_cast<uint64_t*>(std::aligned_alloc(4096, bytes));
  if (memory == nullptr && bytes > kLeastBuffer) {
    bytes = kLeastBuffer;
    memory = static_cast<uint64_t*>(std::aligned_alloc(4096, bytes));
  }
  return Buffer(memory);
}

}  // namespace

Spread MeasureReadBandwidth(const BandwidthOptions& options) {
  uint64_t bytes = BufferBytes(options);
  const Buffer buffer = Allocate(bytes);
  if (!buffer) return {};

  const int threads = std::clamp(options.threads, 1, kMostThreads);
  const int repeats = std::max(options.repeats, 1);
  const size_t lines = bytes / kLine / static_cast<size_t>(threads) / 2 * 2;
  std::vector<Share> shares(static_cast<size_t>(threads));
  for (size_t i = 0; i < shares.size(); ++i) {
    shares[i] = {buffer.get() + i * lines * (kLine / sizeof(uint64_t)), lines, 0};
  }

  // Every phase begins and ends for all threads at once; the last to arrive takes the time.
  std::vector<Clock::time_point> stamps;
  stamps.reserve(2 * static_cast<size_t>(repeats) + 2);
  const auto stamp = [&stamps]() noexcept { stamps.push_back(Clock::now()); };
  std::barrier gate(threads, stamp);
  const auto work = [&](Share& share) {
    // Written by the thread that reads it, so that it lies in that processor's own memory.
    for (size_t i = 0; i < share.lines * (kLine / sizeof(uint64_t)); ++i) share.words[i] = i;
    for (int round = 0; round <= repeats; ++round) {
      gate.arrive_and_wait();
      share.sum += Sum(share.words, share.lines);
      gate.arrive_and_wait();
    }
  };
  std::vector<std::jthread> others;
  size_t started = 1;  // this thread takes the first share
  for (; started < shares.size(); ++started) {
    try {
      others.emplace_back([&work, &share = shares[started]] { work(share); });
    } catch (const std::system_error&) {  // no more threads are allowed: measure with these
      for (size_t i = started; i < shares.size(); ++i) gate.arrive_and_drop();
      break;
    }
  }
  work(shares[0]);
  others.clear();  // joins

  volatile uint64_t used = 0;  // without it the sums, and the reading, would be removed
  for (const Share& share : shares) used = used + share.sum;
  const auto bytes_read = static_cast<double>(started * lines * kLine);
  std::vector<double> samples;
  for (size_t i = 2; i + 1 < stamps.size(); i += 2) {  // the first round only warms up
    const double seconds = std::chrono::duration<double>(stamps[i + 1] - stamps[i]).count();
    samples.push_back(bytes_read / std::max(seconds, 1e-9));
  }
  return MedianSpread(std::move(samples));
}

}  // namespace trimma
