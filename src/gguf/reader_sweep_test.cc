// Thousands of spoiled files: none may crash the reader, and what it lets through ggml must accept.
#include <ggml.h>
#include <gguf.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <random>

#include "gguf/raw_gguf.h"
#include "gguf/soundness.h"
#include "support/tiny_model.h"

namespace trimma::reader_sweep_test {
namespace {

// Small, but with all that a header has.
TinyModel SmallModel() {
  TinyModelOptions options;
  options.layers = 1;
  options.embedding = 8;
  options.heads = 2;
  options.feed_forward = 8;
  options.vocab = 260;
  TinyModel model = MakeTinyModel(options);
  // A vocabulary for one, for the sweeps try every bit.
  model.metadata.Set("tokenizer.ggml.tokens", Array{Strings{"<unk>"}});
  model.metadata.Set("tokenizer.ggml.scores", Array{std::vector<float>{0}});
  model.metadata.Set("tokenizer.ggml.token_type", Array{std::vector<int32_t>{2}});
  return model;
}

bool GgmlAccepts(const std::string& bytes) {
  ggml_context* tensors = nullptr;
  gguf_context* gguf =
      gguf_init_from_buffer(bytes.data(), bytes.size(), {.no_alloc = true, .ctx = &tensors});
  if (gguf == nullptr) return false;
  gguf_free(gguf);
  ggml_free(tensors);
  return true;
}

class ReaderSweepTest : public testing::Test {
 protected:
  void SetUp() override {
    ggml_log_set([](ggml_log_level, const char*, void*) {}, nullptr);
  }
  void TearDown() override { ggml_log_set(nullptr, nullptr); }
};

TEST_F(ReaderSweepTest, RejectsTruncationAtEveryByte) {
  const std::string bytes = Assemble(SmallModel());
  const Result<GgufFile> whole = Parse(bytes);
  ASSERT_TRUE(whole.ok());
  const TensorInfo& last = whole->tensors.back();
  for (uint64_t cut = 0; cut < last.offset + last.bytes; cut += cut < whole->data_offset ? 1 : 61) {
    const Result<GgufFile> file = ParseGguf(std::string_view(bytes).substr(0, cut), cut, "m.gguf");
    ASSERT_FALSE(file.ok()) << cut;
    EXPECT_EQ(file.error().code, Code::kInvalid) << cut;
    EXPECT_EQ(file.error().hint, "the download is incomplete; fetch it again") << cut;
  }
}

TEST_F(ReaderSweepTest, SurvivesEveryBitFlipOfTheHeader) {
  std::string bytes = Assemble(SmallModel());
  const uint64_t header = Parse(bytes)->data_offset;
  uint64_t accepted = 0;
  for (uint64_t bit = 0; bit < header * 8; ++bit) {
    const char mask = static_cast<char>(1 << (bit % 8));
    bytes[bit / 8] ^= mask;
    const Result<GgufFile> file = Parse(bytes);
    if (file.ok()) {
      ++accepted;
      (void)CheckModel(*file);
    }
    bytes[bit / 8] ^= mask;
  }
  // Flips inside names and values can't be noticed; those in lengths and types are.
  EXPECT_GT(accepted, header * 8 / 4);
  EXPECT_LT(accepted, header * 8 * 3 / 4);
}

TEST_F(ReaderSweepTest, WhatItAcceptsGgmlAcceptsToo) {
  const std::string whole = Assemble(SmallModel());
  const uint64_t header = Parse(whole)->data_offset;
  std::mt19937_64 random(7);
  const auto below = [&](uint64_t n) { return random() % n; };
  constexpr uint64_t kTelling[] = {
      0, 1, 4, 8, 9, 31, 255, 0x7FFFFFFF, UINT32_MAX, SIZE_MAX / 4, UINT64_MAX};
  uint64_t accepted = 0;
  for (int round = 0; round < 4000; ++round) {
    std::string bytes = whole;
    for (uint64_t edits = 1 + below(3); edits > 0; --edits) {
      // Half of the edits hit the tensor table, where most of the arithmetic is.
      const uint64_t at = below(2) == 0 ? below(header - 8) : header - 8 - below(700);
      const uint64_t value = kTelling[below(std::size(kTelling))];
      const auto width = static_cast<std::ptrdiff_t>(uint64_t{1} << below(4));
      std::copy_n(reinterpret_cast<const char*>(&value), width,
                  bytes.begin() + static_cast<std::ptrdiff_t>(at));
    }
    if (below(8) == 0) bytes.resize(below(bytes.size()));
    if (!Parse(bytes).ok()) continue;
    ++accepted;
    ASSERT_TRUE(GgmlAccepts(bytes)) << "round " << round;
  }
  EXPECT_GT(accepted, 300U);
  EXPECT_LT(accepted, 3500U);
}

}  // namespace
}  // namespace trimma::reader_sweep_test
