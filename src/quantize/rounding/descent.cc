// Sweeps of integer coordinate descent over a batch of rows (descent_kernel.h).
//
// `products` are g = (H + diag(added)) r, [kLanes, size]. A row's changes in a window reach the
// columns of the window at once, and all others when the whole batch has gone through the window:
// each piece of H is read once per batch.
#include <algorithm>

#include "quantize/rounding/descent_kernel.h"
#include "quantize/rounding/outer_products.h"
#include "quantize/rounding/rounding_batch.h"
#include "quantize/rounding/scale_refit.h"

namespace trimma {
namespace {

// The changes that a row's window made to its values.
struct RowChanges {
  std::vector<uint16_t> columns;  // in the window
  std::vector<float> factors;     // old value - new value
};

class Descent {
 public:
  Descent(RoundingBatch& batch, const DescentOptions& options)
      : batch_(batch), options_(options), inverse_diagonal_(batch.size()), changes_(kLanes) {
    for (uint64_t j = 0; j < batch.size(); ++j)
      inverse_diagonal_[j] = 1 / (H()[j * (Stride() + 1)] + Added()[j]);
    moving_.assign(kLanes, 1);
  }

  void Run() {
    SetProducts();
    refit_ = RefitsGroups() || options_.refit_blocks;
    for (int sweep = 0; sweep < options_.sweeps && Sweep(); ++sweep) continue;
    if (!refit_) return;
    refit_ = false;  // the codes for the last scales
    Sweep();
  }

 private:
  // False if nothing changed.
  bool Sweep() {
    moved_.assign(kLanes, 0);
    for (uint64_t first = 0; first < batch_.size(); first += kWindow) Window(first);
    moving_ = moved_;
    return std::count(moving_.begin(), moving_.end(), 0) < static_cast<long>(kLanes);
  }

  bool RefitsGroups() const { return options_.refit_groups && batch_.format->has_group_scales(); }
  const float* H() const { return batch_.compensation->moment().Matrix(batch_.matrix); }
  const float* Added() const { return batch_.compensation->added().data() + batch_.first_column(); }
  size_t Stride() const { return batch_.compensation->moment().stride(); }

  void SetProducts() {
    std::fill(batch_.products.begin(), batch_.products.end(), 0.0F);
    OuterProducts product;
    product.a = batch_.residuals.data();
    product.a_stride = kLanes;
    product.b = H();
    product.b_stride = Stride();
    product.c = batch_.products.data();
    product.c_stride = product.n = product.k = batch_.size();
    product.m = batch_.rows;
    AddOuterProducts(product);
    for (uint64_t row = 0; row < batch_.rows; ++row) {
      for (uint64_t j = 0; j < batch_.size(); ++j) {
        batch_.products[row * batch_.size() + j] += Added()[j] * batch_.residuals[j * kLanes + row];
      }
    }
  }

  void Window(uint64_t first) {
    WindowMatrix matrix;
    matrix.h = H() + first * (Stride() + 1);
    matrix.stride = Stride();
    matrix.width = std::min(kWindow, batch_.size() - first);
    matrix.added = Added() + first;
    matrix.inverse_diagonal = inverse_diagonal_.data() + first;
    for (uint64_t row = 0; row < batch_.rows; ++row) {
      changes_[row].columns.clear();
      changes_[row].factors.clear();
      if (moving_[row] != 0) ChangeRow(matrix, row, first);
    }
    Spread(0, first, first);
    Spread(first + matrix.width, batch_.size(), first);
  }

  void ChangeRow(const WindowMatrix& matrix, uint64_t row, uint64_t first) {
    float deltas[kWindow] = {};
    const RefitRow state = {batch_.format, &batch_.BlockAt(row, first),
                            batch_.values.data() + row * batch_.size() + first,
                            batch_.products.data() + row * batch_.size() + first, deltas};
    uint64_t changed = ChangeCodes(matrix, row, first, state);
    if (refit_ && RefitsGroups()) changed += RefitGroups(matrix, state);
    if (refit_ && options_.refit_blocks) changed += RefitBlocks(matrix, state);
    if (changed > 0) moved_[row] = 1;
    for (uint64_t j = 0; j < matrix.width; ++j) {
      if (deltas[j] == 0) continue;
      changes_[row].columns.push_back(static_cast<uint16_t>(j));
      changes_[row].factors.push_back(-deltas[j]);
    }
  }

  uint64_t ChangeCodes(const WindowMatrix& matrix, uint64_t row, uint64_t first,
                       const RefitRow& state) {
    const uint64_t block = batch_.format->block;
    uint8_t codes[kWindow];
    for (uint64_t j = 0; j < matrix.width; j += block)
      std::copy_n(batch_.BlockAt(row, first + j).codes, block, codes + j);
    WindowRow window;
    window.format = batch_.format;
    window.codes = codes;
    window.values = state.values;
    window.products = state.products;
    window.deltas = state.deltas;
    for (uint64_t j = 0; j < matrix.width; j += batch_.format->group) {
      const auto scales = batch_.ScalesAt(row, first + j);
      const uint64_t group = j / batch_.format->group;
      window.scales[group] = scales.scale;
      window.inverses[group] = scales.inverse;
      window.mins[group] = scales.min;
    }
    const uint64_t changed = DescendWindow(matrix, window);
    if (changed == 0) return 0;
    for (uint64_t j = 0; j < matrix.width; j += block)
      std::copy_n(codes + j, block, batch_.BlockAt(row, first + j).codes);
    return changed;
  }

  // Products of columns [from, end) hear of the changes in the window at `first`.
  void Spread(uint64_t from, uint64_t end, uint64_t first) {
    for (uint64_t column = from; column < end; column += kWindow) {
      RowSum sum;
      sum.h = H() + first * Stride() + column;
      sum.stride = Stride();
      sum.columns = std::min(kWindow, end - column);
      for (uint64_t row = 0; row < batch_.rows; ++row) {
        sum.rows = changes_[row].columns.data();
        sum.factors = changes_[row].factors.data();
        sum.count = changes_[row].columns.size();
        sum.to = batch_.products.data() + row * batch_.size() + column;
        if (sum.count > 0) AddRows(sum);
      }
    }
  }

  RoundingBatch& batch_;
  const DescentOptions& options_;
  std::vector<float> inverse_diagonal_;
  std::vector<RowChanges> changes_;
  bool refit_ = false;
  std::vector<uint8_t> moving_;  // rows that changed in the last sweep
  std::vector<uint8_t> moved_;   // and in this
};

}  // namespace

void Descend(RoundingBatch& batch, const DescentOptions& options) {
  if (options.sweeps > 0) Descent(batch, options).Run();
}

}  // namespace trimma
