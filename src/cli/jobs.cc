#include "cli/jobs.h"

#include <fmt/format.h>

#include <array>

#include "base/child.h"
#include "base/interrupt.h"
#include "cli/machine.h"
#include "engine/engine.h"
#include "engine/kernel_timing.h"
#include "engine/learn.h"
#include "measure/answers.h"
#include "measure/prompt_cost.h"
#include "measure/quality.h"
#include "measure/sampler_cost.h"
#include "measure/speed.h"
#include "plan/pricing.h"
#include "quantize/allocation/exchange_job.h"
#include "quantize/allocation/sensitivity.h"
#include "quantize/calibration/moments.h"
#include "quantize/quantize.h"

namespace trimma {
namespace {

using JobFunction = Result<Json> (*)(const Json& request, const Emit& emit);

struct NamedJob {
  const char* name;
  JobFunction run;
  void (*get_ready)() = nullptr;
};

// The job itself says what is wrong with it.
void LoadEngine() { (void)StartEngine(); }

constexpr std::array kJobs = {
    NamedJob{"devices", DevicesJob},
    NamedJob{"recipes", RecipesJob},
    NamedJob{kPricingJob, PricingJob, LoadEngine},
    NamedJob{"price", PriceJob},
    NamedJob{"importance", ImportanceJob},
    NamedJob{"quantize", QuantizeJob},
    NamedJob{"gathering", GatheringJob},
    NamedJob{"moments", MomentsJob},
    NamedJob{"sensitivity", SensitivityJob},
    NamedJob{"exchange", ExchangeJob},
    NamedJob{"speed", SpeedJob},
    NamedJob{"quality", QualityJob},
    NamedJob{"prompt", PromptJob},
    NamedJob{"samplers", SamplersJob},
    NamedJob{"answers", AnswersJob},
    NamedJob{"learn", LearnJob},
    NamedJob{"fill", FillJob},
    NamedJob{"idle", IdleJob},
    NamedJob{"kernels", KernelsJob},
};

}  // namespace

int RunJob(const std::string& name) {
  InstallInterruptHandlers();
  for (const NamedJob& job : kJobs) {
    if (name == job.name) return ServeChild(job.run, job.get_ready);
  }
  return ServeChild([&](const Json&, const Emit&) -> Result<Json> {
    return Error{Code::kInternal, fmt::format("there is no job {}", name), ""};
  });
}

}  // namespace trimma
