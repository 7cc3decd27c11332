// One streamed answer through the client, for `./dev bench ollama`: reads the body of a raw
// /api/generate from standard input, prints the answer's text, and on standard error the seconds
// until its first piece and until its end.
#include <fmt/format.h>

#include <cstdio>
#include <iostream>
#include <iterator>

#include "ollama/client.h"

int main() {
  using namespace trimma;
  const std::string body{std::istreambuf_iterator<char>(std::cin), {}};
  const auto json = ParseAnswer(body);
  auto client = OllamaClient::Connect();
  if (!json.ok() || !client.ok()) {
    fmt::print(stderr, "{}\n", json.ok() ? client.error().what : json.error().what);
    return 1;
  }
  OllamaPrompt prompt;
  prompt.model = json->value("model", "");
  prompt.text = json->value("prompt", "");
  prompt.options = json->value("options", Json::object());
  const auto answer = client->Generate(prompt, [](std::string_view text) {
    std::fwrite(text.data(), 1, text.size(), stdout);
    std::fflush(stdout);
  });
  if (!answer.ok()) {
    fmt::print(stderr, "{}\n", answer.error().what);
    return 1;
  }
  fmt::print(stderr, "{} {}\n", answer->first_text_s, answer->total_s);
  return 0;
}
