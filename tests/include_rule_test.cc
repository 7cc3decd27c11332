// The include rule: folders of src/ stand in the order data flows, and a file includes only its
// own folder, folders before it, and base/. Only engine/ (and tests) may include the engine.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace trimma::include_rule_test {
namespace {

namespace fs = std::filesystem;

// DESIGN.md, "Shape of the code". base comes first, so it may include nothing but itself.
constexpr std::array<std::string_view, 17> kFolders = {
    "base",         "net",      "hardware", "gguf",   "models",   "engine",
    "plan",         "quantize", "measure",  "tune",   "settings", "ollama",
    "llama_server", "history",  "doctor",   "report", "cli"};
constexpr std::string_view kEngineFolder = "engine";

std::optional<size_t> RankOf(std::string_view folder) {
  const auto at = std::find(kFolders.begin(), kFolders.end(), folder);
  if (at == kFolders.end()) return std::nullopt;
  return static_cast<size_t>(at - kFolders.begin());
}

// The name in an #include line, whether in quotes or angle brackets; empty for any other line.
std::string IncludedName(std::string_view line) {
  const auto skip_blanks = [&line] {
    line.remove_prefix(std::min(line.find_first_not_of(" \t"), line.size()));
  };
  skip_blanks();
  if (!line.starts_with('#')) return "";
  line.remove_prefix(1);
  skip_blanks();
  constexpr std::string_view kDirective = "include";
  if (!line.starts_with(kDirective)) return "";
  line.remove_prefix(kDirective.size());
  skip_blanks();
  if (!line.starts_with('"') && !line.starts_with('<')) return "";
  const size_t end = line.find_first_of("\">", 1);
  return end == std::string_view::npos ? "" : std::string(line.substr(1, end - 1));
}

bool IsEngineHeader(const std::string& name) {
  const std::string file = fs::path(name).filename().string();
  return file == "llama.h" || file == "llama-cpp.h" || file == "llama-ext.h" || file == "gguf.h" ||
         file == "mtmd.h" || (file.starts_with("ggml") && file.ends_with(".h"));
}

// Why the file of src/`folder` may not include `name`; empty if it may.
std::string Objection(const std::string& folder, const std::string& file, const std::string& name) {
  if (IsEngineHeader(name) && folder != kEngineFolder && !file.ends_with("_test.cc")) {
    return "only src/engine/ and tests may include the engine";
  }
  const size_t slash = name.find('/');
  if (slash == std::string::npos) return "";
  const std::optional<size_t> theirs = RankOf(name.substr(0, slash));
  const std::optional<size_t> ours = RankOf(folder);
  if (!theirs || !ours || *theirs <= *ours) return "";
  return fmt::format("{}/ comes after {}/", kFolders[*theirs], folder);
}

// Violations in `source`/*/*, one sentence each: "engine/a.h:12 includes "cli/b.h": ...".
std::vector<std::string> Violations(const fs::path& source) {
  std::vector<std::string> found;
  for (const fs::directory_entry& entry : fs::recursive_directory_iterator(source)) {
    const std::string extension = entry.path().extension().string();
    if (!entry.is_regular_file() || (extension != ".h" && extension != ".cc")) continue;
    const fs::path relative = entry.path().lexically_relative(source);
    const std::string folder = relative.begin()->string();
    if (!RankOf(folder)) {
      found.push_back(fmt::format("{} is in no folder that DESIGN.md names", relative.string()));
      continue;
    }
    std::ifstream in(entry.path());
    std::string line;
    for (int number = 1; std::getline(in, line); ++number) {
      const std::string name = IncludedName(line);
      const std::string why = Objection(folder, relative.filename().string(), name);
      if (why.empty()) continue;
      found.push_back(
          fmt::format("src/{}:{} includes \"{}\": {}", relative.string(), number, name, why));
    }
  }
  std::sort(found.begin(), found.end());
  return found;
}

// A source tree in a temporary folder, removed with the object.
class MadeUpTree {
 public:
  MadeUpTree() {
    std::string name = (fs::temp_directory_path() / "trimma-include-XXXXXX").string();
    EXPECT_NE(mkdtemp(name.data()), nullptr);
    root_ = name;
  }
  ~MadeUpTree() {
    std::error_code ignored;
    fs::remove_all(root_, ignored);
  }
  MadeUpTree(const MadeUpTree&) = delete;
  MadeUpTree& operator=(const MadeUpTree&) = delete;

  const fs::path& root() const { return root_; }
  void Add(const std::string& path, const std::string& content) const {
    fs::create_directories((root_ / path).parent_path());
    std::ofstream(root_ / path) << content;
  }

 private:
  fs::path root_;
};

TEST(IncludeRuleTest, HoldsInThisRepository) {
  const fs::path source = fs::path(TRIMMA_SOURCE_DIR) / "src";
  ASSERT_TRUE(fs::is_directory(source)) << source;
  EXPECT_EQ(Violations(source), std::vector<std::string>{});
}

TEST(IncludeRuleTest, AcceptsEarlierFoldersAndTheEngineWhereItBelongs) {
  const MadeUpTree tree;
  tree.Add("engine/load.cc",
           "#include \"engine/load.h\"\n#include \"llama.h\"\n#include <ggml-cpu.h>\n");
  tree.Add("gguf/types_test.cc",
           "#include \"ggml.h\"\n#include \"gguf/types.h\"\n#include <sys/stat.h>\n");
  tree.Add("cli/main.cc",
           "// #include \"llama.h\"\n#include \"base/result.h\"\n#include \"report/page.h\"\n");
  EXPECT_EQ(Violations(tree.root()), std::vector<std::string>{});
}

TEST(IncludeRuleTest, FindsAnUpwardInclude) {
  const MadeUpTree tree;
  tree.Add("gguf/reader.h", "#pragma once\n\n  #  include \"engine/load.h\"\n");
  tree.Add("base/file.cc", "#include \"cli/main.h\"\n");
  EXPECT_EQ(Violations(tree.root()),
            (std::vector<std::string>{
                "src/base/file.cc:1 includes \"cli/main.h\": cli/ comes after base/",
                "src/gguf/reader.h:3 includes \"engine/load.h\": engine/ comes after gguf/"}));
}

TEST(IncludeRuleTest, FindsTheEngineOutsideItsFolder) {
  const MadeUpTree tree;
  tree.Add("plan/memory.cc",
           "#include \"llama-ext.h\"\n#include <ggml-backend.h>\n#include \"gguf.h\"\n");
  const std::vector<std::string> found = Violations(tree.root());
  ASSERT_EQ(found.size(), 3U);
  EXPECT_EQ(found[0],
            "src/plan/memory.cc:1 includes \"llama-ext.h\": only src/engine/ and tests may include "
            "the engine");
}

TEST(IncludeRuleTest, FindsAFolderThatTheDesignDoesNotName) {
  const MadeUpTree tree;
  tree.Add("utils/all.h", "#pragma once\n");
  EXPECT_EQ(Violations(tree.root()),
            std::vector<std::string>{"utils/all.h is in no folder that DESIGN.md names"});
}

}  // namespace
}  // namespace trimma::include_rule_test
