#include "quantize/source_rows.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>

#include "engine/rows.h"
#include "hardware/temp_tree.h"
#include "support/tiny_model.h"

namespace trimma::source_rows_test {
namespace {

class SourceRowsTest : public testing::Test {
 protected:
  // A model of floats; one of tensor `name`'s is `value`, in row 5 where it has so many.
  GgufFile With(const std::string& name, float value) {
    TinyModelOptions options;
    options.type = tensor_type::kF32;
    TinyModel tiny = MakeTinyModel(options);
    for (size_t i = 0; i < tiny.tensors.size(); ++i) {
      if (tiny.tensors[i].name != name) continue;
      const bool vector = tiny.tensors[i].shape.size() == 1;
      const size_t at = vector ? 3 : 5 * tiny.tensors[i].shape[0] + 3;
      std::memcpy(tiny.data[i].data() + at * sizeof(float), &value, sizeof value);
    }
    tree_.Write("m.gguf", Assemble(tiny));
    auto file = ReadGguf(tree_ / "m.gguf");
    CHECK(file.ok());
    PrepareRows(tensor_type::kF32);
    return std::move(file).value();
  }
  TempTree tree_;
};

TEST_F(SourceRowsTest, RowsAreRead) {
  const GgufFile source = With("blk.1.attn_v.weight", 1234.5F);
  const TensorInfo& tensor = *source.FindTensor("blk.1.attn_v.weight");
  const auto rows = SourceRows::Open(source);
  ASSERT_TRUE(rows.ok());
  const auto two = rows->Read(tensor, 4, 2);
  ASSERT_TRUE(two.ok());
  ASSERT_EQ(two->size(), 2 * tensor.row_length());
  EXPECT_EQ((*two)[tensor.row_length() + 3], 1234.5F);
  EXPECT_TRUE(CheckFinite(source).ok());
}

TEST_F(SourceRowsTest, WhatIsNoFiniteNumberIsNamed) {
  for (const float value : {NAN, INFINITY, -INFINITY}) {
    const GgufFile source = With("blk.1.attn_v.weight", value);
    const TensorInfo& tensor = *source.FindTensor("blk.1.attn_v.weight");
    const auto rows = SourceRows::Open(source);
    ASSERT_TRUE(rows.ok());
    EXPECT_TRUE(rows->Read(tensor, 0, 5).ok());
    const auto bad = rows->Read(tensor, 2, 8);
    ASSERT_FALSE(bad.ok());
    EXPECT_EQ(bad.error().code, Code::kInvalid);
    EXPECT_NE(bad.error().what.find("blk.1.attn_v.weight"), std::string::npos);
    EXPECT_NE(bad.error().what.find("row 5"), std::string::npos) << bad.error().what;
    EXPECT_EQ(CheckFinite(source).error().what, bad.error().what);
  }
  EXPECT_NE(CheckFinite(With("output_norm.weight", NAN)).error().what.find("output_norm"),
            std::string::npos);
}

}  // namespace
}  // namespace trimma::source_rows_test
