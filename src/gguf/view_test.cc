#include "gguf/view.h"

#include <gtest/gtest.h>

#include "base/file.h"
#include "base/half.h"
#include "gguf/view_file.h"
#include "hardware/temp_tree.h"

namespace trimma::view_test {
namespace {

// Two matrices and a vector, every byte its own place in the file.
GgufFile WriteSource(const TempTree& tree) {
  Metadata metadata;
  metadata.Set("general.architecture", std::string("old"));
  metadata.Set("old.block_count", uint32_t{1});
  metadata.Set("tokenizer.ggml.tokens", Array{Strings{"a", "b", "c"}});
  metadata.Set("tokenizer.ggml.scores", Array{std::vector<float>{1, 2, 3}});
  const std::vector<TensorPlan> plans = {{"blk.0.attn_out.weight", tensor_type::kF16, {32, 4}},
                                         {"v.eye.weight", tensor_type::kF32, {8}},
                                         {"token_embd.weight", tensor_type::kQ8_0, {32, 3}}};
  const auto layout = LayOutGguf(metadata, plans);
  CHECK(layout.ok());
  std::string bytes = layout->header;
  bytes.resize(layout->file_bytes);
  const size_t end = layout->offsets.back() + layout->sizes.back();  // the rest is padding
  for (size_t i = layout->header.size(); i < end; ++i) bytes[i] = static_cast<char>(i * 7 % 96);
  tree.Write("source.gguf", bytes);
  auto file = ReadGguf(tree / "source.gguf");
  CHECK(file.ok());
  return *std::move(file);
}

std::string DataOf(const GgufFile& file, const std::string& name) {
  const TensorInfo* tensor = file.FindTensor(name);
  CHECK(tensor != nullptr);
  const auto bytes = ReadSmallFile(file.paths[0]);
  CHECK(bytes.ok());
  return bytes->substr(tensor->offset, tensor->bytes);
}

TEST(GgufView, WhatNeedsNoEditComesOutAsItWentIn) {
  const TempTree tree;
  const GgufFile source = WriteSource(tree);
  ViewEdit edit(source);
  edit.MoveKey("old.absent", "old.other");
  edit.Default("old.block_count", uint32_t{9});
  edit.Rename("nothing", "something");
  edit.Hide({"audio."}, "the ears");
  edit.CutTokens(3);
  edit.CutRows("token_embd.weight", 3);
  edit.RenameArchitecture("old");
  EXPECT_FALSE(edit.changed());
  ASSERT_TRUE(WriteView(std::move(edit).Take(), tree / "same.gguf").ok());
  EXPECT_EQ(*ReadSmallFile(tree / "same.gguf"), *ReadSmallFile(tree / "source.gguf"));
}

TEST(GgufView, EditsAreMadeAndTold) {
  const TempTree tree;
  const GgufFile source = WriteSource(tree);
  ViewEdit edit(source);
  edit.RenameArchitecture("new");
  edit.Default("new.epsilon", 1e-6F);
  edit.Set("new.block_count", uint32_t{2});
  edit.Rename(".attn_out.", ".attn_output.");
  edit.Rename(".attn_out", ".attn_output");  // done already
  edit.Hide({"v."}, "the eye");
  edit.CutTokens(2);
  edit.CutRows("token_embd.weight", 2);
  const GgufView view = std::move(edit).Take();
  EXPECT_EQ(view.changes,
            (std::vector<std::string>{
                "architecture \"old\" as \"new\"", "new.epsilon = 1e-06 supplied",
                "new.block_count = 2 instead of 1",
                "\".attn_out.\" as \".attn_output.\" in the names of 1 tensors",
                "1 tensors of the eye left out (32 B)", "3 tokens cut to the embedding's 2 rows",
                "the 3 rows of token_embd.weight cut to 2"}));
  const auto expected = HeaderOf(view);
  ASSERT_TRUE(expected.ok());
  GgufView aligned = view;
  ASSERT_TRUE(AlignToSource(aligned).ok());
  ASSERT_TRUE(WriteView(aligned, tree / "new.gguf").ok());
  const auto written = ReadGguf(tree / "new.gguf");
  ASSERT_TRUE(written.ok()) << written.error().what;
  EXPECT_EQ(written->architecture(), "new");
  EXPECT_EQ(written->tensors.size(), 2U);
  EXPECT_EQ(DataOf(*written, "blk.0.attn_output.weight"), DataOf(source, "blk.0.attn_out.weight"));
  EXPECT_EQ(DataOf(*written, "token_embd.weight"),
            DataOf(source, "token_embd.weight").substr(0, 2 * 34));
  EXPECT_EQ(written->tensors[0].offset % 4096, source.tensors[0].offset % 4096)
      << "blocks can be shared";
  EXPECT_EQ(expected->tensors[1].bytes, written->tensors[1].bytes);
}

TEST(GgufView, TensorsAreJoinedWidenedAndFilled) {
  const TempTree tree;
  const GgufFile source = WriteSource(tree);
  GgufView view = ViewOf(source);
  const ViewPiece half = view.tensors[0].pieces[0];
  const ViewPiece eighth = view.tensors[2].pieces[0];
  view.tensors.clear();
  view.tensors.push_back({{"joined", tensor_type::kF16, {32, 8}}, {half, half}});
  view.tensors.push_back({{"wide", tensor_type::kF32, {32, 7}}, {half, eighth}});
  view.tensors.push_back({{"none", tensor_type::kF32, {5}}, {}});
  ASSERT_TRUE(WriteView(view, tree / "made.gguf").ok());
  const auto made = ReadGguf(tree / "made.gguf");
  ASSERT_TRUE(made.ok()) << made.error().what;
  const std::string halves = DataOf(source, "blk.0.attn_out.weight");
  EXPECT_EQ(DataOf(*made, "joined"), halves + halves);
  EXPECT_EQ(DataOf(*made, "none"), std::string(20, '\0'));
  const std::string wide = DataOf(*made, "wide");
  const auto* floats = reinterpret_cast<const float*>(wide.data());
  const auto* bits = reinterpret_cast<const uint16_t*>(halves.data());
  for (size_t i = 0; i < 128; ++i) EXPECT_EQ(floats[i], HalfToFloat(bits[i])) << i;
  const std::string blocks = DataOf(source, "token_embd.weight");
  uint16_t scale = 0;
  std::copy_n(blocks.data() + 34, 2, reinterpret_cast<char*>(&scale));
  EXPECT_EQ(floats[128 + 32 + 5], HalfToFloat(scale) * static_cast<float>(blocks[34 + 2 + 5]));
}

TEST(GgufView, AnOutputThatIsTheInputIsRefused) {
  const TempTree tree;
  const GgufFile source = WriteSource(tree);
  const std::string before = *ReadSmallFile(tree / "source.gguf");
  EXPECT_EQ(WriteView(ViewOf(source), tree / "source.gguf").error().code, Code::kUsage);
  EXPECT_EQ(*ReadSmallFile(tree / "source.gguf"), before);
  EXPECT_EQ(WriteView(ViewOf(source), tree / "source.gguf", {false, {}}).error().code,
            Code::kUsage);
}

}  // namespace
}  // namespace trimma::view_test
