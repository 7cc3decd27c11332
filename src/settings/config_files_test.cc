// Files as applications have them (tests/data/config): outside the edited keys every byte stays. A
// line "# trimma: SETTING=KEY" in a file says where its application keeps a setting.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "base/text.h"
#include "settings/files.h"

namespace trimma::config_files_test {
namespace {

namespace fs = std::filesystem;

std::vector<fs::path> ConfigFiles() {
  std::vector<fs::path> files;
  for (const auto& entry : fs::directory_iterator(TRIMMA_SOURCE_DIR "/tests/data/config"))
    files.push_back(entry.path());
  std::sort(files.begin(), files.end());
  return files;
}

std::string Bytes(const fs::path& path) {
  std::ostringstream text;
  text << std::ifstream(path, std::ios::binary).rdbuf();
  return text.str();
}

std::vector<std::string> Lines(const std::string& text) { return Split(text, '\n'); }

std::vector<std::string> MapOf(const std::string& text) {
  std::vector<std::string> options;
  constexpr std::string_view kMark = "# trimma: ";
  for (const std::string& line : Lines(text)) {
    if (line.starts_with(kMark)) options.emplace_back(Trim(line.substr(kMark.size())));
  }
  return options;
}

Applied Wanted() {
  Applied applied;
  applied.name = "gemma3:4b-Q5_K_M";
  applied.model_path = "/models/gemma.gguf";
  applied.settings.context = 12345;
  applied.settings.threads = 7;
  applied.sampling = {0.31, 0.83, "precise"};
  return applied;
}

// Takes the edit back, byte by byte, with nothing but the list of changes: what is left over must
// be the file as it was. New lines and new tables are what may be gone.
std::string TakenBack(const std::string& after, const ConfigEdit& edit) {
  std::string text = after;
  for (auto change = edit.changes.rbegin(); change != edit.changes.rend(); ++change) {
    const size_t dot = change->key.rfind('.');
    std::string key = dot == std::string::npos ? change->key : change->key.substr(dot + 1);
    key.erase(std::remove(key.begin(), key.end(), '"'), key.end());
    // The value, on a line that has the key before it.
    size_t at = text.rfind(change->after);
    while (at != std::string::npos) {
      const size_t line = text.rfind('\n', at) == std::string::npos ? 0 : text.rfind('\n', at) + 1;
      if (text.substr(line, at - line).find(key) != std::string::npos) break;
      at = at == 0 ? std::string::npos : text.rfind(change->after, at - 1);
    }
    if (at == std::string::npos)
      return fmt::format("{} = {} is nowhere", change->key, change->after);
    if (!change->before.empty()) {
      text.replace(at, change->after.size(), change->before);
      continue;
    }
    size_t begin = text.rfind('\n', at);
    begin = begin == std::string::npos ? 0 : begin + 1;
    const size_t end = text.find('\n', at);
    if (end == std::string::npos) {
      const size_t from = begin == 0 ? 0 : begin - (begin > 1 && text[begin - 2] == '\r' ? 2 : 1);
      text.erase(from);
    } else {
      text.erase(begin, end + 1 - begin);
    }
  }
  return text;
}

// A table that the edit appended, with the blank line before it.
std::string WithoutNewTable(std::string text, const std::string& before) {
  while (text.size() > before.size() && text.starts_with(before)) {
    const std::string tail(Trim(text.substr(before.size())));
    for (const std::string& line : Lines(tail)) {
      const std::string_view header = Trim(line);
      if (!header.empty() && !(header.starts_with('[') && header.ends_with(']'))) return text;
    }
    return before;
  }
  return text;
}

TEST(ConfigFiles, FortyOfThemAreByteIdenticalOutsideTheEditedKeys) {
  const std::vector<fs::path> files = ConfigFiles();
  EXPECT_EQ(files.size(), 40U);
  for (const fs::path& path : files) {
    SCOPED_TRACE(path.filename().string());
    const std::string before = Bytes(path);
    const auto map = ParseConfigMap(MapOf(before));
    ASSERT_TRUE(map.ok()) << map.error().what;
    const auto edit = EditConfigToml(before, Wanted(), *map);
    ASSERT_TRUE(edit.ok()) << edit.error().what;
    EXPECT_FALSE(edit->changes.empty());
    EXPECT_EQ(WithoutNewTable(TakenBack(edit->text, *edit), before), before) << edit->text;
    const auto again = EditConfigToml(edit->text, Wanted(), *map);
    ASSERT_TRUE(again.ok());
    EXPECT_EQ(again->text, edit->text);
  }
}

struct Case {
  const char* name;
  std::vector<std::string> map;
  std::string before;
  std::string after;
};

TEST(ConfigMapTest, SettingsGoWhereTheApplicationHasThem) {
  const std::vector<std::string> only_name = {
      "model.context_length=", "model.temperature=", "model.top_p="};
  const std::string name = "\"gemma3:4b-Q5_K_M\"";
  const Case cases[] = {
      {"TopLevel",
       {"model.name=model"},
       "model = 'x' # c\n[a]\n",
       "model = " + name + " # c\n[a]\n"},
      {"NewAtTheTop", {"model.name=model"}, "[a]\nb = 1\n", "model = " + name + "\n[a]\nb = 1\n"},
      {"NewAfterTheTopsLast",
       {"model.name=model"},
       "z = 1\n\n[a]\nb = 1\n",
       "z = 1\nmodel = " + name + "\n\n[a]\nb = 1\n"},
      {"DeepHeader",
       {"model.name=a.b.c"},
       "[a.b]\nd = 1\n[e]\n",
       "[a.b]\nd = 1\nc = " + name + "\n[e]\n"},
      {"NewTableUnderAHeader",
       {"model.name=a.b.c"},
       "[a]\nd = 1\n",
       "[a]\nd = 1\n\n[a.b]\nc = " + name + "\n"},
      {"DottedUnderAHeader",
       {"model.name=a.b.c"},
       "[a]\nb.d = 1\ne = 2\n",
       "[a]\nb.d = 1\nb.c = " + name + "\ne = 2\n"},
      {"DottedDeeper", {"model.name=a.b.c"}, "a.d = 1\n", "a.d = 1\na.b.c = " + name + "\n"},
      {"Quoted",
       {"model.name=\"my app\".'the.model'"},
       "[\"my app\"]\n",
       "[\"my app\"]\n\"the.model\" = " + name + "\n"},
      {"Path",
       {"model.name=", "model.path=a.file"},
       "[a]\n",
       "[a]\nfile = \"/models/gemma.gguf\"\n"},
  };
  for (const Case& test : cases) {
    SCOPED_TRACE(test.name);
    std::vector<std::string> options = only_name;
    options.insert(options.end(), test.map.begin(), test.map.end());
    const auto map = ParseConfigMap(options);
    ASSERT_TRUE(map.ok()) << map.error().what;
    const auto edit = EditConfigToml(test.before, Wanted(), *map);
    ASSERT_TRUE(edit.ok()) << edit.error().what;
    EXPECT_EQ(edit->text, test.after);
  }
}

TEST(ConfigMapTest, WhatIsNoMapIsUsage) {
  const std::pair<std::vector<std::string>, const char*> cases[] = {
      {{"model.name"}, "no key is given"},
      {{"model.nam=a"}, "there is no setting \"model.nam\""},
      {{"model.name=a..b"}, "is no key of TOML"},
      {{"model.name=a b"}, "is no key of TOML"},
      {{"model.name=a]\n[b"}, "is no key of TOML"},
      {{"model.name=a = 1 #"}, "is no key of TOML"},
      {{"model.name=x", "model.top_p=x"}, "would both stand at x"},
      {{"model.name=x", "model.top_p=x.y"}, "would both stand at x"},
  };
  for (const auto& [options, says] : cases) {
    const auto map = ParseConfigMap(options);
    ASSERT_FALSE(map.ok()) << says;
    EXPECT_EQ(map.error().code, Code::kUsage);
    EXPECT_NE(map.error().what.find(says), std::string::npos) << map.error().what;
  }
}

TEST(ConfigMapTest, AKeyThatCantBeReachedIsSaidWithItsLine) {
  const auto map = ParseConfigMap({"model.name=a.b.c"});
  ASSERT_TRUE(map.ok());
  for (const auto& [text, says] : std::vector<std::pair<std::string, std::string>>{
           {"x = 1\n[a]\nb = 3\n", "line 3: can't set a.b.c: \"a.b\" is not a table"},
           {"[[a.b]]\nx = 1\n", "line 1: can't set a.b.c: \"a.b\" is not a table"},
           {"[a]\nb = { x = 1 }\n", "line 2: can't set a.b.c: \"a.b\" is an inline table"},
           {"a = {}\n", "line 1: can't set a.b.c: \"a\" is an inline table"}}) {
    const auto edit = EditConfigToml(text, Wanted(), *map);
    ASSERT_FALSE(edit.ok()) << text;
    EXPECT_EQ(edit.error().what, says);
  }
}

}  // namespace
}  // namespace trimma::config_files_test
