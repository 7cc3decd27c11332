#include "cli/applying.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>

#include "base/file.h"
#include "hardware/temp_tree.h"

namespace trimma::applying_test {
namespace {

namespace fs = std::filesystem;

constexpr const char* kConfig = "# mine\n[model]\nname = \"old\"\ncontext_length = 2048\n";

class ApplyingTest : public testing::Test {
 protected:
  ApplyingTest() {
    const char* old = std::getenv("XDG_STATE_HOME");
    if (old != nullptr) old_ = old;
    had_ = old != nullptr;
    setenv("XDG_STATE_HOME", (tree_ / "state").c_str(), 1);
    applied_.name = "tiny";
    applied_.model_path = "/models/tiny.gguf";
    applied_.settings.context = 8192;
    applied_.sampling = {0.3, 0.8, "precise"};
    applied_.trimma_version = "0.1.0";
    applied_.engine_version = "llama.cpp";
  }
  ~ApplyingTest() override {
    had_ ? setenv("XDG_STATE_HOME", old_.c_str(), 1) : unsetenv("XDG_STATE_HOME");
  }

  ApplyTargets Config() const {
    ApplyTargets targets;
    targets.config = tree_ / "config.toml";
    return targets;
  }
  ApplyTargets All() const {
    return {tree_ / "config.toml", tree_ / "Modelfile", tree_ / "ollama.env", tree_ / "preset.ini"};
  }
  std::vector<FileChange> Planned(const ApplyTargets& targets) const {
    auto changes = PlanChanges(applied_, targets);
    CHECK(changes.ok());
    return *std::move(changes);
  }
  std::string Text(const std::string& name) const { return *ReadSmallFile(tree_ / name); }
  bool Exists(const std::string& name) const { return fs::exists(tree_ / name); }
  unsigned ModeOf(const std::string& name) const {
    struct stat st{};
    EXPECT_EQ(stat((tree_ / name).c_str(), &st), 0);
    return st.st_mode & 0777U;
  }

  TempTree tree_;
  Applied applied_;

