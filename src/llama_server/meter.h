// Speed through an installed llama-server, measured as measure/speed.h measures it by our own
// engine: the same subjects, options and trials.
//
// A setting of llama-server is its command line, so that a visit of a candidate is a start of the
// server. Every start brings a figure of its own: what a process happens to get (memory, places of
// threads) is in the intervals.
#pragma once

#include <string>
#include <vector>

#include "llama_server/arguments.h"
#include "llama_server/server.h"
#include "measure/speed.h"

namespace trimma {

struct ServerMeterOptions {
  // Every round is a start (a race, a confirmation); else the rounds are divided among
  // SpeedOptions::processes starts.
  bool start_each_round = false;
  double most_start_seconds = 600;
  // Of every start, as of a speculation under which all is measured.
  std::vector<std::string> more_words;
};

// Fulfils SpeedMeter. Depth and users (SpeedOptions) must be none. Time to first token is by our
// clock, all else by the server's. Of the starts that rounds ask for, three at least are made
// (min_rounds; fewer where most_seconds don't hold them), and no round is begun that would end
// after the budget. A first candidate that can't run is a result too; the others are then compared
// with nothing, and nothing is raced.
class LlamaServerMeter {
 public:
  LlamaServerMeter(LlamaServerProgram program, ServerMeterOptions options)
      : program_(std::move(program)), options_(std::move(options)) {}

  Result<std::vector<SpeedTrial>> operator()(const std::vector<SpeedSubject>& candidates,
                                             const SpeedOptions& options,
                                             const std::function<void(double)>& progress) const;

 private:
  LlamaServerProgram program_;
  ServerMeterOptions options_;
};

// "3 of 6 starts were made: ..." (pure); "" where all were.
std::string FewerStarts(const Speed& speed, const SpeedOptions& options);

// A model under settings, started.
Result<LlamaServer> StartServer(const LlamaServerProgram& program, const SpeedSubject& subject,
                                const std::vector<std::string>& more_words, double most_seconds);

}  // namespace trimma
