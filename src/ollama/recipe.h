// What a model in Ollama is to be made of, from a record's settings and the model that it began
// with. Pure.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "ollama/types.h"
#include "settings/applied.h"

namespace trimma {

struct RecipeParts {
  std::string name;              // of the model to make
  std::string weights_digest;    // of applied.model_path
  std::string projector_digest;  // of applied.projector_path; "" if there is none
  std::string original_name;     // in that Ollama; "" if it has none of it
  std::optional<OllamaShow> original;
};

// A model of the original's weights is made `from` it, so that all of it stays; one of other
// weights gets its template, system prompt, messages, licence and parameters. Settings that were
// tuned replace the original's; sampling only where the user chose it or the original says none.
OllamaCreate MakeRecipe(const Applied& applied, const RecipeParts& parts);

// The parameters that the tuned settings are, as Ollama names them.
Json TunedParameters(const Applied& applied);

// Whether a model runs under the tuned settings; its sampling counts only where it was chosen.
bool HoldsTuning(const OllamaShow& show, const Applied& applied);

// What /api/show will say once this is made. `parts` as given to MakeRecipe.
OllamaShow Foretell(const OllamaCreate& create, const RecipeParts& parts);

// What a model is, for people and to compare: like a Modelfile, texts by their first words and
// length.
std::string DescribeShow(const OllamaShow& show);

// What changes from one to the other, a line each. `before` nullopt: a new model.
std::vector<std::string> ChangesBetween(const std::optional<OllamaShow>& before,
                                        const OllamaShow& after);

// Whether both set the same parameters to the same values.
bool SameParameters(const Json& a, const Json& b);

// True where both are the same model under the same settings.
bool SameModel(const OllamaShow& a, const OllamaShow& b);

}  // namespace trimma
