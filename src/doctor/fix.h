// Taking ineffective variables out of the user's own files, and what to type for the others.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "doctor/rules.h"

namespace trimma {

struct FileFix {
  std::string path;  // the file itself, links followed
  std::string before;
  std::string after;
  std::vector<std::string> lines;  // what becomes a comment: "3: export OLLAMA_NUM_GPU=1"
  std::string backup;              // once it was written: where the old text is
};

struct FixPlan {
  std::vector<FileFix> files;
  // What trimma doesn't do itself, and why: "sudo sed --follow-symlinks -i.bak -e
  // '3s/^/# /' '/etc/environment'". One for each file.
  std::vector<std::string> commands;
};

// What --fix would do about the findings. Only reads. A file is edited where it lies below `home`
// or `working_directory`, belongs to this user, and the line says nothing else.
struct FixScope {
  std::string home;
  std::string working_directory;
};
Result<FixPlan> PlanFixes(const std::vector<Finding>& findings, const FixScope& scope);

// Writes each file anew with its former permissions, after keeping the old one as FILE.bak, or as
// FILE.bak.1 and so on where that is taken: nothing is overwritten. kBusy where one changed since
// it was planned; then nothing is written. Where it fails later, `backup` says which were.
Status ApplyFixes(FixPlan& plan);

}  // namespace trimma
