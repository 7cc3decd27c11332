// What `trimma apply` shows: for people and as JSON.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "cli/apply_ollama.h"
#include "cli/applying.h"

namespace trimma {

struct AppliedText {
  std::string record;
  bool dry_run = false;
  std::vector<FileChange> files;
  std::optional<OllamaChange> model;
  std::optional<MadeModel> made;      // absent in a dry run, and where there was nothing to do
  std::vector<std::string> notes;     // what a target can't hold of the settings
  std::vector<std::string> activate;  // commands that make what was written take effect
};

std::string Describe(const AppliedText& shown);
Json ToDocument(const AppliedText& shown);  // trimma.apply/1

// The part about shown.model: what changes, and once it is made what was measured.
std::string DescribeModel(const AppliedText& shown);
Json ModelJson(const AppliedText& shown);

}  // namespace trimma
