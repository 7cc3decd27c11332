#include "gguf/parse.h"

#include <fmt/format.h>

#include <unordered_set>

#include "base/text.h"
#include "gguf/format.h"

namespace trimma {
namespace {

using format::kMagic;

struct Counts {
  uint64_t tensors = 0;
  uint64_t entries = 0;
};

// What a file without our magic probably is, so that the next step is clear.
Error NotGguf(HeaderCursor& cursor, std::string_view magic) {
  std::string_view hint = "name a file in the GGUF format";
  if (magic == "vers") hint = "this is a Git LFS pointer; fetch the file it stands for";
  if (magic == "<!do" || magic == "<!DO" || magic == "<htm")
    hint = "this is a web page; fetch the file itself";
  if (magic == "lmgg" || magic == "fmgg" || magic == "tjgg" || magic == "algg") {
    hint = "this is a GGML file from before August 2023; fetch a GGUF of the same model";
  }
  if (magic.starts_with("PK")) hint = "this is a zip archive; unpack it first";
  return cursor.Invalid(0, fmt::format("not a GGUF file: it begins with \"{}\"", SafeText(magic)),
                        hint);
}

Result<uint32_t> ParseVersion(HeaderCursor& cursor) {
  const uint64_t at = cursor.position();
  TRY(const uint32_t version, cursor.Read<uint32_t>("the version"));
  if (version == 2 || version == 3) return version;
  if (version != 0 && (version & 0xFFFF) == 0) {
    return cursor.Invalid(
        at, "this GGUF file is big-endian, this machine reads little-endian",
        "fetch the little-endian file, or convert it with gguf_convert_endian.py of llama.cpp");
  }
  return cursor.Invalid(at,
                        fmt::format("GGUF version {} is not supported, only 2 and 3 are", version),
                        version == 1 ? "fetch a newer conversion of the model" : "");
}

Result<Counts> ParseCounts(HeaderCursor& cursor) {
  Counts counts;
  TRY(counts.tensors, cursor.Read<uint64_t>("the tensor count"));
  TRY(counts.entries, cursor.Read<uint64_t>("the metadata count"));
  const auto check = [&](const char* what, uint64_t count, uint64_t least_bytes,
                         uint64_t limit) -> Status {
    if (count > cursor.remaining() / least_bytes) {
      return cursor.Truncated(cursor.position(),
                              fmt::format("{} {} cannot fit into the remaining {} bytes", what,
                                          count, cursor.remaining()));
    }
    if (count > limit) {
      return cursor.Invalid(cursor.position(),
                            fmt::format("{} {} is more than the {} allowed", what, count, limit));
    }
    return {};
  };
  TRY_STATUS(
      check("the metadata count", counts.entries, format::kMinEntryBytes, format::kMaxEntries));
  TRY_STATUS(
      check("the tensor count", counts.tensors, format::kMinTensorBytes, format::kMaxTensors));
  return counts;
}

Result<Metadata> ParseMetadata(HeaderCursor& cursor, uint64_t count) {
  Metadata metadata;
  for (uint64_t i = 0; i < count; ++i) {
    const uint64_t at = cursor.position();
    TRY(Metadata::Entry entry, ParseEntry(cursor));
    if (metadata.Has(entry.first)) {
      return cursor.Invalid(at,
                            fmt::format("the metadata key {} occurs twice", SafeText(entry.first)));
    }
    metadata.Set(std::move(entry.first), std::move(entry.second));
  }
  return metadata;
}

Result<uint64_t> AlignmentOf(const HeaderCursor& cursor, const Metadata& metadata) {
  const Value* value = metadata.Find(format::kAlignmentKey);
  if (value == nullptr) return format::kDefaultAlignment;
  const auto* alignment = std::get_if<uint32_t>(value);
  if (alignment == nullptr) {
    return cursor.Invalid(cursor.position(), "general.alignment is not of type UINT32");
  }
  if (!format::IsAlignment(*alignment)) {
    return cursor.Invalid(cursor.position(),
                          fmt::format("general.alignment is {}, not a power of two from {} to {}",
                                      *alignment, format::kMinAlignment, format::kMaxAlignment));
  }
  return uint64_t{*alignment};
}

// One record of the table; `offset` is as in the file, relative to the data section.
Result<TensorInfo> ParseTensor(HeaderCursor& cursor) {
  const uint64_t at = cursor.position();
  TensorInfo tensor;
  TRY(const uint64_t name_bytes, cursor.Read<uint64_t>("the length of a tensor's name"));
  if (name_bytes > format::kMaxNameBytes) {
    return cursor.Invalid(at, fmt::format("a tensor's name has {} bytes, at most {} are allowed",
                                          name_bytes, format::kMaxNameBytes));
  }
  TRY(tensor.name, cursor.Take(name_bytes, "a tensor's name"));
  const std::string fault = format::FaultOfName(tensor.name, format::kMaxNameBytes);
  if (!fault.empty()) return cursor.Invalid(at, fmt::format("a tensor's name {}", fault));

  const uint64_t shape_at = cursor.position();
  TRY(const uint32_t dimensions, cursor.Read<uint32_t>("a tensor's dimension count"));
  if (dimensions == 0 || dimensions > format::kMaxDimensions) {
    return cursor.Invalid(shape_at,
                          fmt::format("tensor {} has {} dimensions, 1 to {} are allowed",
                                      SafeText(tensor.name), dimensions, format::kMaxDimensions));
  }
  tensor.shape.resize(dimensions);
  for (uint64_t& dimension : tensor.shape) {
    TRY(dimension, cursor.Read<uint64_t>("a tensor's shape"));
  }
  const uint64_t type_at = cursor.position();
  TRY(const uint32_t type, cursor.Read<uint32_t>("a tensor's type"));
  if (FindType(type) == nullptr) {
    return cursor.Invalid(
        type_at,
        fmt::format("tensor {} has type {}, which is unknown", SafeText(tensor.name), type),
        "the file may need a newer engine, or use a type that llama.cpp has removed");
  }
  tensor.type = TensorType{type};
  const format::TensorSize size = format::SizeOf(tensor.type, tensor.shape);
  if (!size.fault.empty()) {
    return cursor.Invalid(shape_at, fmt::format("tensor {} {}", SafeText(tensor.name), size.fault));
  }
  tensor.bytes = size.bytes;
  TRY(tensor.offset, cursor.Read<uint64_t>("a tensor's offset"));
  return tensor;
}

Result<std::vector<TensorInfo>> ParseTensors(HeaderCursor& cursor, uint64_t count,
                                             uint64_t alignment) {
  std::vector<TensorInfo> tensors;
  tensors.reserve(count);
  std::unordered_set<std::string_view> names;
  names.reserve(count);
  uint64_t expected = 0;
  for (uint64_t i = 0; i < count; ++i) {
    const uint64_t at = cursor.position();
    TRY(TensorInfo tensor, ParseTensor(cursor));
    if (tensor.offset != expected) {
      // ggml wants the tensors' data in the order of the table, without gap or overlap.
      return cursor.Invalid(
          cursor.position() - sizeof(uint64_t),
          fmt::format("tensor {} has offset {}, but the data before it ends at {}",
                      SafeText(tensor.name), tensor.offset, expected));
    }
    const std::optional<uint64_t> padded = format::Padded(tensor.bytes, alignment);
    if (!padded || __builtin_add_overflow(expected, *padded, &expected)) {
      return cursor.Invalid(at, fmt::format("tensor {} of {} bytes cannot be in any file",
                                            SafeText(tensor.name), tensor.bytes));
    }
    tensors.push_back(std::move(tensor));
    if (!names.insert(tensors.back().name).second) {
      return cursor.Invalid(at,
                            fmt::format("tensor {} occurs twice", SafeText(tensors.back().name)));
    }
  }
  return tensors;
}

// Turns offsets into positions in the file and checks that the data is all there.
Status PlaceData(HeaderCursor& cursor, GgufFile* file) {
  const uint64_t header_bytes = cursor.position();
  file->data_offset = header_bytes;
  if (file->tensors.empty()) return {};
  file->data_offset =
      *format::Padded(header_bytes, file->alignment);  // a header is far from overflow
  for (TensorInfo& tensor : file->tensors) {
    uint64_t end = 0;
    const bool overflows =
        __builtin_add_overflow(tensor.offset, file->data_offset, &tensor.offset) ||
        __builtin_add_overflow(tensor.offset, tensor.bytes, &end);
    if (overflows || end > cursor.file_bytes()) {
      return cursor.Truncated(
          cursor.file_bytes(),
          fmt::format("the file ends here, but tensor {} of {} bytes begins at byte {}",
                      SafeText(tensor.name), tensor.bytes, tensor.offset));
    }
  }
  return {};
}

}  // namespace

Result<GgufFile> ParseHeader(HeaderCursor& cursor) {
  if (cursor.file_bytes() == 0) return cursor.Truncated(0, "the file is empty");
  TRY(const std::string_view magic, cursor.Take(kMagic.size(), "the magic \"GGUF\""));
  if (magic != kMagic) return NotGguf(cursor, magic);
  GgufFile file;
  file.file_bytes = cursor.file_bytes();
  TRY(file.version, ParseVersion(cursor));
  TRY(const Counts counts, ParseCounts(cursor));
  TRY(file.metadata, ParseMetadata(cursor, counts.entries));
  TRY(file.alignment, AlignmentOf(cursor, file.metadata));
  TRY(file.tensors, ParseTensors(cursor, counts.tensors, file.alignment));
  TRY_STATUS(PlaceData(cursor, &file));
  return file;
}

}  // namespace trimma
