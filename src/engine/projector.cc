#include "engine/projector.h"

#include <fmt/format.h>
#include <mtmd.h>

#include "base/text.h"
#include "engine/engine.h"
#include "engine/flash_attention.h"
#include "engine/memory_file.h"
#include "engine/phantom.h"
#include "gguf/writer.h"

namespace trimma {

Result<ProjectorBytes> PriceProjector(const GgufFile& file, const ProjectorPlace& place) {
  TRY_STATUS(StartEngine());
  std::vector<TensorPlan> plans;
  for (const TensorInfo& tensor : file.tensors)
    plans.push_back({tensor.name, tensor.type, tensor.shape});
  TRY(const GgufLayout layout, LayOutGguf(file.metadata, plans));
  TRY(const MemoryFile memory, MemoryFile::Create(layout.header, layout.file_bytes));

  ggml_backend_device* phantom =
      place.devices && !place.devices->empty() ? place.devices->front() : nullptr;
  mtmd_context_params params = mtmd_context_params_default();
  params.device = phantom;
  params.use_gpu = phantom != nullptr || (!place.devices && !EngineGpus().empty());
  params.flash_attn_type = ToEngine(place.flash_attention);
  if (phantom != nullptr) CountPhantomBytes(phantom);
  const auto usage = mtmd_get_memory_usage(memory.path().c_str(), params);
  if (usage.empty()) {
    return Error{
        Code::kInvalid,
        fmt::format("the engine can't load the projector {}", SafeText(file.paths[0], 4096)),
        "fetch it again, or leave it out: --mmproj none"};
  }
  ProjectorBytes bytes;
  for (const auto& [device, size] : usage) {
    const bool is_gpu = ggml_backend_dev_type(device) != GGML_BACKEND_DEVICE_TYPE_CPU;
    (is_gpu ? bytes.gpu_bytes : bytes.host_bytes) += size;
  }
  // The engine adds up its tensors; a phantom knows what was allocated for them.
  if (phantom != nullptr) bytes.gpu_bytes = CountedPhantomBytes(phantom);
  return bytes;
}

}  // namespace trimma
