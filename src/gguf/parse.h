// The header of one file: magic, metadata, tensor table.
#pragma once

#include "base/result.h"
#include "gguf/cursor.h"
#include "gguf/reader.h"
#include "gguf/value.h"

namespace trimma {

// Everything but GgufFile::paths. Of a split model, this file's part alone.
Result<GgufFile> ParseHeader(HeaderCursor& cursor);

// One key with its value (parse_value.cc).
Result<Metadata::Entry> ParseEntry(HeaderCursor& cursor);

}  // namespace trimma
