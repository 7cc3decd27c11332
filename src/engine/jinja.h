// Jinja, the language that chat templates are written in, by llama.cpp's own interpreter.
#pragma once

#include <string>

#include "base/child.h"
#include "base/result.h"

namespace trimma {

// The text that `source` makes of `input`, an object of its variables. kInvalid with the
// interpreter's words where the template is wrong, or refuses the input (raise_exception).
// Templates are foreign programs: run them in a child process, where one that never ends is ended.
Result<std::string> RenderJinja(const std::string& source, const Json& input);

}  // namespace trimma
