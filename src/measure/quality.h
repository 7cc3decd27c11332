// Quality of models against a reference: divergence of their next-token distributions.
//
// Reference and candidates run in lockstep over the same tokens and are compared in 32 bits over
// the full vocabulary; nothing is written to disk. The default protocol is llama-perplexity's:
// chunks of 512 tokens, each begun with BOS (where the model has one) and an empty cache, the
// second half scored (255 positions). docs/measuring-quality.md tells what the intervals and the
// early stop rest on.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/child.h"
#include "base/result.h"
#include "base/stats.h"
#include "engine/runtime.h"
#include "measure/quality_stop.h"
#include "measure/quality_text.h"

namespace trimma {

enum class LeftCards { kNone, kReference, kAll };
const char* NameOf(LeftCards left);  // "none", "reference", "all"
// What a reader is to know of it, a part of a sentence; "" for kNone.
const char* HostWords(LeftCards left);

struct Quality {
  int64_t tokens = 0;       // scored positions
  double mean_kld = 0;      // KL(reference || model), nats
  double mean_kld_low = 0;  // 95 %, by how chunks differ
  double mean_kld_high = 0;
  double median_kld = 0;
  double p99_kld = 0;
  double p999_kld = 0;
  double same_top = 0;  // share of positions with the same most likely token, 0..1
  double ppl = 0;       // perplexity of the model on the text
  double reference_ppl = 0;
  MeanInterval ppl_ratio;      // ppl / reference_ppl, position by position, with its 95 % interval
  int chunk = 512;             // the protocol: tokens per chunk,
  int chunks = 0;              // how many,
  std::string score = "half";  // "half" (second half of each chunk), "all", or "last" of deep ones
  std::string text;            // what was judged on: a file name, or kGeneratedText
  std::vector<double> chunk_klds;  // raw: the mean of each chunk, in the order of the text
  // What was evaluated on the host, the cards having no room for all at once.
  LeftCards left_cards = LeftCards::kNone;
};

Json ToJson(const Quality& quality);
Result<Quality> QualityFromJson(const Json& json);

// What candidate `a` loses over what candidate `b` loses, over the same chunks taken in pairs.
struct LossRatio {
  size_t a = 0;  // index among the candidates
  size_t b = 0;
  MeanInterval ratio;  // 95 %; below 1 throughout: a is the better one
};

struct QualityOptions {
  std::optional<std::string> text_file;     // nullopt: text that the reference generates,
  std::optional<std::string> own_text;      //   half of it going on from this file: in its language
  std::optional<std::string> prompts_file;  //   or all of it answering the prompts of this file
  int chunk = 512;
  int chunks = 0;                // at most; 0: all the text has (of generated text: `rounds`)
  bool score_all = false;        // all positions, not just the second half
  std::optional<int> last;       // only so many positions at the end of each chunk: the others are
                                 //   the depth at which they are judged
  int rounds = 1;                // of 16 generated sequences, each with a seed of its own
  double generate_seconds = 20;  // at most, for generating text
  double budget_seconds = 600;   // no new chunk is begun after it (but kFewestChunks)
  bool may_leave_cards = true;   // where they have no room; else that is kNoFit
  Questions questions;           // measuring stops early when all of these are answered; generated
                                 //   text then has as many rounds as that takes
};

// Scored in any case, whatever time is left.
inline constexpr int kFewestChunks = 4;

// Tokens per chunk for a model: 512, or its context where that is shorter (0: unknown).
int JudgingChunk(uint32_t trained_context);

// A model file with the settings it runs under (KV-cache types and flash attention change what it
// answers).
struct Judged {
  std::string path;
  RuntimeSettings settings;
};

struct Judgement {
  std::vector<Quality> qualities;   // in the candidates' order
  std::vector<LossRatio> ratios;    // of every two candidates, the first named first
  std::vector<Decision> decisions;  // on the questions asked
  JudgingText text;
  double forward_seconds = 0;  // spent in the models' forward passes,
  double scoring_seconds = 0;  //   and in comparing what they predict
};

// Whether both would predict the same if the cards were left out: one file, whose settings differ
// at most in what lies on the cards, and in what changes no sum.
bool IsSameOnHost(const Judged& a, const Judged& b);

// What leaves the cards next, where they have no room; nullopt: nothing more can, or on the host no
// candidate would be another than the reference, whose divergence from itself says nothing.
std::optional<LeftCards> NextOffCards(LeftCards left, const Judged& reference,
                                      const std::vector<Judged>& candidates);

// Judges every candidate against the reference on the same tokens, in one child process; files that
// several share are loaded once. Where the cards don't hold them beside each other, the reference
// is evaluated on the host, or else all are (at once where a candidate is the reference's file,
// whose loss would be the devices' difference), and the qualities say so. kInvalid: vocabularies
// differ, or the text is too short. kNoFit: no room, and NextOffCards() knows no way.
Result<Judgement> JudgeQuality(const Judged& reference, const std::vector<Judged>& candidates,
                               const QualityOptions& options,
                               const std::function<void(double)>& progress = {});

// The same where only the qualities are of interest.
Result<std::vector<Quality>> MeasureQuality(const Judged& reference,
                                            const std::vector<Judged>& candidates,
                                            const QualityOptions& options,
                                            const std::function<void(double)>& progress = {});

// The child's side.
Result<Json> QualityJob(const Json& request, const Emit& emit);

}  // namespace trimma
