#include "quantize/quantize.h"

#include <gtest/gtest.h>
#include <llama.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>

#include "base/file.h"
#include "engine/engine.h"
#include "engine/token_text.h"
#include "gguf/imatrix.h"
#include "hardware/temp_tree.h"
#include "support/tiny_model.h"

namespace trimma::quantize_test {
namespace {

// Threads that spin at barriers stall where tests share the machine; the children inherit this.
const int kPatience = setenv("OMP_WAIT_POLICY", "passive", /*overwrite=*/0);

class QuantizeTest : public testing::Test {
 protected:
  QuantizeTest() {
    TinyModelOptions shape;
    shape.embedding = 256;
    shape.feed_forward = 512;
    shape.layers = 3;
    Source(shape);
  }
  void Source(const TinyModelOptions& shape) { WriteTinyModel(tree_ / "source.gguf", shape); }
  QuantizeOptions Options(const char* recipe, const std::string& output = "made.gguf") {
    QuantizeOptions options;
    options.source = tree_ / "source.gguf";
    options.output = tree_ / output;
    options.recipe = FindFileType(recipe);
    options.threads = 2;
    return options;
  }
  std::string Text() {
    std::string text;
    for (int i = 0; i < 1300; ++i) text += static_cast<char>('!' + (i * 7 + i / 11) % 90);
    tree_.Write("text.txt", text);
    return tree_ / "text.txt";
  }
  static std::string TensorBytes(const std::string& path, const TensorInfo& tensor) {
    const auto file = InputFile::Open(path);
    std::string bytes(tensor.bytes, '\0');
    CHECK(file.ok() && file->ReadAt(tensor.offset, bytes.data(), bytes.size()).ok());
    return bytes;
  }
  std::vector<std::string> Files() const {
    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(tree_ / "."))
      names.push_back(entry.path().filename());
    std::sort(names.begin(), names.end());
    return names;
  }

  // llama-quantize's file for the same source; false where it refuses.
  bool EngineMakes(const char* recipe, const std::string& output,
                   const llama_model_tensor_override* overrides = nullptr) {
    EXPECT_TRUE(StartEngine().ok());
    llama_model_quantize_params params = llama_model_quantize_default_params();
    params.ftype = static_cast<llama_ftype>(FindFileType(recipe)->id);
    params.nthread = 2;
    params.tt_overrides = overrides;
    const std::string source = tree_ / "source.gguf";
    return llama_model_quantize(source.c_str(), (tree_ / output).c_str(), &params) == 0;
  }

  void ExpectTheEnginesBytes(const char* recipe) {
    ASSERT_TRUE(EngineMakes(recipe, "theirs.gguf")) << recipe;
    QuantizeOptions options = Options(recipe);
    options.force = true;
    options.exact = true;
    const auto report = Quantize(options);
    ASSERT_TRUE(report.ok()) << report.error().what;
    ExpectSameTensors(tree_ / "made.gguf", tree_ / "theirs.gguf", recipe);
  }

  static void ExpectSameTensors(const std::string& our_path, const std::string& their_path,
                                const char* recipe) {
    const auto ours = ReadGguf(our_path);
    const auto theirs = ReadGguf(their_path);
    ASSERT_TRUE(ours.ok() && theirs.ok());
    ASSERT_EQ(ours->tensors.size(), theirs->tensors.size());
    for (const TensorInfo& tensor : ours->tensors) {
      const TensorInfo* peer = theirs->FindTensor(tensor.name);
      ASSERT_NE(peer, nullptr) << tensor.name;
      EXPECT_EQ(tensor.type, peer->type) << recipe << " " << tensor.name;
      EXPECT_TRUE(TensorBytes(our_path, tensor) == TensorBytes(their_path, *peer))
          << recipe << " " << tensor.name << " of type " << NameOf(tensor.type);
    }
    for (const char* key : {"general.file_type", "general.quantization_version"})
      EXPECT_EQ(ours->metadata.Integer(key), theirs->metadata.Integer(key));
  }

