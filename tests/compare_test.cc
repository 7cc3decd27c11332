// `trimma compare`, and what `trimma measure` says of several models, caches and questions.
#include <gtest/gtest.h>

#include "support/program.h"
#include "support/tiny_model.h"

namespace trimma::compare_test {
namespace {

const TinyModelOptions kTiny{.embedding = 128, .context = 512};  // heads of 32: q4_0 divides them

// What makes a comparison quick.
std::vector<std::string> Quick(std::vector<std::string> call) {
  call.insert(call.end(), {"--rounds", "3", "--prompt-tokens", "16", "--decode-tokens", "4",
                           "--answer-tokens", "12"});
  return call;
}

class CompareCli : public testing::Test {
 protected:
  CompareCli() {
    WriteTinyModel(box_ / "f16.gguf", kTiny);
    TinyModelOptions other = kTiny;
    other.seed = 2;
    WriteTinyModel(box_ / "other.gguf", other);
    TinyModelOptions larger = kTiny;
    larger.vocab = 310;
    WriteTinyModel(box_ / "larger.gguf", larger);
    box_.Write("text.txt", SomeText(600));
    box_.Write("prompts.txt", "How are you?\nName three birds.\n");
  }
  Sandbox box_;
};

TEST_F(CompareCli, ModelsSideBySide) {
  const Json compare =
      ExpectDocument(box_, Quick({"compare", "f16.gguf", "other.gguf", "--prompts", "prompts.txt",
                                  "--text", "text.txt", "--chunks", "2", "--report", "page.html"}));
  ASSERT_FALSE(HasFailure());
  ASSERT_EQ(compare["models"].size(), 2U);
  EXPECT_EQ(compare["models"][0]["name"], "f16.gguf");
  for (const Json& model : compare["models"]) EXPECT_GE(model["speed"]["decode_tps"]["n"], 3);

  ASSERT_EQ(compare["pairs"].size(), 1U);
  const Json& pair = compare["pairs"][0];
  EXPECT_EQ(pair["a"], "f16.gguf");
  EXPECT_EQ(pair["b"], "other.gguf");
  EXPECT_GT(pair["mean_kld"].get<double>(), 0.1);
  EXPECT_LE(pair["ci95"][0].get<double>(), pair["mean_kld"].get<double>());
  EXPECT_GE(pair["ci95"][1].get<double>(), pair["mean_kld"].get<double>());
  EXPECT_LT(pair["same_top"].get<double>(), 1);
  EXPECT_EQ(compare["texts"][0]["file"], "text.txt");
  EXPECT_EQ(compare["texts"][0]["sha256"].get<std::string>().size(), 64U);

  ASSERT_EQ(compare["answers"].size(), 2U);
  EXPECT_EQ(compare["answers"][1]["prompt"], "Name three birds.");
  for (const Json& prompt : compare["answers"]) {
    ASSERT_EQ(prompt["answers"].size(), 2U);
    const Json& first = prompt["answers"][0];
    const Json& second = prompt["answers"][1];
    EXPECT_TRUE(first["parting"].is_null());
    const Json& parting = second["parting"];
    ASSERT_FALSE(parting["same"].get<bool>()) << "two strangers";
    const size_t token = parting["token"];
    for (size_t i = 0; i < token; ++i) EXPECT_EQ(first["tokens"][i], second["tokens"][i]);
    EXPECT_NE(first["tokens"][token], second["tokens"][token]);
    EXPECT_EQ(parting["common"].get<std::string>() + parting["here"].get<std::string>(),
              second["text"].get<std::string>());
    EXPECT_EQ(parting["common"].get<std::string>() + parting["theirs"].get<std::string>(),
              first["text"].get<std::string>());
  }

  const std::string page = box_.Read("page.html");
  EXPECT_TRUE(page.starts_with("<!DOCTYPE html>"));
  EXPECT_TRUE(page.ends_with("</html>\n"));
  EXPECT_NE(page.find("Name three birds."), std::string::npos);
  EXPECT_NE(page.find("<mark>"), std::string::npos);
  for (const char* loads : {"<script", "http:", "https:", "<img", "<link"})
    EXPECT_EQ(page.find(loads), std::string::npos) << loads;
}

TEST_F(CompareCli, AModelAgreesWithItself) {
  const Json compare = ExpectDocument(box_, Quick({"compare", "f16.gguf", "f16.gguf", "--skip",
                                                   "speed", "--prompts", "prompts.txt"}));
  ASSERT_FALSE(HasFailure());
  EXPECT_TRUE(compare["models"][0]["speed"].is_null());
  EXPECT_LT(compare["pairs"][0]["mean_kld"].get<double>(), 1e-6);
  EXPECT_EQ(compare["texts"][0]["kind"], "prompts") << "judged on answers to the user's prompts";
  for (const Json& prompt : compare["answers"])
    EXPECT_TRUE(prompt["answers"][1]["parting"]["same"].get<bool>());
}

TEST_F(CompareCli, OtherVocabulariesAreStillTimedAndAsked) {
  const Json compare = ExpectDocument(
      box_, Quick({"compare", "f16.gguf", "larger.gguf", "--prompts", "prompts.txt"}));
  ASSERT_FALSE(HasFailure());
  EXPECT_TRUE(compare["pairs"].empty());
  ASSERT_EQ(compare["notes"].size(), 2U);
  EXPECT_NE(compare["notes"][0].get<std::string>().find("vocabulary"), std::string::npos);
  EXPECT_TRUE(compare["models"][1]["speed"].is_object());
  EXPECT_EQ(compare["answers"][0]["answers"].size(), 2U);
  EXPECT_TRUE(compare["answers"][0]["answers"][1]["parting"]["token"].is_null());
}

TEST_F(CompareCli, TheReferenceIsTheFirstOrTheOneNamed) {
  const Json compare = ExpectDocument(
      box_, Quick({"compare", "f16.gguf", "other.gguf", "--reference", "other.gguf", "--skip",
                   "speed,answers", "--text", "text.txt", "--chunks", "2"}));
  ASSERT_FALSE(HasFailure());
  EXPECT_EQ(compare["models"].size(), 2U);
  EXPECT_EQ(compare["pairs"][0]["a"], "other.gguf");
  EXPECT_TRUE(compare["answers"].empty());
}

TEST_F(CompareCli, BadInput) {
  ExpectRefused(box_, {"compare", "f16.gguf"}, Code::kUsage, "nothing to compare");
  ExpectRefused(box_, {"compare", "f16.gguf", "none.gguf"}, Code::kNotFound, "none.gguf");
  ExpectRefused(box_, {"compare", "f16.gguf", "other.gguf", "--prompts", "none.txt"},
                Code::kNotFound, "none.txt");
  box_.Write("empty.txt", "\n\n");
  ExpectRefused(box_, {"compare", "f16.gguf", "other.gguf", "--prompts", "empty.txt"},
                Code::kInvalid, "0 prompts");
}

// ---- measure -------------------------------------------------------------------------------

TEST_F(CompareCli, CandidatesAreComparedInPairs) {
  ExpectDocument(box_, {"quantize", "f16.gguf", "-o", "q8.gguf", "--type", "Q8_0"});
  ExpectDocument(box_, {"quantize", "f16.gguf", "-o", "q4.gguf", "--type", "Q4_0"});
  const Json measure =
      ExpectDocument(box_, {"measure", "q8.gguf", "q4.gguf", "--against", "f16.gguf", "--quality",
                            "--text", "text.txt", "--chunk", "64", "--better"});
  ASSERT_FALSE(HasFailure());
  EXPECT_EQ(measure["models"].size(), 2U);
  EXPECT_EQ(measure["models"][0]["quality"], measure["quality"]);
  const Json& ratio = measure["ratios"][0];
  EXPECT_EQ(ratio["a"], "q8.gguf");
  EXPECT_LT(ratio["ci95"][1].get<double>(), 1);
  EXPECT_LE(ratio["ci95"][0].get<double>(), ratio["ratio"].get<double>());
  const Json& decision = measure["decisions"][0];
  EXPECT_EQ(decision["question"], "better");
  EXPECT_EQ(decision["candidate"], "q8.gguf");
  EXPECT_TRUE(decision["settled"].get<bool>());
  EXPECT_EQ(measure["quality"]["chunks"], 8) << "the first look settles it";
  EXPECT_EQ(measure["quality"]["samples"]["mean_kld"].size(), 8U);
}

TEST_F(CompareCli, ALimitOnTheLossIsAGate) {
  const std::vector<std::string> call = {"measure",   "other.gguf", "--against", "f16.gguf",
                                         "--quality", "--text",     "text.txt",  "--chunk",
                                         "64",        "--max-kld"};
  std::vector<std::string> loose = call;
  loose.emplace_back("100");
  const Json below = ExpectDocument(box_, loose);
  ASSERT_FALSE(HasFailure());
  EXPECT_EQ(below["decisions"][0]["answer"], "below");
  std::vector<std::string> strict = call;
  strict.insert(strict.end(), {"0.001", "--json"});
  const ProgramEnd end = box_.Run(strict);
  EXPECT_EQ(end.exit_code, static_cast<int>(Code::kGate));
  ASSERT_TRUE(end.document().is_object()) << "the figures are told too";
  EXPECT_EQ(end.document()["decisions"][0]["answer"], "above");
}

TEST_F(CompareCli, ATextTooShortForThePrecisionSaysHowMuchMore) {
  const ProgramEnd end =
      box_.Run({"measure", "other.gguf", "--against", "f16.gguf", "--quality", "--text", "text.txt",
                "--chunk", "64", "--chunks", "4", "--precision", "0.1%", "--json"});
  EXPECT_EQ(end.exit_code, static_cast<int>(Code::kInvalid));
  const Json document = end.document();
  ASSERT_TRUE(document.is_object());
  EXPECT_FALSE(document["decisions"][0]["settled"].get<bool>());
  EXPECT_GT(document["decisions"][0]["more_tokens"].get<double>(), 64);
  EXPECT_NE(end.err.find("more tokens"), std::string::npos) << end.err;
  ExpectRefused(box_, {"measure", "f16.gguf", "--against", "f16.gguf", "--precision", "much"},
                Code::kUsage, "share");
}

TEST_F(CompareCli, CacheTypesAreJudgedApartAndDeep) {
  const Json measure =
      ExpectDocument(box_, {"measure", "f16.gguf", "--kv-quality", "q4_0", "--depth", "200",
                            "--last", "16", "--text", "text.txt", "--chunks", "4"});
  ASSERT_FALSE(HasFailure());
  const Json& kv = measure["kv_quality"];
  EXPECT_EQ(kv["depth"], 200);
  ASSERT_EQ(kv["cells"].size(), 3U);
  const char* const types[][2] = {{"q4_0", "f16"}, {"f16", "q4_0"}, {"q4_0", "q4_0"}};
  for (size_t i = 0; i < 3; ++i) {
    const Json& cell = kv["cells"][i];
    EXPECT_EQ(cell["kv_k"], types[i][0]);
    EXPECT_EQ(cell["kv_v"], types[i][1]);
    EXPECT_EQ(cell["chunk"], 217);
    EXPECT_EQ(cell["tokens"], 4 * 16);
    EXPECT_EQ(cell["score"], "last");
    EXPECT_GT(cell["mean_kld"].get<double>(), 1e-7);
  }
  EXPECT_GT(kv["cells"][2]["mean_kld"].get<double>(), kv["cells"][1]["mean_kld"].get<double>());
  EXPECT_TRUE(measure["quality"].is_null());
  ExpectRefused(box_, {"measure", "f16.gguf", "--kv-quality", "q9"}, Code::kUsage, "q9");
  ExpectRefused(box_, {"measure", "f16.gguf", "--kv-quality", "q4_0", "--depth", "5000"},
                Code::kUsage, "context");
}

TEST_F(CompareCli, DeepTextIsWrittenByTheModelWhereNoneIsGiven) {
  const Json measure = ExpectDocument(box_, {"measure", "f16.gguf", "--kv-quality", "q4_0",
                                             "--depth", "300", "--last", "16", "--chunks", "4"});
  ASSERT_FALSE(HasFailure());
  EXPECT_EQ(measure["text"]["kind"], "generated");
  EXPECT_EQ(measure["kv_quality"]["cells"][0]["chunks"], 4);
}

TEST_F(CompareCli, JudgingOnTheCalibrationTextIsWarnedOf) {
  ExpectDocument(box_, {"quantize", "f16.gguf", "-o", "q4.gguf", "--type", "Q4_0", "--calibration",
                        "text.txt"});
  ASSERT_FALSE(HasFailure());
  box_.Write("copy.txt", box_.Read("text.txt"));
  box_.Write("elsewhere.txt", SomeText(500));
  const auto judge = [&](const std::string& text) {
    return box_.Run({"measure", "q4.gguf", "--against", "f16.gguf", "--quality", "--text", text,
                     "--chunk", "64", "--chunks", "4"});
  };
  for (const char* same : {"text.txt", "copy.txt"}) {
    const ProgramEnd end = judge(same);
    EXPECT_EQ(end.exit_code, 0);
    EXPECT_NE(end.err.find("calibrated on this very text"), std::string::npos) << end.err;
  }
  EXPECT_EQ(judge("elsewhere.txt").err.find("calibrated"), std::string::npos);
}

}  // namespace
}  // namespace trimma::compare_test
