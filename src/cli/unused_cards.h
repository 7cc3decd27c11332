// Graphics cards that this machine's drivers know and trimma's own engine can't use: as for the
// user who has a driver and Ollama, but no CUDA toolkit to build an engine with.
#pragma once

#include <string>
#include <vector>

#include "cli/machine.h"
#include "llama_server/program.h"

namespace trimma {

// An AMD card by what a backend calls it (pure): "AMD Radeon RX 6600 (RADV NAVI23)", or by the
// device's name: "ROCm0".
bool IsAmds(const std::string& device, const std::string& description);

// Of `by_driver` those that the engine has no backend for (pure): it lists neither the card by its
// name nor another of that backend, beside which this one is hidden (CUDA_VISIBLE_DEVICES). A card
// of AMD's, which drivers and backends call differently, counts as used as soon as the engine has
// one of AMD's.
std::vector<Gpu> CardsNotUsed(const std::vector<Gpu>& by_driver, const std::vector<Gpu>& by_engine);

// By the drivers: NVIDIA's are asked of nvidia-smi, AMD's stand in /sys with their memory (2 GiB
// at least; less is the processor's own graphics). Nothing is run where there is no such driver.
std::vector<Gpu> DriverCards(const std::string& sys = "/sys");

// The cards for whose sake another program may measure: none where the engine has a card at all.
// One more that it doesn't list may be hidden from it on purpose (CUDA_VISIBLE_DEVICES). The engine
// is asked only where there is a card.
std::vector<Gpu> UnusedCards();
std::vector<Gpu> CardsForOthers(const std::vector<Gpu>& by_driver,
                                const std::vector<Gpu>& by_engine);  // pure

// Whether the server lists the card. AMD's have other names there: any of AMD's counts.
bool ServerUses(const LlamaServerProgram& server, const Gpu& card);

// An Ollama that answers on this machine; one elsewhere has other cards.
struct LocalOllama {
  std::string version;
  bool uses_card = false;  // a model of it lies on a card now, by /api/ps
};
std::optional<LocalOllama> FindLocalOllama();

// What the user reads of such a card in `scan`: why it isn't used, and through what it can be.
struct UnusedCard {
  Gpu gpu;
  std::string why;      // "trimma's own engine was built without a backend for it (...)"
  std::string through;  // "llama-server", "ollama"; "": nothing here uses it
  std::string said;     // what that means, or what to install; a sentence
};
// Pure; `server`: an installed llama-server.
std::vector<UnusedCard> ExplainUnused(const std::vector<Gpu>& cards,
                                      const std::optional<LlamaServerProgram>& server,
                                      const std::optional<LocalOllama>& ollama);
Json ToJson(const UnusedCard& card);

}  // namespace trimma
