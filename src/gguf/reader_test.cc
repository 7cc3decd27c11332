#include "gguf/reader.h"

#include <gtest/gtest.h>

#include <chrono>
#include <cstdint>

#include "gguf/raw_gguf.h"
#include "gguf/types.h"
#include "support/tiny_model.h"

namespace trimma::reader_test {
namespace {

using format::Kind;

TEST(ReaderTest, ReadsWhatTheWriterWrote) {
  const TinyModel model = MakeTinyModel();
  const std::string bytes = Assemble(model);
  const Result<GgufFile> file = Parse(bytes);
  ASSERT_TRUE(file.ok()) << file.error().what;
  EXPECT_EQ(file->architecture(), "llama");
  EXPECT_EQ(file->version, 3U);
  EXPECT_EQ(file->file_bytes, bytes.size());
  EXPECT_EQ(file->metadata.entries(), model.metadata.entries());
  ASSERT_EQ(file->tensors.size(), model.tensors.size());
  for (size_t i = 0; i < model.tensors.size(); ++i) {
    const TensorInfo& tensor = file->tensors[i];
    EXPECT_EQ(tensor.name, model.tensors[i].name);
    EXPECT_EQ(tensor.shape, model.tensors[i].shape);
    EXPECT_EQ(bytes.substr(tensor.offset, tensor.bytes), model.data[i]);
  }
  const TensorInfo* embedding = file->FindTensor("token_embd.weight");
  ASSERT_NE(embedding, nullptr);
  EXPECT_EQ(embedding->rows(), 300U);
  EXPECT_EQ(embedding->row_length(), 64U);
  EXPECT_EQ(file->FindTensor("none"), nullptr);
  EXPECT_GT(file->parameters(), 80'000U);
  EXPECT_GT(file->bits_per_weight(), 16.0);
  EXPECT_LT(file->bits_per_weight(), 16.5);
}

TEST(ReaderTest, ReadsEveryKindOfValueInBothVersions) {
  Metadata metadata;
  metadata.Set("u8", uint8_t{200});
  metadata.Set("i8", int8_t{-100});
  metadata.Set("u16", uint16_t{60'000});
  metadata.Set("i16", int16_t{-30'000});
  metadata.Set("u32", uint32_t{4'000'000'000});
  metadata.Set("i32", int32_t{-2'000'000'000});
  metadata.Set("f32", 1.5F);
  metadata.Set("bool", true);
  metadata.Set("text", std::string("sm\xC3\xB6r\0g\xC3\xA5s", 9));
  metadata.Set("u64", UINT64_MAX);
  metadata.Set("i64", INT64_MIN);
  metadata.Set("f64", -0.1);
  metadata.Set("a.u8", Array{std::vector<uint8_t>{1, 200}});
  metadata.Set("a.i8", Array{std::vector<int8_t>{-1}});
  metadata.Set("a.u16", Array{std::vector<uint16_t>{1}});
  metadata.Set("a.i16", Array{std::vector<int16_t>{-1}});
  metadata.Set("a.u32", Array{std::vector<uint32_t>{1}});
  metadata.Set("a.i32", Array{std::vector<int32_t>{-1}});
  metadata.Set("a.f32", Array{std::vector<float>{0.5F}});
  metadata.Set("a.bool", Array{std::vector<uint8_t>{1, 0}, true});
  metadata.Set("a.text", Array{Strings{"", "x"}});
  metadata.Set("a.u64", Array{std::vector<uint64_t>{1}});
  metadata.Set("a.i64", Array{std::vector<int64_t>{-1}});
  metadata.Set("a.f64", Array{std::vector<double>{0.5}});
  metadata.Set("a.empty", Array{std::vector<float>{}});
  const Result<GgufLayout> layout = LayOutGguf(metadata, {});
  ASSERT_TRUE(layout.ok());
  for (const char version : {'\2', '\3'}) {
    std::string bytes = layout->header;
    bytes[4] = version;
    const Result<GgufFile> file = Parse(bytes);
    ASSERT_TRUE(file.ok()) << file.error().what;
    EXPECT_EQ(file->version, static_cast<uint32_t>(version));
    EXPECT_EQ(file->metadata.entries(), metadata.entries());
  }
}

TEST(ReaderTest, ReadsEveryTensorType) {
  std::vector<TensorPlan> plans;
  for (const TypeInfo& info : TensorTypes())
    plans.push_back({info.name, info.type, {info.block * 2, 3, 1, 2}});
  const Result<GgufLayout> layout = LayOutGguf({}, plans);
  ASSERT_TRUE(layout.ok());
  const Result<GgufFile> file = ParseGguf(layout->header, layout->file_bytes, "m.gguf");
  ASSERT_TRUE(file.ok()) << file.error().what;
  for (size_t i = 0; i < plans.size(); ++i) {
    EXPECT_EQ(file->tensors[i].type, plans[i].type);
    EXPECT_EQ(file->tensors[i].bytes, InfoOf(plans[i].type).block_bytes * 12);
  }
}

TEST(ReaderTest, RejectsEmptyFile) {
  EXPECT_EQ(FaultIn(std::string()), "m.gguf, byte 0: the file is empty");
}

TEST(ReaderTest, RejectsOtherFormats) {
  EXPECT_EQ(FaultIn("<!doctype html>"), "m.gguf, byte 0: not a GGUF file: it begins with \"<!do\"");
  EXPECT_EQ(Parse("<!doctype html>").error().hint, "this is a web page; fetch the file itself");
  EXPECT_EQ(FaultIn(std::string("\x1b[2J....")),
            "m.gguf, byte 0: not a GGUF file: it begins with \"?[2J\"");
}

TEST(ReaderTest, RejectsOtherVersions) {
  EXPECT_EQ(FaultIn(RawGguf(0, 0, 1)),
            "m.gguf, byte 4: GGUF version 1 is not supported, only 2 and 3 are");
  EXPECT_EQ(FaultIn(RawGguf(0, 0, 4)),
            "m.gguf, byte 4: GGUF version 4 is not supported, only 2 and 3 are");
  EXPECT_EQ(FaultIn(RawGguf(0, 0, 0)),
            "m.gguf, byte 4: GGUF version 0 is not supported, only 2 and 3 are");
}

TEST(ReaderTest, NamesBigEndianFiles) {
  EXPECT_EQ(FaultIn(RawGguf(0, 0, 0x03000000)),
            "m.gguf, byte 4: this GGUF file is big-endian, this machine reads little-endian");
}

TEST(ReaderTest, RejectsCountsThatCannotFit) {
  const std::string forty(40, '\0');
  EXPECT_EQ(
      FaultIn(RawGguf(0, uint64_t{1} << 40).bytes() + forty),
      "m.gguf, byte 24: the metadata count 1099511627776 cannot fit into the remaining 40 bytes");
  EXPECT_EQ(
      FaultIn(RawGguf(uint64_t{1} << 50, 0).bytes() + forty),
      "m.gguf, byte 24: the tensor count 1125899906842624 cannot fit into the remaining 40 bytes");
  EXPECT_EQ(FaultIn(RawGguf(UINT64_MAX, UINT64_MAX)),
            "m.gguf, byte 24: the metadata count 18446744073709551615 cannot fit into the "
            "remaining 0 bytes");
  // Enough bytes, but more than any model has: never read, for the file need not exist.
  const RawGguf many(0, 65'537);
  const Result<GgufFile> file = ParseGguf(many.bytes(), uint64_t{1} << 40, "m.gguf");
  EXPECT_EQ(file.error().what,
            "m.gguf, byte 24: the metadata count 65537 is more than the 65536 allowed");
}

TEST(ReaderTest, RejectsStringsThatCannotFit) {
  EXPECT_EQ(FaultIn(RawGguf(0, 1).U64(uint64_t{1} << 63).Data(32)),
            "m.gguf, byte 24: a string of 9223372036854775808 bytes cannot fit into the remaining "
            "32 bytes");
  EXPECT_EQ(FaultIn(RawGguf(0, 1).Key("a", Kind::kString).U64(UINT64_MAX).Data(0)),
            "m.gguf, byte 37: a string of 18446744073709551615 bytes cannot fit into the remaining "
            "19 bytes"
            " (in the value of a)");
  const RawGguf long_string = RawGguf(0, 1).Key("a", Kind::kString).U64((16 << 20) + 1);
  EXPECT_EQ(ParseGguf(long_string.bytes(), 1 << 30, "m.gguf").error().what,
            "m.gguf, byte 37: a string has 16777217 bytes, at most 16777216 are allowed (in the "
            "value of a)");
}

TEST(ReaderTest, RejectsArraysThatCannotFit) {
  const auto array = [](Kind kind, uint64_t count) {
    return RawGguf(0, 1).Key("a", Kind::kArray).U32(static_cast<uint32_t>(kind)).U64(count).U64(0);
  };
  EXPECT_EQ(FaultIn(array(Kind::kFloat64, 2)),
            "m.gguf, byte 49: an array of 2 elements cannot fit into the remaining 8 bytes (in the "
            "value of a)");
  EXPECT_EQ(FaultIn(array(Kind::kUint32, uint64_t{1} << 62)),
            "m.gguf, byte 49: an array of 4611686018427387904 elements cannot fit into the "
            "remaining 8 bytes"
            " (in the value of a)");
  EXPECT_EQ(
      ParseGguf(array(Kind::kString, 1 << 25).bytes(), uint64_t{1} << 40, "m.gguf").error().what,
      "m.gguf, byte 49: an array of 33554432 strings, at most 4194304 are allowed (in the value of "
      "a)");
  EXPECT_EQ(
      ParseGguf(array(Kind::kUint8, 1 << 30).bytes(), uint64_t{1} << 40, "m.gguf").error().what,
      "m.gguf, byte 49: the header is longer than 268435456 bytes (in the value of a)");
}

TEST(ReaderTest, RejectsNestedArraysAndUnknownKinds) {
  EXPECT_EQ(FaultIn(RawGguf(0, 1).Key("a", Kind::kArray).U32(9).U64(0)),
            "m.gguf, byte 37: an array of arrays is not supported (in the value of a)");
  EXPECT_EQ(FaultIn(RawGguf(0, 1).Key("a", Kind::kArray).U32(13).U64(0)),
            "m.gguf, byte 37: 13 is no type of an array's elements (in the value of a)");
  EXPECT_EQ(FaultIn(RawGguf(0, 1).Key("a", Kind{13}).U64(0)),
            "m.gguf, byte 33: 13 is no type of a value (in the value of a)");
  EXPECT_EQ(FaultIn(RawGguf(0, 1).Key("a", Kind::kBool).U8(2)),
            "m.gguf, byte 37: a boolean is 2, not 0 or 1 (in the value of a)");
}

TEST(ReaderTest, RejectsBadKeys) {
  EXPECT_EQ(FaultIn(RawGguf(0, 1).Entry("", 1).U64(0)), "m.gguf, byte 24: a metadata key is empty");
  EXPECT_EQ(FaultIn(RawGguf(0, 1).Entry(std::string(65'536, 'k'), 1)),
            "m.gguf, byte 24: a metadata key has 65536 bytes, at most 65535 are allowed");
  EXPECT_EQ(FaultIn(RawGguf(0, 1).Entry(std::string(65'535, 'k'), 1)), "accepted");
  EXPECT_EQ(FaultIn(RawGguf(0, 2).Entry("a", 1).Entry("a", 2)),
            "m.gguf, byte 41: the metadata key a occurs twice");
  // For ggml, which compares C strings, this is general.alignment.
  EXPECT_EQ(FaultIn(RawGguf(0, 1).Entry(std::string("general.alignment\0x", 19), 7)),
            "m.gguf, byte 24: a metadata key holds a NUL byte");
  EXPECT_EQ(
      FaultIn(RawGguf(0, 2).Entry("\x1b[31m\xE2\x80\xAE", 1).Entry("\x1b[31m\xE2\x80\xAE", 2)),
      "m.gguf, byte 48: the metadata key ?[31m? occurs twice");
}

TEST(ReaderTest, RejectsBadAlignment) {
  const auto with = [](uint32_t alignment) {
    return RawGguf(0, 1).Entry("general.alignment", alignment);
  };
  EXPECT_EQ(FaultIn(with(0)),
            "m.gguf, byte 57: general.alignment is 0, not a power of two from 8 to 4096");
  EXPECT_EQ(FaultIn(with(uint32_t{1} << 31)),
            "m.gguf, byte 57: general.alignment is 2147483648, not a power of two from 8 to 4096");
  EXPECT_EQ(FaultIn(with(24)),
            "m.gguf, byte 57: general.alignment is 24, not a power of two from 8 to 4096");
  EXPECT_EQ(FaultIn(RawGguf(0, 1).Key("general.alignment", Kind::kInt32).U32(32)),
            "m.gguf, byte 57: general.alignment is not of type UINT32");
  EXPECT_EQ(FaultIn(RawGguf(0, 1).Entry("general.alignment", "32")),
            "m.gguf, byte 63: general.alignment is not of type UINT32");
  EXPECT_EQ(
      FaultIn(RawGguf(1, 1).Entry("general.alignment", 4096).Tensor("t", {4}, 0).Data(16, 4096)),
      "accepted");
}

TEST(ReaderTest, RejectsBadShapes) {
  EXPECT_EQ(FaultIn(RawGguf(1, 0).Tensor("t", {}, 0).Data(64)),
            "m.gguf, byte 33: tensor t has 0 dimensions, 1 to 4 are allowed");
  EXPECT_EQ(FaultIn(RawGguf(1, 0).Tensor("t", {1, 1, 1, 1, 1}, 0).Data(64)),
            "m.gguf, byte 33: tensor t has 5 dimensions, 1 to 4 are allowed");
  EXPECT_EQ(FaultIn(RawGguf(1, 0).Tensor("t", {4, 0}, 0).Data(64)),
            "m.gguf, byte 33: tensor t has a dimension of 0");
  EXPECT_EQ(FaultIn(RawGguf(1, 0).Tensor("t", {uint64_t{1} << 32, uint64_t{1} << 32}, 0).Data(64)),
            "m.gguf, byte 33: tensor t has more elements than can be counted");
  EXPECT_EQ(
      FaultIn(RawGguf(1, 0).Tensor("t", {640}, 0, 12).Data(512)),
      "m.gguf, byte 33: tensor t has rows of 640 elements, but Q4_K is stored in blocks of 256");
}

TEST(ReaderTest, RejectsUnknownTypes) {
  for (const uint32_t type : {4U, 31U, 38U, 43U, UINT32_MAX}) {
    EXPECT_EQ(FaultIn(RawGguf(1, 0).Tensor("t", {256}, 0, type).Data(2048)),
              "m.gguf, byte 45: tensor t has type " + std::to_string(type) + ", which is unknown");
  }
}

TEST(ReaderTest, RejectsBadTensorNames) {
  EXPECT_EQ(FaultIn(RawGguf(1, 0).Tensor("", {4}, 0).Data(64)),
            "m.gguf, byte 24: a tensor's name is empty");
  EXPECT_EQ(FaultIn(RawGguf(1, 0).Tensor(std::string(64, 'n'), {4}, 0).Data(64)),
            "m.gguf, byte 24: a tensor's name has 64 bytes, at most 63 are allowed");
  EXPECT_EQ(FaultIn(RawGguf(1, 0).Tensor(std::string(63, 'n'), {4}, 0).Data(64)), "accepted");
  EXPECT_EQ(FaultIn(RawGguf(1, 0).Tensor(std::string("a\0b", 3), {4}, 0).Data(64)),
            "m.gguf, byte 24: a tensor's name holds a NUL byte");
  EXPECT_EQ(FaultIn(RawGguf(2, 0).Tensor("t", {4}, 0).Tensor("t", {4}, 32).Data(64)),
            "m.gguf, byte 57: tensor t occurs twice");
}

TEST(ReaderTest, RejectsTensorPastEndOfFile) {
  const RawGguf raw = RawGguf(2, 0).Tensor("a", {8}, 0).Tensor("b", {1 << 20}, 32).Data(64);
  EXPECT_EQ(
      FaultIn(raw),
      "m.gguf, byte 160: the file ends here, but tensor b of 4194304 bytes begins at byte 128");
  EXPECT_EQ(Parse(raw.bytes()).error().hint, "the download is incomplete; fetch it again");
}

TEST(ReaderTest, LastTensorMayEndWithoutPadding) {
  EXPECT_EQ(FaultIn(RawGguf(1, 0).Tensor("t", {3}, 0).Data(12)), "accepted");
  EXPECT_EQ(FaultIn(RawGguf(1, 0).Tensor("t", {3}, 0).Data(11)),
            "m.gguf, byte 75: the file ends here, but tensor t of 12 bytes begins at byte 64");
}

TEST(ReaderTest, RejectsOverlapsAndGaps) {
  const auto second_at = [](uint64_t offset) {
    return RawGguf(2, 0).Tensor("a", {16}, 0).Tensor("b", {16}, offset).Data(256);
  };
  EXPECT_EQ(FaultIn(second_at(64)), "accepted");
  EXPECT_EQ(FaultIn(second_at(32)),
            "m.gguf, byte 82: tensor b has offset 32, but the data before it ends at 64");
  EXPECT_EQ(FaultIn(second_at(96)),
            "m.gguf, byte 82: tensor b has offset 96, but the data before it ends at 64");
  EXPECT_EQ(FaultIn(second_at(65)),
            "m.gguf, byte 82: tensor b has offset 65, but the data before it ends at 64");
}

// ggml at our pin accepts this in both modes: the padded size wraps to 0, and two tensors alias.
TEST(ReaderTest, RejectsTheWrapOfPadding) {
  const uint64_t wraps = SIZE_MAX / 4;
  EXPECT_EQ(FaultIn(RawGguf(2, 0).Tensor("a", {wraps}, 0).Tensor("b", {4}, 0).Data(64)),
            "m.gguf, byte 33: tensor a has more elements than can be counted");
  // The same through a data section of any claimed length.
  const RawGguf raw =
      RawGguf(2, 0).Tensor("a", {uint64_t{1} << 60}, 0).Tensor("b", {4}, uint64_t{1} << 62);
  EXPECT_FALSE(ParseGguf(raw.bytes(), raw.bytes().size() + 64, "m.gguf").ok());
}

TEST(ReaderTest, ManyTensorsTakeLinearTime) {
  RawGguf raw(80'000, 0);
  for (uint64_t i = 0; i < 80'000; ++i) raw.Tensor("t" + std::to_string(i), {8}, i * 32);
  raw.Data(80'000 * 32);
  const auto start = std::chrono::steady_clock::now();
  EXPECT_EQ(FaultIn(raw), "accepted");  // ggml needs 14 s for as many
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(3));
}

TEST(ReaderTest, AHeadMustHoldTheWholeHeader) {
  const std::string bytes = Assemble(MakeTinyModel());
  const uint64_t data_offset = Parse(bytes)->data_offset;
  EXPECT_TRUE(ParseGguf(bytes.substr(0, data_offset), bytes.size(), "m.gguf").ok());
  const Result<GgufFile> cut = ParseGguf(bytes.substr(0, 30), bytes.size(), "m.gguf");
  ASSERT_FALSE(cut.ok());
  EXPECT_EQ(cut.error().what,
            "m.gguf, byte 24: a string's length lies beyond the first 30 bytes that were given");
}

TEST(ReaderTest, MissingFilesAndFoldersAreNamed) {
  const Result<GgufFile> missing = ReadGguf("no/such/file.gguf");
  ASSERT_FALSE(missing.ok());
  EXPECT_EQ(missing.error().code, Code::kNotFound);
  const Result<GgufFile> folder = ReadGguf("/");
  ASSERT_FALSE(folder.ok());
  EXPECT_EQ(folder.error().code, Code::kInvalid);
}

}  // namespace
}  // namespace trimma::reader_test
