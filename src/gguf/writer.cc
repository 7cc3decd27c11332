#include "gguf/writer.h"

#include <fmt/format.h>

#include <type_traits>
#include <unordered_set>

#include "base/text.h"
#include "gguf/format.h"

namespace trimma {
namespace {

using format::Kind;

Error Invalid(const std::string& sentence) {
  return {Code::kInvalid, "cannot lay out a GGUF file: " + sentence, ""};
}

template <typename T>
constexpr Kind KindOf() {
  if constexpr (std::is_same_v<T, uint8_t>) return Kind::kUint8;
  if constexpr (std::is_same_v<T, int8_t>) return Kind::kInt8;
  if constexpr (std::is_same_v<T, uint16_t>) return Kind::kUint16;
  if constexpr (std::is_same_v<T, int16_t>) return Kind::kInt16;
  if constexpr (std::is_same_v<T, uint32_t>) return Kind::kUint32;
  if constexpr (std::is_same_v<T, int32_t>) return Kind::kInt32;
  if constexpr (std::is_same_v<T, float>) return Kind::kFloat32;
  if constexpr (std::is_same_v<T, bool>) return Kind::kBool;
  if constexpr (std::is_same_v<T, std::string>) return Kind::kString;
  if constexpr (std::is_same_v<T, Array>) return Kind::kArray;
  if constexpr (std::is_same_v<T, uint64_t>) return Kind::kUint64;
  if constexpr (std::is_same_v<T, int64_t>) return Kind::kInt64;
  if constexpr (std::is_same_v<T, double>) return Kind::kFloat64;
}

// Appends to a header, little-endian as the machine is (format.h).
class HeaderBuilder {
 public:
  template <typename T>
  void Put(const T& value) {
    if constexpr (std::is_same_v<T, Array>) {
      std::visit([&](const auto& elements) { PutElements(elements, value.is_bool); },
                 value.elements);
    } else {
      static_assert(std::is_arithmetic_v<T> || std::is_enum_v<T>);
      bytes_.append(reinterpret_cast<const char*>(&value), sizeof value);
    }
  }
  void Put(const bool& value) { Put(uint8_t{value}); }
  void Put(const std::string& text) { PutText(text); }
  void Put(std::string_view raw) { bytes_.append(raw); }

  void PutEntry(const Metadata::Entry& entry) {
    Put(entry.first);
    std::visit(
        [&](const auto& value) {
          Put(KindOf<std::decay_t<decltype(value)>>());
          Put(value);
        },
        entry.second);
  }
  void PadTo(uint64_t bytes) { bytes_.resize(bytes, '\0'); }
  uint64_t size() const { return bytes_.size(); }
  std::string Release() { return std::move(bytes_); }

 private:
  template <typename T>
  void PutElements(const std::vector<T>& elements, bool is_bool) {
    Put(is_bool ? Kind::kBool : KindOf<T>());
    Put(uint64_t{elements.size()});
    bytes_.append(reinterpret_cast<const char*>(elements.data()), elements.size() * sizeof(T));
  }
  void PutElements(const Strings& strings, bool /*is_bool*/) {
    Put(Kind::kString);
    Put(uint64_t{strings.size()});
    for (const std::string_view text : strings) PutText(text);
  }
  void PutText(std::string_view text) {
    Put(uint64_t{text.size()});
    bytes_.append(text);
  }
  std::string bytes_;
};

Result<uint64_t> AlignmentOf(const Metadata& metadata) {
  const Value* value = metadata.Find(format::kAlignmentKey);
  if (value == nullptr) return format::kDefaultAlignment;
  const auto* alignment = std::get_if<uint32_t>(value);
  if (alignment == nullptr || !format::IsAlignment(*alignment)) {
    return Invalid(fmt::format("general.alignment is no UINT32 power of two from {} to {}",
                               format::kMinAlignment, format::kMaxAlignment));
  }
  return uint64_t{*alignment};
}

Status CheckNames(const Metadata& metadata, const std::vector<TensorPlan>& tensors) {
  for (const auto& [key, value] : metadata.entries()) {
    const std::string fault = format::FaultOfName(key, format::kMaxKeyBytes);
    if (!fault.empty()) return Invalid(fmt::format("the key {} {}", SafeText(key), fault));
  }
  std::unordered_set<std::string_view> names;
  for (const TensorPlan& tensor : tensors) {
    const std::string fault = format::FaultOfName(tensor.name, format::kMaxNameBytes);
    if (!fault.empty())
      return Invalid(fmt::format("the tensor name {} {}", SafeText(tensor.name), fault));
    if (!names.insert(tensor.name).second)
      return Invalid(fmt::format("tensor {} occurs twice", SafeText(tensor.name)));
  }
  return {};
}

// ggml writes no trailing dimensions of 1, but always the first.
uint32_t WrittenDimensions(const std::vector<uint64_t>& shape) {
  size_t n = shape.size();
  while (n > 1 && shape[n - 1] == 1) --n;
  return static_cast<uint32_t>(n);
}

// Appends the tensor's record; `offset` is that of its data and moves on to the next.
Result<uint64_t> PutTensor(const TensorPlan& tensor, uint64_t alignment, uint64_t* offset,
                           HeaderBuilder* header) {
  const format::TensorSize size = format::SizeOf(tensor.type, tensor.shape);
  if (!size.fault.empty())
    return Invalid(fmt::format("tensor {} {}", SafeText(tensor.name), size.fault));
  header->Put(tensor.name);
  const uint32_t dimensions = WrittenDimensions(tensor.shape);
  header->Put(dimensions);
  for (uint32_t i = 0; i < dimensions; ++i) header->Put(tensor.shape[i]);
  header->Put(tensor.type);
  header->Put(*offset);
  const std::optional<uint64_t> padded = format::Padded(size.bytes, alignment);
  if (!padded || __builtin_add_overflow(*offset, *padded, offset)) {
    return Invalid(
        fmt::format("tensor {} of {} bytes is too large", SafeText(tensor.name), size.bytes));
  }
  return size.bytes;
}

}  // namespace

Result<GgufLayout> LayOutGguf(const Metadata& metadata, const std::vector<TensorPlan>& tensors) {
  TRY(const uint64_t alignment, AlignmentOf(metadata));
  TRY_STATUS(CheckNames(metadata, tensors));
  HeaderBuilder header;
  header.Put(format::kMagic);
  header.Put(format::kVersion);
  header.Put(uint64_t{tensors.size()});
  header.Put(uint64_t{metadata.entries().size()});
  for (const Metadata::Entry& entry : metadata.entries()) header.PutEntry(entry);

  GgufLayout layout;
  uint64_t data_bytes = 0;
  for (const TensorPlan& tensor : tensors) {
    layout.offsets.push_back(data_bytes);
    TRY(const uint64_t bytes, PutTensor(tensor, alignment, &data_bytes, &header));
    layout.sizes.push_back(bytes);
  }
  const uint64_t data_offset = *format::Padded(header.size(), alignment);
  header.PadTo(data_offset);
  if (data_offset > format::kMaxHeaderBytes) {
    return Invalid(
        fmt::format("its header of {} bytes is longer than any reader takes", data_offset));
  }
  if (__builtin_add_overflow(data_offset, data_bytes, &layout.file_bytes))
    return Invalid("it is too large");
  for (uint64_t& offset : layout.offsets) offset += data_offset;
  layout.header = header.Release();
  return layout;
}

}  // namespace trimma
