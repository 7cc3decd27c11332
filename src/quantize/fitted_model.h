// A model loaded for the quantiser's own work: on the GPUs as far as it fits.
#pragma once

#include <string>

#include "engine/model.h"

namespace trimma {

struct FittedModel {
  Model model;
  std::string note;  // what of it had to stay on the host, where there are GPUs; "" for nothing
};

// As many layers on the GPUs as leave room for a context of these settings (logits of every token)
// and what a driver takes; for a mixture, the experts of some layers stay on the host first. Where
// there is plenty of memory, room for second moments is left too (engine/device_sums.h). The layers
// are chosen here, whatever `options` say.
Result<FittedModel> LoadFitted(const std::string& path, Model::Options options,
                               const RuntimeSettings& settings);

}  // namespace trimma
