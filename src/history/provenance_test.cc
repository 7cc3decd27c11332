#include "history/provenance.h"

#include <gtest/gtest.h>

namespace trimma::provenance_test {
namespace {

const Provenance kThen = {"de3ff815ea7d559e", "580.1", "a processor, 8 threads", "q1", "s1"};

std::vector<std::string> Changed(const Provenance& now) {
  std::vector<std::string> names;
  for (const ProvenanceChange& change : Compare(kThen, now).changes) names.push_back(change.what);
  return names;
}

TEST(StalenessTest, TheSameIsNotStale) {
  EXPECT_FALSE(Compare(kThen, kThen).stale());
  EXPECT_EQ(Compare(kThen, kThen).Text(), "");
}

TEST(StalenessTest, EachChangeIsNamedWithBothValues) {
  Provenance now = kThen;
  now.engine_commit = "0123456789abcdef";
  now.driver = "";
  EXPECT_EQ(Changed(now), (std::vector<std::string>{"engine", "driver"}));
  EXPECT_EQ(Compare(kThen, now).Text(),
            "the engine was llama.cpp de3ff815ea7d, and is 0123456789ab now; the cards' driver was "
            "580.1, and is none now");
}

TEST(StalenessTest, AnotherMachineIsNoticed) {
  Provenance now = kThen;
  now.machine = "a processor, 4 threads";
  EXPECT_EQ(Changed(now), std::vector<std::string>{"machine"});
}

TEST(StalenessTest, TheWholeHashDecidesWhereBothKnowIt) {
  Provenance now = kThen;
  now.model_sha256 = "s2";  // somewhere between the pieces that the quick hash reads
  EXPECT_EQ(Changed(now), std::vector<std::string>{"model"});
  now = kThen;
  now.model_quick = "q2";
  EXPECT_TRUE(Changed(now).empty());
  now.model_sha256 = "";
  EXPECT_EQ(Changed(now), std::vector<std::string>{"model"});
}

TEST(StalenessTest, ForeignTextCannotActOnTheTerminal) {
  Provenance now = kThen;
  now.machine = "\x1b[31mred";
  EXPECT_EQ(Compare(kThen, now).Text().find('\x1b'), std::string::npos);
}

}  // namespace
}  // namespace trimma::provenance_test
