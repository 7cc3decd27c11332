// The text that a quantiser learns from, cut into three parts that share no token.
#pragma once

#include <string>
#include <vector>

#include "quantize/calibration/text_source.h"

namespace trimma {

struct CalibrationText {
  TokenText moments;               // second moments are summed over these chunks
  TokenText held_out;              // better rounding must be better here too
  TokenText selection;             // how sensitive the tensors are is measured here
  LearningText record;             // what it was before it was cut
  std::vector<std::string> notes;  // what is wrong with the text
};

// Of each source an eighth of the chunks is for selection and as many are held out, spread over the
// whole text, at least one chunk: the language of the user's own text is in every part. At most
// kMostOfAPart in all. A text of two chunks has to serve two purposes with one of them, which a
// note says, as it says that the text is short.
inline constexpr size_t kMostOfAPart = 40;
CalibrationText CutCalibration(const ObtainedText& text);

// "the calibration text is short: ..."; "" where the tokens to learn from are enough.
std::string ShortTextNote(size_t tokens);

Json ToJson(const CalibrationText& text);
Result<CalibrationText> CalibrationFromJson(const Json& json);

}  // namespace trimma
