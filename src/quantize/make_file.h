// One run of the pipeline in a child process: what it is asked for, and what came out.
#pragma once

#include <optional>
#include <string>

#include "quantize/quantize.h"

namespace trimma {

struct FileToMake {
  std::string output;
  const Assignment* assignment = nullptr;
  const FileType* label = nullptr;        // for general.file_type
  std::optional<std::string> importance;  // paths of what errors are weighed with
  std::optional<std::string> moments;
  std::optional<MadeBy> made_by;
  bool compensate = false;
  bool force = true;  // replace an existing file
};

// The request of the job "quantize"; source, memory, threads and exactness are the options'.
Json RequestOf(const QuantizeOptions& options, const FileToMake& file);

// kUsage where the output is one of the source's files, kFailure where it exists and is not to be
// replaced.
Status CheckOutput(const GgufFile& source, const QuantizeOptions& options);

// The file as it was written, from the job's answer: sizes, types, how each tensor was rounded.
Result<QuantizeReport> ReportMade(const GgufFile& source, const std::string& output,
                                  const Json& answer);

}  // namespace trimma
