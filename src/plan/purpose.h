// What a model is for, and what that makes of loss, speed, waiting and room.
#pragma once

#include <cstdint>
#include <string>

#include "base/result.h"

namespace trimma {

enum class Purpose { kChat, kDocuments, kCode, kSpeed, kQuality };
const char* NameOf(Purpose purpose);                    // "chat", ...
Result<Purpose> ParsePurpose(const std::string& name);  // kUsage with the nearest name

// People read 240 words a minute, and a token is about 3/4 of an English word.
inline constexpr double kWordsPerToken = 0.75;
inline constexpr double kReadingTps = 240.0 / 60 / kWordsPerToken;

// The cost of a choice is a sum of logarithms,
//
//   loss_weight    * ln(max(loss, unnoticed_kld) / unnoticed_kld)
// + speed_weight   * ln(enough_tps / min(decode speed, enough_tps))
// + wait_weight    * ln(max(time to first token, enough_ttft_ms) / enough_ttft_ms)
// + context_weight * ln(wanted_context / min(context, wanted_context)),
//
// so weights are exchange rates: with loss and speed at 1, twice the speed is worth twice the loss,
// as long as neither is beyond its point of enough.
struct Taste {
  double unnoticed_kld;  // a smaller loss is no better
  double loss_weight;
  double enough_tps;  // faster is no better
  double speed_weight;
  double enough_ttft_ms;  // sooner is no better
  double wait_weight;
  uint32_t wanted_context;  // a longer one is not paid for
  uint32_t useful_context;  // but taken up to here where it is free
  double context_weight;
};

const Taste& TasteOf(Purpose purpose);

}  // namespace trimma
