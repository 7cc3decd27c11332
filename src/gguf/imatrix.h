// llama.cpp's importance matrix ("imatrix") as a GGUF file: for every weight matrix, how
// large its input is, column by column, over a calibration text.
//
// general.type "imatrix"; imatrix.datasets, imatrix.chunk_count, imatrix.chunk_size; tensors
// NAME.in_sum2 [columns, matrices] and NAME.counts [1, matrices], F32. A matrix of experts
// has one row for each expert ("matrices"), others one in all.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/result.h"

namespace trimma {

struct ImportanceEntry {
  std::vector<float> sum2;  // [columns, matrices]: sums of squared inputs
  uint64_t columns = 0;
  std::vector<float> counts;  // [matrices]: how many inputs were summed

  uint64_t matrices() const { return counts.size(); }
  // [columns, matrices]: sum2 / counts. A matrix that saw no input (an expert never
  // chosen) gets 1 everywhere: no column matters more than another.
  std::vector<float> MeanSquares() const;
  bool operator==(const ImportanceEntry&) const = default;
};

struct Importance {
  std::map<std::string, ImportanceEntry> entries;  // by the weight's name, "blk.0.attn_q.weight"
  uint32_t chunk_count = 0;                        // of the calibration text; 0: unknown
  uint32_t chunk_size = 0;                         // tokens in a chunk; 0: unknown
  std::vector<std::string> datasets;               // where the text came from
  std::string origin;  // the same in detail, as whoever collected it wants to read it; "": nothing

  // MeanSquares of the entry `name`; empty if there is none.
  std::vector<float> MeanSquares(const std::string& name) const;
  bool operator==(const Importance&) const = default;
};

// kInvalid for a file that is no imatrix, lacks a half of a pair, or holds a value that is
// negative or not finite.
Result<Importance> ReadImportance(const std::string& path);

// Byte for byte as llama-imatrix writes it, but for a key of our own with the origin. Atomic.
Status WriteImportance(const std::string& path, const Importance& importance);

}  // namespace trimma
