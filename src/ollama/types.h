// What Ollama's API says and is told, as plain values.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/child.h"

namespace trimma {

// A model in Ollama's store: /api/tags.
struct OllamaTag {
  std::string name;    // "gemma3:4b", always with its tag
  std::string digest;  // of the manifest: two names with the same one are the same model
  uint64_t bytes = 0;
  std::string type;  // "Q4_K_M"
};

// A model in memory: /api/ps.
struct OllamaLoaded {
  std::string name;
  std::string digest;
  uint64_t bytes = 0;               // in memory
  uint64_t gpu_bytes = 0;           // of which on graphics cards
  std::optional<uint64_t> context;  // tokens; nullopt: this version doesn't say
};

// What a model is made of: /api/show.
struct OllamaShow {
  std::string chat_template;  // Go's template language
  std::string system;
  std::string license;  // several are joined by a newline
  std::string renderer, parser;
  std::string needs_version;         // the least Ollama that runs it; "" if it says none
  Json parameters = Json::object();  // "num_ctx": 4096, "stop": ["a", "b"]
  Json messages = Json::array();
  std::string weights_digest;  // "sha256:<64 hex digits>"; "" if the answer names no blob
  std::vector<std::string> projector_digests;
  bool has_adapter = false;
  std::string type;    // "Q4_K_M"
  std::string family;  // "gemma3"
  std::vector<std::string> capabilities;
  // Of the file's metadata.
  std::string architecture;  // "gemma3"
  uint64_t layers = 0;
  uint64_t trained_context = 0;
  bool has_projector = false;
};

// A model to make: /api/create. Either `from` (a model of this Ollama, whose parts stay but for
// those that are given here) or `files`.
struct OllamaCreate {
  std::string name;
  std::string from;
  std::vector<std::string> file_digests;  // weights first, then a projector
  Json parameters = Json::object();
  std::string chat_template, system, license, renderer, parser, needs_version;
  Json messages = Json::array();
};

// A text to go on from as it is, without the model's template: /api/generate, raw.
struct OllamaPrompt {
  std::string model;
  std::string text;
  Json options = Json::object();  // "num_predict", "temperature", "num_thread", ...
  std::optional<std::string> keep_alive;
  // What comes after so many seconds is given up, and the answer is what came until then ("cut").
  // An answer that Ollama itself breaks off (after 30 equal tokens) is then one that was cut, too.
  std::optional<double> most_seconds;
  // The same, also where nothing came yet: it loads, or reads the prompt.
  std::optional<double> deadline_s;
};

struct OllamaMessage {
  std::string role;  // "system", "user", "assistant"
  std::string content;
};

// A conversation to answer, as an application asks: /api/chat. Ollama puts the model's own system
// prompt (unless one is given) and messages before it, and all through the model's template.
struct OllamaChat {
  std::string model;
  std::vector<OllamaMessage> messages;
  Json options = Json::object();
  std::optional<double> most_seconds;  // as OllamaPrompt's
};

// What one answer took, by the server's clock and, where it says so, by ours.
struct OllamaAnswer {
  std::string text;
  std::string thinking;     // what a thinking model said before it, where Ollama keeps it apart
  std::string done_reason;  // "stop", "length", "load", "cut"
  int64_t pieces = 0;       // that both arrived in; about a token each
  int64_t prompt_tokens = 0;
  int64_t answer_tokens = 0;
  double load_s = 0;
  double prompt_s = 0;
  double answer_s = 0;
  double first_text_s = 0;  // our clock, from the request on
  double last_text_s = 0;
  double total_s = 0;  // our clock
  // Tokens per second; nullopt: too few tokens, or a time of 0. Of an answer that was cut, the
  // pieces by our clock.
  std::optional<double> PrefillRate() const;
  std::optional<double> DecodeRate() const;
};

// The answers' grammar, each kInvalid for what isn't one of Ollama's. Pure.
Result<std::vector<OllamaTag>> ParseTags(const Json& json);
Result<std::vector<OllamaLoaded>> ParseLoaded(const Json& json);
Result<OllamaShow> ParseShow(const Json& json);

// "num_ctx    4096\nstop    \"a\"": as /api/show writes parameters. Lines that can't be read are
// left out.
Json ParseParameters(const std::string& text);

// The body of /api/create.
Json ToJson(const OllamaCreate& create);

// JSON that Ollama is to have sent, or kInvalid.
Result<Json> ParseAnswer(std::string_view text);

// "sha256:<64 lower-case hex digits>", and nothing else: a digest becomes part of a path.
bool IsOllamaDigest(std::string_view text);

}  // namespace trimma
