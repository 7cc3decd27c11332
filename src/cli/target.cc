#include "cli/target.h"

#include <fmt/format.h>

#include "base/text.h"
#include "base/units.h"
#include "cli/overheads.h"

namespace trimma {
namespace {

// The architecture that stands in where none is known: of what is sold today, all from Turing on
// get the same bytes but for a few choices of attention kernel.
constexpr int kUsualCapability = 860;

std::optional<Card> CatalogueRow(const Gpu& gpu) {
  const auto card = FindCard(gpu.name);
  return card.ok() ? std::optional(*card) : std::nullopt;
}

PlanTarget Real(const Machine& machine) {
  PlanTarget target;
  target.machine = machine;
  target.pricing.overheads = KnownOverheads(machine.gpus);
  for (size_t i = 0; i < machine.gpus.size(); ++i) {
    target.cards.push_back(CatalogueRow(machine.gpus[i]));
    const Overhead& overhead = target.pricing.overheads[i];
    if (!overhead.learned) {
      target.notes.push_back(fmt::format(
          "what {} needs besides buffers ({}) is {}; `trimma scan --learn MODEL` finds it out",
          SafeText(machine.gpus[i].name), FormatBytes(ReserveBytes(overhead, {})), overhead.basis));
    }
    target.machine.gpus[i].free_bytes += overhead.context_bytes;
  }
  return target;
}

// One imagined card.
struct Imagined {
  PhantomCard phantom;
  std::optional<Card> card;
  std::string note;
};

Result<Imagined> Imagine(const std::string& name, const std::optional<uint64_t>& vram) {
  Imagined imagined;
  PhantomCard& phantom = imagined.phantom;
  phantom.compute_capability = kUsualCapability;
  if (name.empty()) {
    phantom.name = fmt::format("card with {} free", FormatBytes(*vram));
    phantom.total_bytes = *vram;
    imagined.note = "the card is taken for one of compute capability 8.6";
  } else {
    TRY(const Card card, FindCard(name));
    imagined.card = card;
    phantom.name = card.name;
    const ReportedMemory reported = ReportedBytes(card);
    phantom.total_bytes = reported.bytes;
    if (card.compute_capability > 0) {
      phantom.compute_capability = card.compute_capability;
    } else {
      imagined.note = fmt::format("{}: an estimate, by the rules of CUDA", card.name);
    }
    if (!reported.measured && imagined.note.empty()) {
      imagined.note = fmt::format(
          "{}: of its memory the driver is taken to report {} (no reading of this card is known)",
          card.name, FormatBytes(reported.bytes));
    }
  }
  phantom.free_bytes = vram.value_or(phantom.total_bytes);
  if (phantom.free_bytes > phantom.total_bytes) {
    return Error{Code::kUsage,
                 fmt::format("{} can't have {} free: its driver reports {} in all", phantom.name,
                             FormatBytes(phantom.free_bytes), FormatBytes(phantom.total_bytes)),
                 "leave --vram out, or give less"};
  }
  return imagined;
}

}  // namespace

Result<PlanTarget> ChooseTarget(const Machine& machine, const TargetOptions& options) {
  PlanTarget target;
  std::vector<uint64_t> sizes;
  for (const std::string& text : options.vram) {
    TRY(const uint64_t bytes, ParseBytes(text));
    sizes.push_back(bytes);
  }
  const bool none = options.gpus.size() == 1 && ToLower(options.gpus[0]) == "none";
  if (options.gpus.empty() && sizes.empty()) {
    target = Real(machine);
  } else if (none) {
    if (!sizes.empty())
      return Error{Code::kUsage, "--vram has no meaning without a GPU", "leave one of them out"};
    target.pricing.cards.emplace();
    target.machine = machine;
    target.machine.gpus.clear();
  } else {
    std::vector<std::string> names = options.gpus;
    if (names.empty()) names.resize(sizes.size());
    if (!sizes.empty() && sizes.size() != names.size() && sizes.size() != 1) {
      return Error{Code::kUsage, fmt::format("{} sizes for {} cards", sizes.size(), names.size()),
                   "give --vram once, or once for each --gpu"};
    }
    if (names.size() > kMostPhantoms)
      return Error{Code::kUsage, fmt::format("at most {} cards", kMostPhantoms), ""};
    target.imagined = true;
    target.machine = machine;
    target.machine.gpus.clear();
    target.pricing.cards.emplace();
    for (size_t i = 0; i < names.size(); ++i) {
      std::optional<uint64_t> vram;
      if (!sizes.empty()) vram = sizes[sizes.size() == 1 ? 0 : i];
      TRY(Imagined imagined, Imagine(names[i], vram));
      const PhantomCard& phantom = imagined.phantom;
      target.machine.gpus.push_back(
          {phantom.name, "CUDA", phantom.total_bytes, phantom.free_bytes});
      target.cards.push_back(imagined.card);
      target.pricing.cards->push_back(phantom);
      const Overhead overhead =
          EstimatedOverhead(imagined.card ? ContextStackBytes(*imagined.card) : 0);
      target.pricing.overheads.push_back(overhead);
      if (!imagined.note.empty()) target.notes.push_back(imagined.note);
      target.notes.push_back(
          fmt::format("{} isn't here: {} are kept free on it for the driver, {}, and its speed is "
                      "not measured; "
                      "a desktop on the same card takes some more (--vram says what is free)",
                      phantom.name, FormatBytes(ReserveBytes(overhead, {})), overhead.basis));
    }
  }
  target.pricing.bench_outputs = options.bench_outputs;
  return target;
}

}  // namespace trimma
