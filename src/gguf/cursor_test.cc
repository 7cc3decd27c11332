#include "gguf/cursor.h"

#include <gtest/gtest.h>

#include "gguf/raw_gguf.h"
#include "gguf/writer.h"
#include "hardware/temp_tree.h"

namespace trimma::cursor_test {
namespace {

// A vocabulary of `tokens`, lengths from 0 to `longest`: its header is many pieces of a file.
Metadata Vocabulary(size_t tokens, size_t longest) {
  Strings strings;
  std::vector<float> scores;
  for (size_t i = 0; i < tokens; ++i) {
    strings.push_back(std::string(i * 7919 % (longest + 1), static_cast<char>('a' + i % 26)));
    scores.push_back(static_cast<float>(i));
  }
  Metadata metadata;
  metadata.Set("general.architecture", std::string("llama"));
  metadata.Set("tokenizer.ggml.tokens", Array{std::move(strings)});
  metadata.Set("tokenizer.ggml.scores", Array{std::move(scores)});
  return metadata;
}

TEST(HeaderCursorTest, PiecesOfAFileAreReadAsTheWholeInMemory) {
  const TempTree tree;
  for (const size_t longest : {3U, 40U, 5000U}) {
    const auto layout = LayOutGguf(Vocabulary(200'000 / (1 + longest / 40), longest), {});
    ASSERT_TRUE(layout.ok());
    ASSERT_GT(layout->header.size(), 1U << 20);
    tree.Write("v.gguf", layout->header);
    const auto read = ReadGguf(tree / "v.gguf");
    const auto parsed = Parse(layout->header);
    ASSERT_TRUE(read.ok()) << read.error().what;
    ASSERT_TRUE(parsed.ok());
    EXPECT_EQ(read->metadata.entries(), parsed->metadata.entries());
    EXPECT_EQ(read->data_offset, parsed->data_offset);
  }
}

// One value may be larger than a piece, and what follows it is found.
TEST(HeaderCursorTest, AValueLargerThanAPieceIsReadWhole) {
  const TempTree tree;
  const std::string large(3 << 20, 'x');
  RawGguf raw(0, 3);
  raw.Entry("before", 7).Entry("large", large).Entry("after", 9);
  tree.Write("large.gguf", raw.bytes());
  const auto file = ReadGguf(tree / "large.gguf");
  ASSERT_TRUE(file.ok()) << file.error().what;
  EXPECT_EQ(file->metadata.String("large"), large);
  EXPECT_EQ(file->metadata.Integer("after"), 9);
}

// Errors tell the byte of the file, however many pieces lie before it.
TEST(HeaderCursorTest, AFaultBehindManyPiecesIsToldWithItsByteInTheFile) {
  const TempTree tree;
  auto layout = LayOutGguf(Vocabulary(100'000, 20), {});
  ASSERT_TRUE(layout.ok());
  std::string bytes = layout->header.substr(0, layout->header.size() - 100'000);
  tree.Write("cut.gguf", bytes);
  const auto file = ReadGguf(tree / "cut.gguf");
  const auto parsed = Parse(bytes);
  ASSERT_FALSE(file.ok());
  ASSERT_FALSE(parsed.ok());
  const auto after_name = [](const std::string& what) { return what.substr(what.find("gguf,")); };
  EXPECT_EQ(after_name(file.error().what), after_name(parsed.error().what));
}

}  // namespace
}  // namespace trimma::cursor_test
