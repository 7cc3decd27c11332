#include "measure/speed_order.h"

#include <algorithm>
#include <utility>

namespace trimma {
namespace {

using AreAlike = bool (*)(const SpeedSubject&, const SpeedSubject&);

// Those that are alike behind the first of them, groups in the order of their first ones.
std::vector<size_t> Gathered(const std::vector<SpeedSubject>& subjects,
                             const std::vector<size_t>& members, AreAlike alike) {
  std::vector<size_t> gathered;
  const auto is_taken = [&](size_t i) {
    return std::find(gathered.begin(), gathered.end(), i) != gathered.end();
  };
  for (const size_t first : members) {
    if (is_taken(first)) continue;
    for (const size_t i : members)
      if (!is_taken(i) && alike(subjects[first], subjects[i])) gathered.push_back(i);
  }
  return gathered;
}

}  // namespace

std::vector<size_t> RoundOrder(const std::vector<SpeedSubject>& subjects,
                               std::vector<size_t> members, bool one_resident,
                               std::mt19937& random) {
  std::shuffle(members.begin(), members.end(), random);
  if (!one_resident) return members;
  members = Gathered(subjects, Gathered(subjects, members, SameContext), SamePlacement);
  const bool first = random() % 2 == 0;
  for (const AreAlike alike : {SameContext, SamePlacement}) {
    std::vector<size_t> parted;
    for (const bool own : {first, !first}) {
      for (const size_t i : members)
        if (alike(subjects[0], subjects[i]) == own) parted.push_back(i);
    }
    members = std::move(parted);
  }
  return members;
}

}  // namespace trimma
