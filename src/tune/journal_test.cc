#include "tune/journal.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "hardware/temp_tree.h"

namespace trimma::journal_test {
namespace {

std::vector<SpeedTrial> SomeTrials() {
  SpeedTrial works;
  works.subject = {"m.gguf", {}, Phases::kPrefill};
  works.speed.prefill_tps = {100, 90, 110, 3};
  works.speed.prefill_samples = {100, 90, 110};
  works.log_gains = {0.1, -0.25};
  works.left = false;
  SpeedTrial fails;
  fails.subject = {"m.gguf", {}, Phases::kBoth};
  fails.error = Error{Code::kNoFit, "no memory", "less"};
  return {works, fails};
}

std::vector<SpeedSubject> Subjects(const std::vector<SpeedTrial>& trials) {
  std::vector<SpeedSubject> subjects;
  for (const SpeedTrial& trial : trials) subjects.push_back(trial.subject);
  return subjects;
}

TEST(TuneJournalTest, AFinishedStepIsFoundAgain) {
  const TempTree tree;
  const auto trials = SomeTrials();
  {
    TuneJournal journal(tree / "tune", {{"q", 1}});
    EXPECT_FALSE(journal.IsResumed());
    EXPECT_FALSE(journal.Find("alone", Subjects(trials)).has_value());
    journal.Keep("alone", trials, 2.5);
  }
  const TuneJournal journal(tree / "tune", {{"q", 1}});
  EXPECT_TRUE(journal.IsResumed());
  const auto found = journal.Find("alone", Subjects(trials));
  ASSERT_TRUE(found.has_value());
  for (size_t i = 0; i < trials.size(); ++i) EXPECT_EQ(ToJson((*found)[i]), ToJson(trials[i]));
  EXPECT_EQ(journal.SecondsOf("alone"), 2.5) << "it counts against the budget";
  EXPECT_EQ(journal.SecondsOf("together"), 0);
}

TEST(TuneJournalTest, OtherQuestionsAndOtherCandidatesFindNothing) {
  const TempTree tree;
  const auto trials = SomeTrials();
  TuneJournal(tree / "tune", {{"q", 1}}).Keep("alone", trials, 2.5);
  EXPECT_FALSE(TuneJournal(tree / "tune", {{"q", 2}}).IsResumed());
  const TuneJournal journal(tree / "tune", {{"q", 1}});
  EXPECT_FALSE(journal.Find("together", Subjects(trials)).has_value());
  auto others = Subjects(trials);
  others[1].settings.ubatch = 64;
  EXPECT_FALSE(journal.Find("alone", others).has_value());
  others.pop_back();
  EXPECT_FALSE(journal.Find("alone", others).has_value());
}

TEST(TuneJournalTest, ADamagedFileIsAsIfItWereNotThere) {
  const TempTree tree;
  TuneJournal(tree / "tune", {{"q", 1}}).Keep("alone", SomeTrials(), 2.5);
  for (const auto& entry : std::filesystem::directory_iterator(tree / "tune"))
    tree.Write("tune/" + entry.path().filename().string(), "{\"question\":{\"q\":1},\"steps\":7");
  EXPECT_FALSE(TuneJournal(tree / "tune", {{"q", 1}}).IsResumed());
}

TEST(TuneJournalTest, AnAnsweredQuestionIsForgotten) {
  const TempTree tree;
  TuneJournal journal(tree / "tune", {{"q", 1}});
  journal.Keep("alone", SomeTrials(), 2.5);
  journal.Remove();
  EXPECT_FALSE(TuneJournal(tree / "tune", {{"q", 1}}).IsResumed());
  EXPECT_TRUE(std::filesystem::is_empty(tree / "tune"));
}

TEST(TuneJournalTest, WithoutADirectoryNothingIsKept) {
  TuneJournal journal("", {{"q", 1}});
  journal.Keep("alone", SomeTrials(), 2.5);
  EXPECT_TRUE(journal.Find("alone", Subjects(SomeTrials())).has_value()) << "in this run it is";
  journal.Remove();
}

}  // namespace
}  // namespace trimma::journal_test
