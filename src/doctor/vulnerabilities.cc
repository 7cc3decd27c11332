#include "doctor/vulnerabilities.h"

#include <array>

namespace trimma {
namespace {

constexpr std::array kTable = {
    Vulnerability{"CVE-2024-28224", "", "0.1.29", "a web page can use the API (DNS rebinding)",
                  "https://nvd.nist.gov/vuln/detail/CVE-2024-28224"},
    Vulnerability{"CVE-2024-37032", "", "0.1.34", "a pull writes any file, up to running code",
                  "https://nvd.nist.gov/vuln/detail/CVE-2024-37032"},
    Vulnerability{"CVE-2024-39721", "", "0.1.34", "a create request hangs the server",
                  "https://nvd.nist.gov/vuln/detail/CVE-2024-39721"},
    Vulnerability{"CVE-2024-39720", "", "0.1.46", "a small file crashes the server",
                  "https://nvd.nist.gov/vuln/detail/CVE-2024-39720"},
    Vulnerability{"CVE-2024-39722", "", "0.1.46", "a push tells which files exist",
                  "https://nvd.nist.gov/vuln/detail/CVE-2024-39722"},
    Vulnerability{"CVE-2024-45436", "", "0.1.47", "a ZIP archive writes outside its folder",
                  "https://nvd.nist.gov/vuln/detail/CVE-2024-45436"},
    Vulnerability{"CVE-2025-51471", "", "0.14.3", "a registry can obtain another one's token",
                  "https://github.com/ollama/ollama/pull/13738"},
    Vulnerability{"CVE-2026-7482", "", "0.17.1",
                  "a create request reads the server's memory (other users' prompts, keys)",
                  "https://nvd.nist.gov/vuln/detail/CVE-2026-7482"},
    Vulnerability{"CVE-2026-103663", "0.34.2", "0.35.0",
                  "a pull writes any file, up to running code",
                  "https://cert.pl/en/posts/2026/10/CVE-2026-103663/"},
};

}  // namespace

std::vector<Vulnerability> VulnerabilitiesOf(const OllamaVersion& version) {
  std::vector<Vulnerability> found;
  for (const Vulnerability& one : kTable) {
    const auto since = ParseOllamaVersion(one.since);
    if (version < *ParseOllamaVersion(one.fixed) && (!since || version >= *since))
      found.push_back(one);
  }
  return found;
}

}  // namespace trimma
