#include "quantize/calibration/moments.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "engine/input_tap.h"
#include "quantize/calibration/evaluation.h"

namespace trimma {
namespace {

// For the pools and handles of a backend of our own.
constexpr uint64_t kDeviceSlack = 256ULL << 20;

SumShape ShapeOf(const ModelInput& input) { return {input.reader, input.n, input.block}; }

class Gatherer {
 public:
  Gatherer(const CalibrationText& text, const GatherOptions& options, Evaluation evaluation)
      : text_(text), options_(options), evaluation_(std::move(evaluation)) {
    index_.dataset = text.moments.description;
    index_.chunks = static_cast<uint32_t>(text.moments.chunks.size());
    index_.chunk_tokens = static_cast<uint32_t>(text.moments.chunks[0].size());
  }

  Result<GatheringPlan> Look() {
    TRY_STATUS(FindInputs());
    Plan();
    GatheringPlan plan;
    plan.inputs = index_.inputs.size();
    plan.passes = plan_.passes.size();
    for (const ModelInput& input : index_.inputs) plan.blocked += input.block < input.n;
    return plan;
  }

  Result<Gathered> Run(const std::function<void(double)>& progress) {
    TRY_STATUS(FindInputs());
    Plan();
    Gathered gathered;
    gathered.passes = plan_.passes.size();
    for (size_t i = 0; i < index_.inputs.size(); ++i) {
      if (index_.inputs[i].block < index_.inputs[i].n)
        gathered.blocked.push_back(index_.inputs[i].reader);
      gathered.on_devices += plan_.devices[i].has_value();
    }
    index_.note = options_.note;
    for (const std::string& why : OnHost()) index_.note += (index_.note.empty() ? "" : "; ") + why;
    gathered.note = index_.note;
    TRY(MomentsWriter writer, MomentsWriter::Create(options_.output, index_));
    const auto evaluations = static_cast<double>(
        (text_.moments.chunks.size() + text_.held_out.chunks.size()) * plan_.passes.size());
    double done = 0;
    const auto beat = [&](int chunks) { progress((done += chunks) / evaluations); };
    for (const std::vector<size_t>& pass : plan_.passes) TRY_STATUS(RunPass(pass, writer, beat));
    TRY_STATUS(writer.Publish());
    return gathered;
  }

 private:
  struct Device {
    ggml_backend_device* handle = nullptr;
    uint64_t free_bytes = 0;
  };

  // A first chunk tells which inputs there are, and where they lie.
  Status FindInputs() {
    TokenText first;
    first.chunks = {text_.moments.chunks[0]};
    std::map<std::string, ggml_backend_device*> lies;
    const auto look = [&](const std::string& reader, const ggml_tensor* input) {
      lies[reader] = options_.device_of(input);
      return std::optional<Status>();
    };
    const auto note = [&](const std::string& reader, const float*, uint64_t, uint64_t n) -> Status {
      // A matrix may be used twice in one evaluation.
      const bool known = std::any_of(index_.inputs.begin(), index_.inputs.end(),
                                     [&](const ModelInput& i) { return i.reader == reader; });
      if (!known) index_.inputs.push_back({reader, n, n});
      return {};
    };
    InputTap tap(note, {}, look);
    TRY_STATUS(evaluation_.Run(first, tap, [] {}));
    index_.reads = tap.reads();
    for (const ModelInput& input : index_.inputs)
      lies_on_.push_back(DeviceIndex(lies.at(input.reader), input));
    for (Device& device : devices_) {
      const uint64_t free = FreeBytesOf(device.handle);
      device.free_bytes = free - std::min(free, kDeviceSlack);
    }
    return {};
  }

  std::optional<size_t> DeviceIndex(ggml_backend_device* handle, const ModelInput& input) {
    if (handle == nullptr) return std::nullopt;
    if (!DeviceSums::CanSum(handle, ShapeOf(input), index_.chunk_tokens)) {
      unable_.insert(NameOf(handle));
      return std::nullopt;
    }
    for (size_t d = 0; d < devices_.size(); ++d) {
      if (devices_[d].handle == handle) return d;
    }
    devices_.push_back({handle, 0});
    return devices_.size() - 1;
  }

  // What a device says is free it may not give: then less is asked for.
  void Plan() {
    for (;;) {
      SumsMemory memory{options_.memory_bytes, {}};
      for (const Device& device : devices_) memory.device_bytes.push_back(device.free_bytes);
      plan_ = PlanPasses(index_.inputs, lies_on_, memory, options_.cost);
      bool given = true;
      for (size_t d = 0; d < devices_.size(); ++d) {
        const std::vector<SumShape> largest = LargestOn(d);
        if (largest.empty() ||
            DeviceSums::Create(devices_[d].handle, largest, index_.chunk_tokens).ok())
          continue;
        devices_[d].free_bytes /= 2;
        given = false;
      }
      if (given) return;
    }
  }

  std::vector<SumShape> On(size_t device, const std::vector<size_t>& pass) const {
    std::vector<SumShape> shapes;
    for (const size_t i : pass) {
      if (plan_.devices[i] == device) shapes.push_back(ShapeOf(index_.inputs[i]));
    }
    return shapes;
  }

