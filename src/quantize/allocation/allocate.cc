#include "quantize/allocation/allocate.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/units.h"

namespace trimma {
namespace {

constexpr double kWork = 2e8;  // table entries times choices: under a second
constexpr uint64_t kFewestSteps = 1024;
constexpr uint64_t kMostSteps = 400'000;

// Indexes of the choices worth having: by bytes, each with less loss than all smaller ones.
std::vector<size_t> Undominated(const TypeChoices& choices) {
  std::vector<size_t> order(choices.size());
  for (size_t i = 0; i < order.size(); ++i) order[i] = i;
  std::sort(order.begin(), order.end(), [&](size_t a, size_t b) {
    if (choices[a].bytes != choices[b].bytes) return choices[a].bytes < choices[b].bytes;
    if (choices[a].loss != choices[b].loss) return choices[a].loss < choices[b].loss;
    return a < b;
  });
  std::vector<size_t> kept;
  for (const size_t i : order) {
    if (kept.empty() || choices[i].loss < choices[kept.back()].loss) kept.push_back(i);
  }
  return kept;
}

// Each tensor's undominated choices; the first is its smallest, the last its best.
class Problem {
 public:
  explicit Problem(const std::vector<TypeChoices>& tensors) : tensors_(tensors) {
    for (const TypeChoices& choices : tensors) {
      CHECK(!choices.empty());
      kept_.push_back(Undominated(choices));
      least_bytes_ += choices[kept_.back().front()].bytes;
      most_bytes_ += choices[kept_.back().back()].bytes;
      widest_ = std::max(widest_, kept_.back().size());
    }
  }

  size_t size() const { return kept_.size(); }
  size_t options(size_t t) const { return kept_[t].size(); }
  const TypeChoice& At(size_t t, size_t option) const { return tensors_[t][kept_[t][option]]; }
  uint64_t Extra(size_t t, size_t option) const { return At(t, option).bytes - At(t, 0).bytes; }
  uint64_t least_bytes() const { return least_bytes_; }
  uint64_t most_bytes() const { return most_bytes_; }
  size_t widest() const { return widest_; }

  Allocation Made(const std::vector<size_t>& options) const {
    Allocation allocation;
    for (size_t t = 0; t < size(); ++t) {
      allocation.chosen.push_back(kept_[t][options[t]]);
      allocation.bytes += At(t, options[t]).bytes;
      allocation.loss += At(t, options[t]).loss;
    }
    return allocation;
  }

 private:
  const std::vector<TypeChoices>& tensors_;
  std::vector<std::vector<size_t>> kept_;
  uint64_t least_bytes_ = 0;
  uint64_t most_bytes_ = 0;
  size_t widest_ = 1;
};

// Least loss for every size from the smallest on, in steps of `unit` bytes.
class Table {
 public:
  Table(const Problem& problem, uint64_t play_bytes) : problem_(problem) {
    const double wanted =
        kWork / static_cast<double>(std::max<size_t>(problem.size() * problem.widest(), 1));
    const auto steps = std::clamp(static_cast<uint64_t>(wanted), kFewestSteps, kMostSteps);
    unit_ = std::max<uint64_t>(1, (play_bytes + steps - 1) / steps);
    states_ = play_bytes / unit_ + 1;
    taken_.resize(problem.size());
    loss_.assign(states_, 0);
    for (size_t t = 0; t < problem.size(); ++t) AddTensor(t);
  }

  uint64_t states() const { return states_; }
  double Loss(uint64_t state) const { return loss_[state]; }

  std::vector<size_t> Options(uint64_t state) const {
    std::vector<size_t> options(problem_.size());
    for (size_t t = problem_.size(); t-- > 0;) {
      options[t] = taken_[t][state];
      state -= Units(t, options[t]);
    }
    return options;
  }

 private:
  uint64_t Units(size_t t, size_t option) const {
    return (problem_.Extra(t, option) + unit_ - 1) / unit_;
  }

