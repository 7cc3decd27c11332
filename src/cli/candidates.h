// Choosing a type by measurement: several are made, judged side by side, and one is kept.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/progress.h"
#include "cli/card_placing.h"
#include "cli/planning.h"
#include "measure/quality.h"
#include "measure/speed.h"

namespace trimma {

struct Candidate {
  const FileType* recipe = nullptr;
  std::string path;
  uint64_t file_bytes = 0;
  double bits_per_weight = 0;
  Quality quality;
  Speed speed;
  std::vector<std::string> notes;
};

struct CandidateOptions {
  std::string source;     // unquantised GGUF
  std::string directory;  // for the files
  std::vector<const FileType*> recipes;
  RuntimeSettings settings;  // for measuring, but for where layers go
  Site site;
  std::optional<std::string> text;         // to judge on
  std::optional<std::string> calibration;  // to calibrate with
  uint32_t trained_context = 0;            // of the source; 0: unknown
  double seconds = 30;                     // for calibrating, judging and timing together
};

struct Candidates {
  std::vector<Candidate> made;
  Speed source_speed;       // measured side by side with theirs
  std::string source_note;  // where the cards don't hold it whole
};

// Which types to try: those that fit, and fewer of them the larger the model, since each is made
// and measured.
std::vector<const FileType*> RecipesToTry(const GgufFile& source, const Planned& planned,
                                          uint32_t context);

// Makes and judges all. Importance data is collected once; all are judged in lockstep on the same
// tokens, and timed in turns.
Result<Candidates> MakeCandidates(const CandidateOptions& options, Progress& progress);

// Seconds of a typical exchange: the measured prompt and an answer of 128 tokens.
double TypicalSeconds(const Speed& speed);

// Of those whose loss (upper end of its interval) is at most `max_kld`: the fastest, and among
// those within 5 % of it the smallest. nullopt if none loses so little.
std::optional<size_t> ChooseCandidate(const std::vector<Candidate>& candidates, double max_kld);

}  // namespace trimma
