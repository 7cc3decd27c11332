#include "engine/ghost.h"

#include "engine/memory_file.h"
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
  TRY(const MemoryFile memory, MemoryFile::Create(layout.header, layout.file_bytes));
  GgufFile ghost;
  ghost.paths = {memory.path()};
  options.no_alloc = true;
  auto model = Model::Load(ghost, options);
  if (!model.ok()) return UnderItsName(model.error(), memory, file.paths[0]);
  return model;
}

}  // namespace trimma
