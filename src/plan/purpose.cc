#include "plan/purpose.h"

#include <fmt/format.h>

#include <array>

#include "base/text.h"

namespace trimma {
namespace {

struct Profile {
  Purpose purpose;
  const char* name;
  Taste taste;
};

// Losses: at a mean KL divergence of 0.001 the most likely next word is the same 98 times of 100,
// at 0.01 96 times, at 0.02 94, at 0.05 91 (our measurements of manpage-26m, and the scoreboard of
// llama.cpp's tools/perplexity). 0.05 is what `trimma optimize` accepts.
constexpr std::array kProfiles = {
    // Four times reading speed leaves time for a model that thinks before it answers; more is waste
    // that loss could be saved with. 8192 tokens are an hour's conversation.
    Profile{Purpose::kChat,
            "chat",
            {.unnoticed_kld = 0.02,
             .loss_weight = 1,
             .enough_tps = 4 * kReadingTps,
             .speed_weight = 1,
             .enough_ttft_ms = 2000,
             .wait_weight = 0.5,
             .wanted_context = 8192,
             .useful_context = 32768,
             .context_weight = 2}},
    // A report of 60 pages is 32 000 tokens: it must fit, and reading it in (the time to the first
    // token, told for 2048 tokens, grows with it) is most of the waiting. Answers are short.
    Profile{Purpose::kDocuments,
            "documents",
            {.unnoticed_kld = 0.02,
             .loss_weight = 1,
             .enough_tps = 2 * kReadingTps,
             .speed_weight = 0.5,
             .enough_ttft_ms = 500,
             .wait_weight = 1,
             .wanted_context = 32768,
             .useful_context = 131072,
             .context_weight = 2}},
    // One wrong token breaks a program, so loss weighs more and is noticed sooner; programs are
    // skimmed, not read; a few files and a conversation about them are 16 000 tokens.
    Profile{Purpose::kCode,
            "code",
            {.unnoticed_kld = 0.01,
             .loss_weight = 1.5,
             .enough_tps = 6 * kReadingTps,
             .speed_weight = 0.75,
             .enough_ttft_ms = 2000,
             .wait_weight = 0.5,
             .wanted_context = 16384,
             .useful_context = 65536,
             .context_weight = 2}},
    // As fast as it goes while the loss stays at what `optimize` accepts; beyond that, loss counts.
    Profile{Purpose::kSpeed,
            "speed",
            {.unnoticed_kld = 0.05,
             .loss_weight = 1,
             .enough_tps = 1e9,
             .speed_weight = 1.5,
             .enough_ttft_ms = 100,
             .wait_weight = 0.5,
             .wanted_context = 4096,
             .useful_context = 4096,
             .context_weight = 1}},
    // As true to the original as it goes, as long as reading it is no wait.
    Profile{Purpose::kQuality,
            "quality",
            {.unnoticed_kld = 0.001,
             .loss_weight = 1,
             .enough_tps = kReadingTps,
             .speed_weight = 2,
             .enough_ttft_ms = 5000,
             .wait_weight = 0.25,
             .wanted_context = 8192,
             .useful_context = 32768,
             .context_weight = 2}},
};

}  // namespace

const char* NameOf(Purpose purpose) {
  for (const Profile& p : kProfiles) {
    if (p.purpose == purpose) return p.name;
  }
  return "";
}

Result<Purpose> ParsePurpose(const std::string& name) {
  std::vector<std::string> names;
  for (const Profile& p : kProfiles) {
    if (ToLower(name) == p.name) return p.purpose;
    names.emplace_back(p.name);
  }
  const auto nearest = Nearest(name, names);
  return Error{Code::kUsage, fmt::format("there is no purpose \"{}\"", SafeText(name, 40)),
               nearest ? fmt::format("did you mean {}?", *nearest)
                       : "chat, documents, code, speed or quality"};
}

const Taste& TasteOf(Purpose purpose) {
  for (const Profile& p : kProfiles) {
    if (p.purpose == purpose) return p.taste;
  }
  return kProfiles[0].taste;
}

}  // namespace trimma
