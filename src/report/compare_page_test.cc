#include "report/compare_page.h"

#include <gtest/gtest.h>

#include "report/answer_text.h"
#include "report/compare_text.h"

namespace trimma::compare_page_test {
namespace {

Comparison TwoModels() {
  Comparison comparison;
  comparison.models = {{"f16.gguf", "/f16.gguf", "F16", 1000, std::nullopt, {}},
                       {"<b>q4</b>", "/q4.gguf", "Q4_0", 300, std::nullopt, {"no speed: broken"}}};
  Quality quality;
  quality.mean_kld = 0.05;
  quality.mean_kld_low = 0.04;
  quality.mean_kld_high = 0.06;
  quality.same_top = 0.9;
  comparison.pairs = {{0, 1, quality}};
  ModelAnswer first;
  first.text = "red apples\nand <script>";
  first.tokens = {1, 2, 3};
  ModelAnswer second = first;
  second.text = "red pears";
  second.tokens = {1, 4};
  comparison.answers = SideBySide({"Which <i>fruit</i>?"}, {{{first}}, {{second}}}, {{0, 1}});
  return comparison;
}

TEST(ComparePageTest, ForeignTextIsEscaped) {
  const std::string page = RenderComparePage(TwoModels());
  for (const char* markup : {"<script", "<b>q4", "<i>fruit"})
    EXPECT_EQ(page.find(markup), std::string::npos) << markup;
  EXPECT_NE(page.find("&lt;i&gt;fruit"), std::string::npos);
  EXPECT_NE(page.find("red apples<br>and &lt;script&gt;"), std::string::npos);
}

TEST(ComparePageTest, TabsOfAnAnswerAreBlanks) {
  Comparison comparison = TwoModels();
  comparison.answers[0].answers[1].answer.text = "red\tplums";
  const std::string page = RenderComparePage(comparison);
  EXPECT_NE(page.find("red </span><mark>plums"), std::string::npos);
  EXPECT_EQ(OneLine("a\tb\n\n c\x1b", 100), "a b c?");
}

TEST(ComparePageTest, WhatPartsIsMarked) {
  const std::string page = RenderComparePage(TwoModels());
  EXPECT_NE(page.find("<span class=\"common\">red </span><mark>pears</mark>"), std::string::npos);
  EXPECT_NE(page.find("the same for 1 token, then (f16.gguf)"), std::string::npos);
}

TEST(CompareTextTest, TellsModelsQualityAndAnswers) {
  const std::string text = RenderComparison(TwoModels());
  for (const char* words :
       {"f16.gguf", "reference", "0.050000", "0.040000 to 0.060000", "90.00 %", "no speed: broken",
        "the same for 1 token, then", "here   | pears", "first  | apples and <script>"})
    EXPECT_NE(text.find(words), std::string::npos) << words << "\n" << text;
}

TEST(CompareTextTest, HowAnswersRelate) {
  EXPECT_EQ(PartingWords({true, std::nullopt, 5}), "the same");
  EXPECT_EQ(PartingWords({false, 0, 0}), "different from the first token on");
  EXPECT_EQ(PartingWords({false, std::nullopt, 0}), "different from the start");
}

}  // namespace
}  // namespace trimma::compare_page_test
