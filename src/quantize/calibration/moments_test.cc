#include "quantize/calibration/moments.h"

#include <ggml-backend-impl.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "engine/activations.h"
#include "engine/engine.h"
#include "hardware/temp_tree.h"
#include "support/tiny_model.h"

namespace trimma::moments_test {
namespace {

class GatherTest : public testing::Test {
 protected:
  GatherTest() {
    TinyModelOptions shape;
    shape.context = 64;
    Model::Options on_host;
    on_host.devices.emplace();
    auto loaded = Model::Load(WriteTinyModel(tree_ / "m.gguf", shape), on_host);
    CHECK(loaded.ok());
    model_.emplace(std::move(loaded).value());
    ObtainedText text;
    text.record.file = "some words";
    for (int chunk = 0; chunk < 6; ++chunk) {
      std::vector<Token>& tokens = text.file.chunks.emplace_back();
      for (int i = 0; i < 32; ++i) tokens.push_back(3 + (chunk * 37 + i * 11) % 256);
    }
    text_ = CutCalibration(text);
  }

  // On `device` where there is one: the processor, or one made of it.
  MomentsFile Gathered(uint64_t memory_bytes, int threads, const std::string& name,
                       ggml_backend_device* device = nullptr) {
    GatherOptions options = {tree_ / name, memory_bytes, threads};
    if (device != nullptr) options.device_of = [=](const ggml_tensor*) { return device; };
    const auto gathered = GatherMoments(*model_, text_, options, [](double) {});
    CHECK(gathered.ok());
    passes_ = gathered->passes;
    on_devices_ = gathered->on_devices;
    auto file = MomentsFile::Open(tree_ / name);
    CHECK(file.ok());
    return std::move(file).value();
  }

