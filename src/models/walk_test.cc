#include "models/walk.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include "hardware/temp_tree.h"

namespace trimma::walk_test {
namespace {

using Names = std::vector<std::string>;

TEST(WalkTest, FindsFilesDownToADepth) {
  const TempTree tree;
  tree.Write({{"r/b", ""}, {"r/d/c", ""}, {"r/d/e/f", ""}, {"r/.hidden", ""}});
  Walk walk;
  EXPECT_EQ(walk.Files(tree / "r", 2, tree / "r"), (Names{"b", "d/c"}));
  EXPECT_EQ(walk.Folders(tree / "r"), Names{"d"});
  EXPECT_TRUE(walk.Files(tree / "absent", 9, tree / "absent").empty());
  EXPECT_TRUE(walk.notes.empty());
}

TEST(WalkTest, NeverLeavesItsRootByALink) {
  const TempTree tree;
  tree.Write({{"r/inside", ""}, {"outside/secret", ""}, {"r2/near", ""}});
  tree.Link("r/good", "inside");
  tree.Link("r/bad", "../outside/secret");
  tree.Link("r/prefix", "../r2/near");  // "r2" begins like "r"
  tree.Link("r/folder", "../outside");
  tree.Link("r/self", "self");
  Walk walk;
  EXPECT_EQ(walk.Files(tree / "r", 3, tree / "r"), (Names{"good", "inside"}));
  EXPECT_EQ(walk.notes.size(), 4U);
  EXPECT_TRUE(walk.Folders(tree / "r").empty());
}

TEST(WalkTest, ARootMayItselfBeALink) {
  const TempTree tree;
  tree.Write("disk/models/a", "");
  tree.Link("r", "disk/models");
  Walk walk;
  EXPECT_EQ(walk.Files(tree / "r", 1, tree / "r"), Names{"a"});
}

TEST(WalkTest, StopsAtItsBudget) {
  const TempTree tree;
  for (int i = 0; i < 20; ++i) tree.Write("r/f" + std::to_string(i), "");
  Walk walk(7);
  EXPECT_EQ(walk.Files(tree / "r", 1, tree / "r").size(), 7U);
  EXPECT_TRUE(walk.Files(tree / "r", 1, tree / "r").empty());
  EXPECT_EQ(walk.notes.size(), 1U);
}

TEST(WalkTest, SkipsHostileNamesAndPipes) {
  const TempTree tree;
  tree.Write({{"r/ok", ""}, {"r/\x1b[2Jred", ""}, {"r/\xff\xfe", ""}, {"r/line\nbreak", ""}});
  ASSERT_EQ(mkfifo((tree / "r/pipe").c_str(), 0600), 0);
  tree.Link("r/to_pipe", "pipe");
  Walk walk;
  EXPECT_EQ(walk.Files(tree / "r", 1, tree / "r"), Names{"ok"});
  EXPECT_EQ(walk.notes.size(), 4U);
  for (const std::string& note : walk.notes) EXPECT_EQ(note.find('\x1b'), std::string::npos);
}

}  // namespace
}  // namespace trimma::walk_test
