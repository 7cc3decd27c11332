#include "quantize/learn_from.h"

#include <filesystem>

namespace trimma {

std::string TextNameOf(const QuantizeOptions& options) {
  if (!options.calibration_text) return NameOfText("", true);
  return NameOfText(std::filesystem::path(*options.calibration_text).filename().string(),
                    options.generate_text);
}

TextRequest TextWanted(const QuantizeOptions& options, size_t chunks) {
  return {options.calibration_text, options.generate_text, options.generate_seconds, chunks};
}

}  // namespace trimma
