// The JSON that other programs read: every field of the contract, of the right kind.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "support/program.h"
#include "support/tiny_model.h"

namespace trimma::json_contract_test {
namespace {

// "name:kind", kinds: text, number, bool, list, object; a "?" behind it allows null.
void ExpectFields(const Json& object, const std::vector<std::string>& fields,
                  const std::string& where) {
  ASSERT_TRUE(object.is_object()) << where << ": " << object.dump().substr(0, 200);
  for (const std::string& field : fields) {
    const size_t colon = field.find(':');
    const std::string name = field.substr(0, colon);
    std::string kind = field.substr(colon + 1);
    ASSERT_TRUE(object.contains(name)) << where << "." << name << " is absent";
    const Json& value = object[name];
    const bool null_allowed = kind.ends_with('?');
    if (null_allowed) kind.pop_back();
    if (null_allowed && value.is_null()) continue;
    const bool fits = kind == "text"     ? value.is_string()
                      : kind == "number" ? value.is_number()
                      : kind == "bool"   ? value.is_boolean()
                      : kind == "list"   ? value.is_array()
                                         : value.is_object();
    EXPECT_TRUE(fits) << where << "." << name << " is no " << kind << ": "
                      << value.dump().substr(0, 200);
  }
}

void ExpectSpread(const Json& spread, const std::string& where) {
  ExpectFields(spread, {"median:number", "low:number", "high:number", "n:number"}, where);
  if (testing::Test::HasFailure()) return;
  EXPECT_GT(spread["low"].get<double>(), 0) << where;
  EXPECT_LE(spread["low"].get<double>(), spread["median"].get<double>()) << where;
  EXPECT_LE(spread["median"].get<double>(), spread["high"].get<double>()) << where;
  EXPECT_GE(spread["n"].get<int>(), 1) << where;
}

void ExpectSpeed(const Json& speed, const std::string& where) {
  ExpectFields(speed,
               {"prefill_tps:object", "decode_tps:object", "ttft_ms:object", "load_ms:object"},
               where);
  if (testing::Test::HasFailure()) return;
  for (const char* name : {"prefill_tps", "decode_tps", "ttft_ms", "load_ms"}) {
    ExpectSpread(speed[name], where + "." + name);
  }
}

void ExpectQuality(const Json& quality, const std::string& where) {
  ExpectFields(quality,
               {"tokens:number", "mean_kld:number", "mean_kld_ci95:list", "p99_kld:number",
                "p999_kld:number", "same_top:number", "ppl:number", "reference_ppl:number",
                "chunk:number", "chunks:number", "score:text", "text:text"},
               where);
  if (testing::Test::HasFailure()) return;
  EXPECT_EQ(quality["mean_kld_ci95"].size(), 2U);
}

const TinyModelOptions kPlannable{.heads = 2, .kv_heads = 1};

TEST(JsonContract, Scan) {
  const Sandbox box;
  const Json scan = ExpectDocument(box, {"scan"});
  ExpectFields(scan,
               {"cpu:object", "memory:object", "gpus:list", "engine:object", "ollama:object?",
                "llama_server:object?", "unused_cards:list"},
               "scan");
  ASSERT_FALSE(HasFailure());
  ExpectFields(scan["cpu"], {"name:text", "cores:number", "threads:number", "isa:list"}, "cpu");
  ExpectFields(scan["memory"],
               {"total_bytes:number", "available_bytes:number", "bandwidth_bytes_per_s:number?"},
               "memory");
  ExpectFields(scan["engine"], {"commit:text", "backends:list"}, "engine");
  EXPECT_TRUE(scan["ollama"].is_null()) << "nothing answers at the sandbox's address";
  EXPECT_FALSE(scan["engine"]["backends"].empty());
  EXPECT_LE(scan["memory"]["available_bytes"].get<uint64_t>(),
            scan["memory"]["total_bytes"].get<uint64_t>());
  for (const Json& gpu : scan["gpus"]) {
    ExpectFields(gpu, {"name:text", "backend:text", "total_bytes:number", "free_bytes:number"},
                 "gpu");
  }
}

TEST(JsonContract, ScanRemembersTheBandwidthItMeasured) {
  const Sandbox box;
  const Json bench = ExpectDocument(box, {"scan", "--bench"});
  ASSERT_FALSE(HasFailure());
  ExpectSpread(bench["memory"]["bandwidth_samples"], "bandwidth");
  const Json later = ExpectDocument(box, {"scan"});
  ASSERT_FALSE(HasFailure());
  EXPECT_EQ(later["memory"]["bandwidth_bytes_per_s"], bench["memory"]["bandwidth_bytes_per_s"]);
}

TEST(JsonContract, Inspect) {
  const Sandbox box;
  WriteTinyModel(box / "tiny.gguf");
  const Json inspect = ExpectDocument(box, {"inspect", "tiny.gguf"});
  ExpectFields(inspect,
               {"file_bytes:number", "architecture:text", "parameters:number",
                "bits_per_weight:number", "tensors:list"},
               "inspect");
  ASSERT_FALSE(HasFailure());
  EXPECT_EQ(inspect["architecture"], "llama");
  EXPECT_EQ(inspect["type"], "F16");
  EXPECT_EQ(inspect["file_bytes"], box.Read("tiny.gguf").size());
  uint64_t parameters = 0;
  for (const Json& tensor : inspect["tensors"]) {
    ExpectFields(tensor, {"name:text", "type:text", "shape:list", "bytes:number"}, "tensor");
    ASSERT_FALSE(HasFailure());
    uint64_t elements = 1;
    for (const Json& n : tensor["shape"]) elements *= n.get<uint64_t>();
    parameters += elements;
    EXPECT_EQ(tensor["bytes"], elements * (tensor["type"] == "F32" ? 4 : 2));
  }
  EXPECT_EQ(inspect["parameters"], parameters);
  // K and V of 2 layers, 2 heads of 16 each, 2 bytes.
  EXPECT_EQ(inspect["kv_bytes_per_token"], 2 * 2 * 2 * 16 * 2);
}

std::string Hex(char digit, size_t n) { return std::string(n, digit); }

// An Ollama store, a Hugging Face cache and an LM Studio folder, each with one model.
void FillStores(const Sandbox& box) {
  const std::string model = Assemble(MakeTinyModel());
  const std::string digest = Hex('a', 64);
  box.Write("../home/.ollama/models/blobs/sha256-" + digest, model);
  box.Write(
      "../home/.ollama/models/manifests/registry.ollama.ai/library/tiny/1b",
      fmt::format(R"({{"schemaVersion":2,"layers":[{{"mediaType":)"
                  R"("application/vnd.ollama.image.model","digest":"sha256:{}","size":{}}}]}})",
                  digest, model.size()));
  const std::string hub = "../home/.cache/huggingface/hub/models--someone--Small-GGUF/";
  box.Write(hub + "refs/main", Hex('b', 40));
  box.Write(hub + "snapshots/" + Hex('b', 40) + "/small-F16.gguf", model);
  box.Write(hub + "snapshots/" + Hex('b', 40) + "/mmproj-F16.gguf", model);
  box.Write("../home/.lmstudio/models/someone/Other-GGUF/other-F16.gguf", model);
}

TEST(JsonContract, ModelsOfAllStores) {
  const Sandbox box;
  FillStores(box);
  const Json models = ExpectDocument(box, {"models"});
  ExpectFields(models, {"items:list"}, "models");
  ASSERT_FALSE(HasFailure());
  std::set<std::string> sources;
  for (const Json& item : models["items"]) {
    ExpectFields(item,
                 {"name:text", "path:text", "source:text", "type:text", "bits_per_weight:number",
                  "file_bytes:number", "has_projector:bool"},
                 "item");
    ASSERT_FALSE(HasFailure());
    if (!item["path"].get<std::string>().starts_with(box.home())) continue;  // of the machine
    sources.insert(item["source"]);
    EXPECT_EQ(item["type"], "F16");
    EXPECT_EQ(item["has_projector"], item["source"] == "huggingface") << item.dump();
    // What is listed can be named.
    const Json inspect = ExpectDocument(box, {"inspect", item["name"]});
    EXPECT_EQ(inspect["file_bytes"], item["file_bytes"]);
  }
  EXPECT_EQ(sources, (std::set<std::string>{"ollama", "huggingface", "lmstudio"}));
}

TEST(JsonContract, AnEmptyHomeHasNoModels) {
  const Sandbox box;
  const Json models = ExpectDocument(box, {"models"});
  ASSERT_FALSE(HasFailure());
  for (const Json& item : models["items"]) {
    EXPECT_FALSE(item["path"].get<std::string>().starts_with(box.home()));
  }
  EXPECT_EQ(box.Run({"models"}).exit_code, 0);
}

TEST(JsonContract, ADamagedModelIsNotedAndTheOthersAreListed) {
  const Sandbox box;
  FillStores(box);
  box.Write("../home/.lmstudio/models/someone/Broken-GGUF/broken-F16.gguf", "GGUF, but no more");
  const Json models = ExpectDocument(box, {"models"});
  ASSERT_FALSE(HasFailure());
  const Json& items = models["items"];
  const auto ours = std::count_if(items.begin(), items.end(), [&](const Json& item) {
    return item["path"].get<std::string>().starts_with(box.home());
  });
  EXPECT_EQ(ours, 3);
  EXPECT_NE(models.dump().find("roken-F16"), std::string::npos) << "the notes name it";
}

TEST(JsonContract, AnAmbiguousNameListsTheCandidates) {
  const Sandbox box;
  const std::string model = Assemble(MakeTinyModel());
  box.Write("../home/.lmstudio/models/a/Same-GGUF/same-F16.gguf", model);
  box.Write("../home/.lmstudio/models/b/Same-GGUF/same-F16.gguf", model);
  ExpectRefused(box, {"inspect", "Same-GGUF"}, Code::kUsage, "fits 2 models");
}

TEST(JsonContract, Plan) {
  const Sandbox box;
  WriteTinyModel(box / "tiny.gguf", kPlannable);
  const Json plan = ExpectDocument(box, {"plan", "tiny.gguf"});
  ExpectFields(plan, {"machine:object", "cells:list", "recommended:number", "reason:text"}, "plan");
  ASSERT_FALSE(HasFailure());
  ASSERT_LT(plan["recommended"].get<size_t>(), plan["cells"].size());
  for (const Json& cell : plan["cells"]) {
    ExpectFields(cell,
                 {"type:text", "file_bytes:number", "context:number", "kv_k:text", "kv_v:text",
                  "gpu_layers:number", "use_gpu:bool", "devices:list", "fits:bool",
                  "decode_tps:number?", "prefill_tps:number?", "mean_kld:number?", "pareto:bool"},
                 "cell");
    ASSERT_FALSE(HasFailure());
    for (const Json& device : cell["devices"]) {
      ExpectFields(device,
                   {"name:text", "weights_bytes:number", "kv_bytes:number", "compute_bytes:number",
                    "total_bytes:number", "free_bytes:number"},
                   "device");
    }
  }
}

TEST(JsonContract, QuantizeDryAndReal) {
  const Sandbox box;
  WriteTinyModel(box / "tiny.gguf");
  for (const bool dry : {true, false}) {
    std::vector<std::string> call = {"quantize", "tiny.gguf", "-o", "q.gguf", "--type", "Q8_0"};
    if (dry) call.emplace_back("--dry-run");
    const Json quantize = ExpectDocument(box, call);
    ExpectFields(quantize,
                 {"output:text", "file_bytes:number", "bits_per_weight:number", "seconds:number",
                  "tensors:list"},
                 "quantize");
    ASSERT_FALSE(HasFailure());
    for (const Json& tensor : quantize["tensors"]) {
      ExpectFields(tensor, {"name:text", "from:text", "to:text", "bytes:number"}, "tensor");
    }
    EXPECT_EQ(box.Exists("q.gguf"), !dry);
  }
}

TEST(JsonContract, MeasureSpeed) {
  const Sandbox box;
  WriteTinyModel(box / "tiny.gguf");
  const Json measure = ExpectDocument(box, {"measure", "tiny.gguf", "--speed", "--rounds", "3",
                                            "--prompt-tokens", "32", "--decode-tokens", "8"});
  ExpectFields(measure, {"speed:object", "quality:object?"}, "measure");
  ASSERT_FALSE(HasFailure());
  EXPECT_TRUE(measure["quality"].is_null());
  ExpectSpeed(measure["speed"], "speed");
}

TEST(JsonContract, MeasureQuality) {
  const Sandbox box;
  WriteTinyModel(box / "tiny.gguf");
  const Json measure = ExpectDocument(
      box, {"measure", "tiny.gguf", "--against", "tiny.gguf", "--quality", "--chunk", "32"});
  ExpectFields(measure, {"speed:object?", "quality:object"}, "measure");
  ASSERT_FALSE(HasFailure());
  EXPECT_TRUE(measure["speed"].is_null());
  ExpectQuality(measure["quality"], "quality");
}

TEST(JsonContract, Tune) {
  const Sandbox box;
  WriteTinyModel(box / "tiny.gguf", kPlannable);
  box.Write("text.txt", SomeText(4000));
  // Beside other tests a machine may be too busy, or too slow for the budget: answers too.
  const ProgramEnd end = box.Run({"tune", "tiny.gguf", "--budget", "2", "--prompt-tokens", "64",
                                  "--answer-tokens", "8", "--text", "text.txt", "--json"});
  if (end.exit_code == static_cast<int>(Code::kBusy) ||
      end.err.find("too small") != std::string::npos ||
      end.out.find("too small") != std::string::npos)
    GTEST_SKIP() << end.err;
  ASSERT_EQ(end.exit_code, 0) << end.err;
  const Json tune = end.document();
  EXPECT_EQ(tune["schema"], "trimma.tune/1");
  ExpectFields(tune,
               {"default:object", "best:object", "gain:number", "verdict:text", "trials:list",
                "seconds:number"},
               "tune");
  ASSERT_FALSE(HasFailure());
  for (const char* side : {"default", "best"}) {
    ExpectFields(tune[side], {"settings:object", "speed:object"}, side);
    ASSERT_FALSE(HasFailure());
    ExpectSpeed(tune[side]["speed"], side);
  }
  EXPECT_GE(tune["gain"].get<double>(), 1);
  EXPECT_FALSE(tune["trials"].empty());
  const bool kept = tune["best"]["settings"] == tune["default"]["settings"];
  EXPECT_EQ(kept, tune["gain"] == 1) << tune["verdict"];
  for (const Json& trial : tune["trials"]) {
    ExpectFields(trial, {"what:text", "settings:object", "outcome:text"}, "trial");
  }
}

}  // namespace
}  // namespace trimma::json_contract_test
