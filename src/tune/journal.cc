#include "tune/journal.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <functional>

#include "base/file.h"

namespace trimma {

TuneJournal::TuneJournal(const std::string& directory, const Json& question)
    : content_({{"question", question}, {"steps", Json::object()}, {"seconds", Json::object()}}) {
  if (directory.empty() || !MakeDirectories(directory).ok()) return;
  // The name only keeps questions apart; the question itself is compared.
  path_ = fmt::format("{}/{:016x}.json", directory, std::hash<std::string>()(question.dump()));
  const auto text = ReadSmallFile(path_);
  if (!text.ok()) return;
  Json found = Json::parse(*text, nullptr, /*allow_exceptions=*/false);
  if (found.is_object() && found.value("question", Json()) == question &&
      found.value("steps", Json()).is_object() && found.value("seconds", Json()).is_object()) {
    content_ = std::move(found);
  }
}

std::optional<std::vector<SpeedTrial>> TuneJournal::Find(
    const std::string& step, const std::vector<SpeedSubject>& candidates) const {
  const Json kept = content_["steps"].value(step, Json());
  if (!kept.is_array() || kept.size() != candidates.size()) return std::nullopt;
  std::vector<SpeedTrial> trials;
  for (size_t i = 0; i < candidates.size(); ++i) {
    auto trial = SpeedTrialFromJson(kept[i]);
    if (!trial.ok() || ToJson(trial->subject) != ToJson(candidates[i])) return std::nullopt;
    trials.push_back(std::move(*trial));
  }
  return trials;
}

double TuneJournal::SecondsOf(const std::string& step) const {
  const Json seconds = content_.at("seconds").value(step, Json());
  return seconds.is_number() ? std::max(0.0, seconds.get<double>()) : 0;
}

void TuneJournal::Keep(const std::string& step, const std::vector<SpeedTrial>& trials,
                       double seconds) {
  Json kept = Json::array();
  for (const SpeedTrial& trial : trials) kept.push_back(ToJson(trial));
  content_["steps"][step] = std::move(kept);
  content_["seconds"][step] = seconds;
  if (!path_.empty()) (void)WriteFileAtomically(path_, content_.dump());
}

void TuneJournal::Remove() const {
  if (!path_.empty()) unlink(path_.c_str());
}

}  // namespace trimma
