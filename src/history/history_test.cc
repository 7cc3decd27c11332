#include "history/history.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <filesystem>
#include <functional>
#include <iostream>
#include <thread>
#include <utility>

#include "base/file.h"
#include "base/interrupt.h"

namespace trimma::history_test {
namespace {

namespace fs = std::filesystem;

HistoryEntry Entry(const std::string& command, const std::string& model,
                   const std::string& summary = "done") {
  return {0,
          "2026-11-26T20:15:00Z",
          command,
          model,
          {"commit", "driver", "machine", "quick-" + model, ""},
          "0.1.0",
          summary,
          R"({"schema": "trimma.measure/1"})"};
}

// A process of its own, killed with the object. It says of each thing it did that it is done.
class Writer {
 public:
  explicit Writer(const std::function<bool(int done)>& work) {
    std::array<int, 2> ends = {};
    CHECK(pipe(ends.data()) == 0);
    pid_ = fork();
    if (pid_ == 0) {
      close(ends[0]);
      _exit(work(ends[1]) ? 0 : 1);
    }
    close(ends[1]);
    done_ = ends[0];
  }
  ~Writer() {
    Kill();
    close(done_);
  }
  Writer(const Writer&) = delete;
  Writer& operator=(const Writer&) = delete;

  void AwaitOne() const {
    char byte = 0;
    EXPECT_EQ(read(done_, &byte, 1), 1);
  }
  int Wait() {  // waitpid's status
    int status = 0;
    if (pid_ > 0) waitpid(std::exchange(pid_, -1), &status, 0);
    return status;
  }
  void Kill() {
    if (pid_ > 0) kill(pid_, SIGKILL);
    (void)Wait();
  }

 private:
  pid_t pid_ = -1;
  int done_ = -1;
};

class HistoryTest : public testing::Test {
 protected:
  HistoryTest() {
    std::string name = (fs::temp_directory_path() / "trimma-history-XXXXXX").string();
    EXPECT_NE(mkdtemp(name.data()), nullptr);
    root_ = name;
    path_ = name + "/state/history.sqlite";
  }
  ~HistoryTest() override {
    std::error_code ignored;
    fs::remove_all(root_, ignored);
  }

  History Opened() {
    auto history = History::Open(path_);
    CHECK(history.ok());
    return std::move(history).value();
  }
  void Append(const HistoryEntry& entry) { EXPECT_TRUE(Opened().Append(entry).ok()); }
  std::vector<HistoryEntry> List(const HistoryFilter& filter = {}) {
    auto list = Opened().List(filter);
    CHECK(list.ok());
    return std::move(list).value();
  }
  std::vector<std::string> FilesAside() const {
    std::vector<std::string> names;
    for (const auto& entry : fs::directory_iterator(fs::path(path_).parent_path())) {
      const std::string name = entry.path().filename().string();
      if (name.find(".damaged-") != std::string::npos) names.push_back(name);
    }
    return names;
  }
  // Opens and appends, as each command does, until it is killed or has appended so many.
  Writer StartWriter(const std::string& command, int rows) {
    return Writer([=, this](int done) {
      for (int i = 0; i < rows; ++i) {
        auto history = History::Open(path_);
        const auto row = history.ok()
                             ? history->Append(Entry(command, "/m.gguf", std::to_string(i)))
                             : Result<int64_t>(history.error());
        if (!row.ok()) {
          std::cerr << command << ": " << row.error().what << "\n";
          return false;
        }
        if (write(done, "+", 1) != 1) return false;
        // Commands do something else in between; the other one gets its turn.
        std::this_thread::sleep_for(std::chrono::milliseconds(2));
      }
      return true;
    });
  }

