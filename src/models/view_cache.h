// Text views of stored files, written once: the engine maps and repacks a file of its own kind,
// which it can't where tensors are handed to it one by one.
//   <cache>/trimma/views/<key>-v<version of the views>.gguf
// The key is the blob's digest, or of other files their names, sizes and times. All may be deleted.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "base/result.h"
#include "models/engine_view.h"

namespace trimma {

// Where the text view of `stored` lies, or would.
Result<std::string> TextViewPath(const GgufFile& stored);

// Its header, if the file is there and is what `view` describes now.
std::optional<GgufFile> FindTextView(const GgufFile& stored, const EngineView& view);

// Writes it and returns its header. kIo before any work where the disk has no room.
Result<GgufFile> WriteTextView(const GgufFile& stored, const EngineView& view,
                               const std::function<void(double)>& progress = {});

}  // namespace trimma
