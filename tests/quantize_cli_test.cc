// Quantising from the command line: exact sizes, importance data, and whatever interrupts it.
#include <gtest/gtest.h>
#include <signal.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <map>
#include <thread>

#include "gguf/imatrix.h"
#include "gguf/reader.h"
#include "support/program.h"
#include "support/tiny_model.h"

namespace trimma::quantize_cli_test {
namespace {

namespace fs = std::filesystem;

const TinyModelOptions kWide{.embedding = 256, .feed_forward = 256};  // rows that K types divide

std::vector<std::string> Call(const std::string& from, const std::string& to,
                              const std::string& type, std::vector<std::string> more = {}) {
  std::vector<std::string> call = {"quantize", from, "-o", to, "--type", type};
  call.insert(call.end(), more.begin(), more.end());
  return call;
}

void Sleep(double seconds) { std::this_thread::sleep_for(std::chrono::duration<double>(seconds)); }

// Waits until a file appears; false after 60 seconds.
bool Appears(const Sandbox& box, const std::string& name) {
  for (int i = 0; i < 30'000; ++i) {
    if (box.Exists(name)) return true;
    Sleep(0.002);
  }
  return false;
}

bool NothingBeside(const Sandbox& box, const std::string& output) {
  bool clean = true;
  for (const auto& entry : fs::directory_iterator(box / ".")) {
    const std::string name = entry.path().filename().string();
    clean = clean && (name == output || !name.starts_with(output)) && !name.starts_with(".");
  }
  return clean;
}

// The bytes of one tensor of a file.
std::string TensorBytes(const Sandbox& box, const std::string& name, const std::string& tensor) {
  const Result<GgufFile> file = ReadGguf(box / name);
  EXPECT_TRUE(file.ok());
  if (!file.ok()) return "";
  const TensorInfo* info = file->FindTensor(tensor);
  EXPECT_NE(info, nullptr) << tensor;
  return info == nullptr ? "" : box.Read(name).substr(info->offset, info->bytes);
}

TEST(QuantizeCli, ADryRunAnnouncesTheExactBytes) {
  const Sandbox box;
  WriteTinyModel(box / "wide.gguf", kWide);
  WriteTinyModel(box / "narrow.gguf");
  for (const char* model : {"wide.gguf", "narrow.gguf"}) {
    for (const char* type : {"Q4_K_M", "Q8_0", "Q4_0", "IQ4_XS", "Q2_K"}) {
      const Json dry = ExpectDocument(box, Call(model, "q.gguf", type, {"--dry-run"}));
      EXPECT_FALSE(box.Exists("q.gguf"));
      const Json real = ExpectDocument(box, Call(model, "q.gguf", type, {"--force"}));
      ASSERT_FALSE(HasFailure()) << model << type;
      const uint64_t bytes = fs::file_size(box / "q.gguf");
      EXPECT_EQ(dry["file_bytes"], bytes) << model << " to " << type;
      EXPECT_EQ(real["file_bytes"], bytes);
      EXPECT_EQ(dry["tensors"], real["tensors"]);
      EXPECT_NEAR(dry["bits_per_weight"].get<double>(), real["bits_per_weight"].get<double>(),
                  0.01);
      fs::remove(box / "q.gguf");
    }
  }
}

TEST(QuantizeCli, TheOutputIsASoundModelOfTheTypeThatRuns) {
  const Sandbox box;
  WriteTinyModel(box / "wide.gguf", kWide);
  ExpectDocument(box, Call("wide.gguf", "q.gguf", "Q4_K_M"));
  const Json inspect = ExpectDocument(box, {"inspect", "q.gguf"});
  ASSERT_FALSE(HasFailure());
  EXPECT_EQ(inspect["type"], "Q4_K_M");
  ExpectDocument(box,
                 {"measure", "q.gguf", "--quality", "--against", "wide.gguf", "--chunk", "32"});
  EXPECT_TRUE(NothingBeside(box, "q.gguf"));
}

TEST(QuantizeCli, RowsThatTheBlockDoesNotDivideAreSaid) {
  const Sandbox box;
  WriteTinyModel(box / "narrow.gguf");
  const Json narrow = ExpectDocument(box, Call("narrow.gguf", "q.gguf", "Q4_K_M", {"--dry-run"}));
  ASSERT_FALSE(HasFailure());
  const std::string notes = narrow["notes"].dump();
  EXPECT_NE(notes.find("rows of 64"), std::string::npos) << notes;
  EXPECT_NE(notes.find("256"), std::string::npos) << notes;
  EXPECT_NE(box.Run(Call("narrow.gguf", "q.gguf", "Q4_K_M", {"--dry-run"})).out.find("rows of 64"),
            std::string::npos);
  WriteTinyModel(box / "wide.gguf", kWide);
  const Json wide = ExpectDocument(box, Call("wide.gguf", "q.gguf", "Q4_K_M", {"--dry-run"}));
  EXPECT_EQ(wide["notes"].dump().find("rows of"), std::string::npos) << wide["notes"];
}

TEST(QuantizeCli, FromAQuantisedSourceNoTensorGetsMoreBits) {
  const Sandbox box;
  WriteTinyModel(box / "f16.gguf");
  ExpectDocument(box, Call("f16.gguf", "q4.gguf", "Q4_0"));
  const Json raised = ExpectDocument(box, Call("q4.gguf", "q8.gguf", "Q8_0"));
  ASSERT_FALSE(HasFailure());
  for (const Json& tensor : raised["tensors"]) EXPECT_EQ(tensor["from"], tensor["to"]) << tensor;
  const std::string notes = raised["notes"].dump();
  EXPECT_NE(notes.find("stay Q4_0"), std::string::npos) << notes;
  EXPECT_NE(notes.find("F16"), std::string::npos) << "a better source is named: " << notes;
  for (const char* tensor : {"token_embd.weight", "blk.0.attn_q.weight"}) {
    EXPECT_EQ(TensorBytes(box, "q8.gguf", tensor), TensorBytes(box, "q4.gguf", tensor));
  }
}

TEST(QuantizeCli, FromAQuantisedSourceTensorsAreLowered) {
  const Sandbox box;
  WriteTinyModel(box / "f16.gguf");
  ExpectDocument(box, Call("f16.gguf", "q8.gguf", "Q8_0"));
  const Json lowered = ExpectDocument(box, Call("q8.gguf", "q4.gguf", "Q4_0"));
  ASSERT_FALSE(HasFailure());
  const Json& tensors = lowered["tensors"];
  EXPECT_TRUE(std::any_of(tensors.begin(), tensors.end(), [](const Json& tensor) {
    return tensor["from"] == "Q8_0" && tensor["to"] == "Q4_0";
  }));
  EXPECT_LT(fs::file_size(box / "q4.gguf"), fs::file_size(box / "q8.gguf"));
  EXPECT_NE(lowered["notes"].dump().find("F16"), std::string::npos) << "a better source is named";
}

TEST(QuantizeCli, CalibrationChangesTheRoundingTiedEmbeddingIncluded) {
  const Sandbox box;
  WriteTinyModel(box / "wide.gguf", kWide);
  box.Write("text.txt", SomeText(2000));
  ExpectDocument(box, Call("wide.gguf", "plain.gguf", "Q4_K_M"));
  const Json weighed = ExpectDocument(
      box, Call("wide.gguf", "weighed.gguf", "Q4_K_M", {"--calibration", "text.txt"}));
  ASSERT_FALSE(HasFailure());
  EXPECT_EQ(weighed["importance"], "text.txt");
  for (const char* tensor : {"token_embd.weight", "blk.0.attn_q.weight", "blk.1.ffn_down.weight"}) {
    EXPECT_NE(TensorBytes(box, "plain.gguf", tensor), TensorBytes(box, "weighed.gguf", tensor))
        << tensor;
  }
  EXPECT_TRUE(NothingBeside(box, "weighed.gguf"));
}

TEST(QuantizeCli, CalibrationMakesTheTypesOfTwoBitsPossible) {
  const Sandbox box;
  WriteTinyModel(box / "wide.gguf", kWide);
  box.Write("text.txt", SomeText(2000));
  const Json report =
      ExpectDocument(box, Call("wide.gguf", "q.gguf", "IQ2_XS", {"--calibration", "text.txt"}));
  ASSERT_FALSE(HasFailure());
  EXPECT_LT(report["bits_per_weight"].get<double>(), 5);
}

TEST(QuantizeCli, TakesAnImportanceFileOfLlamaCpp) {
  const Sandbox box;
  WriteTinyModel(box / "wide.gguf", kWide);
  const Result<GgufFile> model = ReadGguf(box / "wide.gguf");
  ASSERT_TRUE(model.ok());
  Importance importance{.chunk_count = 4, .chunk_size = 512, .datasets = {"made up"}};
  for (const TensorInfo& tensor : model->tensors) {
    if (tensor.shape.size() != 2) continue;
    ImportanceEntry entry{.columns = tensor.row_length(), .counts = {100}};
    for (uint64_t i = 0; i < entry.columns; ++i) entry.sum2.push_back(i % 5 == 0 ? 1000.0F : 1.0F);
    importance.entries[tensor.name] = entry;
  }
  ASSERT_TRUE(WriteImportance(box / "imatrix.gguf", importance).ok());
  ExpectDocument(box, Call("wide.gguf", "plain.gguf", "Q4_K_M"));
  const Json report = ExpectDocument(
      box, Call("wide.gguf", "weighed.gguf", "Q4_K_M", {"--imatrix", "imatrix.gguf"}));
  ASSERT_FALSE(HasFailure());
  EXPECT_EQ(report["importance"], "imatrix.gguf");
  EXPECT_NE(box.Read("plain.gguf"), box.Read("weighed.gguf"));
  EXPECT_TRUE(box.Exists("imatrix.gguf")) << "the user's file is no temporary one";

  importance.entries["blk.0.attn_q.weight"].columns = 128;
  importance.entries["blk.0.attn_q.weight"].sum2.resize(128);
  ASSERT_TRUE(WriteImportance(box / "imatrix.gguf", importance).ok());
  ExpectRefused(box, Call("wide.gguf", "other.gguf", "Q4_K_M", {"--imatrix", "imatrix.gguf"}),
                Code::kInvalid, "blk.0.attn_q.weight");
}

TEST(QuantizeCli, TheResultDoesNotDependOnThreadsOrMemory) {
  const Sandbox box;
  WriteTinyModel(box / "wide.gguf", kWide);
  ExpectDocument(box, Call("wide.gguf", "a.gguf", "Q4_K_M", {"--threads", "1"}));
  ExpectDocument(box,
                 Call("wide.gguf", "b.gguf", "Q4_K_M", {"--threads", "3", "--memory", "4KiB"}));
  EXPECT_EQ(box.Read("a.gguf"), box.Read("b.gguf"));
}

TEST(QuantizeCli, ForceReplacesALinksTargetOrTheLinkButNeverTheInput) {
  const Sandbox box;
  WriteTinyModel(box / "tiny.gguf");
  const std::string before = box.Read("tiny.gguf");
  box.Write("old.gguf", "old");
  ExpectDocument(box, Call("tiny.gguf", "old.gguf", "Q8_0", {"--force"}));
  EXPECT_NE(box.Read("old.gguf"), "old");
  EXPECT_EQ(box.Read("tiny.gguf"), before);
}

TEST(QuantizeCli, ADryRunOfASizeWritesNothing) {
  const Sandbox box;
  WriteTinyModel(box / "wide.gguf", kWide);
  box.Write("text.txt", SomeText(2000));
  const auto before = box.Snapshot();
  const std::vector<std::string> call = {"quantize", "wide.gguf",     "-o",         "q.gguf",
                                         "--size",   "Q4_K_M",        "--dry-run",  "--calibration",
                                         "text.txt", "--tensor-type", "attn_v=Q8_0"};
  const Json plan = ExpectDocument(box, call);
  ASSERT_FALSE(HasFailure());
  EXPECT_TRUE(plan["file_bytes"].is_null());
  EXPECT_LT(plan["least_bytes"], plan["most_bytes"]);
  const ProgramEnd text = box.Run(call);
  EXPECT_NE(text.out.find("the smallest possible is"), std::string::npos) << text.out;
  EXPECT_NE(text.out.find("still to do: reading the calibration text"), std::string::npos);
  EXPECT_EQ(box.Snapshot(), before);
}

TEST(QuantizeCli, TypesCanBeForcedByName) {
  const Sandbox box;
  WriteTinyModel(box / "wide.gguf", kWide);
  const std::vector<std::string> forced = {"--tensor-type", R"(blk\.0\.attn_q=Q8_0)",
                                           "--tensor-type", "attn_(q|k)=Q6_K"};
  const Json dry = [&] {
    std::vector<std::string> more = forced;
    more.emplace_back("--dry-run");
    return ExpectDocument(box, Call("wide.gguf", "q.gguf", "Q4_K_M", more));
  }();
  const Json made = ExpectDocument(box, Call("wide.gguf", "q.gguf", "Q4_K_M", forced));
  ASSERT_FALSE(HasFailure());
  EXPECT_EQ(dry["tensors"], made["tensors"]);
  EXPECT_EQ(dry["file_bytes"], made["file_bytes"]);
  std::map<std::string, std::string> types;
  for (const Json& tensor : made["tensors"]) types[tensor["name"]] = tensor["to"];
  EXPECT_EQ(types["blk.0.attn_q.weight"], "Q8_0");
  EXPECT_EQ(types["blk.1.attn_q.weight"], "Q6_K");
  EXPECT_EQ(types["blk.0.attn_k.weight"], "Q6_K");
  EXPECT_NE(made["notes"].dump().find("attn_(q|k)=Q6_K: 3 tensors"), std::string::npos);
}

TEST(QuantizeCli, ABadTensorTypeIsRefused) {
  const Sandbox box;
  WriteTinyModel(box / "wide.gguf", kWide);
  const std::vector<std::pair<std::string, std::string>> bad = {
      {"attn_q", "PATTERN=TYPE"},
      {"attn_q=Q4_KK", "did you mean Q4_K?"},
      {"attn[=Q8_0", "no regular expression"},
      {"nosuch=Q8_0", "finds no tensor"},
      {"attn_norm=Q8_0", "doesn't quantise"}};
  for (const auto& [text, words] : bad) {
    ExpectRefused(box, Call("wide.gguf", "q.gguf", "Q4_K_M", {"--tensor-type", text}), Code::kUsage,
                  words);
    ExpectRefused(box,
                  {"quantize", "wide.gguf", "-o", "q.gguf", "--bpw", "6", "--tensor-type", text},
                  Code::kUsage, words);
  }
  ExpectRefused(
      box, Call("wide.gguf", "q.gguf", "F16", {"--mode", "exact", "--tensor-type", "attn_q=Q8_0"}),
      Code::kUsage, "passes over");
}

// Slow to quantise, small to hold: a second or so on one thread.
class Interrupted : public testing::Test {
 protected:
  void SetUp() override {
    WriteTinyModel(box_ / "slow.gguf",
                   {.layers = 4, .embedding = 256, .feed_forward = 512, .vocab = 4000});
    const ProgramEnd end = box_.Run(Slowly("whole.gguf"));
    ASSERT_EQ(end.exit_code, 0) << end.err;
    seconds_ = end.seconds;
    whole_ = box_.Read("whole.gguf");
  }