  using Strings = std::vector<std::string>;
  TempTree tree_;
};

TEST_F(QuantizeTest, BytesAreThoseOfLlamaQuantize) {
  for (const char* recipe : {"Q4_K_M", "Q5_K_M", "Q3_K_L", "IQ4_XS", "Q6_K", "Q8_0", "Q4_0"})
    ExpectTheEnginesBytes(recipe);
}

TEST_F(QuantizeTest, BytesAreThoseOfLlamaQuantizeForOddRowsToo) {
  TinyModelOptions shape;
  shape.architecture = "gemma3";
  shape.embedding = 320;
  shape.heads = 4;
  shape.head_size = 64;
  shape.feed_forward = 512;
  Source(shape);
  for (const char* recipe : {"Q4_K_M", "Q5_K_S"}) ExpectTheEnginesBytes(recipe);
}

TEST_F(QuantizeTest, BytesAreThoseOfLlamaQuantizeWithItsTensorTypesToo) {
  const llama_model_tensor_override overrides[] = {{"attn_v", GGML_TYPE_Q8_0},
                                                   {"blk.0.ffn_(up|down)", GGML_TYPE_IQ4_XS},
                                                   {nullptr, GGML_TYPE_COUNT}};
  ASSERT_TRUE(EngineMakes("Q4_K_M", "theirs.gguf", overrides));
  QuantizeOptions options = Options("Q4_K_M");
  options.exact = true;
  options.forced_types = {{"ATTN_V", tensor_type::kQ8_0},
                          {"blk.0.ffn_(up|down)", tensor_type::kIQ4_XS}};
  const auto made = Quantize(options);
  ASSERT_TRUE(made.ok()) << made.error().what;
  ExpectSameTensors(tree_ / "made.gguf", tree_ / "theirs.gguf", "Q4_K_M");
  EXPECT_EQ(made->notes[0], "--tensor-type ATTN_V=Q8_0: 3 tensors");
}

TEST_F(QuantizeTest, AForcedTypeOfFewBitsNeedsImportance) {
  QuantizeOptions options = Options("Q4_K_M");
  options.forced_types = {{"ffn_up", *TensorTypeByName("IQ2_XXS")}};
  EXPECT_EQ(Quantize(options).error().code, Code::kUsage);
  options.calibration_text = Text();
  const auto made = Quantize(options);
  ASSERT_TRUE(made.ok()) << made.error().what;
  const auto file = ReadGguf(options.output);
  ASSERT_TRUE(file.ok());
  EXPECT_STREQ(NameOf(file->FindTensor("blk.1.ffn_up.weight")->type), "IQ2_XXS");
}

TEST_F(QuantizeTest, ImportanceDataThatLacksATensorIsSaidBeforeWork) {
  Importance importance;
  ImportanceEntry entry;
  entry.columns = 256;
  entry.counts = {1};
  entry.sum2.assign(256, 1);
  importance.entries["blk.0.ffn_up.weight"] = entry;
  ASSERT_TRUE(WriteImportance(tree_ / "importance.gguf", importance).ok());
  QuantizeOptions options = Options("Q4_K_M");
  options.importance_file = tree_ / "importance.gguf";
  options.forced_types = {{"ffn_up", *TensorTypeByName("IQ2_XXS")}};
  const auto made = Quantize(options);
  ASSERT_FALSE(made.ok());
  EXPECT_EQ(made.error().code, Code::kUsage);
  EXPECT_NE(made.error().what.find("blk.1.ffn_up"), std::string::npos) << made.error().what;
}

TEST_F(QuantizeTest, WhatIsAnnouncedIsWhatIsMade) {
  for (const char* recipe : {"Q4_K_M", "Q8_0"}) {
    const QuantizeOptions options = Options(recipe, std::string(recipe) + ".gguf");
    const auto planned = PlanQuantize(options);
    ASSERT_TRUE(planned.ok()) << planned.error().what;
    EXPECT_FALSE(std::filesystem::exists(options.output));
    const auto made = Quantize(options);
    ASSERT_TRUE(made.ok()) << made.error().what;
    EXPECT_EQ(made->file_bytes, planned->file_bytes);
    EXPECT_EQ(std::filesystem::file_size(options.output), planned->file_bytes);
    EXPECT_NEAR(made->bits_per_weight, planned->bits_per_weight, 1e-9);
    ASSERT_EQ(made->tensors.size(), planned->tensors.size());
    for (size_t i = 0; i < made->tensors.size(); ++i) {
      EXPECT_EQ(made->tensors[i].name, planned->tensors[i].name);
      EXPECT_EQ(made->tensors[i].from, planned->tensors[i].from);
      EXPECT_EQ(made->tensors[i].to, planned->tensors[i].to);
      EXPECT_EQ(made->tensors[i].bytes, planned->tensors[i].bytes);
    }
  }
}

TEST_F(QuantizeTest, NothingButTheOutputIsLeft) {
  double before = 0;
  const auto made = Quantize(Options("Q8_0"), [&](const std::string& stage, double share) {
    EXPECT_EQ(stage, "quantising");
    EXPECT_GE(share, before);
    before = share;
  });
  ASSERT_TRUE(made.ok());
  EXPECT_EQ(Files(), (Strings{"made.gguf", "source.gguf"}));
  EXPECT_GT(before, 0.9);
  EXPECT_EQ(made->importance, "");
}

TEST_F(QuantizeTest, ACalibrationTextWeighsTheErrors) {
  QuantizeOptions options = Options("Q4_K_M", "weighed.gguf");
  options.calibration_text = Text();
  const auto weighed = Quantize(options);
  ASSERT_TRUE(weighed.ok()) << weighed.error().what;
  EXPECT_EQ(weighed->importance, "text.txt");
  const auto plain = Quantize(Options("Q4_K_M", "plain.gguf"));
  ASSERT_TRUE(plain.ok());
  const auto ours = ReadGguf(tree_ / "weighed.gguf");
  const auto theirs = ReadGguf(tree_ / "plain.gguf");
  ASSERT_TRUE(ours.ok() && theirs.ok());
  const TensorInfo* a = ours->FindTensor("blk.0.ffn_up.weight");
  const TensorInfo* b = theirs->FindTensor("blk.0.ffn_up.weight");
  EXPECT_FALSE(TensorBytes(tree_ / "weighed.gguf", *a) == TensorBytes(tree_ / "plain.gguf", *b));
  EXPECT_EQ(Files(), (Strings{"plain.gguf", "source.gguf", "text.txt", "weighed.gguf"}));
}

TEST_F(QuantizeTest, ImportanceCollectedBeforeGivesTheSameFile) {
  QuantizeOptions options = Options("Q2_K_S", "once.gguf");
  options.calibration_text = Text();
  ASSERT_TRUE(Quantize(options).ok());
  const auto text = CollectImportance(options, tree_ / "importance.gguf");
  ASSERT_TRUE(text.ok()) << text.error().what;
  EXPECT_EQ(*text, "text.txt");
  const auto importance = ReadImportance(tree_ / "importance.gguf");
  ASSERT_TRUE(importance.ok());
  EXPECT_EQ(importance->datasets, Strings{"text.txt"});
  EXPECT_EQ(importance->chunk_size, 512U);
  EXPECT_EQ(importance->chunk_count, 2U);
  QuantizeOptions again = Options("Q2_K_S", "again.gguf");
  again.importance_file = tree_ / "importance.gguf";
  ASSERT_TRUE(Quantize(again).ok());
  EXPECT_TRUE(*ReadSmallFile(tree_ / "again.gguf") == *ReadSmallFile(tree_ / "once.gguf"));
}

TEST_F(QuantizeTest, AModelCanCalibrateOnWhatItWrites) {
  QuantizeOptions options = Options("Q4_0");
  options.generate_text = true;
  options.generate_seconds = 0.01;
  const auto made = Quantize(options);
  ASSERT_TRUE(made.ok()) << made.error().what;
  EXPECT_EQ(made->importance, "text the model wrote");
  ASSERT_TRUE(made->text.has_value());
  EXPECT_EQ(made->text->file_chunks, 0);
  EXPECT_GE(made->text->generated_chunks, 2);
  EXPECT_EQ(made->text->first_seed, kCalibrationSeed);
  EXPECT_GE(made->text->seeds, 1);
  const Json calibration = ToJson(*made)["calibration"];
  EXPECT_EQ(calibration["seeds"][0], kCalibrationSeed);
  EXPECT_TRUE(calibration["file"].is_null());
  const auto file = ReadGguf(options.output);
  ASSERT_TRUE(file.ok());
  EXPECT_EQ(file->metadata.Integer("quantize.trimma.text.generated_chunks"),
            made->text->generated_chunks);
  EXPECT_EQ(file->metadata.Integer("quantize.trimma.text.first_seed"), kCalibrationSeed);
  const auto planned = PlanQuantize(options);
  ASSERT_TRUE(planned.ok());
  EXPECT_EQ(planned->file_bytes, made->file_bytes) << "known before the text is";
}

TEST_F(QuantizeTest, AFileAndTheModelsOwnTextGoTogether) {
  QuantizeOptions options = Options("Q4_0");
  options.calibration_text = Text();
  options.generate_text = true;
  options.generate_seconds = 0.01;
  const auto made = Quantize(options);
  ASSERT_TRUE(made.ok()) << made.error().what;
  EXPECT_EQ(made->importance, "text.txt and text the model wrote");
  ASSERT_TRUE(made->text.has_value());
  EXPECT_EQ(made->text->file, "text.txt");
  EXPECT_GE(made->text->file_chunks, 2);
  EXPECT_GE(made->text->generated_chunks, 2);
}

TEST_F(QuantizeTest, VeryFewBitsNeedImportance) {
  const auto refused = Quantize(Options("IQ2_XXS"));
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, Code::kUsage);
  EXPECT_EQ(Files(), Strings{"source.gguf"});
}

