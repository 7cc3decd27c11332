#include "cli/through.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/program.h"
#include "base/text.h"
#include "cli/through_ollama.h"
#include "llama_server/arguments.h"

namespace trimma {
namespace {

constexpr std::string_view kOllamaPrefix = "ollama:";

Status Refuse(const std::string& option, Through through) {
  if (option.empty()) return {};
  return Error{Code::kUsage,
               fmt::format("{} has no meaning with --through {}", option, NameOf(through)),
               "leave out one of the two"};
}

std::string NeedsOwn(const std::string& option) {
  return option.empty() ? "" : option + " needs it";
}

// Looks for a card that only another program uses. What that would refuse stays with our own
// engine.
DecidedThrough FindOut(const ThroughQuestion& question) {
  DecidedThrough decided;
  if (!question.runtime.gpu.empty()) return decided;  // without a card
  ThroughFacts facts;
  const std::vector<Gpu> cards = UnusedCards();
  for (const Gpu& gpu : cards) facts.unused_cards.push_back(gpu.name);
  if (facts.unused_cards.empty()) return decided;
  facts.own_alone = question.own_alone;
  facts.in_ollama = std::all_of(question.models.begin(), question.models.end(),
                                [](const auto& name) { return name.starts_with(kOllamaPrefix); });
  if (facts.own_alone.empty() && facts.in_ollama) facts.ollama = FindLocalOllama();
  if (facts.ollama) facts.why_not_ollama = WhyNotOllama(question);
  if (facts.own_alone.empty() && !FindProgram("llama-server").empty()) {
    auto server = FindLlamaServer("");
    if (!server.ok()) {
      facts.server_note = server.error().what;
    } else if (std::any_of(cards.begin(), cards.end(),
                           [&](const Gpu& card) { return ServerUses(*server, card); })) {
      facts.llama_server = server->path;
      facts.why_not_server = WhyNotServer(question, *server);
      decided.server = *std::move(server);
    }
  }
  decided.choice = ChooseThrough(facts);
  if (decided.choice.through != Through::kLlamaServer) decided.server.reset();
  return decided;
}

}  // namespace

std::string WhyNotOllama(const ThroughQuestion& question) {
  if (!question.not_of_ollama.empty()) return NeedsOwn(question.not_of_ollama);
  const auto options = OllamaOptions(question.runtime);
  return options.ok() ? "" : options.error().what;
}

std::string WhyNotServer(const ThroughQuestion& question, const LlamaServerProgram& server) {
  if (!question.not_of_server.empty()) return NeedsOwn(question.not_of_server);
  const auto settings = ToSettings(question.runtime);
  if (!settings.ok()) return settings.error().what;
  Applied applied;
  applied.settings = *settings;
  const auto words = FitArguments(server, applied);
  return words.ok() ? "" : words.error().what;
}

void AddThroughOptions(CLI::App& app, ThroughOptions& options) {
  app.add_option("--through", options.name,
                 "Who measures speed: own (trimma's engine), ollama (the running one, OLLAMA_HOST) "
                 "or llama-server (an installed one, by its flags); default: own, or one of the "
                 "others where only that uses this machine's card")
      ->check(CLI::IsMember({"own", "ollama", "llama-server"}));
  app.add_option("--llama-server", options.llama_server,
                 "The llama-server to measure through (default: the one on PATH)");
}

std::string FirstGiven(const CLI::App& app, std::initializer_list<const char*> names) {
  for (const char* name : names)
    if (app.count(name) > 0) return name;
  return "";
}

const char* NameOf(Through through) {
  switch (through) {
    case Through::kOwn:
      return "own";
    case Through::kOllama:
      return "ollama";
    case Through::kLlamaServer:
      return "llama-server";
  }
  CHECK(false);
  return "";
}

ThroughChoice ChooseThrough(const ThroughFacts& facts) {
  if (facts.unused_cards.empty()) return {};
  const std::string card =
      fmt::format("trimma's own engine has no backend for the {}", SafeText(facts.unused_cards[0]));
  if (!facts.own_alone.empty())
    return {Through::kOwn, fmt::format("{}, but {}", card, facts.own_alone)};
  std::string refused;
  if (facts.in_ollama && facts.ollama) {
    if (facts.why_not_ollama.empty()) {
      return {Through::kOllama,
              fmt::format("{}, Ollama {} {}", card, SafeText(facts.ollama->version),
                          facts.ollama->uses_card ? "uses a card" : "may use it")};
    }
    refused = facts.why_not_ollama;
  }
  if (!facts.llama_server.empty()) {
    if (facts.why_not_server.empty())
      return {Through::kLlamaServer, fmt::format("{}, {} has", card, SafeText(facts.llama_server))};
    refused = facts.why_not_server;
  }
  if (!refused.empty()) return {Through::kOwn, fmt::format("{}, but {}", card, refused)};
  return {
      Through::kOwn,
      fmt::format("{}, and no {} here uses it: the processors are measured{}", card,
                  facts.in_ollama ? "Ollama or llama-server" : "llama-server",
                  facts.server_note.empty() ? ""
                                            : fmt::format(" (the one on PATH can't be asked: {})",
                                                          SafeText(facts.server_note, 200)))};
}

Result<DecidedThrough> DecideThrough(const ThroughQuestion& question, bool quiet) {
  DecidedThrough decided;
  std::string name = question.options.name;
  if (!question.options.llama_server.empty()) {
    if (name.empty()) name = "llama-server";
    if (name != "llama-server") {
      return Error{Code::kUsage, "--llama-server has no meaning with --through " + name,
                   "leave out one of the two"};
    }
  }
  if (name.empty()) {
    decided = FindOut(question);
    if (!decided.choice.why.empty() && !quiet)
      fmt::print(stderr, "measuring through {}: {}\n", NameOf(decided.choice.through),
                 decided.choice.why);
    return decided;
  }
  if (name == "ollama") {
    decided.choice.through = Through::kOllama;
    TRY_STATUS(Refuse(question.not_of_ollama, Through::kOllama));
  } else if (name == "llama-server") {
    decided.choice.through = Through::kLlamaServer;
    TRY_STATUS(Refuse(question.not_of_server, Through::kLlamaServer));
    TRY(decided.server, FindLlamaServer(question.options.llama_server));
  }
  return decided;
}

Json ServerThroughJson(const DecidedThrough& decided, const std::vector<std::string>& words,
                       const std::vector<std::string>& notes) {
  CHECK(decided.server.has_value());
  Json devices = Json::array();
  for (const ServerDevice& device : decided.server->devices)
    devices.push_back({{"name", device.name}, {"description", device.description}});
  return {{"name", NameOf(Through::kLlamaServer)},
          {"version", decided.server->version},
          {"path", decided.server->path},
          {"devices", devices},
          {"options", words},
          {"notes", notes},
          {"why", decided.choice.why.empty() ? Json() : Json(decided.choice.why)}};
}

}  // namespace trimma
