// Measuring and planning from the command line.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <set>

#include "base/text.h"
#include "support/program.h"
#include "support/tiny_model.h"

namespace trimma::measure_plan_cli_test {
namespace {

namespace fs = std::filesystem;

const TinyModelOptions kPlannable{.heads = 2, .kv_heads = 1};  // heads of 32: q8_0 divides them

Json Quality(const Sandbox& box, const std::string& model, const std::string& against,
             const std::vector<std::string>& more) {
  std::vector<std::string> call = {"measure", model, "--quality", "--against", against};
  call.insert(call.end(), more.begin(), more.end());
  const Json document = ExpectDocument(box, call);
  return document.is_object() ? document["quality"] : Json();
}

TEST(MeasureCli, AFileDoesNotDivergeFromItself) {
  const Sandbox box;
  WriteTinyModel(box / "tiny.gguf");
  box.Write("text.txt", SomeText(2000));
  for (const bool generated : {true, false}) {
    std::vector<std::string> more = {"--chunk", "64", "--chunks", "3"};
    if (!generated) more.insert(more.end(), {"--text", "text.txt"});
    const Json quality = Quality(box, "tiny.gguf", "tiny.gguf", more);
    ASSERT_FALSE(HasFailure());
    EXPECT_LT(quality["mean_kld"].get<double>(), 1e-6);
    EXPECT_EQ(quality["same_top"], 1);
    EXPECT_EQ(quality["ppl"], quality["reference_ppl"]);
    EXPECT_GT(quality["ppl"].get<double>(), 1);
  }
}

TEST(MeasureCli, FewerBitsDivergeMore) {
  const Sandbox box;
  WriteTinyModel(box / "f16.gguf", {.embedding = 256, .feed_forward = 256});
  box.Write("text.txt", SomeText(2000));
  double before = 0;
  for (const char* type : {"Q8_0", "Q4_K_M", "Q2_K"}) {
    ExpectDocument(box, {"quantize", "f16.gguf", "-o", "q.gguf", "--type", type, "--force"});
    const Json q = Quality(box, "q.gguf", "f16.gguf",
                           {"--text", "text.txt", "--chunk", "64", "--chunks", "4"});
    ASSERT_FALSE(HasFailure());
    const double kld = q["mean_kld"];
    EXPECT_GT(kld, before) << type;
    EXPECT_LE(q["mean_kld_ci95"][0].get<double>(), kld);
    EXPECT_GE(q["mean_kld_ci95"][1].get<double>(), kld);
    EXPECT_LE(kld, q["p99_kld"].get<double>());
    EXPECT_LE(q["p99_kld"].get<double>(), q["p999_kld"].get<double>());
    before = kld;
  }
}

TEST(MeasureCli, TheProtocolStandsInTheResult) {
  const Sandbox box;
  WriteTinyModel(box / "tiny.gguf");
  box.Write("text.txt", SomeText(2000));
  const std::vector<std::string> common = {"--text", "text.txt", "--chunk", "32", "--chunks", "2"};
  const Json half = Quality(box, "tiny.gguf", "tiny.gguf", common);
  ASSERT_FALSE(HasFailure());
  EXPECT_EQ(half["chunk"], 32);
  EXPECT_EQ(half["chunks"], 2);
  EXPECT_EQ(half["score"], "half");
  EXPECT_EQ(half["text"], "text.txt");
  EXPECT_EQ(half["tokens"], 2 * 15);  // as llama-perplexity: of 512, positions 256 to 510
  std::vector<std::string> all_call = common;
  all_call.insert(all_call.end(), {"--score", "all"});
  const Json all = Quality(box, "tiny.gguf", "tiny.gguf", all_call);
  ASSERT_FALSE(HasFailure());
  EXPECT_EQ(all["score"], "all");
  EXPECT_EQ(all["tokens"], 2 * 31);
}

TEST(MeasureCli, TheDefaultIsLlamaPerplexitys) {
  const Sandbox box;
  WriteTinyModel(box / "tiny.gguf");
  box.Write("text.txt", SomeText(2000));
  const Json quality =
      Quality(box, "tiny.gguf", "tiny.gguf", {"--text", "text.txt", "--chunks", "2"});
  ASSERT_FALSE(HasFailure());
  EXPECT_EQ(quality["chunk"], 512);
  EXPECT_EQ(quality["score"], "half");
  EXPECT_EQ(quality["tokens"], 2 * 255);
}

TEST(MeasureCli, TheSameTextGivesTheSameFigures) {
  const Sandbox box;
  WriteTinyModel(box / "f16.gguf");
  ExpectDocument(box, {"quantize", "f16.gguf", "-o", "q.gguf", "--type", "Q4_0"});
  box.Write("text.txt", SomeText(2000));
  const std::vector<std::string> call = {"--text",   "text.txt", "--chunk",   "64",
                                         "--chunks", "2",        "--threads", "1"};
  EXPECT_EQ(Quality(box, "q.gguf", "f16.gguf", call), Quality(box, "q.gguf", "f16.gguf", call));
}

TEST(MeasureCli, SpeedAndQualityTogether) {
  const Sandbox box;
  WriteTinyModel(box / "tiny.gguf");
  const Json both = ExpectDocument(
      box, {"measure", "tiny.gguf", "--against", "tiny.gguf", "--speed", "--quality", "--rounds",
            "3", "--prompt-tokens", "32", "--decode-tokens", "8", "--chunk", "32"});
  ASSERT_FALSE(HasFailure());
  EXPECT_TRUE(both["speed"].is_object());
  EXPECT_TRUE(both["quality"].is_object());
  EXPECT_EQ(both["speed"]["prompt_tokens"], 32);
  EXPECT_GE(both["speed"]["decode_tps"]["n"], 3);
}

// One process with one sample and no load: the cheapest independent figure.
TEST(MeasureCli, OneSampleUnderTensorsKeptOnTheHost) {
  const Sandbox box;
  WriteTinyModel(box / "tiny.gguf");
  const Json document =
      ExpectDocument(box, {"measure", "--speed", "--rounds", "1", "--loads", "0", "--context",
                           "2048", "--prompt-tokens", "16", "--decode-tokens", "4", "--on-host",
                           "ffn", "--on-host", R"(blk\.(0|1)\.attn)", "tiny.gguf"});
  ASSERT_FALSE(HasFailure());
  EXPECT_EQ(document["settings"]["context"], 2048);
  EXPECT_EQ(document["settings"]["host_tensors"], Json({"ffn", R"(blk\.(0|1)\.attn)"}));
  EXPECT_EQ(document["speed"]["decode_tps"]["n"], 1);
  EXPECT_EQ(document["speed"]["load_ms"]["n"], 0);
}

TEST(MeasureCli, AGemmaWithSlidingWindowRuns) {
  const Sandbox box;
  WriteTinyModel(box / "gemma.gguf", {.architecture = "gemma3", .layers = 6, .head_size = 32});
  const Json quality = Quality(box, "gemma.gguf", "gemma.gguf", {"--chunk", "64", "--chunks", "2"});
  ASSERT_FALSE(HasFailure());
  EXPECT_LT(quality["mean_kld"].get<double>(), 1e-6);
  ExpectDocument(box, {"plan", "gemma.gguf"});
}

uint64_t Sum(const Json& cell, const char* field) {
  uint64_t sum = 0;
  for (const Json& device : cell["devices"]) sum += device[field].get<uint64_t>();
  return sum;
}

// The cell of a type, context and KV type; null if there is none.
Json Cell(const Json& plan, const std::string& type, uint32_t context, const std::string& kv) {
  for (const Json& cell : plan["cells"]) {
    if (cell["type"] == type && cell["context"] == context && cell["kv_k"] == kv) return cell;
  }
  return Json();
}

TEST(PlanCli, EveryTypeAtEveryContextWithEveryCache) {
  const Sandbox box;
  WriteTinyModel(box / "tiny.gguf", kPlannable);
  const Json plan = ExpectDocument(box, {"plan", "tiny.gguf", "--types", "Q8_0,Q4_0", "--context",
                                         "128,256,512", "--kv", "f16,q8_0"});
  ASSERT_FALSE(HasFailure());
  // The file as it is stands beside the types asked for.
  EXPECT_EQ(plan["cells"].size(), 3U * 3U * 2U);
  const Json& recommended = plan["cells"][plan["recommended"].get<size_t>()];
  EXPECT_EQ(recommended["fits"], true);
  for (const Json& cell : plan["cells"]) {
    EXPECT_EQ(cell["devices"].back()["name"], "host") << cell;
    for (const Json& device : cell["devices"]) {
      EXPECT_EQ(device["total_bytes"].get<uint64_t>(), device["weights_bytes"].get<uint64_t>() +
                                                           device["kv_bytes"].get<uint64_t>() +
                                                           device["compute_bytes"].get<uint64_t>());
    }
  }
  for (const char* type : {"F16", "Q8_0", "Q4_0"}) {
    ASSERT_TRUE(Cell(plan, type, 256, "f16").is_object()) << type;
    EXPECT_LT(Sum(Cell(plan, type, 256, "q8_0"), "kv_bytes"),
              Sum(Cell(plan, type, 256, "f16"), "kv_bytes"));
    EXPECT_LT(Sum(Cell(plan, type, 256, "f16"), "kv_bytes"),
              Sum(Cell(plan, type, 512, "f16"), "kv_bytes"));
  }
  EXPECT_LT(Sum(Cell(plan, "Q4_0", 256, "f16"), "weights_bytes"),
            Sum(Cell(plan, "Q8_0", 256, "f16"), "weights_bytes"));
  EXPECT_LT(Sum(Cell(plan, "Q8_0", 256, "f16"), "weights_bytes"),
            Sum(Cell(plan, "F16", 256, "f16"), "weights_bytes"));
  EXPECT_TRUE(std::any_of(plan["cells"].begin(), plan["cells"].end(),
                          [](const Json& cell) { return cell["pareto"] == true; }));
}

TEST(PlanCli, WhatIsAnnouncedIsWhatIsMade) {
  const Sandbox box;
  WriteTinyModel(box / "tiny.gguf", kPlannable);
  const Json plan = ExpectDocument(box, {"plan", "tiny.gguf", "--types", "Q8_0,Q4_K_M,IQ4_XS"});
  ASSERT_FALSE(HasFailure());
  for (const char* type : {"Q8_0", "Q4_K_M", "IQ4_XS"}) {
    ExpectDocument(box, {"quantize", "tiny.gguf", "-o", "q.gguf", "--type", type, "--force"});
    EXPECT_EQ(Cell(plan, type, 512, "f16")["file_bytes"], fs::file_size(box / "q.gguf")) << type;
  }
  EXPECT_EQ(Cell(plan, "F16", 512, "f16")["file_bytes"], fs::file_size(box / "tiny.gguf"));
}

TEST(PlanCli, AQuantisedFileIsKeptWhereItFits) {
  const Sandbox box;
  WriteTinyModel(box / "f16.gguf", kPlannable);
  ExpectDocument(box, {"quantize", "f16.gguf", "-o", "q.gguf", "--type", "Q4_0"});
  const Json plan = ExpectDocument(box, {"plan", "q.gguf"});
  ASSERT_FALSE(HasFailure());
  EXPECT_EQ(plan["cells"][plan["recommended"].get<size_t>()]["type"], "Q4_0");
  for (const Json& cell : plan["cells"]) {
    EXPECT_LE(cell["file_bytes"].get<uint64_t>(), fs::file_size(box / "q.gguf")) << cell["type"];
  }
}

// Heads of 16: no cache of blocks of 32 divides them. The other choices are still there.
TEST(PlanCli, ACacheTypeThatTheHeadsCannotHaveIsLeftOut) {
  const Sandbox box;
  WriteTinyModel(box / "tiny.gguf");
  const Json plan = ExpectDocument(box, {"plan", "tiny.gguf"});
  ASSERT_FALSE(HasFailure());
  std::set<std::string> caches;
  for (const Json& cell : plan["cells"]) caches.insert(cell["kv_k"].get<std::string>());
  EXPECT_EQ(caches, std::set<std::string>{"f16"});
  EXPECT_TRUE(plan["recommended"].is_number());
}

// A header of a model of terabytes, and a hole of that size behind it: nothing reads the weights.
TEST(PlanCli, NothingThatFitsIsItsOwnExitCode) {
  const Sandbox box;
  TinyModel model = MakeTinyModel(kPlannable);
  constexpr uint64_t kFeedForward = uint64_t{1} << 30;
  model.metadata.Set("llama.feed_forward_length", static_cast<uint32_t>(kFeedForward));
  for (TensorPlan& tensor : model.tensors) {
    const bool down = tensor.name.find("ffn_down") != std::string::npos;
    const bool up = tensor.name.find("ffn_up") != std::string::npos ||
                    tensor.name.find("ffn_gate.") != std::string::npos;
    if (down) tensor.shape[0] = kFeedForward;
    if (up) tensor.shape[1] = kFeedForward;
  }
  const Result<GgufLayout> layout = LayOutGguf(model.metadata, model.tensors);
  ASSERT_TRUE(layout.ok());
  ASSERT_GT(layout->file_bytes, uint64_t{700} << 30);
  box.Write("huge.gguf", layout->header);
  std::error_code ec;
  fs::resize_file(box / "huge.gguf", layout->file_bytes, ec);
  if (ec) GTEST_SKIP() << "this file system holds no file of " << layout->file_bytes << " bytes";

  const std::vector<std::string> call = {"plan", "huge.gguf", "--types",
                                         "Q8_0", "--context", "256"};
  const ProgramEnd text = box.Run(call);
  EXPECT_EQ(text.exit_code, static_cast<int>(Code::kNoFit)) << text.err;
  EXPECT_NE(text.out.find("Q8_0"), std::string::npos) << "the table is shown nevertheless";
  EXPECT_NE(text.last_error_line().find("nothing fits"), std::string::npos) << text.err;

  std::vector<std::string> with_json = call;
  with_json.emplace_back("--json");
  const ProgramEnd json = box.Run(with_json);
  EXPECT_EQ(json.exit_code, static_cast<int>(Code::kNoFit)) << json.err;
  const Json document = json.document();
  ASSERT_TRUE(document.is_object()) << "standard output holds exactly one document: " << json.out;
  EXPECT_EQ(document.value("schema", ""), "trimma.plan/1");
  EXPECT_TRUE(document["recommended"].is_null());
  ExpectRefused(box, {"optimize", "huge.gguf", "--seconds", "2"}, Code::kNoFit, "fits");
}

// The guide's own case, on a machine that has no card at all.
TEST(PlanCli, ACardThatIsNotThere) {
  const Sandbox box;
  const std::string ghost = std::string(TRIMMA_GHOSTS) + "/g4b.gguf";
  const Json plan = ExpectDocument(box, {"plan", ghost, "--gpu", "RTX 2060"});
  ASSERT_FALSE(HasFailure());
  EXPECT_EQ(plan["imagined"], true);
  EXPECT_EQ(plan["machine"]["gpus"][0]["name"], "NVIDIA GeForce RTX 2060");
  const Json& best = plan["cells"][plan["recommended"].get<size_t>()];
  EXPECT_EQ(best["type"], "Q4_K_M") << "it is 4-bit already, and fits";
  EXPECT_EQ(best["devices"][0]["name"], "NVIDIA GeForce RTX 2060");
  EXPECT_EQ(best["whole"], true);
  EXPECT_GE(best["context"].get<int>(), 8192);
  EXPECT_GT(best["devices"][0]["reserve_bytes"].get<uint64_t>(), 0U);
  EXPECT_GT(plan["checked_cells"].get<int>(), 0) << "composed cells are checked against whole ones";
  std::string notes;
  for (const Json& note : plan["notes"]) notes += note.get<std::string>() + "\n";
  EXPECT_NE(notes.find("quantised already"), std::string::npos) << notes;
}

TEST(PlanCli, ThePlanIsReadableAt80Columns) {
  const Sandbox box;
  const std::string ghost = std::string(TRIMMA_GHOSTS) + "/g4b.gguf";
  const ProgramEnd end = box.Run({"plan", ghost, "--gpu", "RTX 2060"});
  ASSERT_EQ(end.exit_code, 0) << end.err;
  for (const std::string& line : Split(end.out, '\n')) EXPECT_LE(line.size(), 80U) << line;
  EXPECT_EQ(end.out.find('\x1b'), std::string::npos) << "no colours in a pipe";
}

TEST(PlanCli, WhatCannotBeAskedIsRefusedInOneSentence) {
  const Sandbox box;
  const std::string ghost = std::string(TRIMMA_GHOSTS) + "/g4b.gguf";
  ExpectRefused(box, {"plan", ghost, "--gpu", "RTX 2061"}, Code::kNotFound, "RTX 2061");
  ExpectRefused(box, {"plan", ghost, "--gpu", "RTX 2060", "--context", "200000"}, Code::kUsage,
                "131072");
  ExpectRefused(box, {"plan", ghost, "--gpu", "RTX 2060", "--vram", "1TiB"}, Code::kUsage, "free");
  ExpectRefused(box, {"plan", ghost, "--gpu", "RTX 2060", "--for", "chatt"}, Code::kUsage, "chat");
  // Wishes that contradict each other: the table is shown nevertheless.
  const ProgramEnd both = box.Run({"plan", ghost, "--gpu", "RTX 2060", "--vram", "3GiB", "--kv",
                                   "q4_0", "--context", "4096", "--max-kld", "0.000001"});
  EXPECT_EQ(both.exit_code, static_cast<int>(Code::kUsage)) << both.err;
  EXPECT_NE(both.last_error_line().find("max-kld"), std::string::npos) << both.err;
  ExpectRefused(box, {"plan", ghost, "--gpu", "RTX 2060", "--kv", "q8_0/nonsense"}, Code::kUsage,
                "nonsense");
}

// Even without a layer on it, a card holds work buffers, and its driver takes memory.
TEST(PlanCli, ACardTooSmallForAnythingIsLeftOut) {
  const Sandbox box;
  const std::string ghost = std::string(TRIMMA_GHOSTS) + "/g270.gguf";
  const std::vector<std::string> small = {"--vram", "200MiB", "--types",   "as-is",
                                          "--kv",   "f16",    "--context", "4096"};
  std::vector<std::string> command = {"plan", ghost};
  command.insert(command.end(), small.begin(), small.end());
  const Json plan = ExpectDocument(box, command);
  ASSERT_FALSE(HasFailure());
  ASSERT_EQ(plan["cells"].size(), 2U);
  const Json& chosen = plan["cells"][plan["recommended"].get<size_t>()];
  EXPECT_EQ(chosen["use_gpu"], false);
  EXPECT_EQ(chosen["gpu_layers"], 0);
  EXPECT_EQ(chosen["devices"][0]["total_bytes"], 0);
  EXPECT_TRUE(plan["cells"][0]["use_gpu"].get<bool>());
  EXPECT_FALSE(plan["cells"][0]["fits"].get<bool>());

  // The same bytes on the host as where there is no card.
  const Json none = ExpectDocument(box, {"plan", ghost, "--gpu", "none", "--types", "as-is", "--kv",
                                         "f16", "--context", "4096"});
  ASSERT_EQ(none["cells"].size(), 1U);
  EXPECT_EQ(none["cells"][0]["use_gpu"], false);
  EXPECT_EQ(none["cells"][0]["devices"][0], chosen["devices"][1]);

  const std::vector<std::string> words = {"plan", ghost, "--vram", "200MiB", "--context", "4096"};
  const ProgramEnd end = box.Run(words);
  EXPECT_EQ(end.exit_code, 0) << end.err;
  EXPECT_NE(end.out.find("left out: card with 200 MiB free"), std::string::npos) << end.out;
}

TEST(PlanCli, WhereTheLayersGoMayBeAsked) {
  const Sandbox box;
  const std::string ghost = std::string(TRIMMA_GHOSTS) + "/granite4-h-tiny.gguf";
  const Json plan =
      ExpectDocument(box, {"plan", ghost, "--gpu", "H200", "--types", "as-is", "--context", "4096",
                           "--kv", "q8_0/f16", "--gpu-layers", "12", "--on-host", "exps"});
  ASSERT_FALSE(HasFailure());
  ASSERT_EQ(plan["cells"].size(), 1U);
  const Json& cell = plan["cells"][0];
  EXPECT_EQ(cell["gpu_layers"], 12);
  EXPECT_EQ(cell["kv_k"], "q8_0");
  EXPECT_EQ(cell["kv_v"], "f16");
  EXPECT_EQ(cell["host_tensors"], Json::array({"exps"}));
  EXPECT_LT(cell["devices"][0]["weights_bytes"].get<uint64_t>(),
            cell["devices"][1]["weights_bytes"].get<uint64_t>() / 4)
      << "the experts are the model";
}

}  // namespace
}  // namespace trimma::measure_plan_cli_test
