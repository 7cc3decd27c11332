// Any text: EditConfigToml never crashes, and what it returns is settled: editing it again
// changes nothing. kInternal would mean that its own check of the result failed.
#include <cstddef>
#include <cstdint>
#include <string>

#include "settings/files.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace trimma;
  Applied applied;
  applied.model_path = "/m.gguf";
  // The first byte chooses how hostile the name is, and which optional keys there are.
  const uint8_t choice = size == 0 ? 0 : data[0];
  const std::string text =
      size == 0 ? "" : std::string(reinterpret_cast<const char*>(data) + 1, size - 1);
  applied.name = (choice & 1) != 0 ? "a\"\\\n\"\"\"'''\x01\xE2\x80\xAE[model]#" : "gemma3:4b";
  if ((choice & 2) != 0) applied.settings.threads = 8;
  if ((choice & 4) != 0) applied.settings.gpu_layers = 35;

  ConfigMap map = OwnConfigMap();
  if ((choice & 8) != 0) {
    map = {{"model.name", {"a"}}, {"model.top_p", {"b", "c", "d e"}}, {"model.path", {"b", "x"}}};
  }

  const Result<ConfigEdit> edit = EditConfigToml(text, applied, map);
  if (!edit) {
    CHECK(edit.error().code == Code::kInvalid);
    return 0;
  }
  CHECK(edit->changes.empty() == (edit->text == text));
  const Result<ConfigEdit> again = EditConfigToml(edit->text, applied, map);
  CHECK(again.ok() && again->changes.empty() && again->text == edit->text);
  return 0;
}
