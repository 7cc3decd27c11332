#include "engine/device_sums.h"

#include <ggml-backend-impl.h>
#include <ggml-cpp.h>
#include <ggml.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>

#include "engine/engine.h"
#include "engine/phantom.h"

namespace trimma::device_sums_test {
namespace {

ggml_backend_dev_t Cpu() {
  CHECK(StartEngine().ok());
  return ggml_backend_dev_by_type(GGML_BACKEND_DEVICE_TYPE_CPU);
}

// The processor, with fewer operations.
ggml_backend_device Without(bool (*supports)(ggml_backend_dev_t, const ggml_tensor*)) {
  ggml_backend_device device = *Cpu();
  device.iface.supports_op = supports;
  return device;
}

bool OuterProductsOfPacked(ggml_backend_dev_t, const ggml_tensor* op) {
  return (op->op != GGML_OP_OUT_PROD || ggml_is_contiguous(op->src[0])) &&
         ggml_backend_dev_supports_op(Cpu(), op);
}
bool NoOuterProducts(ggml_backend_dev_t, const ggml_tensor* op) {
  return op->op != GGML_OP_OUT_PROD && ggml_backend_dev_supports_op(Cpu(), op);
}
bool NoProducts(ggml_backend_dev_t, const ggml_tensor* op) {
  return op->op != GGML_OP_OUT_PROD && op->op != GGML_OP_MUL_MAT;
}

// An input as the engine may hand it over.
class Input {
 public:
  // [n, tokens / groups, groups]; with a gap after each row where it isn't packed.
  Input(int64_t n, int64_t tokens, int64_t groups, int64_t gap, uint32_t seed,
        ggml_backend_dev_t device = Cpu())
      : context_(ggml_init(
            {.mem_size = 8 * ggml_tensor_overhead(), .mem_buffer = nullptr, .no_alloc = true})) {
    ggml_tensor* whole =
        ggml_new_tensor_3d(context_.get(), GGML_TYPE_F32, n + gap, tokens / groups, groups);
    tensor_ = gap == 0 ? whole
                       : ggml_view_3d(context_.get(), whole, n, tokens / groups, groups,
                                      whole->nb[1], whole->nb[2], /*offset=*/0);
    buffer_.reset(ggml_backend_alloc_ctx_tensors_from_buft(context_.get(),
                                                           ggml_backend_dev_buffer_type(device)));
    std::mt19937 random(seed);
    std::normal_distribution<float> normal;
    rows_.resize(static_cast<size_t>(tokens * n));
    for (float& x : rows_) x = normal(random);
    Fill();
  }
  void Fill() {
    const auto n = static_cast<size_t>(tensor_->ne[0]);
    for (size_t row = 0; row < rows_.size() / n; ++row) {
      ggml_backend_tensor_set(tensor_, rows_.data() + row * n, row * tensor_->nb[1],
                              n * sizeof(float));
    }
  }
  const ggml_tensor* tensor() const { return tensor_; }
  std::vector<float>& rows() { return rows_; }

