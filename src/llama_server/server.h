// A llama-server of our own, running with one model under given options, and its API.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "llama_server/answer.h"
#include "llama_server/process.h"
#include "llama_server/program.h"

namespace trimma {

struct ServedRequest {
  std::vector<int32_t> tokens;  // the prompt; where empty, `text` is
  std::string text;
  int most_tokens = 0;
  bool ignore_end = false;    // go on where the model would end
  bool stream = false;        // for the time to the first token
  double most_seconds = 600;  // then it has failed
};

class HttpSession;

// On a free port of this machine's loopback; ended with the object. Errors: kNoFit where its memory
// ended, kNetwork where it hangs, its own words where it says some. Not thread-safe.
class LlamaServer {
 public:
  // Starts it and waits until its model is loaded; kFailure after `most_seconds`.
  static Result<LlamaServer> Start(const LlamaServerProgram& program,
                                   const std::vector<std::string>& arguments, double most_seconds);
  LlamaServer(LlamaServer&&) noexcept;
  LlamaServer& operator=(LlamaServer&&) = delete;
  ~LlamaServer();

  double load_ms() const { return load_ms_; }  // from the start until it was ready
  // Layers on cards, of how many, as its log tells; nullopt where it doesn't.
  std::optional<std::pair<int, int>> OffloadedLayers() const;

  // Greedy, nothing taken from its cache of prompts.
  Result<ServedAnswer> Complete(const ServedRequest& request);
  Result<std::vector<int32_t>> Tokenize(const std::string& text);
  // A user's message in the model's chat template; nullopt where this version can't be asked.
  Result<std::optional<std::string>> ApplyTemplate(const std::string& message);

 private:
  LlamaServer(TiedProcess process, std::unique_ptr<HttpSession> session, double load_ms);
  Result<nlohmann::json> Post(const std::string& path, const nlohmann::json& body,
                              double most_seconds);
  Result<ServedAnswer> Stream(const nlohmann::json& body, double most_seconds);
  // An error of a call, or why the server died meanwhile.
  Error Because(const Error& error);

  TiedProcess process_;
  std::unique_ptr<HttpSession> session_;
  double load_ms_;
};

// "offloaded 20/33 layers to GPU" in a log (pure).
std::optional<std::pair<int, int>> ParseOffloaded(std::string_view log);

}  // namespace trimma
