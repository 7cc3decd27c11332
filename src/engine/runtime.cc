#include "engine/runtime.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/stats_json.h"
#include "base/text.h"

namespace trimma {
namespace {

constexpr int64_t kMaxTokens = 1 << 30;  // the engine counts tokens in an int32
constexpr int64_t kMaxThreads = 4096;
constexpr int64_t kMaxLayers = 65536;
constexpr int64_t kMaxSequences = 256;  // LLAMA_MAX_SEQ
constexpr size_t kMaxPatterns = 4096;

// As the engine's --cache-type-k names them.
constexpr std::array kKvTypes = {"f32",  "f16",    "bf16", "q8_0", "q4_0",
                                 "q4_1", "iq4_nl", "q5_0", "q5_1"};

constexpr std::array kFlashAttention = {FlashAttention::kAuto, FlashAttention::kOn,
                                        FlashAttention::kOff};

constexpr std::array kLoadModes = {LoadMode::kAuto, LoadMode::kRead, LoadMode::kMapped,
                                   LoadMode::kMappedLocked};

Error Wrong(const char* key, const std::string& wanted, const Json& seen) {
  return Error{Code::kInvalid,
               fmt::format("settings.{} must be {}, not {}", key, wanted,
                           SafeText(seen.dump(-1, ' ', false, Json::error_handler_t::replace), 60)),
               ""};
}

struct Range {
  int64_t least;
  int64_t most;
};

Result<int64_t> WholeNumber(const Json& json, const char* key, Range range) {
  const auto found = json.find(key);
  const Json value = found == json.end() ? Json() : *found;
  // An unsigned number beyond int64 would turn negative, and so be out of range too.
  const int64_t number = value.is_number_integer() ? value.get<int64_t>() : range.least - 1;
  if (number < range.least || number > range.most) {
    return Wrong(key, fmt::format("a whole number from {} to {}", range.least, range.most), value);
  }
  return number;
}

Result<std::optional<int>> OptionalNumber(const Json& json, const char* key, Range range) {
  const auto found = json.find(key);
  if (found == json.end() || found->is_null()) return std::optional<int>();
  TRY(const int64_t number, WholeNumber(json, key, range));
  return std::optional<int>(static_cast<int>(number));
}

Result<std::string> KvType(const Json& json, const char* key) {
  const auto found = json.find(key);
  const Json value = found == json.end() ? Json() : *found;
  const auto same = [&](const char* type) { return value == type; };
  if (std::any_of(kKvTypes.begin(), kKvTypes.end(), same)) return value.get<std::string>();
  return Wrong(key, fmt::format("one of {}", fmt::join(kKvTypes, ", ")), value);
}

Result<FlashAttention> Flash(const Json& json) {
  const auto found = json.find("flash_attention");
  const Json value = found == json.end() ? Json() : *found;
  for (const FlashAttention flash_attention : kFlashAttention) {
    if (value == NameOf(flash_attention)) return flash_attention;
  }
  return Wrong("flash_attention", "auto, on or off", value);
}

// Absent in records of versions that didn't have it, as host_tensors below: true then.
Result<bool> TrueUnlessSaid(const Json& json, const char* key) {
  const auto found = json.find(key);
  if (found == json.end()) return true;
  if (!found->is_boolean()) return Wrong(key, "true or false", *found);
  return found->get<bool>();
}

Result<LoadMode> Loading(const Json& json) {
  const auto found = json.find("load_mode");
  if (found == json.end()) return LoadMode::kAuto;
  for (const LoadMode mode : kLoadModes) {
    if (*found == NameOf(mode)) return mode;
  }
  return Wrong("load_mode", "auto, none, mmap or mmap+mlock", *found);
}

Result<std::vector<std::string>> Patterns(const Json& json) {
  const auto found = json.find("host_tensors");
  if (found == json.end()) return std::vector<std::string>();
  const auto is_pattern = [](const Json& item) {
    return item.is_string() && !item.get_ref<const std::string&>().empty();
  };
  if (!found->is_array() || found->size() > kMaxPatterns ||
      !std::all_of(found->begin(), found->end(), is_pattern)) {
    return Wrong("host_tensors", "a list of patterns of tensor names", *found);
  }
  return found->get<std::vector<std::string>>();
}

}  // namespace

const char* NameOf(FlashAttention flash_attention) {
  switch (flash_attention) {
    case FlashAttention::kAuto:
      return "auto";
    case FlashAttention::kOn:
      return "on";
    case FlashAttention::kOff:
      return "off";
  }
  CHECK(false);
  return "";
}

const char* NameOf(LoadMode load_mode) {
  switch (load_mode) {
    case LoadMode::kAuto:
      return "auto";
    case LoadMode::kRead:
      return "none";
    case LoadMode::kMapped:
      return "mmap";
    case LoadMode::kMappedLocked:
      return "mmap+mlock";
  }
  CHECK(false);
  return "";
}

Json ToJson(const RuntimeSettings& settings) {
  return {{"context", settings.context},
          {"batch", settings.batch},
          {"ubatch", settings.ubatch},
          {"threads", OrNull(settings.threads)},
          {"threads_batch", OrNull(settings.threads_batch)},
          {"flash_attention", NameOf(settings.flash_attention)},
          {"kv_k", settings.kv_k},
          {"kv_v", settings.kv_v},
          {"gpu_layers", OrNull(settings.gpu_layers)},
          {"use_gpu", settings.use_gpu},
          {"parallel", settings.parallel},
          {"host_tensors", settings.host_tensors},
          {"load_mode", NameOf(settings.load_mode)},
          {"repack", settings.repack}};
}

Result<RuntimeSettings> RuntimeSettingsFromJson(const Json& json) {
  if (!json.is_object()) return Error{Code::kInvalid, "settings must be an object", ""};
  RuntimeSettings settings;
  const Json known = ToJson(settings);
  for (const auto& item : json.items()) {
    if (!known.contains(item.key())) {
      return Error{Code::kInvalid, fmt::format("settings.{} is unknown", SafeText(item.key(), 60)),
                   ""};
    }
  }
  TRY(const int64_t context, WholeNumber(json, "context", {1, kMaxTokens}));
  TRY(const int64_t batch, WholeNumber(json, "batch", {1, kMaxTokens}));
  TRY(const int64_t ubatch, WholeNumber(json, "ubatch", {1, kMaxTokens}));
  settings.context = static_cast<uint32_t>(context);
  settings.batch = static_cast<uint32_t>(batch);
  settings.ubatch = static_cast<uint32_t>(ubatch);
  TRY(settings.threads, OptionalNumber(json, "threads", {1, kMaxThreads}));
  TRY(settings.threads_batch, OptionalNumber(json, "threads_batch", {1, kMaxThreads}));
  TRY(settings.flash_attention, Flash(json));
  TRY(settings.kv_k, KvType(json, "kv_k"));
  TRY(settings.kv_v, KvType(json, "kv_v"));
  TRY(settings.gpu_layers, OptionalNumber(json, "gpu_layers", {0, kMaxLayers}));
  TRY(settings.use_gpu, TrueUnlessSaid(json, "use_gpu"));
  TRY(settings.load_mode, Loading(json));
  TRY(settings.repack, TrueUnlessSaid(json, "repack"));
  TRY(const auto parallel, OptionalNumber(json, "parallel", {1, kMaxSequences}));
  settings.parallel = parallel.value_or(1);
  TRY(settings.host_tensors, Patterns(json));
  return settings;
}

}  // namespace trimma