  // The inputs of the pass that takes the most of a device.
  std::vector<SumShape> LargestOn(size_t device) const {
    std::vector<SumShape> largest;
    uint64_t most = 0;
    for (const std::vector<size_t>& pass : plan_.passes) {
      uint64_t floats = 0;
      std::vector<SumShape> shapes = On(device, pass);
      for (const SumShape& shape : shapes) floats += shape.n * shape.block;
      if (floats <= most) continue;
      most = floats;
      largest = std::move(shapes);
    }
    return largest;
  }

  // What lies on a device and is summed up on the host, and why.
  std::vector<std::string> OnHost() const {
    std::vector<std::string> whys;
    for (const std::string& name : unable_) {
      whys.push_back(
          fmt::format("{} lacks the operations for second moments: summed up on the host", name));
    }
    size_t crowded = 0;
    for (size_t i = 0; i < lies_on_.size(); ++i) crowded += lies_on_[i] && !plan_.devices[i];
    if (crowded > 0) {
      whys.push_back(
          fmt::format("the second moments of {} of {} inputs are summed up on the host: the GPU's "
                      "memory has no room for them",
                      crowded, lies_on_.size()));
    }
    return whys;
  }

  // The sums of some inputs: over one part of the text, then over the other. `beat`, told how many
  // chunks are done, is also a sign of life while much is written.
  Status RunPass(const std::vector<size_t>& pass, MomentsWriter& writer,
                 const std::function<void(int chunks)>& beat) {
    std::vector<std::optional<DeviceSums>> on_devices;
    for (size_t d = 0; d < devices_.size(); ++d) {
      const std::vector<SumShape> shapes = On(d, pass);
      on_devices.emplace_back();
      if (shapes.empty()) continue;
      TRY(DeviceSums sums, DeviceSums::Create(devices_[d].handle, shapes, index_.chunk_tokens));
      on_devices.back().emplace(std::move(sums));
    }
    std::map<std::string, size_t> device_of;
    std::set<std::string> readers;
    for (const size_t i : pass) {
      readers.insert(index_.inputs[i].reader);
      if (plan_.devices[i]) device_of[index_.inputs[i].reader] = *plan_.devices[i];
    }
    for (const MomentPart part : {MomentPart::kMoment, MomentPart::kHeldOut}) {
      std::map<std::string, SecondMoment> on_host;
      for (const size_t i : pass) {
        const ModelInput& input = index_.inputs[i];
        if (!plan_.devices[i]) on_host.emplace(input.reader, SecondMoment(input.n, input.block));
      }
      const auto add = [&](const std::string& reader, const float* x, uint64_t tokens, uint64_t n) {
        SecondMoment& moment = on_host.at(reader);
        CHECK(n == moment.n());
        return moment.Add(x, tokens, options_.threads);
      };
      const auto keep = [&](const std::string& reader,
                            const ggml_tensor* input) -> std::optional<Status> {
        const auto device = device_of.find(reader);
        if (device == device_of.end()) return std::nullopt;
        return on_devices[device->second]->Add(reader, input);
      };
      InputTap tap(add, readers, keep);
      const bool is_moment = part == MomentPart::kMoment;
      TRY_STATUS(
          evaluation_.Run(is_moment ? text_.moments : text_.held_out, tap, [&] { beat(1); }));
      for (const size_t i : pass) {
        const ModelInput& input = index_.inputs[i];
        MomentRows rows;
        if (plan_.devices[i]) {
          rows = [&](uint64_t first, uint64_t count, float* to) {
            on_devices[*plan_.devices[i]]->Read(input.reader, first * input.block,
                                                count * input.block, to);
          };
        } else {
          rows = RowsOf(on_host.at(input.reader));
        }
        TRY_STATUS(writer.Write(i, part, rows));
        beat(0);
      }
      for (std::optional<DeviceSums>& sums : on_devices) {
        if (sums) sums->Clear();
      }
    }
    return {};
  }

  const CalibrationText& text_;
  const GatherOptions& options_;
  Evaluation evaluation_;
  MomentsIndex index_;
  std::vector<Device> devices_;
  std::vector<std::optional<size_t>> lies_on_;  // of each input, into devices_
  std::set<std::string> unable_;                // devices that can't sum up
  SumsPlan plan_;
};

}  // namespace

Result<GatheringPlan> PlanGathering(const Model& model, const std::vector<Token>& tokens,
                                    const GatherOptions& options) {
  CalibrationText text;
  text.moments.chunks = text.held_out.chunks = {tokens};
  const auto chunk_tokens = static_cast<uint32_t>(tokens.size());
  TRY(Evaluation evaluation,
      Evaluation::Create(model, ChunkSettings(chunk_tokens, options.threads)));
  return Gatherer(text, options, std::move(evaluation)).Look();
}

Result<Gathered> GatherMoments(const Model& model, const CalibrationText& text,
                               const GatherOptions& options,
                               const std::function<void(double)>& progress) {
  const auto chunk_tokens = static_cast<uint32_t>(text.moments.chunks[0].size());
  TRY(Evaluation evaluation,
      Evaluation::Create(model, ChunkSettings(chunk_tokens, options.threads)));
  return Gatherer(text, options, std::move(evaluation)).Run(progress);
}

}  // namespace trimma
