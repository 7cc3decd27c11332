// Graphics cards that this machine's drivers know and trimma's own engine can't use: as for the
// user who has a driver and Ollama, but no CUDA toolkit to build an engine with.
#pragma once

#include <string>
#include <vector>

#include "cli/machine.h"
#include "llama_server/program.h"

namespace trimma {

// Of `by_driver` those that are not among the engine's (pure). By name; a card of AMD's, which
// drivers and backends call differently, counts as used as soon as the engine has one.
std::vector<Gpu> CardsNotUsed(const std::vector<Gpu>& by_driver, const std::vector<Gpu>& by_engine);

// By the drivers: NVIDIA's are asked of nvidia-smi, AMD's stand in /sys with their memory (2 GiB
// at least; less is the processor's own graphics). Nothing is run where there is no such driver.
std::vector<Gpu> DriverCards(const std::string& sys = "/sys");

// The engine is asked only where there is a card.
std::vector<Gpu> UnusedCards();

// Whether the server lists the card. AMD's have other names there: any card of the server's counts.
bool ServerUses(const LlamaServerProgram& server, const Gpu& card);

// What the user reads of such a card in `scan`: why it isn't used, and through what it can be.
struct UnusedCard {
  Gpu gpu;
  std::string why;      // "trimma's own engine was built without a backend for it (...)"
  std::string through;  // "llama-server", "ollama"; "": nothing here uses it
  std::string said;     // what that means, or what to install; a sentence
};
// Pure; `server`: an installed llama-server, `ollama`: the version of one that answers, or "".
std::vector<UnusedCard> ExplainUnused(const std::vector<Gpu>& cards,
                                      const std::optional<LlamaServerProgram>& server,
                                      const std::string& ollama);
Json ToJson(const UnusedCard& card);

}  // namespace trimma
