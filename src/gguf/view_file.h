// Writing what a view describes.
#pragma once

#include <functional>
#include <string>

#include "base/result.h"
#include "gguf/view.h"

namespace trimma {

struct WriteViewOptions {
  bool replace = true;  // false: kFailure where the file is there already
  std::function<void(double)> progress;
};

// Writes the file, which appears complete or not at all; kIo before any work where the disk has no
// room for it. Tensors that are copied share the source's blocks where the filesystem can.
Status WriteView(const GgufView& view, const std::string& path,
                 const WriteViewOptions& options = {});

// Lengthens the header so that most of the data lies in its blocks as it does in the source: blocks
// can't be shared otherwise. The key it adds has no other meaning.
Status AlignToSource(GgufView& view);
inline constexpr const char* kViewPaddingKey = "trimma.view.padding";

}  // namespace trimma
