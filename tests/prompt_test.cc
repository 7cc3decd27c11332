// System prompts and samplers from the command line.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "support/program.h"
#include "support/tiny_model.h"

namespace trimma::prompt_test {
namespace {

constexpr const char* kTemplate =
    "{% for m in messages %}[{{ m.role }}]{{ m.content }}{% endfor %}"
    "{% if add_generation_prompt %}[answer]{% endif %}";
constexpr const char* kLong =
    "Answer in one short sentence.\nNever invent a source.\nAnswer in one short sentence.\n";

void WriteModel(const Sandbox& box, const std::string& chat_template) {
  TinyModel tiny = MakeTinyModel({.context = 1024});
  if (!chat_template.empty()) tiny.metadata.Set("tokenizer.chat_template", chat_template);
  box.Write("tiny.gguf", Assemble(tiny));
}

std::vector<std::string> Call(const std::vector<std::string>& more) {
  std::vector<std::string> call = {"prompt",   "long.txt", "--model",         "tiny.gguf",
                                   "--rounds", "3",        "--answer-tokens", "8"};
  call.insert(call.end(), more.begin(), more.end());
  return call;
}

TEST(PromptCli, SaysWhatAPromptCosts) {
  const Sandbox box;
  WriteModel(box, kTemplate);
  box.Write("long.txt", kLong);
  const Json d = ExpectDocument(box, Call({}));
  ASSERT_FALSE(HasFailure());
  // A token for each byte: the prompt without its last newline, and the template's words.
  const auto text = static_cast<int>(std::string(kLong).size()) - 1;
  EXPECT_GE(d["text_tokens"].get<int>(), text);
  EXPECT_GE(d["tokens"].get<int>(), text + static_cast<int>(std::string("[system][user]").size()));
  EXPECT_LE(d["tokens"].get<int>(), text + 20);
  EXPECT_EQ(d["system_role"], "template");
  EXPECT_TRUE(d["notes"].empty()) << d["notes"];
  EXPECT_GT(d["kv_bytes"].get<int>(), d["tokens"].get<int>() * 2 * 2 * 2 * 16 * 2 - 1);
  for (const char* name : {"ttft_cold_ms", "ttft_warm_ms"}) {
    EXPECT_GT(d[name].get<double>(), 0) << name;
    EXPECT_TRUE(d[std::string(name) + "_ci95"].is_null()) << "three samples bound no median";
    EXPECT_EQ(d["samples"][name].size(), 3);
  }
  const Json& talk = d["conversation"];
  EXPECT_GT(talk["nothing_kept"]["prefill_tokens"], talk["all_kept"]["prefill_tokens"]);
  EXPECT_EQ(talk["all_kept"]["prefill_tokens"], 10 * d["question_tokens"].get<int>());
  ASSERT_EQ(d["repeats"].size(), 1);
  EXPECT_EQ(d["repeats"][0]["line"], 3);
  EXPECT_EQ(d["repeats"][0]["first_line"], 1);
  EXPECT_EQ(d["advice"].size(), 3);
  EXPECT_TRUE(d["change"].is_null());
}

TEST(PromptCli, TheSamePromptTwiceChangesNothing) {
  const Sandbox box;
  WriteModel(box, kTemplate);
  box.Write("long.txt", kLong);
  box.Write("questions.txt", "Who?\n\nWhere is it?\n");
  const Json d =
      ExpectDocument(box, Call({"--shorter", "long.txt", "--questions", "questions.txt"}));
  ASSERT_FALSE(HasFailure());
  const Json& change = d["change"];
  EXPECT_LT(change["mean_kld"].get<double>(), 1e-6);
  EXPECT_EQ(change["same_top"], 1);
  EXPECT_EQ(change["answers_same"], 2);
  ASSERT_EQ(change["answers"].size(), 2);
  EXPECT_EQ(change["answers"][1]["question"], "Where is it?");
  EXPECT_EQ(change["answers"][0]["answer"], change["answers"][0]["shorter_answer"]);
  EXPECT_EQ(d["saved"]["tokens"], 0);
}

TEST(PromptCli, AShorterPromptSavesTokensAndItsAnswersAreCompared) {
  const Sandbox box;
  WriteModel(box, kTemplate);
  box.Write("long.txt", kLong);
  box.Write("short.txt", "Be brief.");
  box.Write("questions.txt", "Who?\nWhere is it?\nHow?\n");
  const Json d =
      ExpectDocument(box, Call({"--shorter", "short.txt", "--questions", "questions.txt"}));
  ASSERT_FALSE(HasFailure());
  const auto saved = static_cast<int>(std::string(kLong).size()) - 1 - 9;
  EXPECT_EQ(d["saved"]["tokens"], saved);
  EXPECT_EQ(d["tokens"].get<int>() - d["shorter"]["tokens"].get<int>(), saved);
  EXPECT_GT(d["saved"]["kv_bytes"].get<int>(), 0);
  const Json& change = d["change"];
  EXPECT_GT(change["mean_kld"].get<double>(), 0);
  EXPECT_LE(change["mean_kld_ci95"][0].get<double>(), change["mean_kld"].get<double>());
  EXPECT_GE(change["mean_kld_ci95"][1].get<double>(), change["mean_kld"].get<double>());
  int same = 0;
  for (const Json& answer : change["answers"]) {
    EXPECT_EQ(answer["same"], answer["same_tokens"] == answer["tokens"]);
    if (answer["same"].get<bool>()) {
      EXPECT_EQ(answer["answer"], answer["shorter_answer"]);
    }
    same += answer["same"].get<bool>() ? 1 : 0;
  }
  EXPECT_EQ(change["answers_same"], same);
}

TEST(PromptCli, WhatTheTemplateCannotDoIsSaid) {
  const Sandbox box;
  box.Write("long.txt", kLong);
  WriteModel(box, "");
  const Json plain = ExpectDocument(box, Call({}));
  ASSERT_FALSE(HasFailure());
  EXPECT_EQ(plain["system_role"], "plain text");
  ASSERT_EQ(plain["notes"].size(), 1);
  EXPECT_NE(plain["notes"][0].get<std::string>().find("no chat template"), std::string::npos);
  WriteModel(box,
             "{% for m in messages %}{% if m.role == 'system' %}{{ raise_exception('no') }}"
             "{% endif %}[{{ m.role }}]{{ m.content }}{% endfor %}");
  const Json first = ExpectDocument(box, Call({}));
  ASSERT_FALSE(HasFailure());
  EXPECT_EQ(first["system_role"], "first message");
  EXPECT_EQ(first["notes"].size(), 1);
}

TEST(PromptCli, BadInputIsRefused) {
  const Sandbox box;
  WriteModel(box, kTemplate);
  box.Write("long.txt", std::string(2000, 'x'));
  ExpectRefused(box, Call({}), Code::kNoFit, "the model's context holds 1024");
  box.Write("long.txt", " \n\n");
  ExpectRefused(box, Call({}), Code::kInvalid, "holds no text");
  box.Write("long.txt", "\xff\xfe binary");
  ExpectRefused(box, Call({}), Code::kInvalid, "no text in UTF-8");
  box.Write("long.txt", kLong);
  ExpectRefused(box, Call({"--shorter", "nowhere.txt"}), Code::kNotFound, "nowhere.txt");
  ExpectRefused(box, {"prompt", "long.txt"}, Code::kUsage, "--model");
}

TEST(SamplingCli, NamesTheCheapestOrderThatDrawsAlike) {
  const Sandbox box;
  WriteModel(box, kTemplate);
  const Json d =
      ExpectDocument(box, {"sampling", "tiny.gguf", "--profile", "precise", "--budget", "0.1"});
  ASSERT_FALSE(HasFailure());
  EXPECT_EQ(d["vocabulary"], 300);
  EXPECT_EQ(d["sampling"]["temperature"], 0.3);
  EXPECT_EQ(d["sampling"]["top_p"], 0.8);
  EXPECT_EQ(d["sampling"]["top_k"], 40);
  EXPECT_TRUE(d["recommended"].is_null());
  ASSERT_EQ(d["orders"].size(), 24);
  EXPECT_EQ(d["orders"][0]["samplers"],
            (std::vector<std::string>{"top_k", "top_p", "min_p", "temperature"}));
  EXPECT_EQ(d["orders"][0]["group"], 0);
  const size_t cheapest = d["cheapest"];
  EXPECT_TRUE(d["orders"].at(cheapest)["same"].get<bool>());
  // Behind top_p, which cuts by what the temperature makes of the chances.
  const auto before_top_p = [](const Json& order) {
    const auto names = order["samplers"].get<std::vector<std::string>>();
    return std::find(names.begin(), names.end(), "temperature") <
           std::find(names.begin(), names.end(), "top_p");
  };
  bool different = false;
  for (const Json& order : d["orders"])
    different = different || (before_top_p(order) && !order["same"].get<bool>());
  EXPECT_TRUE(different);
}

TEST(SamplingCli, TheModelsOwnRecommendationIsUsedAndShown) {
  const Sandbox box;
  TinyModel tiny = MakeTinyModel();
  tiny.metadata.Set("general.sampling.temp", 1.0F);
  tiny.metadata.Set("general.sampling.top_p", 0.95F);
  tiny.metadata.Set("general.sampling.top_k", int32_t{64});
  box.Write("tiny.gguf", Assemble(tiny));
  const Json d = ExpectDocument(box, {"sampling", "tiny.gguf", "--budget", "0.1"});
  ASSERT_FALSE(HasFailure());
  EXPECT_EQ(d["profile"], "model");
  EXPECT_EQ(d["recommended"]["top_k"], 64);
  EXPECT_EQ(d["sampling"]["top_k"], 64);
  EXPECT_EQ(d["orders"].size(), 6) << "a temperature of 1 changes nothing";
}

TEST(SamplingCli, AnUnknownProfileIsRefused) {
  const Sandbox box;
  WriteModel(box, kTemplate);
  ExpectRefused(box, {"sampling", "tiny.gguf", "--profile", "wild"}, Code::kUsage,
                "no sampling profile");
}

}  // namespace
}  // namespace trimma::prompt_test
