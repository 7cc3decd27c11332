#include "quantize/calibration/calibration_text.h"

#include <fmt/format.h>

#include <algorithm>

namespace trimma {
namespace {

constexpr size_t kFewestTokens = 16'384;

TokenText Like(const TokenText& text) {
  TokenText part;
  part.description = text.description;
  return part;
}

}  // namespace

CalibrationText CutCalibration(const TokenText& text) {
  const size_t chunks = text.chunks.size();
  CHECK(chunks >= 2);
  const size_t part = std::clamp<size_t>(chunks / 8, 1, kMostOfAPart);
  CalibrationText cut = {Like(text), Like(text), Like(text), ""};
  for (size_t i = 0; i < chunks; ++i) {
    // Every stretch of the text ends with a chunk to select on, and has one held out before it.
    const size_t stretch = i * part / chunks;
    const size_t end = ((stretch + 1) * chunks + part - 1) / part - 1;
    TokenText& to = i == end                     ? cut.selection
                    : i + 1 == end && chunks > 2 ? cut.held_out
                                                 : cut.moments;
    to.chunks.push_back(text.chunks[i]);
  }
  if (chunks == 2) cut.held_out = cut.selection;
  const size_t tokens = cut.moments.chunks.size() * text.chunks[0].size();
  if (chunks == 2) {
    cut.note = "the calibration text is so short that one half must serve to select and to check";
  } else if (tokens < kFewestTokens) {
    cut.note = fmt::format(
        "the calibration text is short: {} tokens to learn from, {} or more give a better file",
        tokens, kFewestTokens);
  }
  return cut;
}

Json ToJson(const CalibrationText& text) {
  return {{"description", text.moments.description},
          {"moments", text.moments.chunks},
          {"held_out", text.held_out.chunks},
          {"selection", text.selection.chunks},
          {"note", text.note}};
}

Result<CalibrationText> CalibrationFromJson(const Json& json) {
  try {
    CalibrationText text;
    text.moments.chunks = json.at("moments").get<std::vector<std::vector<Token>>>();
    text.held_out.chunks = json.at("held_out").get<std::vector<std::vector<Token>>>();
    text.selection.chunks = json.at("selection").get<std::vector<std::vector<Token>>>();
    text.moments.description = json.at("description");
    text.held_out.description = text.selection.description = text.moments.description;
    text.note = json.at("note");
    for (const TokenText* part : {&text.moments, &text.held_out, &text.selection}) {
      if (!part->chunks.empty() && !part->chunks[0].empty()) continue;
      return Error{Code::kInvalid, "the calibration tokens are incomplete", "start anew"};
    }
    return text;
  } catch (const nlohmann::json::exception&) {
    return Error{Code::kInvalid, "the calibration tokens are damaged", "start anew"};
  }
}

}  // namespace trimma
