#include "history/quick_hash.h"

#include <gtest/gtest.h>

#include "base/file.h"
#include "hardware/temp_tree.h"

namespace trimma::quick_hash_test {
namespace {

class QuickHashTest : public testing::Test {
 protected:
  std::string Hash(const std::string& content) {
    const std::string path = tree_ / "file";
    EXPECT_TRUE(WriteFileAtomically(path, content).ok());
    const auto hash = QuickHash({path});
    EXPECT_TRUE(hash.ok());
    return hash.ok() ? *hash : "";
  }

  const TempTree tree_;
};

TEST_F(QuickHashTest, TheSameBytesHaveTheSameHash) {
  EXPECT_EQ(Hash(std::string(3 << 20, 'a')), Hash(std::string(3 << 20, 'a')));
  EXPECT_EQ(Hash("").size(), 64);
}

TEST_F(QuickHashTest, SizeAndBothEndsCount) {
  const std::string content(3 << 20, 'a');
  const std::string hash = Hash(content);
  EXPECT_NE(Hash(content + 'a'), hash);
  std::string changed = content;
  changed.front() = 'b';
  EXPECT_NE(Hash(changed), hash);
  changed = content;
  changed.back() = 'b';
  EXPECT_NE(Hash(changed), hash);
}

TEST_F(QuickHashTest, BytesChangedEverywhereAreNoticed) {
  std::string content(3 << 20, 'a');
  const std::string hash = Hash(content);
  for (size_t i = 100 << 10; i < content.size(); i += 64 << 10) content[i] = 'b';
  EXPECT_NE(Hash(content), hash);
}

TEST_F(QuickHashTest, AMissingFileIsAnError) { EXPECT_FALSE(QuickHash({"/nowhere/x"}).ok()); }

}  // namespace
}  // namespace trimma::quick_hash_test
