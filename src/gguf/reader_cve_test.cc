// One file for each known hole of other GGUF readers: knowledge/reliability.md, 1.2.
#include <gtest/gtest.h>

#include <cstdint>

#include "gguf/raw_gguf.h"
#include "gguf/soundness.h"
#include "support/tiny_model.h"

namespace trimma::reader_cve_test {
namespace {

using format::Kind;

std::string Unsound(const TinyModel& model) {
  const Result<GgufFile> file = Parse(Assemble(model));
  if (!file.ok()) return file.error().what;
  const Status sound = CheckModel(*file);
  return sound.ok() ? "accepted" : sound.error().what;
}

// llama.cpp, info->ne: unchecked dimensions, heap overflow.
TEST(CveTest, Cve2024_21802_UncheckedDimensions) {
  EXPECT_NE(FaultIn(RawGguf(1, 0).Tensor("t", {UINT64_MAX, UINT64_MAX}, 0).Data(64)), "accepted");
  EXPECT_NE(FaultIn(RawGguf(1, 0).Tensor("t", {uint64_t{1} << 63}, 0).Data(64)), "accepted");
  EXPECT_NE(FaultIn(RawGguf(1, 0).Text("t").U32(4096).Data(64)), "accepted");
}

// llama.cpp, header.n_kv: the product for the allocation overflows.
TEST(CveTest, Cve2024_23605_MetadataCountOverflows) {
  EXPECT_NE(FaultIn(RawGguf(0, UINT64_MAX / 48 + 2).Data(4096)), "accepted");
}

// llama.cpp: array types and lengths, n_tensors, string lengths.
TEST(CveTest, Cve2024_21825_ArrayLengthOverflows) {
  for (const uint64_t count : {UINT64_MAX, UINT64_MAX / 8 + 2, uint64_t{1} << 61}) {
    EXPECT_NE(FaultIn(RawGguf(0, 1).Key("a", Kind::kArray).U32(10).U64(count).Data(4096)),
              "accepted");
    EXPECT_NE(FaultIn(RawGguf(0, 1).Key("a", Kind::kArray).U32(8).U64(count).Data(4096)),
              "accepted");
  }
}
TEST(CveTest, Cve2024_21836_TensorCountOverflows) {
  EXPECT_NE(FaultIn(RawGguf(UINT64_MAX / 88 + 2, 0).Data(4096)), "accepted");
}
TEST(CveTest, Cve2024_23496_StringLengthOverflows) {
  EXPECT_NE(FaultIn(RawGguf(0, 1).U64(UINT64_MAX).Data(4096)), "accepted");
  EXPECT_NE(FaultIn(RawGguf(1, 0).U64(UINT64_MAX).Data(4096)), "accepted");
}

// ggml, PR 709: more than four dimensions, types beyond the table.
TEST(CveTest, Cve2024_25664_To_25668_DimensionsAndTypes) {
  EXPECT_NE(FaultIn(RawGguf(1, 0).Tensor("t", {1, 1, 1, 1, 1}, 0).Data(64)), "accepted");
  EXPECT_NE(FaultIn(RawGguf(1, 0).Tensor("t", {32}, 0, 1000).Data(64)), "accepted");
  EXPECT_NE(FaultIn(RawGguf(0, 1).Key("a", Kind{1000}).Data(64)), "accepted");
}

// llama.cpp: freed what the failed reading had never set.
TEST(CveTest, Cve2024_32878_FailureHalfWay) {
  EXPECT_NE(FaultIn(RawGguf(0, 3).Entry("a", "text").Entry("b", 1)), "accepted");
  EXPECT_NE(
      FaultIn(RawGguf(0, 2).Entry("a", "text").Key("b", Kind::kArray).U32(8).U64(2).Text("x")),
      "accepted");
}

// llama.cpp: a token's length cut to 32 bits, and then copied.
TEST(CveTest, Cve2025_49847_TokenLongerThanInt32) {
  const RawGguf raw = RawGguf(0, 1)
                          .Key("tokenizer.ggml.tokens", Kind::kArray)
                          .U32(8)
                          .U64(1)
                          .U64((uint64_t{1} << 31) + 8);
  EXPECT_FALSE(ParseGguf(raw.bytes(), uint64_t{1} << 33, "m.gguf").ok());
}

// gguf.cpp: the sum of tensor sizes overflows; and once more after the first fix.
TEST(CveTest, Cve2025_53630_SumOfSizesOverflows) {
  RawGguf raw(16, 0);
  const uint64_t elements = uint64_t{1} << 58;  // 2^60 bytes: 16 of them are 2^64
  for (uint64_t i = 0; i < 16; ++i) raw.Tensor("t" + std::to_string(i), {elements}, i << 60);
  const Result<GgufFile> file = ParseGguf(raw.bytes(), UINT64_MAX, "m.gguf");
  ASSERT_FALSE(file.ok());
  EXPECT_EQ(file.error().what.substr(file.error().what.find("tensor")),
            "tensor t15 of 1152921504606846976 bytes cannot be in any file");
}
TEST(CveTest, Cve2026_27940_SumWithHeaderOverflows) {
  RawGguf raw(15, 0);
  for (uint64_t i = 0; i < 14; ++i)
    raw.Tensor("t" + std::to_string(i), {uint64_t{1} << 58}, i << 60);
  raw.Tensor("last", {(uint64_t{1} << 59) - 16}, uint64_t{14} << 60);  // up to 2^64 - 64
  EXPECT_FALSE(ParseGguf(raw.bytes(), UINT64_MAX, "m.gguf").ok());
}

// ggml_nbytes: the bytes of quantised types overflow.
TEST(CveTest, Cve2026_33298_QuantisedBytesOverflow) {
  const auto q8_k = static_cast<uint32_t>(*TensorTypeByName("Q8_K"));
  EXPECT_NE(FaultIn(RawGguf(1, 0).Tensor("t", {uint64_t{1} << 63, 2}, 0, q8_k).Data(64)),
            "accepted");
  EXPECT_NE(FaultIn(RawGguf(1, 0).Tensor("t", {UINT64_MAX & ~uint64_t{255}}, 0, q8_k).Data(64)),
            "accepted");
}

// llama.cpp PRs 26690, 25969: arrays of the tokenizer cast without a look at their type.
TEST(CveTest, TokenizerArraysOfWrongType) {
  for (const char* key :
       {"tokenizer.ggml.tokens", "tokenizer.ggml.scores", "tokenizer.ggml.token_type",
        "tokenizer.ggml.merges", "tokenizer.ggml.precompiled_charsmap"}) {
    TinyModel model = MakeTinyModel();
    model.metadata.Set(key, Array{std::vector<int16_t>(300, 1)});
    EXPECT_EQ(Unsound(model), std::string("m.gguf: ") + key + " has a wrong type");
  }
}

// Ollama: four bytes crashed it.
TEST(CveTest, Cve2024_39720_FourBytes) {
  EXPECT_EQ(FaultIn(std::string("GGUF")),
            "m.gguf, byte 4: the version needs 4 bytes, but the file ends after 0");
}

// Ollama: reads beyond the end, and panics on a string's length.
TEST(CveTest, Cve2024_12055_Cve2025_66959_Cve2025_66960_ReadsBeyondTheEnd) {
  EXPECT_NE(FaultIn(RawGguf(1, 0)), "accepted");
  EXPECT_NE(FaultIn(RawGguf(0, 1).Key("a", Kind::kString).U64(uint64_t{1} << 62).Data(64)),
            "accepted");
}

// Ollama, GHSA-2xf2-gjm6-g2c6 and GO-2025-3559: divisions by counts that are 0.
TEST(CveTest, Go2025_3559_DivisionByZero) {
  for (const char* key : {"llama.block_count", "llama.embedding_length",
                          "llama.attention.head_count", "llama.attention.head_count_kv"}) {
    TinyModel model = MakeTinyModel();
    model.metadata.Set(key, uint32_t{0});
    EXPECT_NE(Unsound(model), "accepted") << key;
  }
}

// Ollama's quantiser, "Bleeding Llama": a tensor larger than the file leaked the heap into the
// output.
TEST(CveTest, Cve2026_7482_TensorLargerThanTheFile) {
  EXPECT_EQ(
      FaultIn(RawGguf(1, 0).Tensor("t", {1 << 20}, 0).Data(64)),
      "m.gguf, byte 128: the file ends here, but tensor t of 4194304 bytes begins at byte 64");
}

}  // namespace
}  // namespace trimma::reader_cve_test
