// Writing settings where they take effect, and taking that back.
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>

#include "report/json_document.h"
#include "report/record.h"
#include "support/program.h"
#include "support/tiny_model.h"

namespace trimma::apply_cli_test {
namespace {

namespace fs = std::filesystem;

constexpr const char* kConfig =
    "# My application.\r\n"
    "theme = \"dark\"   # not trimma's\n"
    "\n"
    "[model]\n"
    "name = \"gemma3:4b\"  # the guide's\n"
    "context_length = 2048\n"
    "  temperature=0.9 # warm\n"
    "\n"
    "[other]\n"
    "context_length = 1\n";

class ApplyCli : public testing::Test {
 protected:
  void SetUp() override {
    OptimizeRecord record;
    record.created = "2025-01-02T03:04:05Z";
    record.trimma_version = "0.1.0";
    record.engine_version = "v0.5.0";
    record.model_name = "Gemma";
    record.model_argument = "ollama:gemma3:270m";
    record.model_path = "/models/gemma.gguf";
    record.files.model = "/models/gemma.gguf";
    record.after.settings.context = 8192;
    record.after.settings.threads = 3;
    record.sampling = {0.25, 0.75, "precise"};
    box_.Write("record.json", DumpDocument(ToJson(record)));
    box_.Write("config.toml", kConfig);
  }

