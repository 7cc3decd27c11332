#include "base/result.h"

#include <gtest/gtest.h>

#include <memory>
#include <set>
#include <string>

namespace trimma::result_test {
namespace {

constexpr Code kAllCodes[] = {
    Code::kFailure,    Code::kUsage,       Code::kInvalid,   Code::kNoFit,    Code::kGate,
    Code::kNetwork,    Code::kNotFound,    Code::kBusy,      Code::kInternal, Code::kIo,
    Code::kPermission, Code::kInterrupted, Code::kTerminated};

Result<int> Half(int number) {
  if (number % 2 != 0) return Error{Code::kInvalid, "odd", "take an even one"};
  return number / 2;
}

Result<int> Quarter(int number) {
  TRY(const int half, Half(number));
  TRY(const int quarter, Half(half));
  return quarter;
}

Status Even(int number) {
  TRY(const int half, Half(number));
  (void)half;
  return {};
}

Status BothEven(int a, int b) {
  TRY_STATUS(Even(a));
  TRY_STATUS(Even(b));
  return {};
}

TEST(ResultTest, ExitCodesNeverChange) {
  EXPECT_EQ(static_cast<int>(Code::kFailure), 1);
  EXPECT_EQ(static_cast<int>(Code::kUsage), 2);
  EXPECT_EQ(static_cast<int>(Code::kInvalid), 3);
  EXPECT_EQ(static_cast<int>(Code::kNoFit), 4);
  EXPECT_EQ(static_cast<int>(Code::kGate), 5);
  EXPECT_EQ(static_cast<int>(Code::kNetwork), 6);
  EXPECT_EQ(static_cast<int>(Code::kNotFound), 7);
  EXPECT_EQ(static_cast<int>(Code::kBusy), 8);
  EXPECT_EQ(static_cast<int>(Code::kInternal), 70);
  EXPECT_EQ(static_cast<int>(Code::kIo), 74);
  EXPECT_EQ(static_cast<int>(Code::kPermission), 77);
  EXPECT_EQ(static_cast<int>(Code::kInterrupted), 130);
  EXPECT_EQ(static_cast<int>(Code::kTerminated), 143);
}

TEST(ResultTest, EveryCodeHasItsOwnNameAndIsFoundByIt) {
  std::set<std::string> names;
  for (const Code code : kAllCodes) {
    EXPECT_TRUE(names.insert(CodeName(code)).second) << CodeName(code);
    EXPECT_EQ(CodeFromName(CodeName(code)), code);
  }
  EXPECT_EQ(CodeFromName("no-fit"), Code::kNoFit);
  EXPECT_EQ(CodeFromName("NO-FIT"), std::nullopt);
  EXPECT_EQ(CodeFromName(""), std::nullopt);
}

TEST(ResultTest, AnUnknownNumberIsAPlainFailure) {
  EXPECT_STREQ(CodeName(static_cast<Code>(99)), "failure");
}

TEST(ResultTest, HoldsAValueOrAnError) {
  Result<int> four = Half(8);
  ASSERT_TRUE(four.ok());
  EXPECT_EQ(*four, 4);
  *four = 5;
  EXPECT_EQ(four.value(), 5);
  const Result<int> none = Half(7);
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().code, Code::kInvalid);
  EXPECT_EQ(none.error().what, "odd");
  EXPECT_EQ(none.error().hint, "take an even one");
}

TEST(ResultTest, AValueThatCanOnlyBeMovedIsMovedOut) {
  Result<std::unique_ptr<std::string>> text(std::make_unique<std::string>("moved"));
  EXPECT_EQ(*text->get(), "moved");
  const std::unique_ptr<std::string> taken = *std::move(text);
  EXPECT_EQ(*taken, "moved");
}

TEST(ResultTest, TryReturnsTheFirstError) {
  const Result<int> three = Quarter(12);
  ASSERT_TRUE(three.ok());
  EXPECT_EQ(*three, 3);
  EXPECT_EQ(Quarter(6).error().what, "odd");
  EXPECT_EQ(Quarter(5).error().code, Code::kInvalid);
}

TEST(ResultTest, TryStatusReturnsTheFirstError) {
  EXPECT_TRUE(BothEven(2, 4).ok());
  EXPECT_EQ(BothEven(1, 4).error().what, "odd");
  EXPECT_EQ(BothEven(2, 3).error().what, "odd");
}

TEST(ResultTest, AFailedCheckNamesTheExpressionAndAborts) {
  EXPECT_DEATH(CHECK(1 + 1 == 3), "internal error: 1 \\+ 1 == 3 is false \\(.*result_test.cc:");
  CHECK(true);
}

}  // namespace
}  // namespace trimma::result_test
