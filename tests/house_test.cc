// What holds for every source file of ours, whatever it is about.
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace trimma::house_test {
namespace {

namespace fs = std::filesystem;

constexpr size_t kMostLines = 450;
// Files that may be longer: one table or one kernel each. With the reason beside the name.
constexpr std::array<std::string_view, 0> kLongFiles = {};

struct Source {
  std::string name;  // below the root: "src/base/file.cc"
  std::vector<std::string> lines;
};

std::vector<Source> Sources() {
  std::vector<Source> sources;
  const fs::path root = TRIMMA_SOURCE_DIR;
  for (const char* folder : {"src", "tests"}) {
    for (const fs::directory_entry& entry : fs::recursive_directory_iterator(root / folder)) {
      const std::string extension = entry.path().extension().string();
      if (!entry.is_regular_file() || (extension != ".h" && extension != ".cc")) continue;
      Source& source = sources.emplace_back();
      source.name = entry.path().lexically_relative(root).string();
      std::ifstream in(entry.path());
      for (std::string line; std::getline(in, line);) source.lines.push_back(line);
    }
  }
  return sources;
}

TEST(HouseTest, EveryHeaderHasOnePragmaOnce) {
  std::vector<std::string> wrong;
  for (const Source& source : Sources()) {
    const auto guards = std::count(source.lines.begin(), source.lines.end(), "#pragma once");
    // Highway reads an -inl.h once for each instruction set.
    const bool is_read_again = source.name.ends_with("-inl.h");
    const auto wanted = source.name.ends_with(".h") && !is_read_again ? 1 : 0;
    if (guards != wanted) wrong.push_back(fmt::format("{}: {} of {}", source.name, guards, wanted));
  }
  EXPECT_EQ(wrong, std::vector<std::string>{});
}

// "struct Name : Base {" at the beginning of a line; "" for all else.
std::string TypeDefinedBy(const std::string& line) {
  if (line.find('{') == std::string::npos) return "";
  for (const std::string_view keyword : {"struct ", "class ", "enum class "}) {
    if (!line.starts_with(keyword)) continue;
    std::string rest = line.substr(keyword.size());
    if (rest.starts_with("[[")) rest = rest.substr(rest.find("]] ") + 3);
    const size_t end = rest.find_first_of(" :{<");
    return rest[end] == '<' ? "" : rest.substr(0, end);  // Result<void> is no other Result
  }
  return "";
}

// Two types of one name in one namespace are undefined behaviour that no linker tells of.
TEST(HouseTest, NoTwoHeadersDefineATypeOfOneName) {
  std::map<std::string, std::vector<std::string>> where;
  for (const Source& source : Sources()) {
    if (!source.name.ends_with(".h") || source.name.ends_with("-inl.h")) continue;
    for (const std::string& line : source.lines) {
      const std::string name = TypeDefinedBy(line);
      if (!name.empty()) where[name].push_back(source.name);
    }
  }
  EXPECT_TRUE(where.contains("GgufFile"));
  for (const auto& [name, files] : where)
    EXPECT_EQ(files.size(), 1) << name << ": " << fmt::format("{}", fmt::join(files, ", "));
}

TEST(HouseTest, EveryHeaderOpensWithWhatItIsFor) {
  std::vector<std::string> silent;
  for (const Source& source : Sources()) {
    if (!source.name.ends_with(".h")) continue;
    if (source.lines.empty() || !source.lines[0].starts_with("// ")) silent.push_back(source.name);
  }
  EXPECT_EQ(silent, std::vector<std::string>{});
}

TEST(HouseTest, NoFileHoldsTwoIdeas) {
  std::vector<std::string> longer;
  for (const Source& source : Sources()) {
    const bool known =
        std::find(kLongFiles.begin(), kLongFiles.end(), source.name) != kLongFiles.end();
    const bool is_long = source.lines.size() > kMostLines;
    if (is_long != known)
      longer.push_back(fmt::format("{}: {} lines", source.name, source.lines.size()));
  }
  EXPECT_EQ(longer, std::vector<std::string>{})
      << "more than " << kMostLines << " lines, or in the list of long files without need";
}

}  // namespace
}  // namespace trimma::house_test
