// The text that a quantiser learns from, cut into three parts that share no token.
#pragma once

#include <string>

#include "base/child.h"
#include "engine/token_text.h"

namespace trimma {

struct CalibrationText {
  TokenText moments;    // second moments are summed over these chunks
  TokenText held_out;   // better rounding must be better here too
  TokenText selection;  // how sensitive the tensors are is measured here
  std::string note;     // what is wrong with the text; "" if it will do
};

// An eighth of the chunks is for selection and as many are held out, spread over the whole text; at
// most kMostOfAPart each, at least one chunk. A text of two chunks has to serve two purposes with
// one of them, which the note says.
inline constexpr size_t kMostOfAPart = 16;
CalibrationText CutCalibration(const TokenText& text);

Json ToJson(const CalibrationText& text);
Result<CalibrationText> CalibrationFromJson(const Json& json);

}  // namespace trimma
