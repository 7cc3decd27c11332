// Whatever is handed to the program: one sentence, the documented exit code, nothing lost.
#include <fcntl.h>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>

#include "support/program.h"
#include "support/tiny_model.h"

namespace trimma::bad_input_test {
namespace {

namespace fs = std::filesystem;

std::string TinyBytes() { return Assemble(MakeTinyModel()); }

template <typename T>
void Patch(std::string& bytes, size_t at, T value) {
  ASSERT_LE(at + sizeof value, bytes.size());
  std::memcpy(bytes.data() + at, &value, sizeof value);
}

// Where a matrix's entry of the header goes on after its name: dimensions (uint32), two sizes
// (uint64 each), type (uint32), offset (uint64).
size_t AfterName(const std::string& bytes, const std::string& name) {
  const size_t at = bytes.find(name);
  EXPECT_NE(at, std::string::npos);
  return at + name.size();
}
constexpr size_t kSizes = 4;
constexpr size_t kType = 20;
constexpr size_t kOffset = 24;

TEST(BadInput, AMissingFileIsNotFound) {
  const Sandbox box;
  ExpectRefused(box, {"inspect", "absent.gguf"}, Code::kNotFound, "absent.gguf");
  ExpectRefused(box, {"plan", "./deep/absent.gguf"}, Code::kNotFound, "absent.gguf");
  ExpectRefused(box, {"inspect", "no-such-model"}, Code::kNotFound, "no-such-model");
}

TEST(BadInput, ADirectoryIsNoModel) {
  const Sandbox box;
  fs::create_directory(box / "folder.gguf");
  ExpectRefused(box, {"inspect", "./folder.gguf"}, Code::kInvalid, "directory");
}

TEST(BadInput, AFifoIsRefusedWithoutWaitingForAWriter) {
  const Sandbox box;
  ASSERT_EQ(mkfifo((box / "pipe.gguf").c_str(), 0600), 0);
  ExpectRefused(box, {"inspect", "pipe.gguf"}, Code::kInvalid, "FIFO");
  const ProgramEnd end = box.Run({"inspect", "pipe.gguf"}, {.seconds = 20});
  EXPECT_FALSE(end.timed_out);
}

TEST(BadInput, ADeviceIsNoModel) {
  const Sandbox box;
  ExpectRefused(box, {"inspect", "/dev/zero"}, Code::kInvalid, "/dev/zero");
}

TEST(BadInput, AnEmptyFileIsNoModel) {
  const Sandbox box;
  box.Write("empty.gguf", "");
  ExpectRefused(box, {"inspect", "empty.gguf"}, Code::kInvalid, "empty.gguf");
}

TEST(BadInput, ATruncatedFileIsRefusedWhereverItEnds) {
  const Sandbox box;
  const std::string whole = TinyBytes();
  const size_t header = AfterName(whole, "blk.1.ffn_down.weight") + kOffset + 8;
  const std::vector<size_t> ends = {
      1, 3, 4, 7, 8, 15, 16, 23, 24, 100, header / 2, header - 1, header, whole.size() / 2,
      // Inside the last tensor's data; the padding after it holds nothing.
      whole.size() - 64};
  for (const size_t end : ends) {
    box.Write("cut.gguf", whole.substr(0, end));
    const ProgramEnd run = box.Run({"inspect", "cut.gguf"});
    EXPECT_EQ(run.exit_code, static_cast<int>(Code::kInvalid)) << "cut at " << end << run.err;
    EXPECT_TRUE(run.last_error_line().starts_with("trimma: cut.gguf")) << run.err;
    EXPECT_EQ(run.out, "");
  }
  box.Write("cut.gguf", whole.substr(0, whole.size() / 2));
  ExpectRefused(box, {"quantize", "cut.gguf", "-o", "out.gguf", "--type", "Q8_0"}, Code::kInvalid,
                "cut.gguf");
  ExpectRefused(box, {"measure", "cut.gguf"}, Code::kInvalid, "cut.gguf");
  ExpectRefused(box, {"optimize", "cut.gguf"}, Code::kInvalid, "cut.gguf");
}

TEST(BadInput, AWrongMagicIsSaidAtByteZero) {
  const Sandbox box;
  std::string bytes = TinyBytes();
  bytes.replace(0, 4, "GGML");
  box.Write("old.gguf", bytes);
  ExpectRefused(box, {"inspect", "old.gguf"}, Code::kInvalid, "byte 0");
  box.Write("text.gguf", SomeText(1000));
  ExpectRefused(box, {"inspect", "text.gguf"}, Code::kInvalid, "byte 0");
}

TEST(BadInput, AbsurdCountsAreRefusedBeforeAnythingIsAllocated) {
  const Sandbox box;
  for (const size_t at : {size_t{8}, size_t{16}}) {  // of tensors, of metadata keys
    for (const uint64_t count : {UINT64_MAX, uint64_t{1} << 60, uint64_t{1} << 40}) {
      std::string bytes = TinyBytes();
      Patch(bytes, at, count);
      box.Write("absurd.gguf", bytes);
      ExpectRefused(box, {"inspect", "absurd.gguf"}, Code::kInvalid, "byte");
    }
  }
  std::string bytes = TinyBytes();
  Patch(bytes, AfterName(bytes, "blk.0.attn_q.weight") + kSizes, uint64_t{1} << 62);
  box.Write("absurd.gguf", bytes);
  ExpectRefused(box, {"inspect", "absurd.gguf"}, Code::kInvalid, "blk.0.attn_q.weight");
}

TEST(BadInput, OverlappingTensorsAreRefused) {
  const Sandbox box;
  std::string bytes = TinyBytes();
  const size_t first = AfterName(bytes, "blk.0.attn_q.weight") + kOffset;
  const size_t second = AfterName(bytes, "blk.0.attn_k.weight") + kOffset;
  std::memcpy(bytes.data() + second, bytes.data() + first, sizeof(uint64_t));
  box.Write("overlap.gguf", bytes);
  ExpectRefused(box, {"inspect", "overlap.gguf"}, Code::kInvalid, "blk.0.attn_k.weight");
}

TEST(BadInput, AnUnknownTensorTypeIsRefused) {
  const Sandbox box;
  std::string bytes = TinyBytes();
  Patch(bytes, AfterName(bytes, "blk.0.attn_q.weight") + kType, uint32_t{999});
  box.Write("type.gguf", bytes);
  ExpectRefused(box, {"inspect", "type.gguf"}, Code::kInvalid, "999");
}

// The file is sound, but the engine doesn't know what it is.
TEST(BadInput, AnUnsupportedArchitectureIsSaidByEveryCommandThatNeedsTheEngine) {
  const Sandbox box;
  TinyModel model = MakeTinyModel();
  Metadata metadata;
  for (const auto& [key, value] : model.metadata.entries()) {
    const bool shape = key.starts_with("llama.");
    metadata.Set(shape ? "nosuch." + key.substr(6) : key, value);
  }
  metadata.Set("general.architecture", std::string("nosuch"));
  model.metadata = metadata;
  box.Write("nosuch.gguf", Assemble(model));
  ExpectRefused(box, {"plan", "nosuch.gguf"}, Code::kInvalid, "nosuch");
  ExpectRefused(box, {"measure", "nosuch.gguf"}, Code::kInvalid, "nosuch");
  ExpectRefused(box, {"tune", "nosuch.gguf"}, Code::kInvalid, "nosuch");
  ExpectRefused(box, {"quantize", "nosuch.gguf", "-o", "out.gguf", "--type", "Q8_0"},
                Code::kInvalid, "nosuch");
}

// What the header promises and the tensors don't keep is found by the engine, in its child.
TEST(BadInput, AMissingTensorIsAnErrorAndNoCrash) {
  const Sandbox box;
  TinyModel model = MakeTinyModel();
  model.tensors.pop_back();
  model.data.pop_back();
  box.Write("lacking.gguf", Assemble(model));
  ExpectRefused(box, {"plan", "lacking.gguf"}, Code::kInvalid, "lacking.gguf");
  ExpectRefused(box, {"measure", "lacking.gguf"}, Code::kInvalid, "lacking.gguf");
}

TEST(BadInput, AVisionProjectorIsNotAModel) {
  const Sandbox box;
  TinyModel model = MakeTinyModel();
  model.metadata.Set("general.architecture", std::string("clip"));
  box.Write("mmproj.gguf", Assemble(model));
  for (const char* command : {"inspect", "plan", "measure", "optimize"}) {
    ExpectRefused(box, {command, "mmproj.gguf"}, Code::kInvalid, "vision projector");
  }
}

TEST(BadInput, AnImportanceMatrixIsNotAModel) {
  const Sandbox box;
  TinyModel model = MakeTinyModel();
  model.metadata.Set("general.type", std::string("imatrix"));
  box.Write("imatrix.gguf", Assemble(model));
  ExpectRefused(box, {"inspect", "imatrix.gguf"}, Code::kInvalid, "--imatrix");
}

// A file-size limit stands for a full disk: reserving the output's bytes fails the same way.
TEST(BadInput, AFileSizeLimitIsAnIoErrorAndLeavesNothing) {
  const Sandbox box;
  WriteTinyModel(box / "tiny.gguf");
  const RunOptions limited{.wrapper = {"/bin/sh", "-c", "ulimit -f 16; exec \"$@\"", "sh"}};
  ExpectRefused(box, {"quantize", "tiny.gguf", "-o", "out.gguf", "--type", "Q8_0"}, Code::kIo, "",
                limited);
}

// Fills up while the test runs; unmounted at the end.
class SmallDisk {
 public:
  explicit SmallDisk(std::string path) : path_(std::move(path)) {
    fs::create_directory(path_);
    mounted_ = mount("tmpfs", path_.c_str(), "tmpfs", 0, "size=64k") == 0;
  }
  ~SmallDisk() {
    if (mounted_) umount2(path_.c_str(), MNT_DETACH);
  }
  SmallDisk(const SmallDisk&) = delete;
  SmallDisk& operator=(const SmallDisk&) = delete;
  bool mounted() const { return mounted_; }

