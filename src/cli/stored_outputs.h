// `optimize` of a model that Ollama stores in its own way: beside the model that llama.cpp loads,
// the file that Ollama does, and the projector as llama-server takes it.
#pragma once

#include "base/progress.h"
#include "cli/common.h"
#include "report/record.h"

namespace trimma {

// Called once record.files.model is there: a text-only file, or record.model_path where the weights
// are kept. Fills in files.model, files.ollama_model and, where the engine has it, files.projector;
// they are called `stem`-... in `directory`. Does nothing for a model that is stored as it is read.
Status WriteStoredForms(const OpenedModel& source, const std::string& directory,
                        OptimizeRecord& record, Progress& progress);

}  // namespace trimma