TEST_F(QuantizeTest, ImportanceOfAnotherModelIsInvalid) {
  Importance importance;
  ImportanceEntry entry;
  entry.columns = 128;
  entry.counts = {1};
  entry.sum2.assign(128, 1);
  importance.entries["blk.0.attn_q.weight"] = entry;
  ASSERT_TRUE(WriteImportance(tree_ / "importance.gguf", importance).ok());
  QuantizeOptions options = Options("Q4_0");
  options.importance_file = tree_ / "importance.gguf";
  const auto made = Quantize(options);
  ASSERT_FALSE(made.ok());
  EXPECT_EQ(made.error().code, Code::kInvalid);
  EXPECT_EQ(Files(), (Strings{"importance.gguf", "source.gguf"}));
  options.importance_file = tree_ / "none.gguf";
  EXPECT_EQ(Quantize(options).error().code, Code::kNotFound);
}

TEST_F(QuantizeTest, AnExistingOutputIsReplacedByForceAlone) {
  tree_.Write("made.gguf", "precious");
  EXPECT_EQ(Quantize(Options("Q8_0")).error().code, Code::kFailure);
  EXPECT_EQ(*ReadSmallFile(tree_ / "made.gguf"), "precious");
  QuantizeOptions options = Options("Q8_0");
  options.force = true;
  EXPECT_TRUE(Quantize(options).ok());
}

