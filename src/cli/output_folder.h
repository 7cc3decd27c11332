// The folder that `trimma optimize` writes into: what is another's there stays.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "report/record.h"

namespace trimma {

struct OutputFolder {
  std::string path;   // absolute
  bool fresh = true;  // empty, or not there before
  bool ours = true;   // fresh, or an earlier optimize wrote it: its files may be replaced
  std::string work;   // a new folder in it, for what is thrown away
};

// Makes it. kUsage where it holds a file of another's that would be replaced.
Result<OutputFolder> OpenOutputFolder(const std::string& path);

// kUsage for a file of another's.
Status CheckMayReplace(const OutputFolder& folder, const std::string& path);

// Shell commands that remove what was written, and nothing else.
std::vector<std::string> UndoCommands(const OutputFolder& folder, const WrittenFiles& files);

}  // namespace trimma