  TempTree tree_;
  std::optional<Model> model_;
  CalibrationText text_;
  size_t passes_ = 0;
  size_t on_devices_ = 0;
};

ggml_backend_device* Cpu() { return ggml_backend_dev_by_type(GGML_BACKEND_DEVICE_TYPE_CPU); }

// The largest difference of two moments' elements, by the larger of the diagonal's.
double Difference(const SecondMoment& a, const SecondMoment& b) {
  CHECK(a.n() == b.n() && a.block() == b.block());
  double most = 0;
  double scale = 0;
  for (uint64_t block = 0; block < a.blocks(); ++block) {
    for (uint64_t row = 0; row < a.block(); ++row) {
      scale = std::max<double>(scale, a.Matrix(block)[row * a.stride() + row]);
      for (uint64_t column = 0; column < a.block(); ++column) {
        const double difference =
            a.Matrix(block)[row * a.stride() + column] - b.Matrix(block)[row * b.stride() + column];
        most = std::max(most, std::abs(difference));
      }
    }
  }
  return most / scale;
}

void ExpectAlike(const MomentsFile& a, const MomentsFile& b) {
  ASSERT_EQ(a.index().inputs.size(), b.index().inputs.size());
  EXPECT_EQ(a.index().reads, b.index().reads);
  for (size_t i = 0; i < a.index().inputs.size(); ++i) {
    EXPECT_LT(Difference(*a.Moment(i), *b.Moment(i)), 1e-5) << a.index().inputs[i].reader;
    EXPECT_LT(Difference(*a.HeldOut(i), *b.HeldOut(i)), 1e-5) << a.index().inputs[i].reader;
  }
}

TEST_F(GatherTest, TheDiagonalsAreTheImportanceMatrix) {
  const MomentsFile moments = Gathered(1ULL << 30, 2, "a.gguf");
  EXPECT_EQ(passes_, 1);
  EXPECT_EQ(moments.index().dataset, "some words");
  EXPECT_EQ(moments.index().chunks, text_.moments.chunks.size());
  ActivationTap tap;
  Context::Options options;
  options.settings.context = 64;
  options.tap = [&](ggml_tensor* node, bool ask) { return tap.See(node, ask); };
  auto context = Context::Create(*model_, options);
  ASSERT_TRUE(context.ok());
  for (const auto& tokens : text_.moments.chunks) {
    context->Clear();
    std::vector<BatchToken> batch;
    for (size_t i = 0; i < tokens.size(); ++i)
      batch.push_back({tokens[i], static_cast<int>(i), 0, true});
    ASSERT_TRUE(context->Decode(batch).ok());
  }
  const auto importance = tap.Take();
  ASSERT_TRUE(importance.ok());
  for (const auto& [name, entry] : importance->entries) {
    const auto input = moments.InputOf(name);
    ASSERT_TRUE(input.has_value()) << name;
    const auto means = moments.MeanSquares(*input);
    ASSERT_TRUE(means.ok());
    const std::vector<float> expected = entry.MeanSquares();
    for (size_t i = 0; i < expected.size(); ++i)
      EXPECT_NEAR((*means)[i], expected[i], 1e-4 * expected[i] + 1e-9) << name;
  }
}

TEST_F(GatherTest, PassesAndThreadsChangeNothing) {
  const MomentsFile at_once = Gathered(1ULL << 30, 1, "a.gguf");
  const MomentsFile in_passes = Gathered(64 << 10, 3, "b.gguf");
  EXPECT_GT(passes_, 1);
  ASSERT_EQ(at_once.index().inputs.size(), in_passes.index().inputs.size());
  for (size_t i = 0; i < at_once.index().inputs.size(); ++i) {
    for (const bool held_out : {false, true}) {
      const auto a = held_out ? at_once.HeldOut(i) : at_once.Moment(i);
      const auto b = held_out ? in_passes.HeldOut(i) : in_passes.Moment(i);
      ASSERT_TRUE(a.ok() && b.ok());
      ASSERT_EQ(a->block(), a->n());
      for (uint64_t row = 0; row < a->n(); ++row) {
        for (uint64_t column = 0; column < a->n(); ++column) {
          EXPECT_EQ(a->Matrix(0)[row * a->stride() + column],
                    b->Matrix(0)[row * b->stride() + column]);
        }
      }
    }
  }
}

TEST_F(GatherTest, ADevicesSumsAreTheHosts) {
  const MomentsFile host = Gathered(1ULL << 30, 2, "a.gguf");
  EXPECT_EQ(on_devices_, 0);
  const MomentsFile device = Gathered(1ULL << 30, 2, "b.gguf", Cpu());
  EXPECT_EQ(on_devices_, host.index().inputs.size());
  EXPECT_EQ(device.index().note, "");
  ExpectAlike(host, device);
}

TEST_F(GatherTest, AGpusSumsAreTheHosts) {
  if (EngineGpus().empty()) GTEST_SKIP() << "no GPU";
  auto loaded = Model::Load(tree_ / "m.gguf", {});
  ASSERT_TRUE(loaded.ok());
  model_.emplace(std::move(loaded).value());
  GatherOptions options = {tree_ / "gpu.gguf", 1ULL << 30, 2};
  auto gathered = GatherMoments(*model_, text_, options, [](double) {});
  ASSERT_TRUE(gathered.ok()) << gathered.error().what;
  EXPECT_GT(gathered->on_devices, 0);
  EXPECT_EQ(gathered->note, "");
  options.output = tree_ / "host.gguf";
  options.device_of = [](const ggml_tensor*) -> ggml_backend_device* { return nullptr; };
  gathered = GatherMoments(*model_, text_, options, [](double) {});
  ASSERT_TRUE(gathered.ok()) << gathered.error().what;
  EXPECT_EQ(gathered->on_devices, 0);
  const auto gpu = MomentsFile::Open(tree_ / "gpu.gguf");
  const auto host = MomentsFile::Open(tree_ / "host.gguf");
  ASSERT_TRUE(gpu.ok() && host.ok());
  for (size_t i = 0; i < host->index().inputs.size(); ++i)
    EXPECT_LT(Difference(*gpu->Moment(i), *host->Moment(i)), 0x1p-9);  // TF32
}

TEST_F(GatherTest, ASmallDeviceTakesMorePasses) {
  const MomentsFile host = Gathered(1ULL << 30, 2, "a.gguf");
  ggml_backend_device small = *Cpu();
  small.iface.get_memory = [](ggml_backend_dev_t, size_t* free, size_t* total) {
    *free = *total = (256 << 20) + 200'000;  // the slack, and three moments of the widest
  };
  const MomentsFile device = Gathered(1ULL << 30, 2, "b.gguf", &small);
  EXPECT_GT(passes_, 1);
  EXPECT_EQ(on_devices_, host.index().inputs.size());
  ExpectAlike(host, device);
}

TEST_F(GatherTest, WhatADeviceCantSumUpIsSummedUpOnTheHostAndSaid) {
  const MomentsFile host = Gathered(1ULL << 30, 2, "a.gguf");
  ggml_backend_device lacking = *Cpu();
  lacking.iface.supports_op = [](ggml_backend_dev_t, const ggml_tensor*) { return false; };
  const MomentsFile without_operations = Gathered(1ULL << 30, 2, "b.gguf", &lacking);
  EXPECT_EQ(on_devices_, 0);
  EXPECT_NE(without_operations.index().note.find("lacks the operations"), std::string::npos);
  ExpectAlike(host, without_operations);

  ggml_backend_device full = *Cpu();
  full.iface.get_memory = [](ggml_backend_dev_t, size_t* free, size_t* total) {
    *free = *total = 1000;
  };
  const MomentsFile without_memory = Gathered(1ULL << 30, 2, "c.gguf", &full);
  EXPECT_EQ(on_devices_, 0);
  EXPECT_NE(without_memory.index().note.find("no room"), std::string::npos);
  ExpectAlike(host, without_memory);
}

TEST_F(GatherTest, WhatADeviceDoesNotGiveIsNotTaken) {
  ggml_backend_device stingy = *Cpu();
  static ggml_backend_buffer_type type;
  type = *ggml_backend_dev_buffer_type(Cpu());
  type.iface.alloc_buffer = [](ggml_backend_buffer_type_t, size_t) -> ggml_backend_buffer_t {
    return nullptr;
  };
  stingy.iface.get_buffer_type = [](ggml_backend_dev_t) { return &type; };
  const MomentsFile moments = Gathered(1ULL << 30, 2, "a.gguf", &stingy);
  EXPECT_EQ(on_devices_, 0);
  EXPECT_NE(moments.index().note.find("no room"), std::string::npos);
}

TEST_F(GatherTest, InputsThatAreNotFiniteAreNamed) {
  TinyModel spoilt = MakeTinyModel();
  for (size_t i = 0; i < spoilt.tensors.size(); ++i) {
    if (spoilt.tensors[i].name != "blk.1.ffn_norm.weight") continue;
    const float nan = std::numeric_limits<float>::quiet_NaN();
    spoilt.data[i].replace(0, sizeof nan, reinterpret_cast<const char*>(&nan), sizeof nan);
  }
  tree_.Write("spoilt.gguf", Assemble(spoilt));
  const auto model = Model::Load(tree_ / "spoilt.gguf", {});
  ASSERT_TRUE(model.ok());
  for (ggml_backend_device* device : {static_cast<ggml_backend_device*>(nullptr), Cpu()}) {
    GatherOptions options = {tree_ / "x.gguf", 1ULL << 30, 2};
    options.device_of = [=](const ggml_tensor*) { return device; };
    const auto gathered = GatherMoments(*model, text_, options, [](double) {});
    ASSERT_FALSE(gathered.ok());
    EXPECT_EQ(gathered.error().code, Code::kInvalid);
    EXPECT_NE(gathered.error().what.find("blk.1.ffn_gate.weight"), std::string::npos)
        << gathered.error().what;
  }
}

TEST_F(GatherTest, ADiagonalThatIsNotFiniteIsNotWritten) {
  MomentsIndex index;
  index.inputs = {{"a.weight", 8, 4}};
  auto writer = MomentsWriter::Create(tree_ / "x.gguf", index);
  ASSERT_TRUE(writer.ok());
  const auto rows = [](uint64_t first, uint64_t count, float* to) {
    for (uint64_t i = 0; i < count * 4; ++i) to[i] = 1;
    if (first <= 6 && 6 < first + count)
      to[(6 - first) * 4 + 2] = std::numeric_limits<float>::infinity();
  };
  const Status status = writer->Write(0, MomentPart::kHeldOut, rows);
  ASSERT_FALSE(status.ok());
  EXPECT_NE(status.error().what.find("a.weight"), std::string::npos);
}

TEST_F(GatherTest, AFileOfAnotherKindIsRefused) {
  EXPECT_EQ(MomentsFile::Open(tree_ / "m.gguf").error().code, Code::kInvalid);
  EXPECT_EQ(MomentsFile::Open(tree_ / "none.gguf").error().code, Code::kNotFound);
}

}  // namespace
}  // namespace trimma::moments_test
