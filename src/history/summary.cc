#include "history/summary.h"

#include <fmt/format.h>

#include <array>
#include <filesystem>
#include <string_view>

#include "base/text.h"
#include "base/units.h"

namespace trimma {
namespace {

std::string FileName(const Json& path) {
  return std::filesystem::path(path.get<std::string>()).filename().string();
}

std::string OfSpeed(const Json& speed) {
  return fmt::format("prefill {:.1f} tok/s, decode {:.1f} tok/s",
                     speed.at("prefill_tps").at("median").get<double>(),
                     speed.at("decode_tps").at("median").get<double>());
}

std::string OfMeasure(const Json& d) {
  std::string text = d.at("speed").is_null() ? "" : OfSpeed(d["speed"]);
  if (d.at("quality").is_null()) return text;
  return fmt::format("{}{}mean KLD {:.5f}", text, text.empty() ? "" : ", ",
                     d["quality"].at("mean_kld").get<double>());
}

std::string OfTune(const Json& d) { return d.at("verdict"); }

std::string OfOptimize(const Json& d) {
  return fmt::format("{} to {}: {}", d.at("before").at("type").get<std::string>(),
                     d.at("after").at("type").get<std::string>(), OfSpeed(d["after"].at("speed")));
}

std::string OfQuantize(const Json& d) {
  return fmt::format("{}: {}, {:.2f} bits a weight", FileName(d.at("output")),
                     FormatBytes(d.at("file_bytes")), d.at("bits_per_weight").get<double>());
}

std::string OfCompare(const Json& d) {
  std::string text = fmt::format("{} models", d.at("models").size());
  for (const Json& pair : d.at("pairs"))
    text += fmt::format(", mean KLD {:.5f}", pair.at("mean_kld").get<double>());
  return text;
}

std::string OfPrompt(const Json& d) {
  return fmt::format("{}: {} tokens, first token after {} cold, {} with the prefix kept",
                     FileName(d.at("prompt")), d.at("tokens").get<int>(),
                     FormatSeconds(d.at("ttft_cold_ms").get<double>() / 1000),
                     FormatSeconds(d.at("ttft_warm_ms").get<double>() / 1000));
}

std::string OfSampling(const Json& d) {
  const auto us = [&](const char* which) {
    return d.at("orders").at(d.at(which).get<size_t>()).at("us").at("median").get<double>();
  };
  return fmt::format("choosing a token takes {:.0f} us, in the cheapest equal order {:.0f}",
                     us("usual"), us("cheapest"));
}

struct Summary {
  std::string_view command;
  std::string (*of)(const Json& document);
};
constexpr std::array kSummaries = {Summary{"measure", OfMeasure},   Summary{"tune", OfTune},
                                   Summary{"optimize", OfOptimize}, Summary{"quantize", OfQuantize},
                                   Summary{"compare", OfCompare},   Summary{"prompt", OfPrompt},
                                   Summary{"sampling", OfSampling}};

}  // namespace

std::string CommandOf(const Json& document) {
  constexpr std::string_view kStart = "trimma.";
  if (!document.is_object() || !document.contains("schema") || !document["schema"].is_string())
    return "";
  const std::string schema = document["schema"];
  const size_t slash = schema.find('/');
  if (!schema.starts_with(kStart) || slash == std::string::npos) return "";
  return schema.substr(kStart.size(), slash - kStart.size());
}

std::string SummaryOf(const Json& document) {
  const std::string command = CommandOf(document);
  for (const Summary& summary : kSummaries) {
    if (summary.command != command) continue;
    try {
      return SafeText(summary.of(document), 300);
    } catch (const nlohmann::json::exception&) {
      return "";  // a document of another version: it is listed without a summary
    }
  }
  return "";
}

}  // namespace trimma
