#include "plan/quality_table.h"

namespace trimma {
namespace {

// Mean KL divergences as llama-perplexity prints them, on held-out text; contexts of 512 tokens
// (Qwen3.5 27B: 4096). Rows of quantisers' own recipes ("UD-Q4_K_XL") are left out: the name must
// mean what llama-quantize does for it.
const KnownModel kManpage = {
    "manpage-26m", "llama", 26e6,
    "measured by us: llama-quantize --imatrix, llama-perplexity -c 512, llama.cpp v0.5.0"};
// The reference's logits were stored in 16 bits there, which alone reads as 0.00055: the figure of
// Q8_0 is an upper bound.
const KnownModel kLlama3 = {"LLaMA 3 8B", "llama", 8.03e9,
                            "llama.cpp, tools/perplexity/README.md, LLaMA 3 8b scoreboard"};
const KnownModel kLlama2 = {"LLaMA 2 7B", "llama", 6.74e9,
                            "llama.cpp, tools/perplexity/README.md, LLaMA 2 vs. LLaMA 3"};
const KnownModel kMistral = {"Mistral 7B", "llama", 7.24e9,
                             "llama.cpp PR 4739, comment of 2024-01-02 (about 500 tokens)"};
const KnownModel kWatt = {"Watt-Tool 8B (Llama 3.1)", "llama", 8.03e9,
                          "huggingface.co/eaddario/Watt-Tool-8B-GGUF, scores/*.log at cdd06fa"};
// The same four on llama.cpp's CPU backend (activations in 8 bits, as here), on wikitext-2.
const char* const kLfmSource =
    "github.com/microsoft/olive-recipes, LiquidAI-LFM2.5-*/cpu/README.md, rows \"llama.cpp ..., "
    "CPU\"";
const KnownModel kLfm230m = {"LFM2.5 230M", "lfm2", 230e6, kLfmSource};
const KnownModel kLfm350m = {"LFM2.5 350M", "lfm2", 354e6, kLfmSource};
const KnownModel kLfm1b = {"LFM2.5 1.2B", "lfm2", 1.17e9, kLfmSource};
const KnownModel kLfm3b = {"LFM2.5 2.6B", "lfm2", 2.6e9, kLfmSource};
const KnownModel kQwen3Small = {
    "Qwen3 1.7B", "qwen3", 1.72e9,
    "github.com/the-anup-das/rightsize-ai, roadmap entry of 2026-09-25"};
const KnownModel kQwen3 = {
    "Qwen3 4B Instruct 2507", "qwen3", 4.02e9,
    "huggingface.co/magiccodingman/Qwen3-4B-Instruct-2507-Unsloth-MagicQuant-v2-GGUF (rows LM-*)"};
const KnownModel kQwen35Medium = {"Qwen3.5 9B", "qwen35", 9e9,
                                  "reddit.com/r/LocalLLaMA/comments/1rr72lr (bartowski's files)"};
const KnownModel kQwen35 = {"Qwen3.5 27B", "qwen35", 27e9,
                            "reddit.com/r/LocalLLaMA/comments/1rk5qmr (imatrix files)"};
const KnownModel kQwen35Moe = {
    "Qwen3.5 35B-A3B", "qwen35moe", 35e9,
    "unsloth.ai/docs/models/qwen3.5/gguf-benchmarks (bartowski's files)"};
const KnownModel kErnie = {"ERNIE 4.5 21B-A3B", "ernie4_5-moe", 21e9,
                           "llama.cpp PR 15550, comment of 2025-09-15 (rows *-naive)"};

constexpr bool kImportance = true;
constexpr bool kPlain = false;

}  // namespace

const std::vector<LossPoint>& KnownLosses() {
  static const std::vector<LossPoint> points = {
      {&kManpage, "Q8_0", 0.001408, kImportance},
      {&kManpage, "Q6_K", 0.008806, kImportance},
      {&kManpage, "Q5_K_M", 0.016911, kImportance},
      {&kManpage, "Q4_K_M", 0.050243, kImportance},
      {&kManpage, "Q4_K_S", 0.055414, kImportance},
      {&kManpage, "Q4_0", 0.084669, kImportance},
      {&kManpage, "IQ4_XS", 0.072006, kImportance},
      {&kManpage, "Q3_K_M", 0.163145, kImportance},
      {&kManpage, "IQ3_S", 0.237322, kImportance},
      {&kManpage, "Q2_K", 0.708632, kImportance},
      {&kLlama3, "Q8_0", 0.001355, kPlain},
      {&kLlama3, "Q6_K", 0.005452, kPlain},
      {&kLlama3, "Q5_K_M", 0.010762, kPlain},
      {&kLlama3, "Q5_K_S", 0.016595, kPlain},
      {&kLlama3, "Q5_1", 0.018045, kPlain},
      {&kLlama3, "Q5_0", 0.022239, kPlain},
      {&kLlama3, "Q4_1", 0.071683, kPlain},
      {&kLlama3, "Q4_0", 0.071940, kPlain},
      {&kLlama3, "Q4_K_M", 0.028152, kImportance},
      {&kLlama3, "Q4_K_S", 0.031951, kImportance},
      {&kLlama3, "IQ4_NL", 0.035742, kImportance},
      {&kLlama3, "IQ4_XS", 0.036334, kImportance},
      {&kLlama3, "Q3_K_L", 0.073077, kImportance},
      {&kLlama3, "Q3_K_M", 0.084358, kImportance},
      {&kLlama3, "IQ3_M", 0.102534, kImportance},
      {&kLlama3, "IQ3_S", 0.111278, kImportance},
      {&kLlama3, "IQ3_XS", 0.138693, kImportance},
      {&kLlama3, "IQ3_XXS", 0.183625, kImportance},
      {&kLlama3, "Q3_K_S", 0.199821, kImportance},
      {&kLlama3, "IQ2_M", 0.325989, kImportance},
      {&kLlama3, "Q2_K", 0.332223, kImportance},
      {&kLlama3, "Q2_K_S", 0.403360, kImportance},
      {&kLlama3, "IQ2_S", 0.439197, kImportance},
      {&kLlama3, "IQ2_XS", 0.546290, kImportance},
      {&kLlama3, "IQ2_XXS", 0.812022, kImportance},
      {&kLlama3, "IQ1_M", 1.393084, kImportance},
      {&kLlama3, "IQ1_S", 2.254554, kImportance},
      {&kLlama2, "Q8_0", 0.000369, kPlain},
      {&kLlama2, "Q6_K", 0.002098, kPlain},
      {&kLlama2, "Q4_K_M", 0.012686, kPlain},
      {&kLlama2, "Q2_K", 0.108903, kPlain},
      {&kMistral, "Q5_K_M", 0.003, kPlain},
      {&kMistral, "Q4_K_M", 0.01, kPlain},
      {&kMistral, "Q3_K_M", 0.04, kPlain},
      {&kWatt, "Q8_0", 0.000238, kImportance},
      {&kWatt, "Q5_K_M", 0.004726, kImportance},
      {&kWatt, "Q3_K_M", 0.051126, kImportance},
      {&kWatt, "IQ3_M", 0.066422, kImportance},
      {&kLfm230m, "Q8_0", 0.00167, kPlain},
      {&kLfm230m, "Q4_K_M", 0.0988, kPlain},
      {&kLfm350m, "Q8_0", 0.00843, kPlain},
      {&kLfm350m, "Q4_K_M", 0.481, kPlain},
      {&kLfm1b, "Q8_0", 0.00196, kPlain},
      {&kLfm1b, "Q4_K_M", 0.109, kPlain},
      {&kLfm3b, "Q8_0", 0.00289, kPlain},
      {&kLfm3b, "Q4_K_M", 0.155, kPlain},
      {&kQwen3Small, "Q8_0", 0.003, kPlain},
      {&kQwen3Small, "Q5_K_M", 0.023, kPlain},
      {&kQwen3Small, "Q4_K_M", 0.059, kPlain},
      {&kQwen3, "Q8_0", 0.001339, kPlain},
      {&kQwen3, "Q6_K", 0.004640, kPlain},
      {&kQwen3, "Q4_K_S", 0.029803, kPlain},
      {&kQwen35Medium, "Q8_0", 0.000814, kImportance},
      {&kQwen35Medium, "Q4_K_M", 0.0087, kImportance},
      {&kQwen35Medium, "Q4_K_S", 0.0108, kImportance},
      {&kQwen35Medium, "IQ4_XS", 0.0127, kImportance},
      {&kQwen35, "Q4_K_M", 0.006469, kImportance},
      {&kQwen35, "Q4_K_S", 0.006720, kImportance},
      {&kQwen35, "IQ4_NL", 0.007233, kImportance},
      {&kQwen35, "IQ4_XS", 0.007569, kImportance},
      {&kQwen35Moe, "Q5_K_M", 0.0106, kImportance},
      {&kQwen35Moe, "Q4_K_M", 0.0182, kImportance},
      {&kQwen35Moe, "IQ4_XS", 0.0234, kImportance},
      {&kQwen35Moe, "Q3_K_M", 0.0585, kImportance},
      {&kQwen35Moe, "IQ3_XXS", 0.0851, kImportance},
      {&kQwen35Moe, "IQ2_XXS", 0.3457, kImportance},
      {&kErnie, "Q4_K_M", 0.020945, kImportance},
      {&kErnie, "IQ4_NL", 0.025309, kImportance},
  };
  return points;
}

const std::vector<RecipeBits>& AllRecipeBits() {
  using enum TypeFamily;
  static const std::vector<RecipeBits> recipes = {
      {"Q8_0", kLegacy, 8.52}, {"Q6_K", kK, 6.57},    {"Q5_1", kLegacy, 6.04},
      {"Q5_K_M", kK, 5.70},    {"Q5_K_S", kK, 5.57},  {"Q5_0", kLegacy, 5.57},
      {"Q4_1", kLegacy, 5.11}, {"Q4_K_M", kK, 4.90},  {"Q4_K_S", kK, 4.67},
      {"Q4_0", kLegacy, 4.64}, {"IQ4_NL", kIQ, 4.65}, {"IQ4_XS", kIQ, 4.43},
      {"Q3_K_L", kK, 4.31},    {"Q3_K_M", kK, 4.00},  {"IQ3_M", kIQ, 3.78},
      {"IQ3_S", kIQ, 3.66},    {"Q3_K_S", kK, 3.65},  {"IQ3_XS", kIQ, 3.51},
      {"IQ3_XXS", kIQ, 3.26},  {"Q2_K", kK, 3.17},    {"Q2_K_S", kK, 2.97},
      {"IQ2_M", kIQ, 2.93},    {"IQ2_S", kIQ, 2.74},  {"IQ2_XS", kIQ, 2.60},
      {"IQ2_XXS", kIQ, 2.40},  {"IQ1_M", kIQ, 2.15},  {"IQ1_S", kIQ, 2.01},
  };
  return recipes;
}

const RecipeBits* FindRecipeBits(std::string_view recipe) {
  for (const RecipeBits& bits : AllRecipeBits()) {
    if (recipe == bits.recipe) return &bits;
  }
  return nullptr;
}

double WithoutImportance(const RecipeBits& recipe) {
  return recipe.bits > 5.3 ? 1.0 : recipe.bits > 4.35 ? 1.2 : 1.25;
}

}  // namespace trimma
