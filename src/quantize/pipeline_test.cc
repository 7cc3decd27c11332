#include "quantize/pipeline.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <limits>
#include <random>

#include "base/file.h"
#include "base/interrupt.h"
#include "engine/rows.h"
#include "hardware/temp_tree.h"
#include "quantize/journal.h"
#include "quantize/plain_rows.h"

namespace trimma::pipeline_test {
namespace {

using tensor_type::kF16;
using tensor_type::kF32;
using tensor_type::kQ4_0;
using tensor_type::kQ4_K;
using tensor_type::kQ8_0;

constexpr uint64_t kColumns = 256;

// A file of 32-bit tensors; the pipeline asks nothing of an engine's model.
class PipelineTest : public testing::Test {
 protected:
  PipelineTest() {
    Add("embedding", {kColumns, 37});
    Add("vector", {kColumns});
    Add("experts", {kColumns, 5, 3});
    Add("square", {kColumns, 64});
    types_ = {kQ4_K, kF32, kQ4_0, kQ8_0};
  }

  void Add(const std::string& name, const std::vector<uint64_t>& shape) {
    plans_.push_back({name, kF32, shape});
    uint64_t n = 1;
    for (const uint64_t d : shape) n *= d;
    std::mt19937 random(static_cast<uint32_t>(plans_.size()));
    std::normal_distribution<float> normal(0, 0.05F);
    std::vector<float>& values = values_.emplace_back(n);
    for (float& v : values) v = normal(random);
  }

  // Writes the source and plans the output.
  void Prepare() {
    Metadata metadata;
    metadata.Set("general.architecture", std::string("llama"));
    const auto layout = LayOutGguf(metadata, plans_);
    ASSERT_TRUE(layout.ok());
    std::string bytes = layout->header;
    bytes.resize(layout->file_bytes, '\0');
    for (size_t i = 0; i < values_.size(); ++i)
      std::memcpy(bytes.data() + layout->offsets[i], values_[i].data(), layout->sizes[i]);
    tree_.Write("source.gguf", bytes);
    const auto source = ReadGguf(tree_ / "source.gguf");
    ASSERT_TRUE(source.ok()) << source.error().what;
    source_ = *source;
    assignment_.types = types_;
    assignment_.changes = true;
    const auto made = LayOutOutput(source_, assignment_, *FindFileType("Q4_K_M"));
    ASSERT_TRUE(made.ok()) << made.error().what;
    layout_ = *made;
  }

  PipelineOptions Options(const std::string& name = "made.gguf") const {
    PipelineOptions options;
    options.output = tree_ / name;
    options.threads = 2;
    return options;
  }
  Status Run(const PipelineOptions& options, const Importance* importance = nullptr) {
    tensors_done_ = 0;
    return RunPipeline(source_, assignment_, layout_, importance, options, [this](double share) {
      ++tensors_done_;
      share_ = share;
    });
  }
  std::string Bytes(const std::string& name = "made.gguf") const {
    return *ReadSmallFile(tree_ / name);
  }
  std::string TensorBytes(const std::string& file, size_t i) const {
    return file.substr(layout_.offsets[i], layout_.sizes[i]);
  }
  // What the rows of tensor i become, one matrix after the other, each with its importance.
  std::string Expected(size_t i, const std::vector<float>& weights = {}) const {
    PrepareRows(types_[i]);
    const auto& shape = plans_[i].shape;
    const uint64_t rows = shape.size() > 1 ? shape[1] : 1;
    const uint64_t matrices = shape.size() > 2 ? shape[2] : 1;
    const uint64_t matrix_bytes = rows * *RowBytes(types_[i], kColumns);
    std::string blocks(matrix_bytes * matrices, '\0');
    for (uint64_t m = 0; m < matrices; ++m) {
      const float* w =
          weights.empty() ? nullptr : &weights[weights.size() > kColumns ? m * kColumns : 0];
      QuantizePlainRows(types_[i], &values_[i][m * rows * kColumns], rows, kColumns, w,
                        &blocks[m * matrix_bytes]);
    }
    return blocks;
  }
  std::vector<std::string> Files() const {
    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(tree_ / "."))
      names.push_back(entry.path().filename());
    std::sort(names.begin(), names.end());
    return names;
  }

  // In a process of its own, interrupts the work once `tensors` of them are done.
  void InterruptAfter(int tensors) {
    const auto interrupted = [&] {
      InstallInterruptHandlers();
      int done = 0;
      const Status status =
          RunPipeline(source_, assignment_, layout_, nullptr, Options(), [&](double) {
            if (++done == tensors) std::raise(SIGINT);
          });
      _exit(status.ok() ? 0 : static_cast<int>(status.error().code));
    };
    EXPECT_EXIT(interrupted(), testing::ExitedWithCode(130), "");
  }

