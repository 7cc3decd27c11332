#include "gguf/cursor.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"
#include "gguf/format.h"

namespace trimma {
namespace {
constexpr uint64_t kPiece = uint64_t{256} << 10;
constexpr size_t kMaxPathBytes = 4096;
}  // namespace

HeaderCursor::HeaderCursor(std::string_view name, std::string_view head, uint64_t file_bytes)
    : name_(SafeText(name, kMaxPathBytes)),
      piece_(head.substr(0, file_bytes)),
      file_bytes_(file_bytes) {}

HeaderCursor::HeaderCursor(const InputFile& file)
    : name_(SafeText(file.path(), kMaxPathBytes)), file_(&file), file_bytes_(file.bytes()) {}

Error HeaderCursor::Invalid(uint64_t at, std::string_view sentence, std::string_view hint) const {
  return {Code::kInvalid, fmt::format("{}, byte {}: {}", name_, at, sentence), std::string(hint)};
}

Error HeaderCursor::Truncated(uint64_t at, std::string_view sentence) const {
  return Invalid(at, sentence, "the download is incomplete; fetch it again");
}

Status HeaderCursor::Fill(uint64_t bytes, const char* what) {
  if (bytes > remaining()) {
    return Truncated(position_, fmt::format("{} needs {} bytes, but the file ends after {}", what,
                                            bytes, remaining()));
  }
  const uint64_t end = position_ + bytes;
  if (end > format::kMaxHeaderBytes) {
    return Invalid(position_,
                   fmt::format("the header is longer than {} bytes", format::kMaxHeaderBytes));
  }
  if (file_ == nullptr) {
    wants_more_ = true;
    return Invalid(position_, fmt::format("{} lies beyond the first {} bytes that were given", what,
                                          piece_.size()));
  }
  // What is left of the piece moves to the front, and the file's next bytes come behind it.
  const uint64_t left = at_hand().size();
  if (left > 0) std::memmove(buffer_.data(), at_hand().data(), left);
  const uint64_t limit = std::min(file_bytes_, format::kMaxHeaderBytes) - position_;
  const uint64_t want = std::min(limit, std::max(bytes, kPiece));
  if (buffer_.size() < want) buffer_.resize(want);
  TRY_STATUS(file_->ReadAt(position_ + left, buffer_.data() + left, want - left));
  piece_ = std::string_view(buffer_).substr(0, want);
  piece_at_ = position_;
  return {};
}

}  // namespace trimma
