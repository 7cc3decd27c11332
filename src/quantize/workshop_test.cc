#include "quantize/workshop.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "hardware/temp_tree.h"

namespace trimma::workshop_test {
namespace {

TEST(WorkshopTest, TheSameRunFindsItsStages) {
  const TempTree tree;
  {
    const auto first = Workshop::Open(tree / "out.gguf.trimma-work", "key");
    ASSERT_TRUE(first.ok());
    EXPECT_FALSE(first->Has("stage"));
  }
  tree.Write("out.gguf.trimma-work/stage", "done");
  const auto again = Workshop::Open(tree / "out.gguf.trimma-work", "key");
  ASSERT_TRUE(again.ok());
  EXPECT_TRUE(again->Has("stage"));
}

TEST(WorkshopTest, AnotherRunStartsAnew) {
  const TempTree tree;
  ASSERT_TRUE(Workshop::Open(tree / "out.gguf.trimma-work", "key").ok());
  tree.Write("out.gguf.trimma-work/stage", "done");
  const auto other = Workshop::Open(tree / "out.gguf.trimma-work", "another key");
  ASSERT_TRUE(other.ok());
  EXPECT_FALSE(other->Has("stage"));
  other->Remove();
  EXPECT_FALSE(std::filesystem::exists(tree / "out.gguf.trimma-work"));
}

TEST(WorkshopTest, AFolderThatHoldsSomethingElseIsLeftAlone) {
  const TempTree tree;
  tree.Write("models/precious.gguf", "precious");
  const auto refused = Workshop::Open(tree / "models", "key");
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, Code::kUsage);
  EXPECT_TRUE(std::filesystem::exists(tree / "models/precious.gguf"));
}

TEST(WorkshopTest, ALookChangesNothing) {
  using Holds = Workshop::Holds;
  const TempTree tree;
  const auto holds = [&](const std::string& folder, const std::string& key) {
    const auto look = Workshop::Look(tree / folder, key);
    CHECK(look.ok());
    return *look;
  };
  EXPECT_EQ(holds("work", "key"), Holds::kNothing);
  EXPECT_FALSE(std::filesystem::exists(tree / "work"));
  const auto open = Workshop::Open(tree / "work", "key");
  ASSERT_TRUE(open.ok());
  tree.Write("work/stage", "done");
  EXPECT_EQ(holds("work", "key"), Holds::kThese);
  EXPECT_EQ(holds("work", "another key"), Holds::kOthers);
  EXPECT_TRUE(open->Has("stage"));
  tree.Write("models/precious.gguf", "precious");
  EXPECT_EQ(Workshop::Look(tree / "models", "key").error().code, Code::kUsage);
}

TEST(WorkshopTest, OneProcessAtATime) {
  const TempTree tree;
  const auto first = Workshop::Open(tree / "work", "key");
  ASSERT_TRUE(first.ok());
  EXPECT_EQ(Workshop::Open(tree / "work", "key").error().code, Code::kBusy);
}

TEST(WorkshopTest, WhereNothingCanBeWrittenItIsSaid) {
  EXPECT_FALSE(Workshop::Open("/proc/none/work", "key").ok());
}

}  // namespace
}  // namespace trimma::workshop_test
