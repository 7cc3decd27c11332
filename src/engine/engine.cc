#include "engine/engine.h"

#include <ggml-backend.h>
#include <ggml.h>
#include <llama.h>

#include <cstdio>
#include <filesystem>
#include <mutex>
#include <string_view>
#include <utility>

#include "base/build_info.h"
#include "base/text.h"

namespace trimma {
namespace {

std::mutex g_mutex;
EngineWords g_words;

void OnLog(ggml_log_level level, const char* text, void*) {
  if (level != GGML_LOG_LEVEL_ERROR && level != GGML_LOG_LEVEL_WARN) return;
  const std::lock_guard<std::mutex> lock(g_mutex);
  // The first error explains a failure, the ones after it repeat it; a warning only where there is
  // no error.
  static bool holds_error = false;
  // The words of the engine's loader; what a backend says before them differs from one to another.
  if (std::string_view(text).find("unable to allocate") != std::string_view::npos)
    g_words.no_room = true;
  if (holds_error && !g_words.said.empty()) return;
  g_words.said = SafeText(Trim(text), 300);
  holds_error = level == GGML_LOG_LEVEL_ERROR;
}

// In place of a backtrace, which would hide what the engine said last: a backend that gives up (a
// card without memory left, say) logs why before it aborts.
void OnAbort(const char* message) {
  const std::lock_guard<std::mutex> lock(g_mutex);
  std::fprintf(stderr, "%s%s%s\n", message, g_words.said.empty() ? "" : ": ", g_words.said.c_str());
}

bool IsGpu(ggml_backend_dev_t device) {
  const auto type = ggml_backend_dev_type(device);
  return type == GGML_BACKEND_DEVICE_TYPE_GPU || type == GGML_BACKEND_DEVICE_TYPE_IGPU;
}

// The directory of the build, or beside an installed program: ../lib/trimma/backends.
std::string BackendDirectory() {
  std::error_code ignored;
  const auto self = std::filesystem::read_symlink("/proc/self/exe", ignored);
  const auto installed = self.parent_path() / "../lib/trimma/backends";
  if (std::filesystem::is_directory(installed, ignored)) return installed.string();
  return build_info::kBackendDirectory;
}

}  // namespace

Status StartEngine() {
  static const bool started = [] {
    llama_log_set(OnLog, nullptr);
    ggml_set_abort_callback(OnAbort);
    ggml_backend_load_all_from_path(BackendDirectory().c_str());
    llama_backend_init();
    return ggml_backend_dev_by_type(GGML_BACKEND_DEVICE_TYPE_CPU) != nullptr;
  }();
  if (!started) {
    return Error{Code::kInternal, "the engine's CPU backend can't be loaded",
                 "build trimma again: ./dev build"};
  }
  return {};
}

bool HasGpuBackends() {
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator(BackendDirectory(), ignored)) {
    const std::string name = entry.path().filename().string();
    if (name.starts_with("libggml-") && !name.starts_with("libggml-cpu")) return true;
  }
  return false;
}

std::vector<Gpu> EngineGpus() {
  std::vector<Gpu> gpus;
  for (size_t i = 0; i < ggml_backend_dev_count(); ++i) {
    ggml_backend_dev_t device = ggml_backend_dev_get(i);
    if (!IsGpu(device)) continue;
    size_t free = 0;
    size_t total = 0;
    ggml_backend_dev_memory(device, &free, &total);
    gpus.push_back({ggml_backend_dev_description(device),
                    ggml_backend_reg_name(ggml_backend_dev_backend_reg(device)), total, free});
  }
  return gpus;
}

std::vector<std::string> EngineBackends() {
  std::vector<std::string> names;
  for (size_t i = 0; i < ggml_backend_reg_count(); ++i) {
    names.emplace_back(ggml_backend_reg_name(ggml_backend_reg_get(i)));
  }
  return names;
}

EngineWords TakeEngineWords() {
  const std::lock_guard<std::mutex> lock(g_mutex);
  return std::exchange(g_words, {});
}

}  // namespace trimma