 private:
  std::string path_;
  bool mounted_ = false;
};

TEST(BadInput, AFullDiskIsAnIoErrorAndLeavesNothing) {
  const Sandbox box;
  WriteTinyModel(box / "tiny.gguf", {.heads = 2, .kv_heads = 1});
  const SmallDisk disk(box / "disk");
  if (!disk.mounted()) GTEST_SKIP() << "mounting a small tmpfs needs CAP_SYS_ADMIN";
  ExpectRefused(box, {"quantize", "tiny.gguf", "-o", "disk/out.gguf", "--type", "Q8_0"}, Code::kIo,
                "space");
  ExpectRefused(box, {"optimize", "tiny.gguf", "-o", "disk/result", "--seconds", "2"}, Code::kIo,
                "space");
  // The moments, or the text's tokens, are too much for it.
  box.Write("text.txt", SomeText(3000));
  const ProgramEnd end = box.Run({"quantize", "tiny.gguf", "-o", "disk/out.gguf", "--type", "Q8_0",
                                  "--mode", "full", "--calibration", "text.txt"});
  EXPECT_EQ(end.exit_code, static_cast<int>(Code::kIo)) << end.err;
  EXPECT_NE(end.err.find("space"), std::string::npos) << end.err;
  EXPECT_FALSE(box.Exists("disk/out.gguf"));
}

TEST(BadInput, AFullDiskBehindStandardOutputIsAnIoError) {
  const Sandbox box;
  WriteTinyModel(box / "tiny.gguf");
  for (const char* form : {"--tensors", "--json"}) {
    const ProgramEnd end = box.Run({"inspect", "tiny.gguf", form}, {.stdout_path = "/dev/full"});
    EXPECT_EQ(end.exit_code, static_cast<int>(Code::kIo)) << end.err;
    EXPECT_TRUE(end.last_error_line().starts_with("trimma: ")) << end.err;
  }
}

TEST(BadInput, AReadOnlyFolderIsAPermissionError) {
  const Sandbox box;
  WriteTinyModel(box / "tiny.gguf");
  std::string folder = box / "locked";
  fs::create_directory(folder);
  ASSERT_EQ(chmod(folder.c_str(), 0500), 0);
  if (access(folder.c_str(), W_OK) == 0) {  // root may write anywhere but into /sys
    folder = "/sys/kernel";
    if (access(folder.c_str(), F_OK) != 0) GTEST_SKIP() << "root, and there is no /sys";
  }
  ExpectRefused(box, {"quantize", "tiny.gguf", "-o", folder + "/out.gguf", "--type", "Q8_0"},
                Code::kPermission, folder);
  ExpectRefused(box, {"optimize", "tiny.gguf", "-o", folder + "/out", "--seconds", "2"},
                Code::kPermission, folder);
}

TEST(BadInput, AnOutputInAMissingFolderIsNotFound) {
  const Sandbox box;
  WriteTinyModel(box / "tiny.gguf");
  ExpectRefused(box, {"quantize", "tiny.gguf", "-o", "absent/out.gguf", "--type", "Q8_0"},
                Code::kNotFound, "absent");
}

TEST(BadInput, TheOutputMayNotBeTheInputUnderAnyName) {
  const Sandbox box;
  WriteTinyModel(box / "tiny.gguf");
  fs::create_symlink("tiny.gguf", box / "soft.gguf");
  fs::create_hard_link(box / "tiny.gguf", box / "hard.gguf");
  for (const char* output : {"tiny.gguf", "./tiny.gguf", "soft.gguf", "hard.gguf"}) {
    ExpectRefused(box, {"quantize", "tiny.gguf", "-o", output, "--type", "Q8_0", "--force"},
                  Code::kUsage, "is the input");
  }
  ExpectRefused(box, {"quantize", "soft.gguf", "-o", "tiny.gguf", "--type", "Q8_0", "--force"},
                Code::kUsage, "is the input");
}

TEST(BadInput, TheOutputMayNotBeAFolder) {
  const Sandbox box;
  WriteTinyModel(box / "tiny.gguf");
  fs::create_directory(box / "folder");
  ExpectRefused(box, {"quantize", "tiny.gguf", "-o", "folder", "--type", "Q8_0", "--force"},
                Code::kInvalid, "folder");
}

TEST(BadInput, AnExistingOutputIsKeptWithoutForce) {
  const Sandbox box;
  WriteTinyModel(box / "tiny.gguf");
  box.Write("out.gguf", "precious");
  ExpectRefused(box, {"quantize", "tiny.gguf", "-o", "out.gguf", "--type", "Q8_0"}, Code::kFailure,
                "--force");
  EXPECT_EQ(box.Read("out.gguf"), "precious");
}

TEST(BadInput, AnUnknownTypeNameNamesTheNearest) {
  const Sandbox box;
  WriteTinyModel(box / "tiny.gguf");
  ExpectRefused(box, {"quantize", "tiny.gguf", "-o", "out.gguf", "--type", "Q4_KM"}, Code::kUsage,
                "did you mean Q4_K_M?");
  ExpectRefused(box, {"plan", "tiny.gguf", "--types", "Q8_0,IQ4XS"}, Code::kUsage, "IQ4_XS");
  ExpectRefused(box, {"plan", "tiny.gguf", "--kv", "q8"}, Code::kUsage, "q8_0");
  ExpectRefused(box, {"quantize", "tiny.gguf", "-o", "out.gguf", "--type", "enormous"},
                Code::kUsage, "for example");
}

TEST(BadInput, AContextBeyondTheModelsIsAUsageError) {
  const Sandbox box;
  WriteTinyModel(box / "tiny.gguf");  // trained for 512
  ExpectRefused(box, {"plan", "tiny.gguf", "--context", "256,513"}, Code::kUsage, "512");
  ExpectRefused(box, {"plan", "tiny.gguf", "--context", "0"}, Code::kUsage, "context");
  ExpectRefused(box, {"optimize", "tiny.gguf", "--context", "4096", "--seconds", "2"}, Code::kUsage,
                "512");
}

TEST(BadInput, ATextTooShortToJudgeIsSaidWithWhatIsNeeded) {
  const Sandbox box;
  WriteTinyModel(box / "tiny.gguf");
  box.Write("short.txt", "A few words.");
  box.Write("empty.txt", "");
  for (const char* text : {"short.txt", "empty.txt"}) {
    ExpectRefused(box,
                  {"measure", "tiny.gguf", "--quality", "--against", "tiny.gguf", "--text", text},
                  Code::kInvalid, "too short");
    ExpectRefused(
        box, {"quantize", "tiny.gguf", "-o", "q.gguf", "--type", "Q8_0", "--calibration", text},
        Code::kInvalid, "too short");
  }
  ExpectRefused(
      box, {"measure", "tiny.gguf", "--quality", "--against", "tiny.gguf", "--text", "absent.txt"},
      Code::kNotFound, "absent.txt");
}

TEST(BadInput, ATextOfAnyBytesIsReadAsText) {
  const Sandbox box;
  WriteTinyModel(box / "tiny.gguf");
  std::string noise;
  for (int i = 0; i < 4096; ++i) noise += static_cast<char>((i * 37) & 0xFF);
  box.Write("noise.bin", noise);
  ExpectDocument(box, {"measure", "tiny.gguf", "--quality", "--against", "tiny.gguf", "--text",
                       "noise.bin", "--chunk", "32", "--chunks", "2"});
}

TEST(BadInput, ModelsOfDifferentVocabulariesCannotBeCompared) {
  const Sandbox box;
  WriteTinyModel(box / "a.gguf");
  WriteTinyModel(box / "b.gguf", {.vocab = 320});
  TinyModel other = MakeTinyModel();
  const auto& words =
      std::get<Strings>(other.metadata.FindArray("tokenizer.ggml.tokens")->elements);
  Strings tokens;  // as many, but of another order
  for (size_t i = 0; i < words.size(); ++i)
    tokens.push_back(words[i == 270 ? 280 : i == 280 ? 270 : i]);
  other.metadata.Set("tokenizer.ggml.tokens", Array{tokens});
  box.Write("c.gguf", Assemble(other));
  for (const char* against : {"b.gguf", "c.gguf"}) {
    ExpectRefused(box, {"measure", "a.gguf", "--quality", "--against", against, "--chunk", "32"},
                  Code::kInvalid, "vocabular");
  }
}

TEST(BadInput, AChunkLongerThanTheContextIsAUsageError) {
  const Sandbox box;
  WriteTinyModel(box / "tiny.gguf", {.context = 256});
  box.Write("text.txt", SomeText(2000));
  ExpectRefused(box,
                {"measure", "tiny.gguf", "--quality", "--against", "tiny.gguf", "--text",
                 "text.txt", "--chunk", "257"},
                Code::kUsage, "--chunk");
}

TEST(BadInput, QualityNeedsAReference) {
  const Sandbox box;
  WriteTinyModel(box / "tiny.gguf");
  ExpectRefused(box, {"measure", "tiny.gguf", "--quality"}, Code::kUsage, "--against");
}

TEST(BadInput, TypesOfTwoBitsNeedImportanceData) {
  const Sandbox box;
  WriteTinyModel(box / "tiny.gguf", {.embedding = 256, .feed_forward = 256});
  for (const char* type : {"IQ2_XXS", "IQ1_S", "IQ2_XS"}) {
    ExpectRefused(box, {"quantize", "tiny.gguf", "-o", "out.gguf", "--type", type}, Code::kUsage,
                  "importance data");
  }
}

TEST(BadInput, ImportanceDataMustBeOfThisModel) {
  const Sandbox box;
  WriteTinyModel(box / "tiny.gguf");
  box.Write("noise.gguf", "no importance data");
  ExpectRefused(
      box, {"quantize", "tiny.gguf", "-o", "o.gguf", "--type", "Q8_0", "--imatrix", "noise.gguf"},
      Code::kInvalid, "noise.gguf");
  ExpectRefused(
      box, {"quantize", "tiny.gguf", "-o", "o.gguf", "--type", "Q8_0", "--imatrix", "tiny.gguf"},
      Code::kInvalid, "tiny.gguf");
}

TEST(BadInput, WeightsThatAreNoNumbersAreFoundWhileQuantising) {
  const Sandbox box;
  TinyModel model = MakeTinyModel();
  for (size_t i = 0; i < model.tensors.size(); ++i) {
    if (model.tensors[i].name == "blk.1.attn_q.weight") model.data[i].replace(0, 2, "\x00\x7E", 2);
  }
  box.Write("nan.gguf", Assemble(model));
  ExpectRefused(box, {"quantize", "nan.gguf", "-o", "out.gguf", "--type", "Q8_0"}, Code::kInvalid,
                "blk.1.attn_q.weight");
}

TEST(BadInput, SizesThatCannotBeReadAreUsageErrors) {
  const Sandbox box;
  WriteTinyModel(box / "tiny.gguf");
  ExpectRefused(box,
                {"quantize", "tiny.gguf", "-o", "o.gguf", "--type", "Q8_0", "--memory", "much"},
                Code::kUsage, "much");
  ExpectRefused(box, {"optimize", "tiny.gguf", "--profile", "wild", "--seconds", "2"}, Code::kUsage,
                "balanced");
  ExpectRefused(box, {"plan", "tiny.gguf", "--context", "many"}, Code::kUsage, "many");
}

}  // namespace
}  // namespace trimma::bad_input_test
