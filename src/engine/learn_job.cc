// The observer and the loads that it observes.
#include <fmt/format.h>
#include <ggml-backend.h>

#include <chrono>
#include <functional>
#include <thread>

#include "base/interrupt.h"
#include "engine/engine.h"
#include "engine/learn.h"
#include "engine/model.h"
#include "engine/price.h"

namespace trimma {
namespace {

// How long a child stays as it is after its word, and how long it is looked at meanwhile: what it
// has doesn't change then, so that what changes is another program's.
constexpr std::chrono::milliseconds kStays(1300);
constexpr std::chrono::milliseconds kLookedAt(800);
// A driver may take so long to give back what a process that has ended had.
constexpr std::chrono::seconds kGivenBack(2);

uint64_t Drop(uint64_t before, uint64_t now) { return before > now ? before - now : 0; }

std::vector<uint64_t> FreeBytes() {
  std::vector<uint64_t> free;
  for (const Gpu& gpu : EngineGpus()) free.push_back(gpu.free_bytes);
  return free;
}

// One child's look at the cards, which gets what was free before. What another program takes or
// gives meanwhile would be learned as the driver's: then the child is run again.
Status LookAt(
    const char* job, const Json& request,
    const std::function<void(const Json& event, const std::vector<uint64_t>& before)>& look) {
  constexpr int kTries = 3;
  for (int i = 0; i < kTries; ++i) {
    TRY_STATUS(CheckInterrupted());
    const std::vector<uint64_t> before = FreeBytes();
    bool steady = true;
    const auto done = RunChild(job, request, [&](const Json& event) {
      look(event, before);
      steady = StaysAsFree(FreeBytes, kLookedAt);
    });
    if (!done.ok()) return done.error();
    const auto until = std::chrono::steady_clock::now() + kGivenBack;
    do {
      if (IsAsFree(before, FreeBytes())) {
        if (steady) return {};
        break;
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
    } while (std::chrono::steady_clock::now() < until);
  }
  return Error{Code::kBusy,
               "another program took or gave memory of a graphics card while it was measured",
               "try again while nothing else uses it"};
}

// Any tokens do: what is computed doesn't change what is taken.
Status Fill(const Model& model, const RuntimeSettings& settings, Context& context) {
  const int last = std::max(model.vocabulary() - 1, 1);
  std::vector<Token> tokens;
  uint32_t filled = 0;
  // Decoding one token at a time runs other kernels than the prompt does.
  constexpr uint32_t kDecoded = 8;
  while (filled + kDecoded < settings.context) {
    const uint32_t n = std::min(settings.batch, settings.context - kDecoded - filled);
    tokens.resize(n);
    for (uint32_t i = 0; i < n; ++i)
      tokens[i] = static_cast<Token>((filled + i) * 7919ULL % static_cast<uint64_t>(last));
    TRY_STATUS(context.Append(tokens));
    filled += n;
  }
  tokens.resize(1);
  for (uint32_t i = 0; i < kDecoded; ++i) TRY_STATUS(context.Append(tokens));
  context.Synchronize();
  return {};
}

}  // namespace

// {"buffers": []}: a process that looked at its GPUs and does nothing else.
Result<Json> IdleJob(const Json&, const Emit& emit) {
  TRY_STATUS(StartEngine());
  (void)FreeBytes();
  emit({{"buffers", Json::array()}});
  std::this_thread::sleep_for(kStays);
  return Json::object();
}

// {"buffers": [bytes per GPU]} as soon as the context is full; stays long enough to be looked at.
Result<Json> FillJob(const Json& request, const Emit& emit) {
  TRY(const RuntimeSettings settings, RuntimeSettingsFromJson(request.at("settings")));
  TRY(const Model model,
      Model::Load(request.at("source").get<std::string>(), Model::Options::PlacedAs(settings)));
  Context::Options with;
  with.settings = settings;
  with.outputs = static_cast<uint32_t>(settings.parallel);
  TRY(Context context, Context::Create(model, with));
  TRY_STATUS(Fill(model, settings, context));
  Json buffers = Json::array();
  const std::vector<DeviceBytes> devices = BytesOf(model, context);
  for (size_t i = 0; i + 1 < devices.size(); ++i) buffers.push_back(devices[i].total_bytes());
  emit({{"buffers", buffers}});
  std::this_thread::sleep_for(kStays);
  return Json::object();
}

Result<Json> LearnJob(const Json& request, const Emit& emit) {
  TRY_STATUS(StartEngine());
  // The first look makes this process's own context, which is there before and after.
  (void)FreeBytes();
  std::vector<uint64_t> contexts;
  TRY_STATUS(LookAt("idle", Json::object(), [&](const Json&, const std::vector<uint64_t>& before) {
    const std::vector<uint64_t> now = FreeBytes();
    contexts.clear();
    for (size_t gpu = 0; gpu < now.size(); ++gpu) contexts.push_back(Drop(before[gpu], now[gpu]));
  }));
  Json samples = Json::array();
  std::optional<Error> failure;
  const Json& loads = request.at("loads");
  for (size_t i = 0; i < loads.size(); ++i) {
    Json of_load = Json::array();
    const auto look = [&](const Json& event, const std::vector<uint64_t>& before) {
      const std::vector<uint64_t> now = FreeBytes();
      const auto buffers = event.at("buffers").get<std::vector<uint64_t>>();
      of_load = Json::array();
      for (size_t gpu = 0; gpu < std::min(buffers.size(), now.size()); ++gpu) {
        of_load.push_back({{"gpu", gpu},
                           {"load", i},
                           {"context_bytes", contexts.at(gpu)},
                           {"buffer_bytes", buffers[gpu]},
                           {"used_bytes", Drop(before[gpu], now[gpu])}});
      }
    };
    const Status done =
        LookAt("fill", {{"source", request.at("source")}, {"settings", loads[i]}}, look);
    if (!done.ok()) {
      if (done.error().code == Code::kBusy) return done.error();
      failure = done.error();
    }
    samples.insert(samples.end(), of_load.begin(), of_load.end());
    emit({{"share", static_cast<double>(i + 1) / static_cast<double>(loads.size())}});
  }
  if (samples.empty()) {
    return failure ? *failure
                   : Error{Code::kNotFound, "there is no GPU to learn from", "see trimma scan"};
  }
  return Json{{"samples", samples}};
}

}  // namespace trimma
