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
    if (key.starts_with("tokenizer.") || key.starts_with("split.")) continue;
    stripped.Set(key, value);
  }
  stripped.Set("tokenizer.ggml.model", std::string("none"));
  const TensorInfo* embedding = file.FindTensor("token_embd.weight");
  if (embedding != nullptr && embedding->shape.size() > 1) {
    stripped.Set(file.architecture() + ".vocab_size", static_cast<uint32_t>(embedding->shape[1]));
  }
  return stripped;
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

Result<Model> LoadGhost(const GgufFile& file, const std::vector<TensorType>& types,
                        std::optional<int> gpu_layers) {
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
  Model::Options options;
  options.gpu_layers = gpu_layers;
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
