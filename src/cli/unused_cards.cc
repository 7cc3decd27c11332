#include "cli/unused_cards.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

#include "base/build_info.h"
#include "base/text.h"
#include "base/units.h"
#include "cli/overheads.h"
#include "doctor/nvidia_smi.h"
#include "engine/engine.h"
#include "hardware/pseudo.h"
#include "net/url.h"
#include "ollama/client.h"

namespace trimma {
namespace {

namespace fs = std::filesystem;

constexpr uint64_t kLeastCardBytes = 2ULL << 30;
constexpr const char* kAmd = "0x1002";
constexpr const char* kAmdBackend = "ROCm";

// /sys/class/drm/card1/device: what the amdgpu driver says of its memory.
std::vector<Gpu> AmdCards(const std::string& sys) {
  std::vector<std::string> devices;
  std::error_code error;
  for (const fs::directory_entry& entry : fs::directory_iterator(sys + "/class/drm", error)) {
    const std::string name = entry.path().filename().string();
    // Not "card1-DP-1", a socket of it.
    if (name.starts_with("card") && name.find('-') == std::string::npos)
      devices.push_back(entry.path().string() + "/device");
  }
  std::sort(devices.begin(), devices.end());
  std::vector<Gpu> cards;
  for (const std::string& device : devices) {
    const auto total = NumberIn(device + "/mem_info_vram_total");
    if (LineIn(device + "/vendor") != kAmd || !total || *total < kLeastCardBytes) continue;
    const uint64_t used = std::min(*total, NumberIn(device + "/mem_info_vram_used").value_or(0));
    const std::string name = LineIn(device + "/product_name");
    cards.push_back(
        {name.empty() ? fmt::format("AMD card of {}", FormatBytes(*total)) : SafeText(name, 100),
         kAmdBackend, *total, *total - used});
  }
  return cards;
}

}  // namespace

bool IsAmds(const std::string& device, const std::string& description) {
  const auto says = [&](const char* word) { return description.find(word) != std::string::npos; };
  return says("AMD") || says("Radeon") || device.starts_with("ROCm") || device.starts_with("HIP");
}

std::vector<Gpu> CardsNotUsed(const std::vector<Gpu>& by_driver,
                              const std::vector<Gpu>& by_engine) {
  std::vector<Gpu> unused;
  for (const Gpu& card : by_driver) {
    const bool used = std::any_of(by_engine.begin(), by_engine.end(), [&](const Gpu& engines) {
      const bool both_amds = card.backend == kAmdBackend && IsAmds(engines.backend, engines.name);
      return both_amds || card.backend == engines.backend ||
             engines.name.find(card.name) != std::string::npos;
    });
    if (!used) unused.push_back(card);
  }
  return unused;
}

std::vector<Gpu> DriverCards(const std::string& sys) {
  std::vector<Gpu> cards;
  if (!DriverVersion().empty()) {
    const Fact<std::vector<Gpu>> nvidia = AskNvidiaSmi();
    if (nvidia) cards = *nvidia;
  }
  const std::vector<Gpu> amd = AmdCards(sys);
  cards.insert(cards.end(), amd.begin(), amd.end());
  return cards;
}

std::vector<Gpu> UnusedCards() {
  const std::vector<Gpu> cards = DriverCards();
  if (cards.empty()) return {};
  return CardsForOthers(cards, HasGpuBackends() ? ScanMachine().machine.gpus : std::vector<Gpu>());
}

std::vector<Gpu> CardsForOthers(const std::vector<Gpu>& by_driver,
                                const std::vector<Gpu>& by_engine) {
  return by_engine.empty() ? by_driver : std::vector<Gpu>();
}

bool ServerUses(const LlamaServerProgram& server, const Gpu& card) {
  return std::any_of(server.devices.begin(), server.devices.end(), [&](const ServerDevice& device) {
    const bool both_amds = card.backend == kAmdBackend && IsAmds(device.name, device.description);
    return both_amds || device.description.find(card.name) != std::string::npos;
  });
}

std::optional<LocalOllama> FindLocalOllama() {
  constexpr double kPatience = 0.3;
  const auto found = FindOllama(kPatience);
  if (!found) return std::nullopt;
  const auto address = ParseOllamaHost(found->host);
  if (!address || !IsLoopback(address->host)) return std::nullopt;
  LocalOllama ollama{found->version, false};
  auto client = OllamaClient::ConnectTo(*address, kPatience);
  if (!client.ok()) return ollama;
  const auto loaded = client->Loaded();
  ollama.uses_card =
      loaded.ok() && std::any_of(loaded->begin(), loaded->end(),
                                 [](const OllamaLoaded& model) { return model.gpu_bytes > 0; });
  return ollama;
}

std::vector<UnusedCard> ExplainUnused(const std::vector<Gpu>& cards,
                                      const std::optional<LlamaServerProgram>& server,
                                      const std::optional<LocalOllama>& ollama) {
  std::vector<UnusedCard> explained;
  for (const Gpu& gpu : cards) {
    UnusedCard card{gpu, "", "", ""};
    card.why = fmt::format("trimma's own engine has no backend for it here ({}: {})",
                           build_info::kEngineBackends, build_info::kEngineWhy);
    if (server && ServerUses(*server, gpu)) {
      card.through = "llama-server";
      card.said = fmt::format("speeds of files are measured through {}, which uses it",
                              SafeText(server->path));
    }
    if (ollama) {
      if (card.through.empty()) card.through = "ollama";
      card.said +=
          fmt::format("{}speeds of Ollama's models are measured through Ollama {}, which {}",
                      card.said.empty() ? "" : ", ", SafeText(ollama->version),
                      ollama->uses_card ? "uses a card" : "may use it");
    }
    if (card.through.empty()) {
      card.said =
          "install a llama-server that has a backend for it, or Ollama, and speeds are measured "
          "through that; or install the card's toolkit and build trimma again";
    }
    explained.push_back(std::move(card));
  }
  return explained;
}

Json ToJson(const UnusedCard& card) {
  return {{"name", card.gpu.name},
          {"total_bytes", card.gpu.total_bytes},
          {"why", card.why},
          {"through", card.through.empty() ? Json() : Json(card.through)},
          {"said", card.said}};
}

}  // namespace trimma
