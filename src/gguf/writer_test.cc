#include "gguf/writer.h"

#include <ggml.h>
#include <gguf.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <memory>

#include "base/file.h"
#include "gguf/raw_gguf.h"
#include "support/tiny_model.h"

namespace trimma::writer_test {
namespace {

// What ggml's own writer makes of the same: header and data, all zeros.
std::string WrittenByGgml(uint32_t alignment) {
  const std::unique_ptr<gguf_context, void (*)(gguf_context*)> gguf(gguf_init_empty(), gguf_free);
  const std::unique_ptr<ggml_context, void (*)(ggml_context*)> tensors(
      ggml_init({1 << 20, nullptr, false}), ggml_free);
  if (alignment != 0) gguf_set_val_u32(gguf.get(), "general.alignment", alignment);
  gguf_set_val_str(gguf.get(), "general.architecture", "llama");
  gguf_set_val_bool(gguf.get(), "a.bool", true);
  gguf_set_val_f64(gguf.get(), "a.double", 0.25);
  const char* words[] = {"one", "", "three"};
  gguf_set_arr_str(gguf.get(), "a.words", words, 3);
  const bool bools[] = {true, false};
  gguf_set_arr_data(gguf.get(), "a.bools", GGUF_TYPE_BOOL, bools, 2);
  const int64_t numbers[] = {-1, 2};
  gguf_set_arr_data(gguf.get(), "a.numbers", GGUF_TYPE_INT64, numbers, 2);
  const auto add = [&](const char* name, ggml_type type, int64_t columns, int64_t rows) {
    ggml_tensor* tensor = ggml_new_tensor_2d(tensors.get(), type, columns, rows);
    ggml_set_name(tensor, name);
    std::fill_n(static_cast<char*>(tensor->data), ggml_nbytes(tensor), '\0');
    gguf_add_tensor(gguf.get(), tensor);
  };
  add("vector", GGML_TYPE_F32, 3, 1);
  add("matrix", GGML_TYPE_Q4_K, 512, 5);
  add("last", GGML_TYPE_F16, 5, 3);
  const std::string path = testing::TempDir() + "/trimma_written_by_ggml.gguf";
  EXPECT_TRUE(gguf_write_to_file(gguf.get(), path.c_str(), false));
  const Result<std::string> bytes = ReadSmallFile(path);
  std::remove(path.c_str());
  return bytes.ok() ? *bytes : "";
}

TEST(WriterTest, WritesTheBytesThatGgmlWrites) {
  // ggml's writer pads to 32 whatever general.alignment says, so no other value can be compared.
  for (const uint32_t alignment : {0U, 32U}) {
    const std::string bytes = WrittenByGgml(alignment);
    const Result<GgufFile> file = Parse(bytes);
    ASSERT_TRUE(file.ok()) << file.error().what;
    std::vector<TensorPlan> plans;
    for (const TensorInfo& tensor : file->tensors)
      plans.push_back({tensor.name, tensor.type, tensor.shape});
    plans[0].shape = {3, 1, 1};  // trailing ones are not written
    const Result<GgufLayout> layout = LayOutGguf(file->metadata, plans);
    ASSERT_TRUE(layout.ok());
    EXPECT_EQ(layout->header, bytes.substr(0, file->data_offset)) << alignment;
    EXPECT_EQ(layout->file_bytes, bytes.size()) << alignment;
    for (size_t i = 0; i < plans.size(); ++i) {
      EXPECT_EQ(layout->offsets[i], file->tensors[i].offset);
      EXPECT_EQ(layout->sizes[i], file->tensors[i].bytes);
    }
  }
}

TEST(WriterTest, TheLastTensorIsPadded) {
  const Result<GgufLayout> layout = LayOutGguf({}, {{"t", tensor_type::kF32, {3}}});
  ASSERT_TRUE(layout.ok());
  EXPECT_EQ(layout->sizes[0], 12U);
  EXPECT_EQ(layout->file_bytes, layout->header.size() + 32);
}

std::string Refusal(const Metadata& metadata, const std::vector<TensorPlan>& tensors) {
  const Result<GgufLayout> layout = LayOutGguf(metadata, tensors);
  return layout.ok() ? "laid out" : layout.error().what;
}

TEST(WriterTest, RefusesWhatNoReaderTakes) {
  EXPECT_EQ(Refusal({}, {{"t", tensor_type::kQ4_K, {640, 2}}}),
            "cannot lay out a GGUF file: tensor t has rows of 640 elements, but Q4_K is stored in "
            "blocks of 256");
  EXPECT_EQ(Refusal({}, {{"t", tensor_type::kF32, {}}}),
            "cannot lay out a GGUF file: tensor t has 0 dimensions, 1 to 4 are allowed");
  EXPECT_EQ(Refusal({}, {{"t", tensor_type::kF32, {UINT64_MAX}}}),
            "cannot lay out a GGUF file: tensor t has more elements than can be counted");
  EXPECT_EQ(Refusal({}, {{"t", tensor_type::kF32, {1}}, {"t", tensor_type::kF32, {1}}}),
            "cannot lay out a GGUF file: tensor t occurs twice");
  EXPECT_EQ(Refusal({}, {{"", tensor_type::kF32, {1}}}),
            "cannot lay out a GGUF file: the tensor name  is empty");
  Metadata metadata;
  metadata.Set("general.alignment", uint32_t{3});
  EXPECT_EQ(
      Refusal(metadata, {}),
      "cannot lay out a GGUF file: general.alignment is no UINT32 power of two from 8 to 4096");
  std::vector<TensorPlan> huge;
  for (int i = 0; i < 16; ++i)
    huge.push_back({"t" + std::to_string(i), tensor_type::kF32, {uint64_t{1} << 58}});
  EXPECT_EQ(Refusal({}, huge),
            "cannot lay out a GGUF file: tensor t15 of 1152921504606846976 bytes is too large");
}

TEST(TinyModelTest, IsTheSameEveryTimeAndAnotherWithAnotherSeed) {
  TinyModelOptions other;
  other.seed = 2;
  EXPECT_EQ(Assemble(MakeTinyModel()), Assemble(MakeTinyModel()));
  EXPECT_NE(Assemble(MakeTinyModel()), Assemble(MakeTinyModel(other)));
}

}  // namespace
}  // namespace trimma::writer_test