TEST_F(QuantizeTest, TheInputIsNeverTheOutput) {
  QuantizeOptions options = Options("Q8_0", "source.gguf");
  options.force = true;
  EXPECT_EQ(Quantize(options).error().code, Code::kUsage);
  EXPECT_EQ(PlanQuantize(options).error().code, Code::kUsage);
}

TEST_F(QuantizeTest, AMissingOrDamagedSourceIsAnError) {
  QuantizeOptions options = Options("Q8_0");
  options.source = tree_ / "none.gguf";
  EXPECT_EQ(Quantize(options).error().code, Code::kNotFound);
  tree_.Write("text.gguf", "no model");
  options.source = tree_ / "text.gguf";
  EXPECT_EQ(Quantize(options).error().code, Code::kInvalid);
}

TEST_F(QuantizeTest, AQuantisedSourceIsLoweredAndSaysWhatItKeeps) {
  ASSERT_TRUE(Quantize(Options("Q4_0", "small.gguf")).ok());
  QuantizeOptions options = Options("Q8_0");
  options.source = tree_ / "small.gguf";
  const auto planned = PlanQuantize(options);
  ASSERT_TRUE(planned.ok());
  EXPECT_TRUE(std::any_of(planned->notes.begin(), planned->notes.end(), [](const auto& note) {
    return note.find("no tensor changes") != std::string::npos;
  }));
  for (const TensorChange& tensor : planned->tensors) EXPECT_EQ(tensor.from, tensor.to);
}

TEST_F(QuantizeTest, RecordsWhatTheErrorsWereWeighedWith) {
  QuantizeOptions options = Options("Q4_0");
  options.calibration_text = Text();
  ASSERT_TRUE(Quantize(options).ok());
  const auto made = ReadGguf(options.output);
  ASSERT_TRUE(made.ok());
  EXPECT_EQ(made->metadata.String("quantize.imatrix.dataset"), "text.txt");
}

TEST_F(QuantizeTest, JsonHasTheFieldsOfTheContract) {
  const auto planned = PlanQuantize(Options("Q8_0"));
  ASSERT_TRUE(planned.ok());
  const Json json = ToJson(*planned);
  EXPECT_EQ(json["schema"], "trimma.quantize/1");
  for (const char* key : {"output", "file_bytes", "bits_per_weight", "seconds", "tensors"})
    EXPECT_TRUE(json.contains(key)) << key;
  EXPECT_EQ(json["tensors"][0]["from"], "F16");
  EXPECT_EQ(json["tensors"][0]["to"], "Q8_0");
}

}  // namespace
}  // namespace trimma::quantize_test