  void AddTensor(size_t t) {
    std::vector<double> next(states_, std::numeric_limits<double>::infinity());
    std::vector<uint8_t>& taken = taken_[t];
    taken.assign(states_, 0);
    for (size_t option = 0; option < problem_.options(t); ++option) {
      const uint64_t units = Units(t, option);
      const double loss = problem_.At(t, option).loss;
      for (uint64_t s = units; s < states_; ++s) {
        const double with = loss_[s - units] + loss;
        if (with < next[s]) next[s] = with, taken[s] = static_cast<uint8_t>(option);
      }
    }
    loss_ = std::move(next);
  }

  const Problem& problem_;
  uint64_t unit_ = 1;
  uint64_t states_ = 1;
  std::vector<double> loss_;
  std::vector<std::vector<uint8_t>> taken_;
};

// Single better types that the bytes left over still buy, the most loss saved a byte first.
void SpendTheRest(const Problem& problem, uint64_t left, std::vector<size_t>& options) {
  while (true) {
    double best = 0;
    size_t tensor = 0;
    size_t better = 0;
    for (size_t t = 0; t < problem.size(); ++t) {
      for (size_t o = options[t] + 1; o < problem.options(t); ++o) {
        const uint64_t price = problem.Extra(t, o) - problem.Extra(t, options[t]);
        if (price > left) break;
        const double saved = (problem.At(t, options[t]).loss - problem.At(t, o).loss) /
                             static_cast<double>(std::max<uint64_t>(price, 1));
        if (saved > best) best = saved, tensor = t, better = o;
      }
    }
    if (best <= 0) return;
    left -= problem.Extra(tensor, better) - problem.Extra(tensor, options[tensor]);
    options[tensor] = better;
  }
}

// The other way: smaller types that the loss still allows, the most bytes saved a nat first.
void SaveTheRest(const Problem& problem, double allowed, std::vector<size_t>& options) {
  while (true) {
    double best = 0;
    size_t tensor = 0;
    size_t smaller = 0;
    for (size_t t = 0; t < problem.size(); ++t) {
      for (size_t o = 0; o < options[t]; ++o) {
        const double price = problem.At(t, o).loss - problem.At(t, options[t]).loss;
        if (price > allowed) continue;
        const double saved =
            static_cast<double>(problem.Extra(t, options[t]) - problem.Extra(t, o)) /
            std::max(price, 1e-30);
        if (saved > best) best = saved, tensor = t, smaller = o;
      }
    }
    if (best <= 0) return;
    allowed -= problem.At(tensor, smaller).loss - problem.At(tensor, options[tensor]).loss;
    options[tensor] = smaller;
  }
}

}  // namespace

Result<Allocation> AllocateWithin(const std::vector<TypeChoices>& tensors, uint64_t budget_bytes) {
  const Problem problem(tensors);
  if (budget_bytes < problem.least_bytes()) {
    return Error{Code::kNoFit,
                 fmt::format("{} are too few for these weights; {} is the least",
                             FormatBytes(budget_bytes), FormatBytes(problem.least_bytes())),
                 "choose a larger size"};
  }
  const uint64_t budget = std::min(budget_bytes, problem.most_bytes());
  const Table table(problem, budget - problem.least_bytes());
  std::vector<size_t> options = table.Options(table.states() - 1);
  const uint64_t used = problem.Made(options).bytes;
  SpendTheRest(problem, budget - used, options);
  return problem.Made(options);
}

Result<Allocation> AllocateUnderLoss(const std::vector<TypeChoices>& tensors, double most_loss) {
  const Problem problem(tensors);
  const Table table(problem, problem.most_bytes() - problem.least_bytes());
  for (uint64_t state = 0; state < table.states(); ++state) {
    if (table.Loss(state) > most_loss) continue;
    std::vector<size_t> options = table.Options(state);
    SaveTheRest(problem, most_loss - problem.Made(options).loss, options);
    return problem.Made(options);
  }
  const Allocation smallest = problem.Made(table.Options(table.states() - 1));
  return Error{
      Code::kNoFit,
      fmt::format("no mix of types loses as little as {} nats a token; {:.2g} is the least "
                  "that is expected",
                  most_loss, smallest.loss),
      "allow more loss, or keep the model as it is"};
}

}  // namespace trimma
