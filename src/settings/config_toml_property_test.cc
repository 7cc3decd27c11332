// Over random documents: every line that holds none of the keys comes out as it went in.
#include <gtest/gtest.h>

#include <random>
#include <set>

#include "base/text.h"
#include "settings/files.h"
#include "settings/toml_document.h"

namespace trimma::config_toml_property_test {
namespace {

class Random {
 public:
  explicit Random(uint32_t seed) : engine_(seed) {}
  size_t Below(size_t n) { return engine_() % n; }
  bool OneIn(size_t n) { return Below(n) == 0; }
  std::string Pick(const std::vector<std::string>& items) { return items[Below(items.size())]; }

 private:
  std::mt19937 engine_;
};

const std::vector<std::string> kBlanks = {"", "", " ", "\t", "   "};
const std::vector<std::string> kComments = {"",
                                            "",
                                            "# [model]",
                                            "#",
                                            "# name = \"x\" \u6F22",
                                            "#c",
                                            "# '''\"\"\"",
                                            "# \U0001F600 temperature = 9"};
const std::vector<std::string> kScalars = {"1",
                                           "-0",
                                           "0xFF",
                                           "3.5e2",
                                           "nan",
                                           "-inf",
                                           "true",
                                           "\"\"",
                                           "'# no'",
                                           "\"\\\" # [a]\"",
                                           "'\u00E5'",
                                           "1979-05-27",
                                           "07:32:00",
                                           "1979-05-27T07:32:00Z",
                                           "\"\u6F22\u5B57\""};
const std::vector<std::string> kOthers = {"[1, 2]",
                                          "{ a = 1, b.c = '}' }",
                                          "[\n  1, # ]\n  '[model]',\n]",
                                          "'''\n[model]\nname = 1\n'''",
                                          "\"\"\"\n[runtime]\n\\\"\"\"\\\n  x\"\"\"",
                                          "[ { name = 'x' }, { } ]"};

std::string ValueLine(Random& random, const std::string& key, bool scalar) {
  const std::string value =
      scalar || random.OneIn(2) ? random.Pick(kScalars) : random.Pick(kOthers);
  return random.Pick(kBlanks) + key + random.Pick(kBlanks) + "=" + random.Pick(kBlanks) + value +
         random.Pick(kBlanks) + random.Pick(kComments) + "\n";
}

void AddNoise(Random& random, std::string& text) {
  while (random.OneIn(2)) text += random.Pick(kBlanks) + random.Pick(kComments) + "\n";
}

// Some of the keys that get set, some others, with noise in between.
std::string Keys(Random& random, const std::vector<std::string>& set, const std::string& prefix) {
  std::string text;
  for (const std::string& key : set) {
    AddNoise(random, text);
    if (random.OneIn(2)) {
      const std::string written = random.OneIn(4) ? "\"" + key + "\"" : key;
      text += ValueLine(random, prefix + written, true);
    }
    if (random.OneIn(3)) text += ValueLine(random, prefix + "own_" + key, false);
    if (random.OneIn(8)) text += ValueLine(random, prefix + "'d " + key + "' . \"x.y\"", false);
  }
  return text;
}

const std::vector<std::string> kModelKeys = {"name", "context_length", "temperature", "top_p"};
const std::vector<std::string> kRuntimeKeys = {"threads", "batch",      "ubatch", "flash_attention",
                                               "kv_k",    "gpu_layers", "kv_v"};

std::string Document(Random& random) {
  std::string text = random.OneIn(4) ? "\xEF\xBB\xBF" : "";
  AddNoise(random, text);
  if (random.OneIn(2)) text += Keys(random, {"a", "b"}, "");
  const bool model_dotted = random.OneIn(4);
  const bool runtime_dotted = random.OneIn(4);
  if (model_dotted) text += Keys(random, kModelKeys, "model.");
  if (runtime_dotted) text += Keys(random, kRuntimeKeys, "runtime . ");
  std::vector<std::string> tables;
  if (!model_dotted && !random.OneIn(4)) {
    tables.push_back(random.Pick({"[model]", "[ model ] # c", " [\"model\"]"}) + "\n" +
                     Keys(random, kModelKeys, ""));
  }
  if (!runtime_dotted && !random.OneIn(4)) {
    tables.push_back(random.Pick({"[runtime]", "['runtime']#"}) + "\n" +
                     Keys(random, kRuntimeKeys, ""));
  }
  if (random.OneIn(2)) tables.push_back("[model.sub]\n" + Keys(random, {"name", "top_p"}, ""));
  if (random.OneIn(2)) tables.push_back("[[x.model]]\n" + Keys(random, {"name", "top_p"}, ""));
  if (random.OneIn(3)) tables.push_back("[[runtime.list]]\n" + Keys(random, {"batch"}, ""));
  while (!tables.empty()) {
    const size_t i = random.Below(tables.size());
    text += tables[i];
    tables.erase(tables.begin() + static_cast<ptrdiff_t>(i));
    AddNoise(random, text);
  }
  if (!text.empty() && random.OneIn(4)) text.pop_back();
  if (!random.OneIn(3)) return text;
  std::string crlf;
  for (const char c : text) crlf += c == '\n' ? std::string("\r\n") : std::string(1, c);
  return crlf;
}

// Lines on which a value to be set begins: there the value may change, and nothing else.
std::set<size_t> LinesOfKeys(const toml::table& root) {
  std::set<size_t> lines;
  for (const char* table : {"model", "runtime"}) {
    const toml::table* inner = root[table].as_table();
    for (const auto* keys : {&kModelKeys, &kRuntimeKeys}) {
      for (const std::string& key : *keys) {
        const toml::node* node = inner == nullptr ? nullptr : inner->get(key);
        if (node != nullptr) lines.insert(node->source().begin.line - 1);
      }
    }
  }
  return lines;
}

void ExpectUntouchedLinesStay(const std::string& before, const std::string& after,
                              const std::set<size_t>& keys) {
  const std::vector<std::string> old_lines = Split(before, '\n');
  const std::vector<std::string> new_lines = Split(after, '\n');
  size_t at = 0;
  for (size_t i = 0; i < old_lines.size(); ++i) {
    const std::string& line = old_lines[i];
    if (i + 1 == old_lines.size() && line.empty()) break;  // after the final break
    const std::string start = keys.contains(i) ? line.substr(0, line.find('=') + 1) : line;
    // In order, as new lines may stand between.
    while (at < new_lines.size() && !(keys.contains(i) ? new_lines[at].starts_with(start)
                                                       : Trim(new_lines[at]) == Trim(start))) {
      ++at;
    }
    ASSERT_LT(at, new_lines.size()) << "line " << i + 1 << " is gone: " << line;
    const size_t comment = line.rfind('#');
    if (keys.contains(i) && comment != std::string::npos && line.find_first_of("\"'") > comment) {
      EXPECT_NE(new_lines[at].find(Trim(line.substr(comment))), std::string::npos);
    }
    ++at;
  }
}

TEST(EditConfigTomlPropertyTest, KeepsEveryOtherLineOfRandomDocuments) {
  Applied applied;
  applied.name = "gemma3:4b";
  applied.model_path = "/m.gguf";
  applied.settings.threads = 4;
  applied.settings.gpu_layers = 35;
  int edited = 0;
  for (uint32_t seed = 0; seed < 1000; ++seed) {
    Random random(seed);
    const std::string text = Document(random);
    const Result<TomlDocument> document = TomlDocument::Parse(text);
    ASSERT_TRUE(document.ok()) << document.error().what << "\n" << text;
    const Result<ConfigEdit> edit = EditConfigToml(text, applied);
    ASSERT_TRUE(edit.ok()) << edit.error().what << "\n" << text;
    ++edited;
    ExpectUntouchedLinesStay(text, edit->text, LinesOfKeys(document->root()));
    const toml::table after = toml::parse(edit->text);
    EXPECT_EQ(after["model"]["name"].value<std::string>(), applied.name);
    EXPECT_EQ(after["runtime"]["gpu_layers"].value<int>(), 35);
    EXPECT_EQ(text.ends_with('\n') || text.empty(), edit->text.ends_with('\n'));
    EXPECT_EQ(text.find("\r\n") == std::string::npos || text.find('\n') == std::string::npos,
              edit->text.find("\r\n") == std::string::npos);
    const Result<ConfigEdit> again = EditConfigToml(edit->text, applied);
    ASSERT_TRUE(again.ok());
    EXPECT_EQ(again->text, edit->text);
    if (HasFailure()) FAIL() << "seed " << seed << "\n" << text << "\n-----\n" << edit->text;
  }
  EXPECT_EQ(edited, 1000);
}

}  // namespace
}  // namespace trimma::config_toml_property_test
