#include "models/ollama_name.h"

#include <gtest/gtest.h>

namespace trimma::ollama_name_test {
namespace {

OllamaName Parsed(std::string_view text) {
  Result<OllamaName> name = ParseOllamaName(text);
  EXPECT_TRUE(name.ok()) << text;
  return name.ok() ? *name : OllamaName{};
}

TEST(OllamaNameTest, FillsInTheDefaults) {
  EXPECT_EQ(Parsed("gemma3").Path(), "registry.ollama.ai/library/gemma3/latest");
  EXPECT_EQ(Parsed("gemma3:4b").Path(), "registry.ollama.ai/library/gemma3/4b");
  EXPECT_EQ(Parsed("me/m:t").Path(), "registry.ollama.ai/me/m/t");
  EXPECT_EQ(Parsed("hf.co/user/Repo-GGUF:Q4_K_M").Path(), "hf.co/user/Repo-GGUF/Q4_K_M");
  EXPECT_EQ(Parsed("localhost:5000/me/m").Path(), "localhost:5000/me/m/latest");
}

TEST(OllamaNameTest, ShortensWhatIsDefault) {
  EXPECT_EQ(Parsed("registry.ollama.ai/library/gemma3").Short(), "gemma3:latest");
  EXPECT_EQ(Parsed("me/m:t").Short(), "me/m:t");
  EXPECT_EQ(Parsed("h.x/library/m:t").Short(), "h.x/library/m:t");
  for (const char* text : {"gemma3:4b", "me/m:t", "h.x:80/library/m:t"}) {
    EXPECT_EQ(Parsed(Parsed(text).Short()), Parsed(text));
  }
}

TEST(OllamaNameTest, RefusesWhatCouldBecomeAnotherPath) {
  for (const char* text :
       {"",     ":",    "m:",   ":t",       "/m",  "a//m", "a/b/c/d",  "../m",  "a/../m",
        "m:..", "..",   "m:.x", "-m",       "m m", "m\n",  "m@sha256", "a.b/m", "http://h/a/m",
        "m\\x", "m%2e", "~m",   "h/a/m:t:u"}) {
    EXPECT_FALSE(ParseOllamaName(text).ok()) << text;
  }
  EXPECT_FALSE(ParseOllamaName(std::string_view("m\0x", 3)).ok());
  EXPECT_FALSE(ParseOllamaName("m\xc3\xa9").ok());
  EXPECT_EQ(ParseOllamaName("..").error().code, Code::kUsage);
}

TEST(OllamaNameTest, AReferenceMayNameItsScheme) {
  const auto plain = ParseOllamaReference("http://localhost:5000/me/m:t");
  ASSERT_TRUE(plain.ok());
  EXPECT_TRUE(plain->plain);
  EXPECT_EQ(plain->name, Parsed("localhost:5000/me/m:t"));
  const auto secure = ParseOllamaReference("https://h.x/me/m");
  ASSERT_TRUE(secure.ok());
  EXPECT_FALSE(secure->plain);
  EXPECT_EQ(secure->name, Parsed("h.x/me/m"));
  EXPECT_EQ(ParseOllamaReference("gemma3:4b")->name, Parsed("gemma3:4b"));
  for (const char* text :
       {"http://", "http:///me/m", "http://h/m", "http://m", "http://h/a/b/m", "ftp://h/a/m",
        "http://http://h/a/m", "http://u@h/a/m", "HTTP://h/a/m", "http://h/../m", "://h/a/m"}) {
    EXPECT_EQ(ParseOllamaReference(text).error().code, Code::kUsage) << text;
    EXPECT_NE(ParseOllamaReference(text).error().what.find(text), std::string::npos);
  }
}

TEST(OllamaNameTest, BoundsLengths) {
  EXPECT_TRUE(ParseOllamaName(std::string(80, 'm')).ok());
  EXPECT_FALSE(ParseOllamaName(std::string(81, 'm')).ok());
  EXPECT_FALSE(ParseOllamaName("m:" + std::string(81, 't')).ok());
  EXPECT_TRUE(ParseOllamaName(std::string(350, 'h') + "/a/m").ok());
  EXPECT_FALSE(ParseOllamaName(std::string(351, 'h') + "/a/m").ok());
}

TEST(OllamaNameTest, ReadsManifestPaths) {
  EXPECT_EQ(ParseOllamaPath("registry.ollama.ai/library/gemma3/4b")->Short(), "gemma3:4b");
  EXPECT_FALSE(ParseOllamaPath("library/gemma3/4b").ok());
  EXPECT_FALSE(ParseOllamaPath("h/../m/t").ok());
}

TEST(OllamaNameTest, ComparesIgnoringCase) {
  EXPECT_TRUE(SameIgnoringCase(Parsed("Gemma3:4B"), Parsed("gemma3:4b")));
  EXPECT_FALSE(SameIgnoringCase(Parsed("gemma3:4b"), Parsed("gemma3")));
}

}  // namespace
}  // namespace trimma::ollama_name_test
