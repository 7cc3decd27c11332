#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "base/units.h"
#include "plan/choose_text.h"
#include "plan/choosing.h"

namespace trimma {
namespace {

constexpr std::array kWishes = {Wish::kContext, Wish::kSpeed, Wish::kLoss};

bool Made(const Wishes& wishes, Wish wish) {
  return wish == Wish::kContext ? wishes.min_context.has_value()
         : wish == Wish::kSpeed ? wishes.min_decode_tps.has_value()
                                : wishes.max_kld.has_value();
}

const char* OptionOf(Wish wish) {
  return wish == Wish::kContext ? "--min-context"
         : wish == Wish::kSpeed ? "--min-speed"
                                : "--max-kld";
}

std::string InWords(const Wishes& wishes, Wish wish) {
  if (wish == Wish::kContext)
    return fmt::format("a context of {} tokens", FormatCount(*wishes.min_context));
  if (wish == Wish::kSpeed) return fmt::format("{:g} tokens a second", *wishes.min_decode_tps);
  return fmt::format("a loss of at most {:g}", *wishes.max_kld);
}

// The best of `wish` among fitting cells that meet all the others; nullopt where none does, or the
// figure isn't predicted.
const PlanCell* Nearest(const Question& q, Wish wish) {
  const PlanCell* best = nullptr;
  const auto figure = [&](const PlanCell& c) {
    if (wish == Wish::kContext) return static_cast<double>(c.settings.context);
    if (wish == Wish::kSpeed) return c.decode_tps ? c.decode_tps->value : -1.0;
    return c.mean_kld ? -(c.mean_kld->measured ? c.mean_kld->high : c.mean_kld->value) : -1e9;
  };
  for (const PlanCell& cell : q.cells) {
    const bool others = std::all_of(kWishes.begin(), kWishes.end(),
                                    [&](Wish w) { return w == wish || Meets(cell, q.wishes, w); });
    if (!cell.fits || !others) continue;
    if (best == nullptr || figure(cell) > figure(*best)) best = &cell;
  }
  return best;
}

// A limit rounded so that what it was computed from still meets it.
std::string Relaxed(const PlanCell& cell, Wish wish) {
  if (wish == Wish::kContext) return std::to_string(cell.settings.context);
  if (wish == Wish::kSpeed) {
    const double tps = cell.decode_tps->value;
    return fmt::format("{:g}", tps < 10 ? std::floor(tps * 10) / 10 : std::floor(tps));
  }
  const double kld = cell.mean_kld->measured ? cell.mean_kld->high : cell.mean_kld->value;
  const double unit = std::pow(10, std::floor(std::log10(std::max(kld, 1e-6))) - 1);
  return fmt::format("{:g}", std::ceil(kld / unit) * unit);
}

Error NothingFits(const Question& q) {
  const PlanCell* nearest = nullptr;
  Shortage least;
  for (const PlanCell& cell : q.cells) {
    const Shortage shortage = MissingToFit(q, cell);
    if (nearest == nullptr || shortage.total() < least.total()) nearest = &cell, least = shortage;
  }
  if (nearest == nullptr) return {Code::kNoFit, "there is nothing to choose from", ""};
  std::string missing;
  if (least.gpu_bytes > 0)
    missing = fmt::format("{} more on the graphics card", FormatBytes(least.gpu_bytes));
  if (least.host_bytes > 0 || missing.empty()) {
    missing += fmt::format("{}{} more of this machine's memory", missing.empty() ? "" : " and ",
                           FormatBytes(least.host_bytes));
  }
  return {Code::kNoFit,
          fmt::format("nothing fits: the nearest is {} with room for {}, which needs {}",
                      TypeAndCache(*nearest), Room(nearest->settings.context), missing),
          "close other programs to free that much, or choose a smaller model"};
}

}  // namespace

Error Refuse(const Question& q) {
  if (std::none_of(q.cells.begin(), q.cells.end(), [](const PlanCell& c) { return c.fits; }))
    return NothingFits(q);
  std::string all;
  std::string ways;
  int made = 0;
  for (const Wish wish : kWishes) {
    if (!Made(q.wishes, wish)) continue;
    all += (made++ == 0 ? "" : " and ") + InWords(q.wishes, wish);
    const PlanCell* nearest = Nearest(q, wish);
    const bool figure = nearest != nullptr && (wish != Wish::kSpeed || nearest->decode_tps) &&
                        (wish != Wish::kLoss || nearest->mean_kld);
    if (!figure) continue;
    ways += fmt::format("{}{} {} ({}, room for {})", ways.empty() ? "" : ", or ", OptionOf(wish),
                        Relaxed(*nearest, wish), TypeAndCache(*nearest),
                        FormatCount(nearest->settings.context));
  }
  CHECK(made > 0);
  if (q.wishes.min_decode_tps && !q.known.speed && ways.empty()) {
    return {Code::kUsage, "a least speed was asked for, but speed is not predicted yet",
            "measure this machine once with `trimma scan --bench`, or leave out --min-speed"};
  }
  return {Code::kUsage,
          made == 1 ? fmt::format("no choice that fits has {}", all)
                    : fmt::format("no choice that fits has all of {}", all),
          ways.empty() ? "relax more than one of them" : "possible is " + ways};
}

}  // namespace trimma
