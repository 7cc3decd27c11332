#include "quantize/calibration/calibration_text.h"

#include <fmt/format.h>

#include <algorithm>

namespace trimma {
namespace {

constexpr size_t kFewestTokens = 16'384;

// One source's chunks, `most` at most for selection and as many held out.
void Deal(const std::vector<std::vector<Token>>& from, size_t most, CalibrationText& cut) {
  const size_t chunks = from.size();
  if (chunks == 0) return;
  CHECK(chunks >= 2);
  const size_t part = std::clamp<size_t>(chunks / 8, 1, most);
  for (size_t i = 0; i < chunks; ++i) {
    // Every stretch of the text ends with a chunk to select on, and has one held out before it.
    const size_t stretch = i * part / chunks;
    const size_t end = ((stretch + 1) * chunks + part - 1) / part - 1;
    TokenText& to = i == end                     ? cut.selection
                    : i + 1 == end && chunks > 2 ? cut.held_out
                                                 : cut.moments;
    to.chunks.push_back(from[i]);
  }
}

}  // namespace

CalibrationText CutCalibration(const ObtainedText& text) {
  CalibrationText cut;
  cut.record = text.record;
  cut.notes = text.notes;
  const size_t sources = size_t{!text.file.chunks.empty()} + size_t{!text.generated.chunks.empty()};
  for (const TokenText* source : {&text.file, &text.generated})
    Deal(source->chunks, kMostOfAPart / std::max<size_t>(1, sources), cut);
  CHECK(!cut.moments.chunks.empty());
  for (TokenText* part : {&cut.moments, &cut.held_out, &cut.selection})
    part->description = NameOfText(text.record.file, !text.generated.chunks.empty());
  if (cut.held_out.chunks.empty()) {
    cut.held_out = cut.selection;
    cut.notes.emplace_back(
        "the calibration text is so short that one half must serve to select and to check");
  }
  const std::string note = ShortTextNote(cut.moments.chunks.size() * cut.moments.chunks[0].size());
  if (!note.empty()) cut.notes.push_back(note);
  return cut;
}

std::string ShortTextNote(size_t tokens) {
  if (tokens >= kFewestTokens) return "";
  return fmt::format(
      "the calibration text is short: {} tokens to learn from, and {} more would make a better "
      "file "
      "(a longer --calibration, or --generate for more seconds)",
      tokens, kFewestTokens - tokens);
}

Json ToJson(const CalibrationText& text) {
  return {{"description", text.moments.description}, {"moments", text.moments.chunks},
          {"held_out", text.held_out.chunks},        {"selection", text.selection.chunks},
          {"record", ToJson(text.record)},           {"notes", text.notes}};
}

Result<CalibrationText> CalibrationFromJson(const Json& json) {
  try {
    CalibrationText text;
    text.moments.chunks = json.at("moments").get<std::vector<std::vector<Token>>>();
    text.held_out.chunks = json.at("held_out").get<std::vector<std::vector<Token>>>();
    text.selection.chunks = json.at("selection").get<std::vector<std::vector<Token>>>();
    text.moments.description = json.at("description");
    text.held_out.description = text.selection.description = text.moments.description;
    text.record = LearningTextFromJson(json.at("record"));
    text.notes = json.at("notes").get<std::vector<std::string>>();
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