 private:
  std::string old_;
  bool had_ = false;
};

TEST_F(ApplyingTest, PlanningTouchesNothing) {
  tree_.Write("config.toml", kConfig);
  const std::vector<FileChange> changes = Planned(All());
  ASSERT_EQ(changes.size(), 4U);
  EXPECT_EQ(Text("config.toml"), kConfig);
  for (const char* name : {"Modelfile", "ollama.env", "preset.ini", "state"})
    EXPECT_FALSE(Exists(name)) << name;
  EXPECT_EQ(changes[0].before, kConfig);
  EXPECT_NE(changes[0].after.find("context_length = 8192"), std::string::npos);
  EXPECT_TRUE(changes[0].after.starts_with("# mine\n"));
  EXPECT_FALSE(changes[0].summary.empty());
  EXPECT_FALSE(changes[1].before.has_value());
}

TEST_F(ApplyingTest, TargetsThatAreNotNamedAreLeftOut) {
  EXPECT_TRUE(Planned({}).empty());
  EXPECT_EQ(Planned(Config()).size(), 1U);
}

TEST_F(ApplyingTest, WritesAllAndKeepsTheFormerFiles) {
  tree_.Write("config.toml", kConfig);
  const std::vector<FileChange> changes = Planned(All());
  ASSERT_TRUE(MakeChanges(changes).ok());
  EXPECT_EQ(Text("config.toml"), changes[0].after);
  EXPECT_EQ(Text("config.toml.bak"), kConfig);
  EXPECT_EQ(Text("Modelfile"), changes[1].after);
  EXPECT_EQ(Text("ollama.env"), changes[2].after);
  EXPECT_EQ(Text("preset.ini"), changes[3].after);
  EXPECT_FALSE(Exists("Modelfile.bak")) << "there was none before";
}

TEST_F(ApplyingTest, TheSameAgainChangesNothing) {
  tree_.Write("config.toml", kConfig);
  ASSERT_TRUE(MakeChanges(Planned(All())).ok());
  const std::string undo = Text("state/trimma/last-apply.json");
  for (const FileChange& change : Planned(All())) EXPECT_EQ(change.before, change.after);
  ASSERT_TRUE(MakeChanges(Planned(All())).ok());
  EXPECT_EQ(Text("state/trimma/last-apply.json"), undo) << "what can be taken back stays";
}

TEST_F(ApplyingTest, UndoRestoresAndRemoves) {
  tree_.Write("config.toml", kConfig);
  ASSERT_TRUE(MakeChanges(Planned(All())).ok());
  const auto shown = UndoLastApply(/*dry_run=*/true);
  ASSERT_TRUE(shown.ok());
  EXPECT_EQ(shown->size(), 4U);
  EXPECT_TRUE(Exists("Modelfile")) << "a dry run";
  const auto done = UndoLastApply(/*dry_run=*/false);
  ASSERT_TRUE(done.ok());
  ASSERT_EQ(done->size(), shown->size());
  EXPECT_EQ(done->at(0).line, shown->at(0).line);
  EXPECT_EQ(done->at(0).after, kConfig);
  EXPECT_FALSE(done->at(1).after.has_value());
  EXPECT_EQ(Text("config.toml"), kConfig);
  for (const char* name : {"Modelfile", "ollama.env", "preset.ini"})
    EXPECT_FALSE(Exists(name)) << name;
  EXPECT_EQ(UndoLastApply(false).error().code, Code::kNotFound) << "only once";
}

TEST_F(ApplyingTest, WhatWasEditedSinceIsNotTakenBack) {
  tree_.Write("config.toml", kConfig);
  ASSERT_TRUE(MakeChanges(Planned(Config())).ok());
  tree_.Write("config.toml", "# edited\n");
  const auto undone = UndoLastApply(false);
  ASSERT_FALSE(undone.ok());
  EXPECT_EQ(undone.error().code, Code::kBusy);
  EXPECT_EQ(Text("config.toml"), "# edited\n");
  EXPECT_NE(undone.error().hint.find("config.toml.bak"), std::string::npos);
}

TEST_F(ApplyingTest, UndoMayBeFinishedLater) {
  tree_.Write("config.toml", kConfig);
  ASSERT_TRUE(MakeChanges(Planned(All())).ok());
  const std::string modelfile = Text("Modelfile");
  tree_.Write("Modelfile", "FROM elsewhere\n");
  EXPECT_EQ(UndoLastApply(false).error().code, Code::kBusy);
  tree_.Write("Modelfile", modelfile);
  ASSERT_TRUE(UndoLastApply(false).ok());
  EXPECT_EQ(Text("config.toml"), kConfig);
  EXPECT_FALSE(Exists("preset.ini"));
}

TEST_F(ApplyingTest, AConfigCallsTheModelAsItsServerDoes) {
  ApplyTargets targets = All();
  targets.config_name = "tiny-trimma:1b";
  const std::vector<FileChange> changes = Planned(targets);
  EXPECT_NE(changes[0].after.find("name = \"tiny-trimma:1b\""), std::string::npos);
  EXPECT_EQ(changes[3].after.find("tiny-trimma"), std::string::npos) << "llama-server's own";
}

TEST_F(ApplyingTest, AFileThatChangedMeanwhileStopsEverything) {
  tree_.Write("config.toml", kConfig);
  ASSERT_TRUE(MakeChanges(Planned(Config())).ok());
  const std::string undo = Text("state/trimma/last-apply.json");
  applied_.settings.context = 4096;
  const std::vector<FileChange> changes = Planned(All());
  const std::string before = Text("config.toml");
  tree_.Write("Modelfile", "FROM a program that was faster\n");
  const auto status = MakeChanges(changes);
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error().code, Code::kBusy);
  EXPECT_EQ(Text("config.toml"), before) << "nothing is written, the first file neither";
  EXPECT_FALSE(Exists("ollama.env"));
  EXPECT_EQ(Text("state/trimma/last-apply.json"), undo);
}

TEST_F(ApplyingTest, BytesThatAreNotTextComeBackAsTheyWere) {
  const std::string bytes = "FROM /m\xff\xfe\xc3.gguf\n";
  tree_.Write("Modelfile", bytes);
  ASSERT_TRUE(MakeChanges(Planned(All())).ok());
  EXPECT_NE(Text("Modelfile"), bytes);
  ASSERT_TRUE(UndoLastApply(false).ok());
  EXPECT_EQ(Text("Modelfile"), bytes);
}

TEST_F(ApplyingTest, FilesComeBackAlsoWhereOllamaDoesNotAnswer) {
  tree_.Write("config.toml", kConfig);
  ASSERT_TRUE(MakeChanges(Planned(Config())).ok());
  auto note = ReadUndoNote();
  ASSERT_TRUE(note.ok());
  note->model = ModelUndo{"127.0.0.1:1", "g:1b", "g:1b-kept", "aa", "bb", "", Json::object()};
  ASSERT_TRUE(WriteUndoNote(*note).ok());
  const auto undone = UndoLastApply(false);
  ASSERT_FALSE(undone.ok());
  EXPECT_EQ(undone.error().code, Code::kNetwork);
  EXPECT_EQ(Text("config.toml"), kConfig);
  note = ReadUndoNote();
  ASSERT_TRUE(note.ok()) << "the model can still be taken back";
  EXPECT_TRUE(note->files.empty());
  EXPECT_EQ(note->model->kept, "g:1b-kept");
}

TEST_F(ApplyingTest, AKeptModelThatIsForgottenIsNamed) {
  UndoNote former;
  former.model = ModelUndo{"127.0.0.1:1", "g:1b", "g:1b-kept", "aa", "bb", "", Json::object()};
  ASSERT_TRUE(WriteUndoNote(former).ok());
  const auto notes = MakeChanges(Planned(Config()));
  ASSERT_TRUE(notes.ok());
  ASSERT_EQ(notes->size(), 1U);
  EXPECT_NE(notes->at(0).find("ollama rm g:1b-kept"), std::string::npos) << notes->at(0);
}

TEST_F(ApplyingTest, ASecretFileStaysSecret) {
  tree_.Write("config.toml", kConfig);
  ASSERT_EQ(chmod((tree_ / "config.toml").c_str(), 0600), 0);
  ASSERT_TRUE(MakeChanges(Planned(Config())).ok());
  EXPECT_EQ(ModeOf("config.toml"), 0600U);
  EXPECT_EQ(ModeOf("config.toml.bak"), 0600U);
  EXPECT_EQ(ModeOf("state/trimma"), 0700U) << "the undo holds the file's text";
  ASSERT_TRUE(UndoLastApply(false).ok());
  EXPECT_EQ(ModeOf("config.toml"), 0600U);
}

TEST_F(ApplyingTest, AGroupMayWriteAsBefore) {
  tree_.Write("config.toml", kConfig);
  ASSERT_EQ(chmod((tree_ / "config.toml").c_str(), 0664), 0);
  const mode_t mask = umask(022);
  const auto made = MakeChanges(Planned(Config()));
  umask(mask);
  ASSERT_TRUE(made.ok());
  EXPECT_EQ(ModeOf("config.toml"), 0664U);
}

TEST_F(ApplyingTest, ALinkStaysALink) {
  tree_.Write("dotfiles/config.toml", kConfig);
  tree_.Link("config.toml", "dotfiles/config.toml");
  ASSERT_TRUE(MakeChanges(Planned(Config())).ok());
  EXPECT_TRUE(fs::is_symlink(tree_ / "config.toml"));
  EXPECT_NE(Text("dotfiles/config.toml"), kConfig);
  ASSERT_TRUE(UndoLastApply(false).ok());
  EXPECT_TRUE(fs::is_symlink(tree_ / "config.toml"));
  EXPECT_EQ(Text("dotfiles/config.toml"), kConfig);
}

TEST_F(ApplyingTest, TargetsAreAbsoluteSoAnUndoFindsThemFromAnywhere) {
  const fs::path here = fs::current_path();
  fs::create_directories(tree_ / "project");
  fs::current_path(tree_ / "project");
  ApplyTargets targets;
  targets.config = "config.toml";
  const auto changes = PlanChanges(applied_, targets);
  const bool made = changes.ok() && MakeChanges(*changes).ok();
  fs::current_path(here);
  ASSERT_TRUE(made);
  EXPECT_TRUE(fs::path(changes->at(0).target).is_absolute()) << changes->at(0).target;
  ASSERT_TRUE(Exists("project/config.toml"));
  ASSERT_TRUE(UndoLastApply(false).ok());
  EXPECT_FALSE(Exists("project/config.toml"));
}

TEST_F(ApplyingTest, ABrokenConfigIsInvalidAndNamed) {
  tree_.Write("config.toml", "[model\n");
  const auto changes = PlanChanges(applied_, Config());
  ASSERT_FALSE(changes.ok());
  EXPECT_EQ(changes.error().code, Code::kInvalid);
  EXPECT_NE(changes.error().what.find("config.toml"), std::string::npos);
}

TEST_F(ApplyingTest, ADamagedUndoNoteIsInvalid) {
  for (const char* text :
       {"", "[]", "{}", "{\"changes\": 5}", "{\"changes\": [5]}", "{\"changes\": [{}]}",
        "{\"changes\": [{\"target\": 1, \"before\": null, \"after\": \"\"}]}"}) {
    tree_.Write("state/trimma/last-apply.json", text);
    const auto undone = UndoLastApply(false);
    ASSERT_FALSE(undone.ok()) << text;
    EXPECT_EQ(undone.error().code, Code::kInvalid) << text;
  }
}

}  // namespace
}  // namespace trimma::applying_test
