#include "base/result.h"

#include <array>

namespace trimma {
namespace {

struct Name {
  Code code;
  const char* name;
};

constexpr std::array kNames = {
    Name{Code::kFailure, "failure"},
    Name{Code::kUsage, "usage"},
    Name{Code::kInvalid, "invalid"},
    Name{Code::kNoFit, "no-fit"},
    Name{Code::kGate, "gate"},
    Name{Code::kNetwork, "network"},
    Name{Code::kNotFound, "not-found"},
    Name{Code::kBusy, "busy"},
    Name{Code::kInternal, "internal"},
    Name{Code::kIo, "io"},
    Name{Code::kPermission, "permission"},
    Name{Code::kInterrupted, "interrupted"},
    Name{Code::kTerminated, "terminated"},
};

}  // namespace

const char* CodeName(Code code) {
  for (const Name& n : kNames) {
    if (n.code == code) return n.name;
  }
  return "failure";
}

std::optional<Code> CodeFromName(const std::string& name) {
  for (const Name& n : kNames) {
    if (name == n.name) return n.code;
  }
  return std::nullopt;
}

}  // namespace trimma
