// libFuzzer: any bytes as a GGUF file; what is accepted must keep the reader's promises.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/result.h"
#include "gguf/reader.h"
#include "gguf/soundness.h"
#include "gguf/writer.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace trimma;
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  // A header of a longer file too, as fetched over a network.
  (void)ParseGguf(bytes, uint64_t{size} << 20, "head.gguf");
  const Result<GgufFile> file = ParseGguf(bytes, size, "fuzz.gguf");
  if (!file.ok()) {
    CHECK(file.error().code == Code::kInvalid);
    CHECK(!file.error().what.empty());
    return 0;
  }
  std::vector<TensorPlan> plans;
  for (const TensorInfo& tensor : file->tensors) {
    CHECK(tensor.offset <= size && tensor.bytes <= size - tensor.offset);
    CHECK(tensor.elements() > 0);
    plans.push_back({tensor.name, tensor.type, tensor.shape});
  }
  (void)CheckModel(*file);
  // What was read can be written, and reads the same.
  const Result<GgufLayout> layout = LayOutGguf(file->metadata, plans);
  CHECK(layout.ok());
  const Result<GgufFile> again = ParseGguf(layout->header, layout->file_bytes, "again.gguf");
  CHECK(again.ok());
  CHECK(again->tensors.size() == file->tensors.size());
  CHECK(again->metadata.entries().size() == file->metadata.entries().size());
  return 0;
}