  using Strings = std::vector<std::string>;
  TempTree tree_;
  std::vector<TensorPlan> plans_;
  std::vector<std::vector<float>> values_;
  std::vector<TensorType> types_;
  GgufFile source_;
  Assignment assignment_;
  GgufLayout layout_;
  int tensors_done_ = 0;
  double share_ = 0;
};

TEST_F(PipelineTest, EveryTensorIsWhatItsRowsBecome) {
  Prepare();
  ASSERT_TRUE(Run(Options()).ok());
  const std::string made = Bytes();
  EXPECT_EQ(made.size(), layout_.file_bytes);
  EXPECT_TRUE(made.starts_with(layout_.header));
  for (const size_t i : {0, 2, 3}) EXPECT_EQ(TensorBytes(made, i), Expected(i)) << plans_[i].name;
  EXPECT_EQ(TensorBytes(made, 1), std::string(reinterpret_cast<const char*>(values_[1].data()),
                                              kColumns * sizeof(float)));
  EXPECT_EQ(Files(), (Strings{"made.gguf", "source.gguf"}));
  EXPECT_EQ(tensors_done_, 4);
  EXPECT_GT(share_, 0.9);
}

TEST_F(PipelineTest, HowTheRowsAreCutChangesNoByte) {
  Prepare();
  ASSERT_TRUE(Run(Options("whole.gguf")).ok());
  for (const uint64_t rows : {1, 2, 3, 7}) {
    for (const int threads : {1, 2, 5}) {
      PipelineOptions options = Options("cut.gguf");
      options.force = true;
      options.threads = threads;
      // In and out and as floats, of a Q8_0 row: the most.
      options.memory_bytes = static_cast<uint64_t>(threads) * rows * (2 * 1024 + 272);
      ASSERT_TRUE(Run(options).ok());
      EXPECT_EQ(Bytes("cut.gguf"), Bytes("whole.gguf")) << rows << " rows, " << threads;
    }
  }
  PipelineOptions starved = Options("starved.gguf");
  starved.memory_bytes = 1;
  ASSERT_TRUE(Run(starved).ok());
  EXPECT_EQ(Bytes("starved.gguf"), Bytes("whole.gguf"));
}

TEST_F(PipelineTest, EachExpertHasItsOwnImportance) {
  Prepare();
  Importance importance;
  ImportanceEntry entry;
  entry.columns = kColumns;
  entry.counts = {10, 0, 20};  // the second expert was never chosen
  for (size_t i = 0; i < 3 * kColumns; ++i) entry.sum2.push_back(i % 5 == i / kColumns ? 900 : 1);
  importance.entries["experts"] = entry;
  PipelineOptions options = Options();
  options.memory_bytes = 2 * 2 * 2500;  // slabs of two rows: five rows end in one of one
  ASSERT_TRUE(Run(options, &importance).ok());
  EXPECT_EQ(TensorBytes(Bytes(), 2), Expected(2, entry.MeanSquares()));
  EXPECT_NE(TensorBytes(Bytes(), 2), Expected(2));
  EXPECT_EQ(TensorBytes(Bytes(), 0), Expected(0)) << "without an entry: unweighed";
}

TEST_F(PipelineTest, OneImportanceForAllExpertsIsSharedByThem) {
  Prepare();
  Importance importance;
  ImportanceEntry entry;
  entry.columns = kColumns;
  entry.counts = {4};
  for (size_t i = 0; i < kColumns; ++i) entry.sum2.push_back(i % 7 == 0 ? 100 : 1);
  importance.entries["experts"] = entry;
  ASSERT_TRUE(Run(Options(), &importance).ok());
  EXPECT_EQ(TensorBytes(Bytes(), 2), Expected(2, entry.MeanSquares()));
}

TEST_F(PipelineTest, AValueThatIsNoNumberIsNamedAndNothingIsPublished) {
  for (const float bad :
       {std::numeric_limits<float>::infinity(), std::numeric_limits<float>::quiet_NaN()}) {
    values_[2][11 * kColumns + 5] = bad;  // row 1 of the third expert
    Prepare();
    const Status status = Run(Options());
    ASSERT_FALSE(status.ok());
    EXPECT_EQ(status.error().code, Code::kInvalid);
    EXPECT_NE(status.error().what.find("experts"), std::string::npos) << status.error().what;
    EXPECT_NE(status.error().what.find("row 11"), std::string::npos) << status.error().what;
    EXPECT_EQ(Files(), Strings{"source.gguf"});
  }
}

TEST_F(PipelineTest, AValueBeyondTheTypesRangeIsNotPublishedEither) {
  values_[3][3 * kColumns] = 1e9F;
  for (const TensorType type : {kF16, kQ4_0, kQ4_K, kQ8_0}) {
    types_[3] = type;
    Prepare();
    const Status status = Run(Options());
    ASSERT_FALSE(status.ok()) << NameOf(type);
    EXPECT_EQ(status.error().code, Code::kInvalid);
    EXPECT_NE(status.error().what.find("square"), std::string::npos) << status.error().what;
    EXPECT_EQ(Files(), Strings{"source.gguf"});
  }
}

TEST_F(PipelineTest, AnInterruptedRunGoesOnWhereItStopped) {
  Prepare();
  ASSERT_TRUE(Run(Options("fresh.gguf")).ok());
  InterruptAfter(2);
  EXPECT_EQ(Files(), (Strings{"fresh.gguf", "made.gguf.trimma-journal", "made.gguf.trimma-part",
                              "source.gguf"}));
  ASSERT_TRUE(Run(Options()).ok());
  EXPECT_EQ(tensors_done_, 2) << "two of four were done already";
  EXPECT_EQ(Bytes(), Bytes("fresh.gguf"));
  EXPECT_EQ(Files(), (Strings{"fresh.gguf", "made.gguf", "source.gguf"}));
}

TEST_F(PipelineTest, InterruptedAtEveryTensorItStillEndsWithTheSameBytes) {
  Prepare();
  ASSERT_TRUE(Run(Options("fresh.gguf")).ok());
  for (int i = 0; i < 3; ++i) InterruptAfter(1);
  ASSERT_TRUE(Run(Options()).ok());
  EXPECT_EQ(tensors_done_, 1);
  EXPECT_EQ(Bytes(), Bytes("fresh.gguf"));
}

TEST_F(PipelineTest, AJournalWithoutItsPartIsNotBelieved) {
  Prepare();
  ASSERT_TRUE(Run(Options("fresh.gguf")).ok());
  for (const bool cut : {false, true}) {
    InterruptAfter(3);
    const std::string part = tree_ / "made.gguf.trimma-part";
    cut ? std::filesystem::resize_file(part, 100) : (void)std::filesystem::remove(part);
    PipelineOptions options = Options();
    options.force = true;
    ASSERT_TRUE(Run(options).ok());
    EXPECT_EQ(tensors_done_, 4);
    EXPECT_EQ(Bytes(), Bytes("fresh.gguf")) << "zeros where the lost tensors were";
    std::filesystem::remove(tree_ / "made.gguf");
  }
}

TEST_F(PipelineTest, WorkOnAnotherPlanIsNotMixedIn) {
  Prepare();
  InterruptAfter(2);
  types_[0] = kQ8_0;
  Prepare();
  ASSERT_TRUE(Run(Options()).ok());
  EXPECT_EQ(tensors_done_, 4);
  EXPECT_EQ(TensorBytes(Bytes(), 0), Expected(0));
}

TEST_F(PipelineTest, WorkOnASourceThatChangedSinceIsNotMixedIn) {
  Prepare();
  InterruptAfter(2);
  values_[0][0] = 0.5F;
  Prepare();
  ASSERT_TRUE(Run(Options()).ok());
  EXPECT_EQ(TensorBytes(Bytes(), 0), Expected(0));
}

TEST_F(PipelineTest, ImportanceIsPartOfThePlanCountsIncluded) {
  Prepare();
  InterruptAfter(2);
  Importance importance;
  ImportanceEntry entry;
  entry.columns = kColumns;
  entry.counts = {1};
  entry.sum2.assign(kColumns, 1);
  entry.sum2[7] = 100;
  importance.entries["embedding"] = entry;
  ASSERT_TRUE(Run(Options(), &importance).ok());
  EXPECT_EQ(tensors_done_, 4);
  EXPECT_EQ(TensorBytes(Bytes(), 0), Expected(0, entry.MeanSquares()));
}

TEST_F(PipelineTest, TwoAtOnceOnOneOutputAreBusy) {
  Prepare();
  const auto other = Journal::Open(tree_ / "made.gguf.trimma-journal", "another");
  ASSERT_TRUE(other.ok());
  EXPECT_EQ(Run(Options()).error().code, Code::kBusy);
}

TEST_F(PipelineTest, AnExistingOutputIsReplacedByForceAlone) {
  Prepare();
  tree_.Write("made.gguf", "precious");
  EXPECT_EQ(Run(Options()).error().code, Code::kFailure);
  EXPECT_EQ(Bytes(), "precious");
  EXPECT_EQ(Files(), (Strings{"made.gguf", "source.gguf"}));
  PipelineOptions options = Options();
  options.force = true;
  ASSERT_TRUE(Run(options).ok());
  EXPECT_EQ(Bytes().size(), layout_.file_bytes);
}

TEST_F(PipelineTest, TheSourceIsNeverTheOutput) {
  Prepare();
  tree_.Link("link.gguf", "source.gguf");
  const std::string before = Bytes("source.gguf");
  for (const char* name : {"source.gguf", "link.gguf", "./source.gguf"}) {
    PipelineOptions options = Options(name);
    options.force = true;
    EXPECT_EQ(Run(options).error().code, Code::kUsage) << name;
  }
  EXPECT_EQ(Bytes("source.gguf"), before);
  EXPECT_EQ(Files(), (Strings{"link.gguf", "source.gguf"}));
}

TEST_F(PipelineTest, ASourceThatShrankMeanwhileIsInvalid) {
  Prepare();
  std::filesystem::resize_file(tree_ / "source.gguf", layout_.header.size() + 100);
  const Status status = Run(Options());
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error().code, Code::kInvalid);
  EXPECT_EQ(Files(), Strings{"source.gguf"});
}

}  // namespace
}  // namespace trimma::pipeline_test
