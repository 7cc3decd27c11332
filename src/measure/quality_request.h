// What MeasureQuality asks of its child, as JSON.
#pragma once

#include "measure/quality.h"

namespace trimma {

Json ToJson(const QualityOptions& options);
QualityOptions QualityOptionsFromJson(const Json& json);  // throws what nlohmann throws

Json ToJson(const LossRatio& ratio);
LossRatio LossRatioFromJson(const Json& json);  // throws what nlohmann throws

}  // namespace trimma
