#include "history/provenance.h"

#include <fmt/format.h>

#include "base/text.h"

namespace trimma {
namespace {

std::string Named(const std::string& value) {
  return value.empty() ? "none" : SafeText(value, 200);
}

// A commit by its usual short form.
std::string Commit(const std::string& commit) { return Named(commit.substr(0, 12)); }

}  // namespace

Json ToJson(const Provenance& p) {
  return {{"engine_commit", p.engine_commit},
          {"driver", p.driver},
          {"machine", p.machine},
          {"model_quick", p.model_quick},
          {"model_sha256", p.model_sha256.empty() ? Json() : Json(p.model_sha256)}};
}

std::string Staleness::Text() const {
  std::string text;
  for (const ProvenanceChange& change : changes)
    text += (text.empty() ? "" : "; ") + change.sentence;
  return text;
}

Staleness Compare(const Provenance& then, const Provenance& now) {
  Staleness staleness;
  const auto changed = [&](const char* what, const std::string& sentence) {
    staleness.changes.push_back({what, sentence});
  };
  if (then.engine_commit != now.engine_commit)
    changed("engine", fmt::format("the engine was llama.cpp {}, and is {} now",
                                  Commit(then.engine_commit), Commit(now.engine_commit)));
  if (then.driver != now.driver)
    changed("driver", fmt::format("the cards' driver was {}, and is {} now", Named(then.driver),
                                  Named(now.driver)));
  if (then.machine != now.machine)
    changed("machine", fmt::format("it was measured on another machine ({}; this is {})",
                                   Named(then.machine), Named(now.machine)));
  const bool whole = !then.model_sha256.empty() && !now.model_sha256.empty();
  const bool other =
      whole ? then.model_sha256 != now.model_sha256 : then.model_quick != now.model_quick;
  if (other) changed("model", "the model's file is another one than then");
  return staleness;
}

}  // namespace trimma
