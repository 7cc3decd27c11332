// Finding the fastest settings by measurement.
//
// What first principles say can't matter here isn't tried. The rest is raced (measure/speed_race.h)
// in three steps: each setting alone, the winners together, and the best of all afresh beside the
// defaults, so that a lucky sample never becomes a claim: only the last step decides. What lies
// inside the noise is "no difference", and the default stays.
#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/child.h"
#include "measure/quality.h"
#include "measure/speed.h"
#include "tune/combine.h"
#include "tune/placements.h"
#include "tune/space.h"

namespace trimma {

struct TuneOptions {
  RuntimeSettings defaults;
  TuneFor purpose = TuneFor::kChat;
  int users = 1;  // parallel sequences are tried up to so many
  int prompt_tokens = 512;
  int depth = 0;  // tokens in the cache before the prompt
  int decode_tokens = 48;
  int answer_tokens = 128;      // what the objective weighs: a prompt and such an answer
  double budget_seconds = 180;  // all steps together, since
  std::optional<std::chrono::steady_clock::time_point> begun;  // nullopt: Tune() is called
  // Of the user's budget, where that is for more than this: what a refusal speaks of.
  double budget_share = 1;    // budget_seconds' of it, after
  double seconds_before = 0;  // what was spent already
  int cores = 1;              // of the machine
  int threads = 1;
  uint64_t available_bytes = 0;  // of memory; 0: unknown
  bool has_gpu = false;
  OtherPlacements other;         // on the card, besides the defaults'
  uint32_t trained_context = 0;  // of the model; 0: unknown
  double max_kv_kld = 0.01;      // a quantised KV cache is taken only with less mean KLD than this
  std::optional<std::string> text_file;  // to judge that on; nullopt: generated
  uint32_t seed = 1;                     // of the order in which candidates are measured
  // Who measures speed; empty: trimma's own engine.
  SpeedMeter meter;
  // Seconds since any moment; empty: the system's clock that never jumps.
  std::function<double()> clock;
  // The meter starts a process for every visit, so that each figure is independent of the others.
  bool starts_for_each_visit = false;
  // Where the budget holds no trial, the defaults' speed is the result; else that is an error.
  bool keeps_where_short = false;
  std::string why_no_kv;  // no KV-cache type may be tried, for this reason; "": they may
  // Where finished steps are kept, so that an interrupted run goes on; "": nowhere.
  std::string journal_directory;
  std::string machine;  // for the journal: whose figures these are
};

// A former choice measured again (tune/recheck.h).
struct Recheck {
  bool holds = false;
  std::string sentence;  // by what
  // Of the former choice, where it holds; {1, 1, 1}: the defaults, or not.
  MeanInterval gain = {1, 1, 1};
  MeanInterval prefill_gain = {1, 1, 1};
  MeanInterval decode_gain = {1, 1, 1};
  Speed default_speed;
  Speed speed;  // of the former choice
  double seconds = 0;
  std::string former_time;           // of the former run,
  std::vector<std::string> changes;  // and what changed since, one sentence each
};

struct TuneResult {
  Json asked;  // the question (tune/stage.h)
  RuntimeSettings default_settings;
  Speed default_speed;
  RuntimeSettings best_settings;
  Speed best_speed;
  MeanInterval
      gain;  // time of the default / time of the best by the objective; {1, 1, 1}: it stays
  MeanInterval prefill_gain, decode_gain;
  std::string verdict;             // one sentence
  std::optional<Error> too_short;  // the budget held no trial (TuneOptions::keeps_where_short)
  std::vector<TuneTrialResult> trials;
  std::vector<NotTried> not_tried;
  std::vector<std::string> notes;  // what the reader should know of this run, one sentence each
  // Measured where a quantised KV cache looked faster: of the last pair of types that was judged,
  std::optional<Quality> kv_quality;
  std::optional<JudgingText> kv_text;  // on this text,
  double max_kv_kld = 0;               // and how much was allowed
  std::optional<Recheck> recheck;      // where a former result was out of date
  double seconds = 0;
};

// kUsage where the budget doesn't suffice for one trial, unless that keeps the defaults; kBusy
// where the machine is so busy that nothing could be told.
Result<TuneResult> Tune(
    const std::string& model_path, const TuneOptions& options,
    const std::function<void(const std::string& stage, double share)>& progress = {});

Json ToJson(const TuneResult& result);

}  // namespace trimma
