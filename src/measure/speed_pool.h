// Models and contexts of the candidates, loaded once and shared where settings allow it. Only the
// child process uses this.
#pragma once

#include <list>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "engine/model.h"
#include "measure/beat.h"
#include "measure/speed.h"

namespace trimma {

struct Resident {
  SpeedSubject subject;  // the first that asked for it
  const Model* model = nullptr;
  std::optional<Context> context;
  int filled = -1;    // tokens in each sequence; -1: unknown
  bool fresh = true;  // not evaluated since it was made
};

// Whether settings have to show first that a card holds their whole context: only a part of it is
// measured, which would let through what then runs out of memory.
bool MustProveItFits(const RuntimeSettings& settings, uint32_t shortened, bool has_gpu);

class SpeedPool {
 public:
  SpeedPool(const SpeedOptions& options, Beat& beat) : options_(options), beat_(beat) {}

  // The subject's context, made or loaded if it isn't there. It lives until the next call.
  Result<Resident*> Get(const SpeedSubject& subject);

  // From the file to a ready context, in milliseconds. Where only so many may be resident, the pool
  // is emptied for it.
  Result<std::vector<double>> TimeLoads(const SpeedSubject& subject);
  // Of those that it took to have subjects of this placement back, each from the page cache.
  std::vector<double> LoadsBetween(const SpeedSubject& subject) const;

 private:
  struct Loaded {
    SpeedSubject subject;
    std::unique_ptr<Model> model;
  };
  Result<const Model*> ModelFor(const SpeedSubject& subject);
  Context::Options Shortened(const RuntimeSettings& settings) const;
  Status ProveItFits(const Model& model, const SpeedSubject& subject, uint32_t shortened);

  SpeedOptions options_;
  Beat& beat_;
  std::list<Loaded> models_;
  std::list<Resident> contexts_;  // destroyed before the models
  std::vector<SpeedSubject> proven_;
  std::set<std::string> read_;  // files, which are in the page cache
  struct Load {
    SpeedSubject subject;
    double milliseconds;
  };
  std::vector<Load> loads_;
};

}  // namespace trimma
