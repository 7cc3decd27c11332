// Error feedback: GPTQ (Frantar et al. 2022), in the form of LDLQ (Chee et al. 2023).
//
// H = M M^T with M upper triangular, so the error of a row r is |r M|^2, and once columns before j
// are fixed, column j is best at r_j = -S_j / M_jj with S_j = sum over i < j of r_i M_ij. Between
// blocks of 256 columns the sums S are carried as `products`, one matrix product per block. Inside
// a block GPTQ's own form is used, U = inv(M_bb): targets w + S U are what the block's weights
// would best be if none were rounded, and each rounding error e_j = (target - value) / U_jj moves
// the later targets by -e_j U_jk. Scales of a block of the format are what the plain quantiser
// gives for its targets when it is entered.
#include <algorithm>

#include "quantize/rounding/feedback_kernel.h"
#include "quantize/rounding/outer_products.h"
#include "quantize/rounding/rounding_batch.h"

namespace trimma {
namespace {

constexpr uint64_t kBlock = Compensation::kBlock;

// One block of columns [first, first + width).
class BlockFeedback {
 public:
  BlockFeedback(RoundingBatch& batch, uint64_t first)
      : batch_(batch),
        first_(first),
        width_(std::min(kBlock, batch.size() - first)),
        inverse_(batch.compensation->Inverse(batch.matrix, first)) {}

  void Run() {
    SetTargets();
    for (uint64_t j = 0; j < width_; j += kStepColumns) {
      if (j % batch_.format->block == 0) TakeScales(j);
      Round(j);
      FeedWithinBlock(j);
    }
    batch_.Evaluate(first_, width_);
    FeedBeyondBlock();
  }

 private:
  // targets = w + S U.
  void SetTargets() {
    std::fill(std::begin(targets_), std::end(targets_), 0.0F);
    std::vector<float> sums(width_ * kLanes);
    for (uint64_t row = 0; row < batch_.rows; ++row) {
      const float* weights = batch_.Weights(row) + first_;
      const float* products = batch_.products.data() + row * batch_.size() + first_;
      for (uint64_t j = 0; j < width_; ++j) {
        targets_[j * kLanes + row] = weights[j];
        sums[j * kLanes + row] = products[j];
      }
    }
    OuterProducts product;
    product.a = inverse_;
    product.a_stride = kBlock;
    product.b = sums.data();
    product.b_stride = product.c_stride = kLanes;
    product.c = targets_;
    product.m = product.k = width_;
    product.n = kLanes;
    AddOuterProducts(product);
  }

  // Block scales for the format's block that starts at j, frozen from here on.
  void TakeScales(uint64_t j) {
    const uint64_t block = batch_.format->block;
    std::vector<float> from(batch_.rows * block);
    for (uint64_t row = 0; row < batch_.rows; ++row) {
      for (uint64_t k = 0; k < block; ++k) from[row * block + k] = targets_[(j + k) * kLanes + row];
    }
    batch_.QuantizePlainly(from.data(), first_ + j);
  }

  void Round(uint64_t j) {
    alignas(64) float values[kStepColumns * kLanes];
    uint8_t codes[kStepColumns * kLanes];
    const BlockFormat& format = *batch_.format;
    FeedbackStep step;
    step.format = &format;
    step.inverse = inverse_ + j * (kBlock + 1);
    step.inverse_stride = kBlock;
    step.targets = targets_ + j * kLanes;
    step.values = values;
    step.errors = errors_;
    step.codes = codes;
    for (uint64_t g = 0; g < kStepColumns / format.group; ++g) {
      for (uint64_t row = 0; row < kLanes; ++row) {
        const auto scales = batch_.ScalesAt(row, first_ + j + g * format.group);
        step.scales[g].scale[row] = scales.scale;
        step.scales[g].inverse[row] = scales.inverse;
        step.scales[g].min[row] = scales.min;
      }
    }
    RoundStep(step);
    for (uint64_t row = 0; row < batch_.rows; ++row) {
      Block& block = batch_.BlockAt(row, first_ + j);
      for (uint64_t k = 0; k < kStepColumns; ++k)
        block.codes[(j + k) % format.block] = codes[k * kLanes + row];
    }
  }

  void FeedWithinBlock(uint64_t j) {
    const uint64_t next = j + kStepColumns;
    OuterProducts product;
    product.a = inverse_ + j * kBlock + next;
    product.a_stride = kBlock;
    product.b = errors_;
    product.b_stride = product.c_stride = kLanes;
    product.c = targets_ + next * kLanes;
    product.m = width_ - next;
    product.n = kLanes;
    product.k = kStepColumns;
    product.factor = -1;
    AddOuterProducts(product);
  }

  // S of the columns after the block += R_b M_b.
  void FeedBeyondBlock() {
    const uint64_t next = first_ + width_;
    const size_t stride = batch_.compensation->moment().stride();
    OuterProducts product;
    product.a = batch_.residuals.data() + first_ * kLanes;
    product.a_stride = kLanes;
    product.b = batch_.compensation->Factor(batch_.matrix) + first_ * stride + next;
    product.b_stride = stride;
    product.c = batch_.products.data() + next;
    product.c_stride = batch_.size();
    product.m = batch_.rows;
    product.n = batch_.size() - next;
    product.k = width_;
    AddOuterProducts(product);
  }

  RoundingBatch& batch_;
  uint64_t first_, width_;
  const float* inverse_;
  alignas(64) float targets_[kBlock * kLanes];       // [width, kLanes]
  alignas(64) float errors_[kStepColumns * kLanes];  // of the step at hand
};

}  // namespace

void FeedErrors(RoundingBatch& batch) {
  std::fill(batch.products.begin(), batch.products.end(), 0.0F);
  for (uint64_t first = 0; first < batch.size(); first += kBlock) BlockFeedback(batch, first).Run();
}

}  // namespace trimma
