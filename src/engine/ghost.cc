#include "engine/ghost.h"

#include <fmt/format.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>

#include "base/file.h"
#include "gguf/writer.h"

namespace trimma {
namespace {

// The metadata that shapes need: all but the tokenizer's.
Metadata StripTokenizer(const GgufFile& file) {
  Metadata stripped;
  for (const auto& [key, value] : file.metadata.entries()) {
    // How many kinds of tokens: the rows of a matrix of BERT's.
    const bool is_shape = key == "tokenizer.ggml.token_type_count";
    if ((key.starts_with("tokenizer.") && !is_shape) || key.starts_with("split.")) continue;
    stripped.Set(key, value);
  }
  stripped.Set("tokenizer.ggml.model", std::string("none"));
  const TensorInfo* embedding = file.FindTensor("token_embd.weight");
  if (embedding != nullptr && embedding->shape.size() > 1) {
    stripped.Set(file.architecture() + ".vocab_size", static_cast<uint32_t>(embedding->shape[1]));
  }
  return stripped;
}

std::string Hex(const std::string& bytes) {
  constexpr const char* kDigits = "0123456789abcdef";
  std::string text;
  text.reserve(bytes.size() * 2);
  for (const char c : bytes) {
    const auto byte = static_cast<unsigned char>(c);
    text += kDigits[byte >> 4];
    text += kDigits[byte & 15];
  }
  return text;
}

std::string Unhex(const std::string& text) {
  const auto value = [](char c) { return c <= '9' ? c - '0' : c - 'a' + 10; };
  std::string bytes;
  bytes.reserve(text.size() / 2);
  for (size_t i = 0; i + 1 < text.size(); i += 2)
    bytes += static_cast<char>(value(text[i]) * 16 + value(text[i + 1]));
  return bytes;
}

class MemoryFile {
 public:
  MemoryFile() : fd_(memfd_create("trimma-ghost", MFD_CLOEXEC)) {}
  ~MemoryFile() {
    if (fd_ >= 0) close(fd_);
  }
  MemoryFile(const MemoryFile&) = delete;
  MemoryFile& operator=(const MemoryFile&) = delete;
  std::string path() const { return fmt::format("/proc/self/fd/{}", fd_); }
  Status Fill(const std::string& header, uint64_t bytes) const {
    if (fd_ < 0 || ftruncate(fd_, static_cast<off_t>(bytes)) != 0)
      return ErrnoError("create", "a ghost model", errno);
    size_t done = 0;
    while (done < header.size()) {
      const ssize_t n =
          pwrite(fd_, header.data() + done, header.size() - done, static_cast<off_t>(done));
      if (n <= 0) return ErrnoError("write", "a ghost model", errno);
      done += static_cast<size_t>(n);
    }
    return {};
  }

 private:
  int fd_;
};

}  // namespace

Json GhostToJson(const GgufFile& file) {
  std::vector<TensorPlan> plans;
  plans.reserve(file.tensors.size());
  for (const TensorInfo& tensor : file.tensors)
    plans.push_back({tensor.name, tensor.type, tensor.shape});
  // What was read can be laid out; a header that can't be is refused by the child's reader.
  const auto layout = LayOutGguf(StripTokenizer(file), plans);
  return {{"header", layout.ok() ? Hex(layout->header) : ""},
          {"ghost_bytes", layout.ok() ? layout->file_bytes : 0},
          {"file_bytes", file.file_bytes},
          {"name", file.paths.empty() ? "" : file.paths[0]}};
}

Result<GgufFile> GhostFromJson(const Json& json) {
  const std::string name = json.at("name");
  TRY(GgufFile file, ParseGguf(Unhex(json.at("header").get_ref<const std::string&>()),
                               json.at("ghost_bytes"), name));
  file.file_bytes = json.at("file_bytes");
  file.paths = {name};
  return file;
}

Result<Model> LoadGhost(const GgufFile& file, const std::vector<TensorType>& types,
                        Model::Options options) {
  CHECK(types.empty() || types.size() == file.tensors.size());
  std::vector<TensorPlan> plans;
  plans.reserve(file.tensors.size());
  for (size_t i = 0; i < file.tensors.size(); ++i) {
    const TensorInfo& tensor = file.tensors[i];
    plans.push_back({tensor.name, types.empty() ? tensor.type : types[i], tensor.shape});
  }
  TRY(const GgufLayout layout, LayOutGguf(StripTokenizer(file), plans));
  const MemoryFile memory;
  TRY_STATUS(memory.Fill(layout.header, layout.file_bytes));
  GgufFile ghost;
  ghost.paths = {memory.path()};
  options.no_alloc = true;
  auto model = Model::Load(ghost, options);
  // The user knows the file by its own name.
  if (!model.ok()) {
    std::string& what = model.error().what;
    const size_t at = what.find(memory.path());
    if (at != std::string::npos) what.replace(at, memory.path().size(), file.paths[0]);
  }
  return model;
}

}  // namespace trimma