  const Sandbox box_;
};

TEST_F(ApplyCli, EditsItsKeysAndKeepsEverythingElse) {
  const Json apply = ExpectDocument(box_, {"apply", "record.json", "--config", "config.toml"});
  ASSERT_FALSE(HasFailure());
  ASSERT_EQ(apply["changes"].size(), 1U);
  EXPECT_EQ(apply["changes"][0]["target"], box_ / "config.toml");
  EXPECT_EQ(apply["changes"][0]["before"], kConfig);
  EXPECT_EQ(apply["changes"][0]["after"], box_.Read("config.toml"));
  EXPECT_TRUE(apply["undo"].is_string());
  const std::string config = box_.Read("config.toml");
  for (const char* kept :
       {"# My application.\r\n", "theme = \"dark\"   # not trimma's\n", "# the guide's\n",
        "  temperature=0.25 # warm\n", "[other]\ncontext_length = 1\n"}) {
    EXPECT_NE(config.find(kept), std::string::npos) << kept << "in\n" << config;
  }
  for (const char* written :
       {"name = \"gemma3:270m\"  #", "context_length = 8192\n", "top_p = 0.75"}) {
    EXPECT_NE(config.find(written), std::string::npos) << written << "in\n" << config;
  }
  EXPECT_EQ(config.find("[runtime]"), std::string::npos) << "an application may not know it";
  EXPECT_EQ(box_.Read("config.toml.bak"), kConfig);
}

TEST_F(ApplyCli, AnApplicationsOwnKeysAreNamedByAMap) {
  box_.Write("app.toml", "[llm] # mine\nmodel_id = 'x'\n");
  ExpectDocument(
      box_, {"apply", "record.json", "--config", "app.toml", "--map", "model.name=llm.model_id",
             "--map", "model.context_length=llm.window", "--map", "model.temperature=", "--map",
             "model.top_p=", "--map", "runtime.threads=llm.threads"});
  EXPECT_EQ(box_.Read("app.toml"),
            "[llm] # mine\nmodel_id = \"gemma3:270m\"\nwindow = 8192\nthreads = 3\n");
  ExpectRefused(box_, {"apply", "record.json", "--config", "app.toml", "--map", "model.nam=a"},
                Code::kUsage, "there is no setting");
}

TEST_F(ApplyCli, AReadOnlyFileIsNotReplaced) {
  fs::permissions(box_ / "config.toml", fs::perms::owner_read);
  ExpectRefused(box_, {"apply", "record.json", "--config", "config.toml"}, Code::kPermission,
                "is read-only");
}

TEST_F(ApplyCli, ADryRunShowsTheChangeAndWritesNothing) {
  const auto before = box_.Snapshot();
  const Json apply = ExpectDocument(box_, {"apply", "record.json", "--config", "config.toml",
                                           "--modelfile", "Modelfile", "--dry-run"});
  ASSERT_FALSE(HasFailure());
  EXPECT_EQ(apply["changes"].size(), 2U);
  EXPECT_TRUE(apply["changes"][1]["before"].is_null()) << "a new file";
  EXPECT_EQ(box_.Snapshot(), before);
  const ProgramEnd text =
      box_.Run({"apply", "record.json", "--config", "config.toml", "--dry-run"});
  EXPECT_NE(text.out.find("would write"), std::string::npos) << text.out;
  EXPECT_NE(text.out.find("2048"), std::string::npos) << "the old value: " << text.out;
  EXPECT_EQ(box_.Snapshot(), before);
}

TEST_F(ApplyCli, UndoRestoresByteForByteAndRemovesWhatWasNew) {
  ExpectDocument(box_, {"apply", "record.json", "--config", "config.toml", "--modelfile",
                        "Modelfile", "--env", "ollama.env", "--llama-server", "server.ini"});
  ASSERT_FALSE(HasFailure());
  for (const char* file : {"Modelfile", "ollama.env", "server.ini"}) {
    EXPECT_NE(box_.Read(file), "") << file;
  }
  const Json undo = ExpectDocument(box_, {"apply", "--undo"});
  EXPECT_EQ(undo["changes"].size(), 4U);
  EXPECT_EQ(undo["changes"][0]["after"], kConfig);
  EXPECT_TRUE(undo["undo"].is_string());
  EXPECT_EQ(box_.Read("config.toml"), kConfig);
  for (const char* file : {"Modelfile", "ollama.env", "server.ini"}) {
    EXPECT_FALSE(box_.Exists(file)) << file;
  }
  ExpectRefused(box_, {"apply", "--undo"}, Code::kNotFound, "take back");
}

TEST_F(ApplyCli, UndoAsADryRunWritesNothing) {
  ExpectDocument(box_, {"apply", "record.json", "--config", "config.toml"});
  const auto before = box_.Snapshot();
  ExpectDocument(box_, {"apply", "--undo", "--dry-run"});
  EXPECT_EQ(box_.Snapshot(), before);
}

TEST_F(ApplyCli, ASecondTimeThereIsNothingToChangeAndUndoStillWorks) {
  const std::vector<std::string> call = {"apply", "record.json", "--config", "config.toml"};
  ExpectDocument(box_, call);
  const auto before = box_.Snapshot();
  const std::string again = box_.Run(call).out;
  EXPECT_NE(again.find("nothing to change"), std::string::npos);
  EXPECT_EQ(again.find("undo:"), std::string::npos) << again;
  EXPECT_EQ(box_.Snapshot(), before);
  ExpectDocument(box_, {"apply", "--undo"});
  EXPECT_EQ(box_.Read("config.toml"), kConfig);
}

TEST_F(ApplyCli, ALinkStaysALinkAndItsTargetIsEdited) {
  box_.Write("dotfiles/real.toml", kConfig);
  fs::create_symlink("dotfiles/real.toml", box_ / "linked.toml");
  ExpectDocument(box_, {"apply", "record.json", "--config", "linked.toml"});
  EXPECT_TRUE(fs::is_symlink(box_ / "linked.toml"));
  EXPECT_NE(box_.Read("dotfiles/real.toml").find("8192"), std::string::npos);
  ExpectDocument(box_, {"apply", "--undo"});
  EXPECT_TRUE(fs::is_symlink(box_ / "linked.toml"));
  EXPECT_EQ(box_.Read("dotfiles/real.toml"), kConfig);
}

TEST_F(ApplyCli, PermissionsOfAPrivateFileStayAlsoThroughUndo) {
  const std::string path = box_ / "config.toml";
  ASSERT_EQ(chmod(path.c_str(), 0600), 0);
  ExpectDocument(box_, {"apply", "record.json", "--config", "config.toml"});
  struct stat st{};
  ASSERT_EQ(stat(path.c_str(), &st), 0);
  EXPECT_EQ(st.st_mode & 0777, 0600U);
  ASSERT_EQ(stat((path + ".bak").c_str(), &st), 0);
  EXPECT_EQ(st.st_mode & 0777, 0600U) << "its copy is no more public";
  ExpectDocument(box_, {"apply", "--undo"});
  ASSERT_EQ(stat(path.c_str(), &st), 0);
  EXPECT_EQ(st.st_mode & 0777, 0600U);
}

TEST_F(ApplyCli, WhatWasEditedSinceIsNotClobberedByUndo) {
  ExpectDocument(box_, {"apply", "record.json", "--config", "config.toml"});
  const std::string mine = box_.Read("config.toml") + "# and then I wrote this\n";
  box_.Write("config.toml", mine);
  ExpectRefused(box_, {"apply", "--undo"}, Code::kBusy, "edited since");
  EXPECT_EQ(box_.Read("config.toml"), mine);
}

// All or nothing: a file of mine is not restored while another can't be.
TEST_F(ApplyCli, UndoLooksAtAllFilesBeforeItTouchesOne) {
  box_.Write("second.ini", "; old\n");
  ExpectDocument(
      box_, {"apply", "record.json", "--config", "config.toml", "--llama-server", "second.ini"});
  box_.Write("second.ini", "; mine\n");
  ExpectRefused(box_, {"apply", "--undo"}, Code::kBusy, "second.ini");
}

TEST_F(ApplyCli, WithoutARecordOfThisMachineThereIsNothingToApply) {
  ExpectRefused(box_, {"apply", "--config", "config.toml"}, Code::kNotFound, "trimma optimize");
  ExpectRefused(box_, {"apply", "absent.json", "--config", "config.toml"}, Code::kNotFound,
                "absent.json");
}

TEST_F(ApplyCli, TheNewestRecordIsTakenAndNamed) {
  const std::string records = "../home/.local/state/trimma/records/";
  Json record = Json::parse(box_.Read("record.json"));
  record["after"]["settings"]["context"] = 1234;
  box_.Write(records + "2025-01-01T00-00-00Z.json", box_.Read("record.json"));
  box_.Write(records + "2025-02-01T00-00-00Z.json", record.dump());
  const Json apply = ExpectDocument(box_, {"apply", "--config", "config.toml"});
  ASSERT_FALSE(HasFailure());
  EXPECT_TRUE(apply["record"].get<std::string>().ends_with("2025-02-01T00-00-00Z.json"));
  EXPECT_NE(box_.Read("config.toml").find("1234"), std::string::npos);
}

TEST_F(ApplyCli, WhatIsNoRecordIsInvalid) {
  for (const char* text : {"", "{", "[]", "{\"schema\":\"trimma.optimize/1\"}", "{\"schema\":7}",
                           "{\"schema\":\"trimma.optimize/1\",\"files\":[]}"}) {
    box_.Write("bad.json", text);
    ExpectRefused(box_, {"apply", "bad.json", "--config", "config.toml"}, Code::kInvalid,
                  "bad.json");
  }
}

TEST_F(ApplyCli, AConfigThatIsNoTomlIsLeftAlone) {
  box_.Write("config.toml", "[model\nname = ");
  ExpectRefused(box_, {"apply", "record.json", "--config", "config.toml"}, Code::kInvalid,
                "config.toml");
}

TEST_F(ApplyCli, ATargetMustBeNamed) {
  ExpectRefused(box_, {"apply", "record.json"}, Code::kUsage, "--config");
}

TEST_F(ApplyCli, ATargetThatIsAFolderIsRefused) {
  fs::create_directory(box_ / "folder");
  ExpectRefused(box_, {"apply", "record.json", "--config", "folder"}, Code::kInvalid, "folder");
}

TEST_F(ApplyCli, ANewConfigIsMadeWhereThereIsNone) {
  ExpectDocument(box_, {"apply", "record.json", "--config", "new.toml"});
  EXPECT_NE(box_.Read("new.toml").find("[model]"), std::string::npos);
  EXPECT_FALSE(box_.Exists("new.toml.bak"));
  ExpectDocument(box_, {"apply", "--undo"});
  EXPECT_FALSE(box_.Exists("new.toml"));
}

TEST_F(ApplyCli, ADamagedUndoNoteIsSaid) {
  box_.Write("../home/.local/state/trimma/last-apply.json", "{\"changes\":[{\"target\":1}]}");
  ExpectRefused(box_, {"apply", "--undo"}, Code::kInvalid, "last-apply.json");
}

// No Ollama answers here: what needs one says so, the rest works.
TEST_F(ApplyCli, WithoutARunningOllamaTheFilesAreStillWritten) {
  RunOptions nobody;
  nobody.environment["OLLAMA_HOST"] = "127.0.0.1:9";
  ExpectRefused(box_, {"apply", "record.json", "--ollama", "tuned"}, Code::kNetwork, "ollama serve",
                nobody);
  ExpectRefused(box_, {"optimize", "record.json", "--ollama", "tuned"}, Code::kNetwork,
                "ollama serve", nobody);
  ExpectDocument(box_, {"apply", "record.json", "--modelfile", "Modelfile"}, nobody);
  EXPECT_TRUE(box_.Exists("Modelfile"));
}

TEST_F(ApplyCli, ADropInIsWrittenWhereOllamaIsAService) {
  RunOptions nobody;
  nobody.environment["OLLAMA_HOST"] = "127.0.0.1:9";
  const std::string root = box_ / "image";
  const std::vector<std::string> call = {"apply", "record.json",  "--systemd", "--root",
                                         root,    "--keep-alive", "30m"};
  ExpectRefused(box_, call, Code::kNotFound, "no systemd unit", nobody);
  box_.Write("image/etc/systemd/system/ollama.service", "[Service]\nExecStart=ollama serve\n");
  std::vector<std::string> dry = call;
  dry.emplace_back("--dry-run");
  ExpectDocument(box_, dry, nobody);
  EXPECT_FALSE(box_.Exists("image/etc/systemd/system/ollama.service.d"));
  const Json apply = ExpectDocument(box_, call, nobody);
  ASSERT_FALSE(HasFailure());
  const std::string text = box_.Read("image/etc/systemd/system/ollama.service.d/trimma.conf");
  EXPECT_NE(text.find("Environment=\"OLLAMA_CONTEXT_LENGTH=8192\"\n"), std::string::npos) << text;
  EXPECT_NE(text.find("OLLAMA_KEEP_ALIVE=30m"), std::string::npos);
  EXPECT_NE(apply["activate"][0].get<std::string>().find("daemon-reload"), std::string::npos);
  ExpectDocument(box_, {"apply", "--undo"}, nobody);
  EXPECT_FALSE(box_.Exists("image/etc/systemd/system/ollama.service.d/trimma.conf"));
}

TEST_F(ApplyCli, LlamaServersVariablesAreWritten) {
  ExpectDocument(box_, {"apply", "record.json", "--llama-env", "server.env"});
  EXPECT_NE(box_.Read("server.env").find("\nLLAMA_ARG_CTX_SIZE=8192\n"), std::string::npos);
}

TEST_F(ApplyCli, OptimizeLeavesAnothersFilesAlone) {
  const std::string model = WriteTinyModel(box_ / "tiny.gguf");
  box_.Write("out/config.toml", kConfig);
  const auto before = box_.Snapshot();
  ExpectRefused(box_, {"optimize", model, "-o", "out"}, Code::kUsage, "is there already");
  EXPECT_EQ(box_.Snapshot(), before);
}

// A program that says with what it was started.
TEST_F(ApplyCli, RunStartsLlamaServerWithTheTunedSettings) {
  const std::string model = box_.Write("gemma.gguf", "weights");
  Json record = Json::parse(box_.Read("record.json"));
  record["files"]["model"] = model;
  box_.Write("../home/.local/state/trimma/records/2025-01-01T00-00-00Z.json", record.dump());
  const std::string server = box_.Write("llama-server", "#!/bin/sh\necho \"$@\"\nexit 7\n");
  ASSERT_EQ(chmod(server.c_str(), 0700), 0);
  const std::vector<std::string> call = {"run", "ollama:gemma3:270m", "--server", server};
  std::vector<std::string> dry = call;
  dry.emplace_back("--dry-run");
  const Json shown = ExpectDocument(box_, dry);
  ASSERT_FALSE(HasFailure());
  EXPECT_EQ(shown["command"][0], server);
  EXPECT_NE(shown["line"].get<std::string>().find("--ctx-size 8192"), std::string::npos);
  std::vector<std::string> more = call;
  more.insert(more.end(), {"--", "--port", "9000"});
  const ProgramEnd end = box_.Run(more);
  EXPECT_EQ(end.exit_code, 7) << "it is that program now: " << end.err;
  EXPECT_NE(end.out.find("--threads 3"), std::string::npos) << end.out;
  EXPECT_TRUE(end.out.ends_with("--port 9000\n")) << end.out;
  more = call;
  more.emplace_back("--json");
  EXPECT_EQ(box_.Run(more).exit_code, 2) << "what it would print is no JSON";
  ExpectRefused(box_, {"run", "absent.gguf", "--dry-run"}, Code::kNotFound, "no record about");
}

}  // namespace
}  // namespace trimma::apply_cli_test
