#include "engine/kernel_timing.h"

#include <algorithm>
#include <chrono>
#include <string>

#include "base/build_info.h"
#include "base/clock.h"
#include "base/interrupt.h"
#include "engine/device_timer.h"
#include "engine/engine.h"
#include "hardware/kernels.h"

namespace trimma {
namespace {

// What recipes give tensors, ours and llama-quantize's, the usual ones first.
constexpr ggml_type kWeightTypes[] = {
    GGML_TYPE_Q4_K,    GGML_TYPE_Q6_K,    GGML_TYPE_Q8_0,  GGML_TYPE_F16,    GGML_TYPE_F32,
    GGML_TYPE_Q5_K,    GGML_TYPE_IQ4_XS,  GGML_TYPE_Q3_K,  GGML_TYPE_Q4_0,   GGML_TYPE_BF16,
    GGML_TYPE_Q5_0,    GGML_TYPE_Q2_K,    GGML_TYPE_IQ3_S, GGML_TYPE_IQ4_NL, GGML_TYPE_Q4_1,
    GGML_TYPE_Q5_1,    GGML_TYPE_IQ3_XXS, GGML_TYPE_MXFP4, GGML_TYPE_IQ2_S,  GGML_TYPE_IQ2_XS,
    GGML_TYPE_IQ2_XXS, GGML_TYPE_IQ1_M,   GGML_TYPE_IQ1_S, GGML_TYPE_TQ2_0,  GGML_TYPE_TQ1_0};

constexpr ggml_type kKvTypes[] = {GGML_TYPE_F16,  GGML_TYPE_Q8_0,   GGML_TYPE_Q4_0,
                                  GGML_TYPE_BF16, GGML_TYPE_Q4_1,   GGML_TYPE_Q5_0,
                                  GGML_TYPE_Q5_1, GGML_TYPE_IQ4_NL, GGML_TYPE_F32};

// Seconds of one measurement, unless what it measures takes longer.
constexpr double kSlice = 0.03;

class Bench {
 public:
  Bench(const Json& request, const Emit& emit)
      : emit_(emit),
        budget_(request.at("budget_seconds").get<double>()),
        threads_(request.at("threads").get<int>()),
        pool_bytes_(request.at("pool_bytes").get<uint64_t>()) {}

  Result<KernelTable> Run() {
    std::vector<ggml_backend_dev_t> devices;
    for (size_t i = 0; i < ggml_backend_dev_count(); ++i) {
      ggml_backend_dev_t device = ggml_backend_dev_get(i);
      const auto type = ggml_backend_dev_type(device);
      if (type == GGML_BACKEND_DEVICE_TYPE_GPU || type == GGML_BACKEND_DEVICE_TYPE_IGPU)
        devices.push_back(device);
    }
    devices.push_back(ggml_backend_dev_by_type(GGML_BACKEND_DEVICE_TYPE_CPU));
    KernelTable table;
    table.engine_commit = build_info::kEngineCommit;
    for (size_t i = 0; i < devices.size(); ++i) {
      done_ = static_cast<double>(i) / static_cast<double>(devices.size());
      share_ = 1 / static_cast<double>(devices.size());
      TRY(DeviceKernels kernels, MeasureDevice(devices[i]));
      table.devices.push_back(std::move(kernels));
    }
    table.seconds = Spent();
    return table;
  }

 private:
  double Spent() const { return SecondsSince(start_); }
  // Tells the share done; false when this device's part of the budget is used up.
  bool Go(double share) {
    const double end = budget_ * (done_ + share_);
    emit_({{"progress", std::min(1.0, done_ + share_ * share)}});
    return Spent() < end;
  }

  Result<DeviceKernels> MeasureDevice(ggml_backend_dev_t dev) {
    size_t free = 0;
    size_t total = 0;
    ggml_backend_dev_memory(dev, &free, &total);
    // At most an eighth of what is free: measuring must not push others out.
    const uint64_t pool = std::clamp<uint64_t>(free / 8, 1 << 24, pool_bytes_);
    KernelDevice device(dev, threads_, pool);
    if (!device.good())
      return Error{Code::kFailure, std::string(ggml_backend_dev_name(dev)) + " can't be used", ""};
    DeviceKernels out;
    out.name = device.is_host() ? "host" : ggml_backend_dev_description(dev);
    out.backend = ggml_backend_reg_name(ggml_backend_dev_backend_reg(dev));
    out.threads = device.is_host() ? threads_ : 0;
    DeviceTimer timer(device, std::min(kSlice, budget_ * share_ / 400));
    timer.Overheads(out);
    out.elements = timer.Elements();
    if (device.is_host()) {
      out.memory = timer.Memory(pool);
    } else {
      out.copy_bytes_per_s = timer.CopyBytesPerSecond();
      out.sync_seconds = timer.SyncSeconds(out.graph_seconds);
    }
    const double steps = static_cast<double>(std::size(kWeightTypes) + std::size(kKvTypes) + 1);
    double step = 1;
    for (const ggml_type type : kKvTypes) {
      TRY_STATUS(CheckInterrupted());
      if (!Go(step++ / steps)) break;
      timer.Tick();
      const auto kernel = timer.Attention(type);
      if (kernel) out.attention[ggml_type_name(type)] = *kernel;
    }
    for (const ggml_type type : kWeightTypes) {
      TRY_STATUS(CheckInterrupted());
      if (!Go(step++ / steps)) break;
      timer.Tick();
      const auto kernel = timer.Weights(type, pool);
      if (kernel) out.weights[ggml_type_name(type)] = *kernel;
    }
    out.unsteadiness = timer.Unsteadiness();
    return out;
  }

  const Emit& emit_;
  Clock::time_point start_ = Clock::now();
  double budget_;
  int threads_;
  uint64_t pool_bytes_;
  double done_ = 0;
  double share_ = 1;
};

}  // namespace

Result<Json> KernelsJob(const Json& request, const Emit& emit) {
  TRY_STATUS(StartEngine());
  TRY(const KernelTable table, Bench(request, emit).Run());
  return ToJson(table);
}

}  // namespace trimma
