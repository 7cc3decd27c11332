#include "quantize/rounding/scale_refit.h"

#include <algorithm>
#include <cmath>

#include "base/half.h"

namespace trimma {
namespace {

// Changing the weights by a * u + b * t changes the error by
//   -2 (a g_u + b g_t) + a^2 u^T H u + 2 a b u^T H t + b^2 t^T H t.
struct Parabola {
  double gu = 0, gt = 0;
  QuadraticForms forms;

  double Change(double a, double b) const {
    return -2 * (a * gu + b * gt) + a * a * forms.uu + 2 * a * b * forms.ut + b * b * forms.tt;
  }
  bool HasTwo() const {
    return forms.uu * forms.tt - forms.ut * forms.ut > 1e-6 * forms.uu * forms.tt;
  }
  double BestA() const {  // with the best b
    return (gu * forms.tt - gt * forms.ut) / (forms.uu * forms.tt - forms.ut * forms.ut);
  }
  double BestB(double a) const { return (gt - a * forms.ut) / forms.tt; }
};

// What must be gained, relative to the curvature, for a change to be more than noise of floats.
constexpr double kNoise = 1e-7;

struct Part {  // of the window
  uint32_t first, width;
};

WindowMatrix MatrixOf(const WindowMatrix& matrix, Part part) {
  WindowMatrix result = matrix;
  result.h += part.first * (matrix.stride + 1);
  result.width = part.width;
  return result;
}

Parabola ParabolaOf(const WindowMatrix& matrix, const RefitRow& row, Part part, const float* u,
                    const float* t) {
  Parabola result;
  result.forms = FormsOf(MatrixOf(matrix, part), u, row.format->has_mins() ? t : nullptr);
  for (uint32_t j = 0; j < part.width; ++j) {
    result.gu += double{u[j]} * row.products[part.first + j];
    result.gt += double{t[j]} * row.products[part.first + j];
    const double added = matrix.added[part.first + j];
    result.forms.uu += added * u[j] * u[j];
    result.forms.ut += added * u[j] * t[j];
    result.forms.tt += added * t[j] * t[j];
  }
  return result;
}

// Brings values and products in line with the blocks after a change in `part`.
void Settle(const WindowMatrix& matrix, const RefitRow& row, Part part) {
  uint16_t rows[kWindow];
  float factors[kWindow];
  uint64_t count = 0;
  for (uint32_t j = part.first; j < part.first + part.width; ++j) {
    const Block& block = row.blocks[j / row.format->block];
    const float value = ValueOf(*row.format, block, j % row.format->block);
    const float delta = value - row.values[j];
    if (delta == 0) continue;
    row.values[j] = value;
    row.deltas[j] += delta;
    row.products[j] -= matrix.added[j] * delta;
    rows[count] = static_cast<uint16_t>(j);
    factors[count++] = -delta;
  }
  AddRows({matrix.h, matrix.stride, rows, factors, count, row.products, matrix.width});
}

struct GroupChoice {
  int scale = 0, min = 0;
  double change = 0;  // of the error
};

// Integers around the best real ones, within the format's range. A scale of 0 would be a trap:
// from there no code makes a difference.
GroupChoice ChooseGroup(const BlockFormat& format, const Parabola& parabola, GroupChoice now) {
  GroupChoice best = now;
  const auto consider = [&](int a, int b) {
    const GroupChoice choice = {now.scale + a, now.min + b, parabola.Change(a, b)};
    if (choice.scale == 0 || choice.scale < format.scale_low || choice.scale > format.scale_high)
      return;
    if (choice.min < format.min_low || choice.min > format.min_high) return;
    if (choice.change < best.change - kNoise * parabola.forms.uu) best = choice;
  };
  const bool two = format.has_mins() && parabola.forms.tt > 0 && parabola.HasTwo();
  const double center = two ? parabola.BestA() : parabola.gu / parabola.forms.uu;
  if (!(std::abs(center) < 256)) return now;
  const int a = static_cast<int>(std::floor(center));
  const int reach = two ? 1 : 0;  // the best pair of integers may lie beyond the next ones
  for (int i = a - reach; i <= a + 1 + reach; ++i) {
    if (!two) {
      consider(i, 0);
      continue;
    }
    const double b = std::clamp(std::floor(parabola.BestB(i)), -256.0, 256.0);
    consider(i, static_cast<int>(b));
    consider(i, static_cast<int>(b) + 1);
  }
  return best;
}

bool RefitGroup(const WindowMatrix& matrix, const RefitRow& row, Part part) {
  const BlockFormat& format = *row.format;
  Block& block = row.blocks[part.first / format.block];
  const uint32_t inside = part.first % format.block;
  const uint32_t group = inside / format.group;
  float u[32];
  float t[32];
  for (uint32_t j = 0; j < part.width; ++j) {
    u[j] = block.scale * static_cast<float>(format.Level(block.codes[inside + j]));
    t[j] = -block.min_scale;
  }
  const Parabola parabola = ParabolaOf(matrix, row, part, u, t);
  if (!(parabola.forms.uu > 0)) return false;
  const GroupChoice now = {block.scales[group], block.mins[group], 0};
  const GroupChoice best = ChooseGroup(format, parabola, now);
  if (best.scale == now.scale && best.min == now.min) return false;
  block.scales[group] = static_cast<int8_t>(best.scale);
  block.mins[group] = static_cast<uint8_t>(best.min);
  Settle(matrix, row, part);
  return true;
}

bool RefitBlock(const WindowMatrix& matrix, const RefitRow& row, Part part) {
  const BlockFormat& format = *row.format;
  Block& block = row.blocks[part.first / format.block];
  float u[kMaxBlock];
  float t[kMaxBlock];
  for (uint32_t j = 0; j < part.width; ++j) {
    const uint32_t group = j / format.group;
    u[j] = static_cast<float>(block.scales[group] * format.Level(block.codes[j]));
    t[j] = -static_cast<float>(block.mins[group]);
  }
  const Parabola parabola = ParabolaOf(matrix, row, part, u, t);
  if (!(parabola.forms.uu > 0)) return false;
  const bool two = parabola.forms.tt > 0 && parabola.HasTwo();
  const double a = two ? parabola.BestA() : parabola.gu / parabola.forms.uu;
  const double b = two ? parabola.BestB(a) : 0;
  const float scale = RoundToHalf(block.scale + static_cast<float>(a));
  const float min_scale = RoundToHalf(block.min_scale + static_cast<float>(b));
  if (!std::isfinite(scale) || !std::isfinite(min_scale) || scale == 0) return false;
  const double change =
      parabola.Change(double{scale} - block.scale, double{min_scale} - block.min_scale);
  if (!(change < -kNoise * parabola.forms.uu * block.scale * block.scale)) return false;
  block.scale = scale;
  block.min_scale = min_scale;
  Settle(matrix, row, part);
  return true;
}

}  // namespace

uint64_t RefitGroups(const WindowMatrix& matrix, const RefitRow& row) {
  uint64_t changes = 0;
  for (uint32_t j = 0; j < matrix.width; j += row.format->group)
    changes += RefitGroup(matrix, row, {j, row.format->group}) ? 1 : 0;
  return changes;
}

uint64_t RefitBlocks(const WindowMatrix& matrix, const RefitRow& row) {
  uint64_t changes = 0;
  for (uint32_t j = 0; j < matrix.width; j += row.format->block)
    changes += RefitBlock(matrix, row, {j, row.format->block}) ? 1 : 0;
  return changes;
}

}  // namespace trimma
