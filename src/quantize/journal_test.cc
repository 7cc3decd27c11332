#include "quantize/journal.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "base/file.h"
#include "hardware/temp_tree.h"

namespace trimma::journal_test {
namespace {

class JournalTest : public testing::Test {
 protected:
  std::string path() const { return tree_ / "model.gguf.trimma-journal"; }
  uint64_t FinishedOf(const std::string& plan) const {
    const auto journal = Journal::Open(path(), plan);
    EXPECT_TRUE(journal.ok());
    return journal.ok() ? journal->finished() : UINT64_MAX;
  }
  std::string Text() const { return *ReadSmallFile(path()); }
  TempTree tree_;
};

TEST_F(JournalTest, BeginsWithNothingFinished) {
  EXPECT_EQ(FinishedOf("abc"), 0U);
  EXPECT_EQ(Text(), "plan abc\n");
}

TEST_F(JournalTest, RemembersWhatWasFinished) {
  {
    auto journal = Journal::Open(path(), "abc");
    ASSERT_TRUE(journal.ok());
    ASSERT_TRUE(journal->Record(3).ok());
    ASSERT_TRUE(journal->Record(12).ok());
    EXPECT_EQ(journal->finished(), 12U);
  }
  EXPECT_EQ(Text(), "plan abc\nfinished 3\nfinished 12\n");
  EXPECT_EQ(FinishedOf("abc"), 12U);
}

TEST_F(JournalTest, AnotherPlanBeginsAnew) {
  tree_.Write("model.gguf.trimma-journal", "plan abc\nfinished 3\n");
  EXPECT_EQ(FinishedOf("abd"), 0U);
  EXPECT_EQ(Text(), "plan abd\n");
  EXPECT_EQ(FinishedOf("abc"), 0U) << "the old one is gone";
}

TEST_F(JournalTest, ATornLastLineIsNotBelieved) {
  for (const char* torn : {"fin", "finished ", "finished 1", "finished 12"}) {
    tree_.Write("model.gguf.trimma-journal", std::string("plan abc\nfinished 3\n") + torn);
    EXPECT_EQ(FinishedOf("abc"), 3U) << torn;
  }
  tree_.Write("model.gguf.trimma-journal", "plan ab");
  EXPECT_EQ(FinishedOf("abc"), 0U);
}

TEST_F(JournalTest, WritingAfterATornLineNeverPromisesTooMuch) {
  tree_.Write("model.gguf.trimma-journal", "plan abc\nfinished 3\nfinished 1");
  {
    auto journal = Journal::Open(path(), "abc");
    ASSERT_TRUE(journal.ok());
    ASSERT_TRUE(journal->Record(4).ok());
  }
  EXPECT_LE(FinishedOf("abc"), 4U);
}

TEST_F(JournalTest, GarbageIsThrownAway) {
  tree_.Write("model.gguf.trimma-journal", std::string(5000, '\xFF'));
  EXPECT_EQ(FinishedOf("abc"), 0U);
  EXPECT_EQ(Text(), "plan abc\n");
}

TEST_F(JournalTest, AnotherOneAtWorkIsBusy) {
  const auto first = Journal::Open(path(), "abc");
  ASSERT_TRUE(first.ok());
  const auto second = Journal::Open(path(), "abc");
  ASSERT_FALSE(second.ok());
  EXPECT_EQ(second.error().code, Code::kBusy);
  EXPECT_EQ(Text(), "plan abc\n") << "the lock is looked at before anything is thrown away";
}

TEST_F(JournalTest, TheLockMovesWithItsOwnerAndEndsWithIt) {
  {
    auto first = Journal::Open(path(), "abc");
    ASSERT_TRUE(first.ok());
    const Journal moved = std::move(*first);
    EXPECT_FALSE(Journal::Open(path(), "abc").ok());
  }
  EXPECT_TRUE(Journal::Open(path(), "abc").ok());
}

TEST_F(JournalTest, RestartingBelievesNothingAnyMore) {
  tree_.Write("model.gguf.trimma-journal", "plan abc\nfinished 3\n");
  {
    auto journal = Journal::Open(path(), "abc");
    ASSERT_TRUE(journal.ok());
    ASSERT_TRUE(journal->Restart().ok());
    EXPECT_EQ(journal->finished(), 0U);
  }
  EXPECT_EQ(FinishedOf("abc"), 0U);
}

TEST_F(JournalTest, RemovedItLeavesNothing) {
  auto journal = Journal::Open(path(), "abc");
  ASSERT_TRUE(journal.ok());
  journal->Remove();
  EXPECT_FALSE(std::filesystem::exists(path()));
}

TEST_F(JournalTest, IsNeverWrittenThroughALink) {
  tree_.Write("precious", "kept");
  tree_.Link("model.gguf.trimma-journal", "precious");
  EXPECT_FALSE(Journal::Open(path(), "abc").ok());
  EXPECT_EQ(*ReadSmallFile(tree_ / "precious"), "kept");
}

TEST_F(JournalTest, AMissingFolderIsNotFound) {
  EXPECT_EQ(Journal::Open(tree_ / "none/journal", "abc").error().code, Code::kNotFound);
}

}  // namespace
}  // namespace trimma::journal_test
