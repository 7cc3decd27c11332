// Who may reach Ollama, and what is known against its version.
#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"
#include "doctor/assignments.h"
#include "doctor/rules.h"
#include "doctor/variables.h"
#include "doctor/vulnerabilities.h"

namespace trimma {
namespace {

bool IsEveryAddress(std::string_view host) {
  return host == "0.0.0.0" || host == "::" || host == "[::]";
}

// The host part of OLLAMA_HOST as it stands.
std::string HostOf(std::string_view value) {
  value = Unquoted(value);
  if (const size_t scheme = value.find("://"); scheme != std::string_view::npos)
    value.remove_prefix(scheme + 3);
  value = value.substr(0, value.find('/'));
  if (value.starts_with('[')) return std::string(value.substr(1, value.find(']') - 1));
  const size_t colon = value.rfind(':');
  return std::string(value.find(':') == colon ? value.substr(0, colon) : value);
}

// Whether `ollama serve` would listen at every address. ":11434" has no host, which is every one.
bool OpensOllama(std::string_view written) {
  const std::string text = WithDefaults(Unquoted(written));
  std::string_view value = text;
  if (const size_t scheme = value.find("://"); scheme != std::string_view::npos)
    value.remove_prefix(scheme + 3);
  return value.starts_with(':') || IsEveryAddress(HostOf(text));
}

// llama-server's: --host, or else LLAMA_ARG_HOST.
std::optional<std::string> HostOfLlamaServer(const ServerProcess& server) {
  const auto flag = std::find(server.arguments.begin(), server.arguments.end(), "--host");
  if (flag != server.arguments.end() && flag + 1 != server.arguments.end()) return *(flag + 1);
  if (!server.environment) return std::nullopt;
  const auto found = server.environment->find("LLAMA_ARG_HOST");
  if (found == server.environment->end()) return std::nullopt;
  return found->second;
}

bool HasKey(const ServerProcess& server) {
  const bool flag = std::any_of(server.arguments.begin(), server.arguments.end(),
                                [](const std::string& a) { return a.starts_with("--api-key"); });
  return flag || (server.environment && server.environment->contains("LLAMA_API_KEY"));
}

Verdict OpenToNetwork(const DoctorFacts& facts) {
  Verdict verdict;
  const auto open = [&](const std::string& where, const std::string& evidence,
                        const std::string& fix) {
    verdict.findings.push_back({"",
                                Severity::kWarning,
                                where,
                                "other computers may use it, and change or delete its models: it "
                                "asks for no password (unless a firewall keeps them out)",
                                evidence,
                                "",
                                fix,
                                {}});
  };
  const std::string fix =
      "OLLAMA_HOST=127.0.0.1 where `ollama serve` runs, or a proxy that asks "
      "who is there";
  if (facts.listeners) {
    for (const Listener& listener : *facts.listeners)
      open(fmt::format("port {}", listener.port),
           fmt::format("a server listens at {}", listener.address), fix);
  }
  for (const PublishedPort& port : facts.published)
    open(port.where, fmt::format("ports: {}", SafeText(port.text, 60)),
         "write 127.0.0.1: before the port");
  const bool heard = facts.listeners && !facts.listeners->empty();
  for (const Variable& variable : facts.variables) {
    if (variable.name != "OLLAMA_HOST" || !OpensOllama(variable.value)) continue;
    // In a container it is needed; what counts there is which ports are published.
    if (variable.place == Place::kCompose || variable.in_container) continue;
    if (ReachOf(facts, variable) == Reach::kNone) continue;
    if (!heard) open(variable.where, fmt::format("OLLAMA_HOST={}", variable.value), fix);
  }
  if (facts.servers) {
    for (const ServerProcess& server : *facts.servers) {
      if (server.program != "llama-server" || server.in_container) continue;
      const auto host = HostOfLlamaServer(server);
      if (host && IsEveryAddress(*host) && !HasKey(server))
        open(server.Name(), "its host is " + SafeText(*host, 60), "add --api-key-file");
    }
  }
  if (verdict.findings.empty() && !facts.listeners && HasOllama(facts))
    verdict.unknown = facts.listeners.why();
  return verdict;
}

Verdict AnyOrigin(const DoctorFacts& facts) {
  Verdict verdict;
  for (const Variable& variable : facts.variables) {
    if (variable.name != "OLLAMA_ORIGINS" || ReachOf(facts, variable) == Reach::kNone) continue;
    const auto origins = Split(Unquoted(variable.value), ',');
    const bool any = std::any_of(origins.begin(), origins.end(), [](const std::string& o) {
      const std::string_view origin = Trim(o);
      return origin == "*" || origin == "http://*" || origin == "https://*";
    });
    if (!any) continue;
    verdict.findings.push_back({"",
                                Severity::kWarning,
                                variable.where,
                                "every web page that is open in a browser may use this Ollama",
                                fmt::format("OLLAMA_ORIGINS={}", SafeText(variable.value, 60)),
                                "",
                                "name the pages that need it instead of *",
                                {}});
  }
  return verdict;
}

Verdict VulnerableVersion(const DoctorFacts& facts) {
  if (!facts.ollama) return {{}, HasOllama(facts) ? facts.ollama.why() : ""};
  const auto version = AnsweringVersion(facts);
  if (!version) return {{}, version.why()};
  const auto known = VulnerabilitiesOf(*version);
  if (known.empty()) return {};
  // One finding: one update mends all. The newest are the ones still attacked.
  const Vulnerability& last = known.back();
  std::string ids;
  for (const Vulnerability& one : known) ids += (ids.empty() ? "" : ", ") + std::string(one.id);
  const auto newest =
      std::max_element(known.begin(), known.end(), [](const auto& a, const auto& b) {
        return *ParseOllamaVersion(a.fixed) < *ParseOllamaVersion(b.fixed);
      });
  return {{{"",
            Severity::kError,
            fmt::format("Ollama at {}", facts.ollama->host),
            fmt::format("version {} has known vulnerabilities; {}: {}", facts.ollama->version,
                        last.id, last.what),
            ids,
            last.source,
            fmt::format("update Ollama to {} or later", newest->fixed),
            {}}},
          ""};
}

}  // namespace

std::vector<Rule> NetworkRules() {
  return {
      {"open-to-network",
       "https://docs.ollama.com/faq (exposing Ollama on a network); CVE-2025-63389", OpenToNetwork},
      {"any-origin", "Ollama v0.17.4, envconfig/config.go (AllowedOrigins)", AnyOrigin},
      {"vulnerable-version", "", VulnerableVersion},
  };
}

}  // namespace trimma
