#include "ollama/pull.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "base/text.h"
#include "net/http.h"
#include "net/json.h"

namespace trimma {
namespace {

constexpr size_t kLongestLine = size_t{64} << 10;
constexpr uint64_t kMostReportBytes = uint64_t{1} << 30;  // a line each 60 ms for days
constexpr double kStallSeconds = 900;  // it is silent while it verifies a large file

Error PullError(const std::string& words, const std::string& name) {
  const std::string said = SafeText(words, 200);
  const std::string lower = ToLower(said);
  const bool absent = lower.find("file does not exist") != std::string::npos ||
                      (lower.starts_with("model ") && lower.ends_with("not found"));
  if (absent)
    return {Code::kNotFound, fmt::format("Ollama found no model {} in the registry", name), ""};
  if (lower.find("requires a newer version of ollama") != std::string::npos) {
    return {Code::kFailure, fmt::format("this Ollama is too old for {}: {}", name, said),
            "update Ollama, then pull again"};
  }
  // A registry that sends files itself, as a plain Docker registry does, instead of redirecting.
  const bool plain = lower.find("no location header") != std::string::npos;
  return {
      Code::kNetwork, fmt::format("Ollama could not pull {}: {}", name, said),
      plain ? "Ollama takes files only from registries that redirect to another host; with Ollama "
              "stopped, trimma fetches them itself"
            : "what it fetched is kept; try again"};
}

}  // namespace

Result<OllamaPullStep> ParsePullStep(std::string_view line) {
  TRY(const nlohmann::json json, ParseForeignJson(line, "a line of Ollama's report"));
  if (!json.is_object())
    return Error{Code::kInvalid, "a line of Ollama's report is no JSON object", ""};
  OllamaPullStep step;
  step.status = SafeText(TextOf(json, "status").value_or(""), 200);
  step.digest = SafeText(TextOf(json, "digest").value_or(""), 80);
  step.completed = CountOf(json, "completed").value_or(0);
  step.total = CountOf(json, "total").value_or(0);
  step.error = SafeText(TextOf(json, "error").value_or(""), 500);
  if (json.contains("error") && step.error.empty()) step.error = "no words";
  return step;
}

Result<OllamaPullResult> PullThroughOllama(const OllamaAddress& address, const std::string& name,
                                           bool insecure, const OnPullStep& on_step) {
  HttpRequest request;
  request.url = fmt::format("http://{}/api/pull", address.Text());
  request.post = nlohmann::json{{"model", name}, {"stream", true}, {"insecure", insecure}}.dump();
  request.limits.stall_seconds = kStallSeconds;
  request.limits.body_bytes = kMostReportBytes;
  std::string rest;
  bool succeeded = false;
  std::map<std::string, OllamaPullStep> files;
  std::map<std::string, uint64_t> first;
  const auto take_line = [&](std::string_view line) -> Status {
    if (Trim(line).empty()) return {};
    TRY(const OllamaPullStep step, ParsePullStep(line));
    if (!step.error.empty()) return PullError(step.error, name);
    succeeded |= step.status == "success";
    if (!step.digest.empty() && files.size() < 256) {
      // The first word of a file tells what the server has of it already.
      first.emplace(step.digest, step.completed);
      files[step.digest] = step;
    }
    OllamaPullBytes bytes;
    for (const auto& [digest, file] : files) {
      const uint64_t there = std::min(first[digest], file.completed);
      bytes.there += there;
      bytes.fetched += file.completed - there;
      bytes.of += file.total;
    }
    if (on_step) on_step(step, bytes);
    return {};
  };
  // A server at a given address is the user's own word: plain http is how Ollama speaks.
  HttpClient client({/*insecure=*/true});
  TRY(const HttpAnswer answer, client.Fetch(request, [&](std::string_view bytes) -> Status {
    rest += bytes;
    for (size_t end = rest.find('\n'); end != std::string::npos; end = rest.find('\n')) {
      TRY_STATUS(take_line(std::string_view(rest).substr(0, end)));
      rest.erase(0, end + 1);
    }
    if (rest.size() > kLongestLine)
      return Error{Code::kNetwork, "Ollama's report has a line without end", ""};
    return {};
  }));
  if (answer.status != 200) {
    const Result<OllamaPullStep> step = ParsePullStep(answer.body);
    return PullError(step.ok() ? step->error : fmt::format("HTTP {}", answer.status), name);
  }
  TRY_STATUS(take_line(rest));
  if (!succeeded) {
    return Error{Code::kNetwork, fmt::format("Ollama ended its report on {} half-way", name),
                 "try again"};
  }
  OllamaPullResult result;
  for (const auto& [digest, file] : files) result.bytes += file.total;
  return result;
}

}  // namespace trimma