  std::string root_;
  std::string path_;
};

TEST_F(HistoryTest, WhatWasAppendedIsListedNewestFirst) {
  Append(Entry("measure", "/a.gguf", "first"));
  Append(Entry("tune", "/b.gguf", "second"));
  const auto all = List();
  ASSERT_EQ(all.size(), 2);
  EXPECT_EQ(all[0].summary, "second");
  EXPECT_EQ(all[1].summary, "first");
  EXPECT_GT(all[0].id, all[1].id);
  EXPECT_EQ(all[1].provenance, Entry("measure", "/a.gguf").provenance);
  EXPECT_EQ(all[1].time, "2026-11-26T20:15:00Z");
}

TEST_F(HistoryTest, TheDocumentComesBackAsItWas) {
  HistoryEntry entry = Entry("measure", "/a.gguf");
  entry.document = std::string("{\"name\": \"\u00e5\\u0000\"}\n") + std::string(200000, ' ');
  const auto id = Opened().Append(entry);
  ASSERT_TRUE(id.ok());
  const auto found = Opened().Find(*id);
  ASSERT_TRUE(found.ok() && found->has_value());
  EXPECT_EQ((*found)->document, entry.document);
  EXPECT_FALSE(Opened().Find(*id + 1)->has_value());
}

TEST_F(HistoryTest, FiltersByCommandModelAndNumber) {
  for (const char* command : {"measure", "tune", "measure"})
    Append(Entry(command, "/x/Gemma.gguf"));
  Append(Entry("measure", "/x/other.gguf"));
  EXPECT_EQ(List({.command = "measure"}).size(), 3);
  EXPECT_EQ(List({.model = "gemma"}).size(), 3);
  EXPECT_EQ(List({.command = "tune", .model = "GEMMA.gguf"}).size(), 1);
  EXPECT_EQ(List({.limit = 2}).size(), 2);
  EXPECT_EQ(List({.model = "%"}).size(), 0) << "a name is no pattern";
}

TEST_F(HistoryTest, TheNewestIsFoundByPathOrByHash) {
  Append(Entry("tune", "/a.gguf", "old"));
  Append(Entry("tune", "/a.gguf", "new"));
  Append(Entry("measure", "/a.gguf", "other command"));
  EXPECT_EQ((*Opened().Newest("tune", "/a.gguf", "another hash"))->summary, "new");
  EXPECT_EQ((*Opened().Newest("tune", "/moved.gguf", "quick-/a.gguf"))->summary, "new");
  EXPECT_FALSE(Opened().Newest("tune", "/b.gguf", "no hash")->has_value());
  int seen = 0;
  const auto second = [&](const std::string&) { return ++seen == 2; };
  EXPECT_NE((*Opened().Newest("tune", "/a.gguf", "", second))->summary, "new") << "not accepted";
}

TEST_F(HistoryTest, WhatWasFoundThroughAnotherEngineIsNotTheNewest) {
  Append(Entry("tune", "/a.gguf", "own"));
  HistoryEntry through = Entry("tune", "/a.gguf", "ollama");
  through.document = "{\n  \"through\": \"ollama\"\n}\n";
  Append(through);
  EXPECT_EQ((*Opened().Newest("tune", "/a.gguf", "no hash"))->summary, "own");
}

TEST_F(HistoryTest, ForgetsOneOrWhatIsOld) {
  Append(Entry("tune", "/a.gguf"));
  HistoryEntry late = Entry("tune", "/b.gguf");
  late.time = "2026-12-01T00:00:00Z";
  Append(late);
  EXPECT_EQ(*Opened().ForgetBefore("2026-11-30T00:00:00Z"), 1);
  ASSERT_EQ(List().size(), 1);
  const int64_t id = List()[0].id;
  EXPECT_EQ(*Opened().Forget(id), 1);
  EXPECT_EQ(*Opened().Forget(id), 0);
  Append(late);
  EXPECT_GT(List()[0].id, id) << "a number is never used again";
}

TEST_F(HistoryTest, DamageIsSetAsideAndSaid) {
  Append(Entry("tune", "/a.gguf"));
  ASSERT_TRUE(WriteFileAtomically(path_, "this is no database, but long enough to look at").ok());
  {
    const History history = Opened();
    ASSERT_EQ(history.notes().size(), 1);
    EXPECT_NE(history.notes()[0].find("kept as " + path_ + ".damaged-"), std::string::npos);
  }
  EXPECT_EQ(FilesAside().size(), 1);
  EXPECT_TRUE(List().empty());
  Append(Entry("tune", "/a.gguf"));
  EXPECT_EQ(List().size(), 1);
  EXPECT_TRUE(Opened().notes().empty());
}

TEST_F(HistoryTest, WhoOnlyLooksChangesNothing) {
  EXPECT_FALSE(History::OpenToRead(path_).ok());
  EXPECT_FALSE(std::filesystem::exists(path_)) << "it isn't made";
  Append(Entry("tune", "/a.gguf"));
  {
    auto sound = History::OpenToRead(path_);
    ASSERT_TRUE(sound.ok()) << sound.error().what;
    EXPECT_EQ(sound->List({})->size(), 1);
  }
  const std::string text = "this is no database, but long enough to look at";
  ASSERT_TRUE(WriteFileAtomically(path_, text).ok());
  EXPECT_EQ(History::OpenToRead(path_).error().code, Code::kInvalid);
  EXPECT_EQ(*ReadSmallFile(path_), text);
  EXPECT_TRUE(FilesAside().empty());
}

TEST_F(HistoryTest, DamageBehindTheHeaderIsFoundWhenItIsMet) {
  HistoryEntry entry = Entry("tune", "/a.gguf");
  entry.document = std::string(20000, 'x');
  for (int i = 0; i < 20; ++i) Append(entry);
  std::string bytes = *ReadSmallFile(path_);
  for (size_t i = 4096; i < bytes.size(); ++i) bytes[i] = static_cast<char>(0xA5);
  ASSERT_TRUE(WriteFileAtomically(path_, bytes).ok());
  History history = Opened();
  EXPECT_TRUE(history.Append(entry).ok());
  EXPECT_EQ(history.notes().size(), 1);
  EXPECT_EQ(FilesAside().size(), 1);
  EXPECT_EQ(List().size(), 1);
}

TEST_F(HistoryTest, AJournalOfTheDamagedFileGoesWithIt) {
  Append(Entry("tune", "/a.gguf"));
  ASSERT_TRUE(WriteFileAtomically(path_, "no database at all, only some words").ok());
  ASSERT_TRUE(WriteFileAtomically(path_ + "-journal", "left over").ok());
  Append(Entry("tune", "/a.gguf"));
  EXPECT_FALSE(fs::exists(path_ + "-journal"));
  EXPECT_EQ(List().size(), 1);
}

TEST_F(HistoryTest, TwoThatFindDamageAtOnceKeepOneAsideAndBothRows) {
  Append(Entry("tune", "/a.gguf"));
  ASSERT_TRUE(WriteFileAtomically(path_, "no database at all, only some words").ok());
  Writer a = StartWriter("a", 3);
  Writer b = StartWriter("b", 3);
  EXPECT_EQ(a.Wait(), 0);
  EXPECT_EQ(b.Wait(), 0);
  EXPECT_EQ(FilesAside().size(), 1);
  EXPECT_EQ(List().size(), 6);
}

TEST_F(HistoryTest, AFileOfANewerTrimmaIsLeftAlone) {
  Append(Entry("tune", "/a.gguf"));
  {
    auto database = Database::Open(path_, 1000);
    ASSERT_TRUE(database.ok());
    ASSERT_TRUE(database->Run("PRAGMA user_version = 99").ok());
  }
  const std::string before = *ReadSmallFile(path_);
  const auto history = History::Open(path_);
  ASSERT_FALSE(history.ok());
  EXPECT_EQ(history.error().code, Code::kFailure);
  EXPECT_NE(history.error().what.find("newer trimma"), std::string::npos);
  EXPECT_EQ(*ReadSmallFile(path_), before);
}

TEST_F(HistoryTest, AnotherProgramsDatabaseIsSetAside) {
  ASSERT_TRUE(MakeDirectories(fs::path(path_).parent_path().string()).ok());
  {
    auto database = Database::Open(path_, 1000);
    ASSERT_TRUE(database.ok());
    ASSERT_TRUE(database->Run("CREATE TABLE theirs (x)").ok());
  }
  EXPECT_EQ(Opened().notes().size(), 1);
  EXPECT_EQ(FilesAside().size(), 1);
}

TEST_F(HistoryTest, TwoProcessesAtOnceLoseNothing) {
  Writer a = StartWriter("a", 12);
  Writer b = StartWriter("b", 12);
  EXPECT_EQ(a.Wait(), 0);
  EXPECT_EQ(b.Wait(), 0);
  EXPECT_EQ(List({.command = "a"}).size(), 12);
  EXPECT_EQ(List({.command = "b"}).size(), 12);
  EXPECT_EQ(FilesAside().size(), 0);
}

// Killed at any moment, of which some lie between the first and the last write of a row.
TEST_F(HistoryTest, AProcessThatIsKilledLeavesWholeRows) {
  for (int round = 0; round < 8; ++round) {
    const size_t before = List().size();
    Writer writer = StartWriter("killed", 1 << 30);
    for (int i = 0; i < 2; ++i) writer.AwaitOne();
    std::this_thread::sleep_for(std::chrono::microseconds(2000 + 700 * round));
    writer.Kill();
    const auto rows = List();
    EXPECT_GE(rows.size(), before + 2);
    for (size_t i = 0; i + before < rows.size(); ++i) {
      // Those of this round count up from 0, and none is missing.
      EXPECT_EQ(rows[i].summary, std::to_string(rows.size() - before - 1 - i));
    }
  }
  EXPECT_EQ(FilesAside().size(), 0);
  auto database = Database::Open(path_, 1000);
  ASSERT_TRUE(database.ok());
  auto check = database->Prepare("PRAGMA integrity_check");
  ASSERT_TRUE(check.ok() && *check->Step());
  EXPECT_EQ(check->Text(0), "ok");
}

// Killed where it hurts most: the file is half changed, and only the journal knows how it was.
TEST_F(HistoryTest, AWriteThatWasCutOffIsUndone) {
  HistoryEntry entry = Entry("tune", "/a.gguf", "whole");
  entry.document = std::string(20000, 'x');
  for (int i = 0; i < 20; ++i) Append(entry);
  const std::string before = *ReadSmallFile(path_);
  Writer writer([this](int) {
    auto database = Database::Open(path_, 1000);
    // A cache of one page has to write to the file before the end of the transaction.
    const bool half_done = database.ok() && database->Run("PRAGMA cache_size = 1").ok() &&
                           database->Run("BEGIN IMMEDIATE").ok() &&
                           database->Run("UPDATE runs SET document = upper(document)").ok();
    if (half_done) kill(getpid(), SIGKILL);
    return false;
  });
  ASSERT_TRUE(WIFSIGNALED(writer.Wait()));
  ASSERT_TRUE(fs::exists(path_ + "-journal"));
  ASSERT_NE(*ReadSmallFile(path_), before) << "nothing had reached the file";
  Append(Entry("tune", "/a.gguf", "after"));
  const auto rows = List();
  ASSERT_EQ(rows.size(), 21);
  for (size_t i = 1; i < rows.size(); ++i)
    EXPECT_EQ((*Opened().Find(rows[i].id))->document, entry.document);
  EXPECT_EQ(FilesAside().size(), 0);
}

TEST_F(HistoryTest, TheFileIsItsOwnersAlone) {
  ASSERT_TRUE(History::Open(path_).ok());
  const auto others = fs::perms::group_all | fs::perms::others_all;
  EXPECT_EQ(fs::status(path_).permissions() & others, fs::perms::none);
}

TEST_F(HistoryTest, NobodyWaitsLongerThanAsked) {
  auto history = History::Open(path_, 50);
  ASSERT_TRUE(history.ok());
  auto other = Database::Open(path_, 50);
  ASSERT_TRUE(other.ok());
  ASSERT_TRUE(other->Run("BEGIN EXCLUSIVE").ok());
  const auto id = history->Append(Entry("measure", "/a.gguf"));
  ASSERT_FALSE(id.ok());
  EXPECT_EQ(id.error().code, Code::kBusy);
  ASSERT_TRUE(other->Run("ROLLBACK").ok());
  EXPECT_TRUE(history->Append(Entry("measure", "/a.gguf")).ok());
}

// In a process of its own: an interrupt stays.
void AppendThoughInterrupted(const std::string& path) {
  auto history = History::Open(path);
  auto other = Database::Open(path, 50);
  if (!history.ok() || !other.ok() || !other->Run("BEGIN EXCLUSIVE").ok()) _exit(2);
  InstallInterruptHandlers();
  (void)raise(SIGINT);
  const auto id = history->Append(Entry("measure", "/a.gguf"));
  _exit(!id.ok() && id.error().code == Code::kInterrupted ? 0 : 1);
}

TEST_F(HistoryTest, AnInterruptEndsTheWait) {
  EXPECT_EXIT(AppendThoughInterrupted(path_), testing::ExitedWithCode(0), "");
}

TEST_F(HistoryTest, WithoutADirectoryThereIsAnError) {
  EXPECT_EQ(History::Open("").error().code, Code::kNotFound);
}

TEST(HistoryTimeTest, IsRfc3339InUtc) {
  EXPECT_EQ(HistoryTime(1795723200), "2026-11-26T20:00:00Z");
}

}  // namespace
}  // namespace trimma::history_test