  // A run that SIGINT caught in its work; on a busy machine it may have ended before.
  ProgramEnd Caught() {
    ProgramEnd end;
    for (const double share : {0.5, 0.35, 0.25, 0.15, 0.1}) {
      box_.Write("out.gguf", "old");
      Running run = box_.Start(Slowly("out.gguf"));
      if (!Appears(box_, "out.gguf.trimma-part")) continue;
      Sleep(seconds_ * share);
      run.Signal(SIGINT);
      end = run.Wait();
      if (end.exit_code == 130 && box_.Exists("out.gguf.trimma-part")) break;
    }
    return end;
  }

  static std::vector<std::string> Slowly(const std::string& output) {
    return Call("slow.gguf", output, "IQ3_S", {"--threads", "1", "--force"});
  }

  const Sandbox box_;
  double seconds_ = 0;  // of an uninterrupted run
  std::string whole_;   // its result
};

TEST_F(Interrupted, CtrlCKeepsTheOldFileAndTheNextRunGoesOn) {
  const ProgramEnd end = Caught();
  ASSERT_EQ(end.exit_code, 130) << end.err << "after " << end.seconds << " of " << seconds_;
  EXPECT_EQ(box_.Read("out.gguf"), "old");
  EXPECT_TRUE(box_.Exists("out.gguf.trimma-part"));
  EXPECT_NE(box_.Read("out.gguf.trimma-journal").find("finished "), std::string::npos);
  EXPECT_NE(end.err.find("out.gguf.trimma-part"), std::string::npos)
      << "the user is told what is left: " << end.err;

  const ProgramEnd again = box_.Run(Slowly("out.gguf"));
  ASSERT_EQ(again.exit_code, 0) << again.err;
  EXPECT_TRUE(box_.Read("out.gguf") == whole_) << "not byte-identical";
  EXPECT_TRUE(NothingBeside(box_, "out.gguf"));
}

TEST_F(Interrupted, SigtermEndsWith143AndLeavesNoDestination) {
  Running run = box_.Start(Slowly("out.gguf"));
  ASSERT_TRUE(Appears(box_, "out.gguf.trimma-part"));
  Sleep(seconds_ / 4);
  run.Signal(SIGTERM);
  const ProgramEnd end = run.Wait();
  EXPECT_EQ(end.exit_code, 143) << end.err;
  EXPECT_FALSE(box_.Exists("out.gguf"));
}

TEST_F(Interrupted, APartOfAnotherPlanIsNotGoneOnFrom) {
  ASSERT_EQ(Caught().exit_code, 130);
  std::filesystem::remove(box_ / "out.gguf");
  ExpectDocument(box_, Call("slow.gguf", "out.gguf", "Q8_0"));
  ExpectDocument(box_, Call("slow.gguf", "fresh.gguf", "Q8_0"));
  EXPECT_TRUE(box_.Read("out.gguf") == box_.Read("fresh.gguf"));
  EXPECT_TRUE(NothingBeside(box_, "out.gguf"));
}

TEST_F(Interrupted, KilledAtAnyMomentTheDestinationIsOldOrNew) {
  box_.Write("out.gguf", "old");
  int moment = 0;
  for (const double share : {0.15, 0.4, 0.65, 0.9}) {
    Running run = box_.Start(Slowly("out.gguf"));
    Sleep(seconds_ * share);
    // The child alone, the parent alone, or both.
    const std::vector<pid_t> children = run.Children();
    if (++moment % 3 != 1) run.Signal(SIGKILL);
    if (moment % 3 != 2) {
      for (const pid_t child : children) kill(child, SIGKILL);
    }
    const ProgramEnd end = run.Wait();
    const std::string now = box_.Read("out.gguf");
    EXPECT_TRUE(now == "old" || now == whole_) << "killed after " << share;
    // Without its child, the parent tells what most likely killed it.
    const bool told = end.signal != 0 || end.exit_code == 0 || end.exit_code == 4;
    EXPECT_TRUE(told) << end.exit_code << end.err;
  }
  ProgramEnd again = box_.Run(Slowly("out.gguf"));
  // A child whose parent was killed may hold the lock for another moment.
  for (int i = 0; i < 50 && again.exit_code == 8; ++i) {
    Sleep(0.1);
    again = box_.Run(Slowly("out.gguf"));
  }
  ASSERT_EQ(again.exit_code, 0) << again.err;
  EXPECT_TRUE(box_.Read("out.gguf") == whole_) << "not byte-identical";
  EXPECT_TRUE(NothingBeside(box_, "out.gguf"));
}

TEST_F(Interrupted, TwoRunsOfOneOutputDoNotMix) {
  Running first = box_.Start(Slowly("out.gguf"));
  ASSERT_TRUE(Appears(box_, "out.gguf.trimma-part"));
  const std::vector<pid_t> children = first.Children();
  for (const pid_t child : children) kill(child, SIGSTOP);
  const ProgramEnd second = box_.Run(Slowly("out.gguf"));
  for (const pid_t child : children) kill(child, SIGCONT);
  EXPECT_EQ(second.exit_code, static_cast<int>(Code::kBusy)) << second.err;
  EXPECT_TRUE(second.last_error_line().starts_with("trimma: ")) << second.err;
  const ProgramEnd end = first.Wait();
  EXPECT_EQ(end.exit_code, 0) << end.err;
  EXPECT_TRUE(box_.Read("out.gguf") == whole_) << "not byte-identical";
  EXPECT_TRUE(NothingBeside(box_, "out.gguf"));
}

}  // namespace
}  // namespace trimma::quantize_cli_test
