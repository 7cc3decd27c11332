#include "quantize/calibration/moments.h"

#include <algorithm>
#include <set>

#include "engine/input_tap.h"

namespace trimma {
namespace {

// Moment and held-out moment are both in memory.
uint64_t PassBytes(const ModelInput& input) { return 2 * MomentBytes(input); }

constexpr uint64_t kBlockStep = 256;

class Evaluation {
 public:
  Evaluation(const Model& model, uint32_t chunk_tokens, int threads)
      : model_(model), chunk_(chunk_tokens), threads_(threads) {}

  // Every chunk through the model, its inputs to `consumer`. `beat` after each chunk.
  Result<std::map<std::string, std::string>> Run(const TokenText& text,
                                                 const std::set<std::string>& readers,
                                                 const InputTap::Consumer& consumer,
                                                 const std::function<void()>& beat) const {
    InputTap tap(consumer, readers);
    Context::Options options;
    options.settings.context = options.settings.batch = options.settings.ubatch = chunk_;
    options.settings.threads = options.settings.threads_batch = threads_;
    options.tap = [&](ggml_tensor* node, bool ask) { return tap.See(node, ask); };
    TRY(Context context, Context::Create(model_, options));
    for (const std::vector<Token>& tokens : text.chunks) {
      context.Clear();
      tap.BeginEvaluation();
      // All tokens ask for logits, or the last layer and the head would see only the last.
      std::vector<BatchToken> batch;
      for (size_t i = 0; i < tokens.size(); ++i)
        batch.push_back({tokens[i], static_cast<int>(i), 0, true});
      TRY_STATUS(context.Decode(batch));
      TRY_STATUS(tap.Finish());
      beat();
    }
    return tap.reads();
  }

 private:
  const Model& model_;
  uint32_t chunk_;
  int threads_;
};

// One pass: the moments of some inputs.
Status RunPass(const Evaluation& evaluation, const CalibrationText& text, const MomentsIndex& index,
               const std::vector<size_t>& pass, int threads, MomentsWriter& writer,
               const std::function<void()>& beat) {
  std::set<std::string> readers;
  for (const size_t i : pass) readers.insert(index.inputs[i].reader);
  const auto sum_up = [&](const TokenText& part) -> Result<std::map<std::string, SecondMoment>> {
    std::map<std::string, SecondMoment> sums;
    for (const size_t i : pass) {
      const ModelInput& input = index.inputs[i];
      sums.emplace(input.reader, SecondMoment(input.n, input.block));
    }
    const auto add = [&](const std::string& reader, const float* x, uint64_t tokens, uint64_t n) {
      SecondMoment& moment = sums.at(reader);
      CHECK(n == moment.n());
      return moment.Add(x, tokens, threads);
    };
    TRY_STATUS(evaluation.Run(part, readers, add, beat));
    return sums;
  };
  TRY(const auto moments, sum_up(text.moments));
  TRY(const auto held_out, sum_up(text.held_out));
  for (const size_t i : pass) {
    const std::string& reader = index.inputs[i].reader;
    TRY_STATUS(writer.Write(i, moments.at(reader), held_out.at(reader)));
  }
  return {};
}

}  // namespace

std::vector<std::vector<size_t>> PlanPasses(std::vector<ModelInput>& inputs,
                                            uint64_t memory_bytes) {
  std::vector<std::vector<size_t>> passes;
  uint64_t left = 0;
  for (size_t i = 0; i < inputs.size(); ++i) {
    ModelInput& input = inputs[i];
    input.block = input.n;
    for (uint64_t parts = 2; PassBytes(input) > memory_bytes; ++parts) {
      const uint64_t block = input.n / parts;
      if (block < kBlockStep) break;
      if (input.n % parts == 0 && block % kBlockStep == 0) input.block = block;
    }
    if (passes.empty() || PassBytes(input) > left) {
      passes.emplace_back();
      left = memory_bytes;
    }
    passes.back().push_back(i);
    left -= std::min(left, PassBytes(input));
  }
  return passes;
}

Result<ModelInputs> FindInputs(const Model& model, const std::vector<Token>& tokens, int threads) {
  const Evaluation evaluation(model, static_cast<uint32_t>(tokens.size()), threads);
  ModelInputs found;
  const auto note = [&](const std::string& reader, const float*, uint64_t, uint64_t n) -> Status {
    // A matrix may be used twice in one evaluation.
    const bool known = std::any_of(found.inputs.begin(), found.inputs.end(),
                                   [&](const ModelInput& i) { return i.reader == reader; });
    if (!known) found.inputs.push_back({reader, n, n});
    return {};
  };
  TokenText text;
  text.chunks = {tokens};
  TRY(found.reads, evaluation.Run(text, {}, note, [] {}));
  return found;
}

Result<Gathered> GatherMoments(const Model& model, const CalibrationText& text,
                               const GatherOptions& options,
                               const std::function<void(double)>& progress) {
  const auto chunk_tokens = static_cast<uint32_t>(text.moments.chunks[0].size());
  const Evaluation evaluation(model, chunk_tokens, options.threads);
  MomentsIndex index;
  index.dataset = text.moments.description;
  index.chunks = static_cast<uint32_t>(text.moments.chunks.size());
  index.chunk_tokens = chunk_tokens;
  index.held_out_tokens = uint64_t{text.held_out.chunks.size()} * text.held_out.chunks[0].size();

  // A first chunk tells which inputs there are.
  TRY(ModelInputs found, FindInputs(model, text.moments.chunks[0], options.threads));
  index.inputs = std::move(found.inputs);
  index.reads = std::move(found.reads);
  const std::vector<std::vector<size_t>> passes = PlanPasses(index.inputs, options.memory_bytes);
  Gathered gathered;
  gathered.passes = passes.size();
  for (const ModelInput& input : index.inputs) {
    if (input.block < input.n) gathered.blocked.push_back(input.reader);
  }

  TRY(MomentsWriter writer, MomentsWriter::Create(options.output, index));
  const auto chunks = static_cast<double>(
      (text.moments.chunks.size() + text.held_out.chunks.size()) * passes.size());
  double done = 0;
  for (const std::vector<size_t>& pass : passes) {
    TRY_STATUS(RunPass(evaluation, text, index, pass, options.threads, writer,
                       [&] { progress(++done / chunks); }));
  }
  TRY_STATUS(writer.Publish());
  return gathered;
}

}  // namespace trimma