 private:
  ggml_context_ptr context_;
  ggml_backend_buffer_ptr buffer_;
  ggml_tensor* tensor_ = nullptr;
  std::vector<float> rows_;
};

// [n / block, block, block], in double precision.
std::vector<double> Expected(const std::vector<Input*>& inputs, size_t n, size_t block) {
  std::vector<double> sums(n * block);
  for (Input* input : inputs) {
    const std::vector<float>& x = input->rows();
    for (size_t row = 0; row < x.size() / n; ++row) {
      for (size_t i = 0; i < n; ++i) {
        for (size_t j = 0; j < block; ++j)
          sums[i * block + j] +=
              static_cast<double>(x[row * n + i]) * x[row * n + i / block * block + j];
      }
    }
  }
  return sums;
}

class DeviceSumsTest
    : public testing::TestWithParam<bool (*)(ggml_backend_dev_t, const ggml_tensor*)> {
 protected:
  DeviceSumsTest() : device_(GetParam() == nullptr ? *Cpu() : Without(GetParam())) {}

  void ExpectSums(const DeviceSums& sums, const std::string& reader,
                  const std::vector<double>& expected) {
    std::vector<float> seen(expected.size());
    const size_t half = seen.size() / 2;  // read in two pieces
    sums.Read(reader, 0, half, seen.data());
    sums.Read(reader, half, seen.size() - half, seen.data() + half);
    for (size_t i = 0; i < seen.size(); ++i) EXPECT_NEAR(seen[i], expected[i], 1e-3) << i;
  }

  ggml_backend_device device_;
};

TEST_P(DeviceSumsTest, EvaluationsAddUp) {
  auto sums = DeviceSums::Create(&device_, {{"a", 64, 64}, {"b", 32, 32}}, 40);
  ASSERT_TRUE(sums.ok()) << sums.error().what;
  Input first(64, 40, 1, 0, 1);
  Input last(64, 13, 1, 0, 2);  // a batch that isn't full
  Input other(32, 40, 1, 0, 3);
  ASSERT_TRUE(sums->Add("a", first.tensor()).ok());
  ASSERT_TRUE(sums->Add("b", other.tensor()).ok());
  ASSERT_TRUE(sums->Add("a", last.tensor()).ok());
  ExpectSums(*sums, "a", Expected({&first, &last}, 64, 64));
  ExpectSums(*sums, "b", Expected({&other}, 32, 32));
  sums->Clear();
  ASSERT_TRUE(sums->Add("a", last.tensor()).ok());
  ExpectSums(*sums, "a", Expected({&last}, 64, 64));
  ExpectSums(*sums, "b", std::vector<double>(size_t{32} * 32));
}

TEST_P(DeviceSumsTest, BlocksAlongTheDiagonal) {
  auto sums = DeviceSums::Create(&device_, {{"a", 96, 32}}, 24);
  ASSERT_TRUE(sums.ok()) << sums.error().what;
  Input first(96, 24, 1, 0, 1);
  Input second(96, 24, 1, 0, 2);
  ASSERT_TRUE(sums->Add("a", first.tensor()).ok());
  ASSERT_TRUE(sums->Add("a", second.tensor()).ok());
  ExpectSums(*sums, "a", Expected({&first, &second}, 96, 32));
}

TEST_P(DeviceSumsTest, InputsOfAnyShape) {
  auto sums = DeviceSums::Create(&device_, {{"full", 64, 64}, {"blocks", 64, 16}}, 24);
  ASSERT_TRUE(sums.ok()) << sums.error().what;
  Input gaps(64, 24, 1, 5, 1);
  Input groups(64, 24, 3, 0, 2);
  Input both(64, 24, 4, 7, 3);
  for (Input* input : {&gaps, &groups, &both}) {
    ASSERT_TRUE(sums->Add("full", input->tensor()).ok());
    ASSERT_TRUE(sums->Add("blocks", input->tensor()).ok());
  }
  ExpectSums(*sums, "full", Expected({&gaps, &groups, &both}, 64, 64));
  ExpectSums(*sums, "blocks", Expected({&gaps, &groups, &both}, 64, 16));
}

TEST_P(DeviceSumsTest, WhatIsNotFiniteShowsOnTheDiagonal) {
  auto sums = DeviceSums::Create(&device_, {{"a", 32, 32}}, 8);
  ASSERT_TRUE(sums.ok());
  Input input(32, 8, 1, 0, 1);
  input.rows()[3 * 32 + 7] = std::numeric_limits<float>::quiet_NaN();
  input.Fill();
  ASSERT_TRUE(sums->Add("a", input.tensor()).ok());
  float diagonal = 0;
  sums->Read("a", 7 * 33, 1, &diagonal);
  EXPECT_FALSE(std::isfinite(diagonal));
}

INSTANTIATE_TEST_SUITE_P(WaysToSayIt, DeviceSumsTest,
                         testing::Values(nullptr, OuterProductsOfPacked, NoOuterProducts));

// Only where there is a card, which may use TF32: inputs are cut to 11 bits.
TEST(DeviceSumsOnGpuTest, SumsAreThoseOfTheHost) {
  Cpu();
  if (EngineGpus().empty()) GTEST_SKIP() << "no GPU";
  ggml_backend_dev_t gpu = ggml_backend_dev_by_type(GGML_BACKEND_DEVICE_TYPE_GPU);
  const std::vector<SumShape> shapes = {{"full", 512, 512}, {"blocks", 512, 256}};
  auto sums = DeviceSums::Create(gpu, shapes, 300);
  ASSERT_TRUE(sums.ok()) << sums.error().what;
  Input first(512, 300, 1, 0, 1, gpu);
  Input gaps(512, 100, 1, 32, 2, gpu);
  EXPECT_EQ(DeviceOf(first.tensor()), gpu);
  for (const SumShape& shape : shapes) {
    for (Input* input : {&first, &gaps}) ASSERT_TRUE(sums->Add(shape.reader, input->tensor()).ok());
    const std::vector<double> expected = Expected({&first, &gaps}, 512, shape.block);
    std::vector<float> seen(expected.size());
    sums->Read(shape.reader, 0, seen.size(), seen.data());
    // Squares of 400 inputs add up to about 400.
    for (size_t i = 0; i < seen.size(); ++i) ASSERT_NEAR(seen[i], expected[i], 400 * 0x1p-9) << i;
  }
}

TEST(DeviceSumsRefusalTest, ADeviceWithoutProductsCantSum) {
  ggml_backend_device device = Without(NoProducts);
  EXPECT_FALSE(DeviceSums::CanSum(&device, {"a", 64, 64}, 8));
  EXPECT_TRUE(DeviceSums::CanSum(Cpu(), {"a", 64, 64}, 8));
}

TEST(DeviceSumsRefusalTest, TooLittleMemoryIsAnError) {
  ggml_backend_device device = *Cpu();
  static ggml_backend_buffer_type full = *ggml_backend_dev_buffer_type(Cpu());
  full.iface.alloc_buffer = [](ggml_backend_buffer_type_t, size_t) -> ggml_backend_buffer_t {
    return nullptr;
  };
  device.iface.get_buffer_type = [](ggml_backend_dev_t) { return &full; };
  const auto sums = DeviceSums::Create(&device, {{"a", 64, 64}}, 8);
  ASSERT_FALSE(sums.ok());
  EXPECT_EQ(sums.error().code, Code::kNoFit);
}

TEST(DeviceSumsRefusalTest, ADeviceThatDoesNotComputeIsAnError) {
  Cpu();
  ggml_backend_device* phantom = PhantomDevices({{"a card", 900, 1ULL << 34, 1ULL << 34}})[0];
  ASSERT_TRUE(DeviceSums::CanSum(phantom, {"a", 32, 32}, 8));
  auto sums = DeviceSums::Create(phantom, {{"a", 32, 32}}, 8);
  ASSERT_TRUE(sums.ok());
  Input input(32, 8, 1, 0, 1);
  const Status status = sums->Add("a", input.tensor());
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error().code, Code::kFailure);
  EXPECT_NE(status.error().what.find("CUDA0"), std::string::npos);
}

TEST(DeviceSumsRefusalTest, TheHostsMemoryIsNoDevices) {
  Input input(32, 8, 1, 0, 1);
  EXPECT_EQ(DeviceOf(input.tensor()), nullptr);
}

}  // namespace
}  // namespace trimma::device_sums_test
