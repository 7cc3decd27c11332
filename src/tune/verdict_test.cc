#include "tune/verdict.h"

#include <gtest/gtest.h>

namespace trimma::verdict_test {
namespace {

TEST(TuneNotesTest, WhatWentOnBesideIsSaidOnlyWhereItMatters) {
  EXPECT_TRUE(NotesOn({}).empty());
  EXPECT_TRUE(NotesOn({10, 0, 0.04}).empty());
  const auto notes = NotesOn({10, 3, 0.31});
  ASSERT_EQ(notes.size(), 2U);
  EXPECT_NE(notes[0].find("31 %"), std::string::npos);
  EXPECT_NE(notes[1].find("3 of 10"), std::string::npos);
}

}  // namespace
}  // namespace trimma::verdict_test
