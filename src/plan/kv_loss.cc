#include "plan/kv_loss.h"

#include "base/text.h"

namespace trimma {
namespace {

struct KvRow {
  const char* type;
  Estimate k;
  Estimate v;
};

// Values lie between our own measurements and published ones.
//   manpage-26m-f16 (llama.cpp v0.5.0, 30 chunks of 512 tokens): K q8_0 0.00013, V q8_0 0.00003;
//     K q5_0 0.0067, V q5_0 0.0021; K q4_0 0.028, V q4_0 0.0090, both 0.037: losses add up
//   Gemma 3 270M Q4_K_M (4 chunks): both q8_0 0.0075, q5_0 0.037, q4_0 0.13
//   LLaMA 3 8B (llama.cpp PR 7412, before the rotation): K q8_0 0.0008, V q8_0 0.0006
//   Qwen3.6 35B-A3B: both q8_0 0.0016; Qwen3.6 27B at 65 536 tokens: both q4_0 0.0047
// Upper ends hold the worst published, localbench's long documents: q8_0 up to 0.04 for Qwen3.6 and
// 0.11 for Gemma 4 31B (0.38 for its mixture of experts is beyond); q4_0 0.09 to 1.1.
constexpr KvRow kRows[] = {
    {"q8_0", {0.001, 0.0001, 0.07}, {0.0007, 0.00003, 0.05}},
    {"q5_1", {0.009, 0.001, 0.25}, {0.003, 0.0004, 0.1}},
    {"q5_0", {0.012, 0.001, 0.3}, {0.004, 0.0004, 0.1}},
    {"q4_1", {0.032, 0.002, 0.7}, {0.01, 0.001, 0.4}},
    {"q4_0", {0.04, 0.003, 0.7}, {0.012, 0.001, 0.4}},
    {"iq4_nl", {0.032, 0.002, 0.7}, {0.01, 0.001, 0.4}},
};

const KvRow* FindRow(const std::string& type) {
  for (const KvRow& row : kRows) {
    if (ToLower(type) == row.type) return &row;
  }
  return nullptr;
}

bool IsPlain(const std::string& type) {
  const std::string lower = ToLower(type);
  return lower == "f16" || lower == "bf16" || lower == "f32";
}

}  // namespace

std::optional<Estimate> ExpectedKvLoss(const std::string& kv_k, const std::string& kv_v) {
  const KvRow* k = FindRow(kv_k);
  const KvRow* v = FindRow(kv_v);
  if ((k == nullptr && !IsPlain(kv_k)) || (v == nullptr && !IsPlain(kv_v))) return std::nullopt;
  return Sum(k == nullptr ? kNoLoss : k->k, v == nullptr ? kNoLoss : v->v);
}

Estimate Sum(const Estimate& a, const Estimate& b) {
  return {a.value + b.value, a.low + b.low, a.high + b.high, a.measured && b.measured};
}

}  // namespace trimma
