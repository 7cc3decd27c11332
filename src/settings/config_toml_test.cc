// EditConfigToml: what goes in, what comes out, byte for byte.
#include <gtest/gtest.h>

#include <limits>

#include "settings/files.h"
#include "settings/toml_library.h"

namespace trimma::config_toml_test {
namespace {

Applied Wanted() {
  Applied applied;
  applied.name = "gemma3:4b";
  applied.model_path = "/models/gemma.gguf";
  applied.settings.context = 8192;
  applied.sampling = {0.3, 0.8, "precise"};
  return applied;
}

const std::string kRuntime =
    "[runtime]\nbatch = 2048\nubatch = 512\nflash_attention = \"auto\"\n"
    "kv_k = \"f16\"\nkv_v = \"f16\"\n";
const std::string kModel =
    "[model]\nname = \"gemma3:4b\"\ncontext_length = 8192\ntemperature = 0.3\ntop_p = 0.8\n";

std::string Crlf(const std::string& text) {
  std::string result;
  for (const char c : text) result += c == '\n' ? std::string("\r\n") : std::string(1, c);
  return result;
}

struct Case {
  const char* name;
  std::string before;
  std::string after;
};

void PrintTo(const Case& test, std::ostream* out) { *out << test.name; }

class EditConfigTomlTest : public testing::TestWithParam<Case> {};

TEST_P(EditConfigTomlTest, GivesExactlyTheseBytes) {
  const Result<ConfigEdit> edit = EditConfigToml(GetParam().before, Wanted());
  ASSERT_TRUE(edit.ok()) << edit.error().what;
  EXPECT_EQ(edit->text, GetParam().after);
  EXPECT_EQ(edit->changes.empty(), GetParam().before == GetParam().after);
  const Result<ConfigEdit> again = EditConfigToml(edit->text, Wanted());
  ASSERT_TRUE(again.ok()) << again.error().what;
  EXPECT_EQ(again->text, edit->text);
  EXPECT_TRUE(again->changes.empty());
}

INSTANTIATE_TEST_SUITE_P(
    Table, EditConfigTomlTest,
    testing::Values(
        Case{"EmptyFile", "", kModel + "\n" + kRuntime},
        Case{"OnlyABreak", "\n", "\n\n" + kModel + "\n" + kRuntime},
        Case{"OnlyAComment", "# mine\n", "# mine\n\n" + kModel + "\n" + kRuntime},
        Case{"EndsInABlankLine", "a = 1\n\n", "a = 1\n\n" + kModel + "\n" + kRuntime},
        Case{"NothingToDo", kModel + kRuntime, kModel + kRuntime},
        Case{"TheGuidesExample",
             "# Settings of the assistant\n"
             "[model]\n"
             "name = \"gemma3:4b\"            # 4-bit, 3.3 GB\n"
             "context_length = 4096         # ~3000 words\n"
             "temperature = 0.7\t# creative\n"
             "top_p=0.9#tight\n"
             "\n"
             "[paths]\n"
             "data = 'C:\\data'\n",
             "# Settings of the assistant\n"
             "[model]\n"
             "name = \"gemma3:4b\"            # 4-bit, 3.3 GB\n"
             "context_length = 8192         # ~3000 words\n"
             "temperature = 0.3\t# creative\n"
             "top_p=0.8#tight\n"
             "\n"
             "[paths]\n"
             "data = 'C:\\data'\n\n" +
                 kRuntime},
        Case{"OtherSpellingsOfTheSameValuesStay",
             "[model]\nname = 'gemma3:4b'\ncontext_length = 0x2000\ntemperature = 3e-1\n"
             "top_p = 0.80\n[runtime]\nbatch = 2_048\nubatch = +512\nflash_attention = '''auto'''\n"
             "kv_k = \"\\u00666\"\nkv_v = 'f16'\n",
             "[model]\nname = 'gemma3:4b'\ncontext_length = 0x2000\ntemperature = 3e-1\n"
             "top_p = 0.80\n[runtime]\nbatch = 2_048\nubatch = +512\nflash_attention = '''auto'''\n"
             "kv_k = \"f16\"\nkv_v = 'f16'\n"},
        Case{"Crlf", Crlf("[model]\nname = \"x\" # c\n\n[other]\na = 1\n"),
             Crlf("[model]\nname = \"gemma3:4b\" # c\ncontext_length = 8192\ntemperature = 0.3\n"
                  "top_p = 0.8\n\n[other]\na = 1\n\n" +
                  kRuntime)},
        Case{"ByteOrderMark", "\xEF\xBB\xBF[model]\nname = \"\xC3\xA5\" # \xC3\xA4\n" + kRuntime,
             "\xEF\xBB\xBF[model]\nname = \"gemma3:4b\" # \xC3\xA4\ncontext_length = 8192\n"
             "temperature = 0.3\ntop_p = 0.8\n" +
                 kRuntime},
        Case{"ByteOrderMarkBeforeAValueOnTheFirstLine",
             "\xEF\xBB\xBFmodel.name = 'x'#c\n" + kRuntime,
             "\xEF\xBB\xBFmodel.name = \"gemma3:4b\"#c\nmodel.context_length = 8192\n"
             "model.temperature = 0.3\nmodel.top_p = 0.8\n" +
                 kRuntime},
        Case{"NoFinalBreakAfterAValue", kRuntime + "[model]\nname = 'x'",
             kRuntime + "[model]\nname = \"gemma3:4b\"\ncontext_length = 8192\ntemperature = 0.3\n"
                        "top_p = 0.8"},
        Case{"NoFinalBreakAfterAHeader", kRuntime + "[model]",
             kRuntime + kModel.substr(0, kModel.size() - 1)},
        Case{"NoFinalBreakAndANewTable", kModel + "# end",
             kModel + "# end\n\n" + kRuntime.substr(0, kRuntime.size() - 1)},
        Case{"DottedKeysAtTheTop",
             "a = 1\nmodel . name = 'x'\nb = 2\nmodel.extra.deep = 1 # d\nc = 3\n\n" + kRuntime,
             "a = 1\nmodel . name = \"gemma3:4b\"\nb = 2\nmodel.extra.deep = 1 # d\n"
             "model.context_length = 8192\nmodel.temperature = 0.3\nmodel.top_p = 0.8\nc = 3\n\n" +
                 kRuntime},
        Case{"QuotedKeys",
             "[ \"model\" ]\n\"name\" = \"x\"\n'temperature' = 1\n\"top_p\"=0.1\n" + kRuntime,
             "[ \"model\" ]\n\"name\" = \"gemma3:4b\"\n'temperature' = 0.3\n\"top_p\"=0.8\n"
             "context_length = 8192\n" +
                 kRuntime},
        Case{"SpacesInTheHeader", "  [ model ]  # c\n" + kRuntime,
             "  [ model ]  # c\nname = \"gemma3:4b\"\ncontext_length = 8192\ntemperature = 0.3\n"
             "top_p = 0.8\n" +
                 kRuntime},
        Case{"IndentedKeys", "[model]\n\t name = 'x'\n" + kRuntime,
             "[model]\n\t name = \"gemma3:4b\"\n\t context_length = 8192\n\t temperature = 0.3\n"
             "\t top_p = 0.8\n" +
                 kRuntime},
        Case{"SubtablesFollow", "[model]\n[model.more]\nname = 'no'\n" + kRuntime,
             kModel + "[model.more]\nname = 'no'\n" + kRuntime},
        Case{"OnlySubtables", "[model.more]\nname = 'no'\n" + kRuntime,
             "[model.more]\nname = 'no'\n" + kRuntime + "\n" + kModel},
        Case{"SubtableBeforeItsTable", "[model.more]\nname = 'no'\n[model]\ntop_p = 1\n" + kRuntime,
             "[model.more]\nname = 'no'\n[model]\ntop_p = 0.8\nname = \"gemma3:4b\"\n"
             "context_length = 8192\ntemperature = 0.3\n" +
                 kRuntime},
        Case{"SubtableBeforeItsEmptyTable", "[model.more]\nname = 'no'\n[model] # c\n" + kRuntime,
             "[model.more]\nname = 'no'\n[model] # c\nname = \"gemma3:4b\"\n"
             "context_length = 8192\ntemperature = 0.3\ntop_p = 0.8\n" +
                 kRuntime},
        Case{"OnlySubtablesInAnArray", "[[model.more]]\nname = 'no'\n" + kRuntime,
             "[[model.more]]\nname = 'no'\n" + kRuntime + "\n" + kModel},
        Case{"ArraysOfTablesAround",
             "[[list]]\nname = 'a'\n[model]\nname = 'x'\n[[list]]\nname = 'b'\n" + kRuntime,
             "[[list]]\nname = 'a'\n" + kModel + "[[list]]\nname = 'b'\n" + kRuntime},
        Case{"StringsThatLookLikeTables",
             "basic = \"\"\"\n[model]\nname = \"no\"\n\\\"\"\" \"\"\"\nliteral = '''\n[model]\n"
             "temperature = 9\n'''\n# [model]\n[model]\nname = 'x'\n" +
                 kRuntime,
             "basic = \"\"\"\n[model]\nname = \"no\"\n\\\"\"\" \"\"\"\nliteral = '''\n[model]\n"
             "temperature = 9\n'''\n# [model]\n" +
                 kModel + kRuntime},
        Case{"LetterAfterAContinuedLine", "a = \"\"\"\\\n  \u00E5\"\"\"\n" + kModel + kRuntime,
             "a = \"\"\"\\\n  \u00E5\"\"\"\n" + kModel + kRuntime},
        Case{"MultiLineArrayLast",
             "[model]\nname = 'x'\nstop = [ # c\n  \"]\", # d\n  { a = 1 },\n] # e\n\n# f\n" +
                 kRuntime,
             "[model]\nname = \"gemma3:4b\"\nstop = [ # c\n  \"]\", # d\n  { a = 1 },\n] # e\n"
             "context_length = 8192\ntemperature = 0.3\ntop_p = 0.8\n\n# f\n" +
                 kRuntime},
        Case{"MultiLineStringReplaced", "[model]\nname = \"\"\"\na\nb\"\"\" # c\n" + kRuntime,
             "[model]\nname = \"gemma3:4b\" # c\ncontext_length = 8192\ntemperature = 0.3\n"
             "top_p = 0.8\n" +
                 kRuntime},
        Case{"ValuesOfOtherTypesReplaced",
             "[model]\nname = 1979-05-27 07:32:00.5 # d\ncontext_length = '4k'# s\n"
             "temperature = nan # n\ntop_p = 1979-05-27 # d\nother = nan\n" +
                 kRuntime,
             "[model]\nname = \"gemma3:4b\" # d\ncontext_length = 8192# s\n"
             "temperature = 0.3 # n\ntop_p = 0.8 # d\nother = nan\n" +
                 kRuntime},
        Case{"InlineTableThatNeedsNoChange",
             "model = { name = 'gemma3:4b', context_length = 8192, temperature = 0.3, top_p = 0.8 "
             "}\n" +
                 kRuntime,
             "model = { name = 'gemma3:4b', context_length = 8192, temperature = 0.3, top_p = 0.8 "
             "}\n" +
                 kRuntime},
        Case{"DottedRuntimeBesideAModelTable", "runtime.kv_k = 'f16'\n[model]\nname = 'x'\n",
             "runtime.kv_k = 'f16'\nruntime.batch = 2048\nruntime.ubatch = 512\n"
             "runtime.flash_attention = \"auto\"\nruntime.kv_v = \"f16\"\n" +
                 kModel}),
    [](const auto& test) { return std::string(test.param.name); });

struct Refusal {
  const char* name;
  std::string text;
  const char* says;  // part of the error
};

void PrintTo(const Refusal& test, std::ostream* out) { *out << test.name; }

class EditConfigTomlRefusalTest : public testing::TestWithParam<Refusal> {};

TEST_P(EditConfigTomlRefusalTest, IsInvalidAndSaysWhere) {
  const Result<ConfigEdit> edit = EditConfigToml(GetParam().text, Wanted());
  ASSERT_FALSE(edit.ok());
  EXPECT_EQ(edit.error().code, Code::kInvalid);
  EXPECT_NE(edit.error().what.find(GetParam().says), std::string::npos) << edit.error().what;
  EXPECT_FALSE(edit.error().hint.empty());
}

INSTANTIATE_TEST_SUITE_P(
    Table, EditConfigTomlRefusalTest,
    testing::Values(
        Refusal{"NoValue", "a = 1\nb = \n", "line 2, column 5"},
        Refusal{"HeaderThatMakesTheParserAssert", "a = 1\n[[}", "line 2, column 3"},
        Refusal{"LetterForAValue", "a = \u03C4\n", "line 1, column 5"},
        Refusal{"TableTwice", "[model]\na = 1\n[model]\n", "line 3, column 1"},
        Refusal{"KeyTwice", "[model]\nname = 'a'\nname = 'b'\n", "line 3"},
        Refusal{"TableAfterDottedKeys", "model.a = 1\n[model]\n", "line 2"},
        Refusal{"OpenString", "a = \"x\n", "line 1"},
        Refusal{"LoneCarriageReturn", "a = 1\rb = 2\n", "line 1"},
        Refusal{"NotUtf8", "a = \"\xFF\"\n", "line 1"},
        Refusal{"NulByte", std::string("a = 1\n\0", 7), "line 2"},
        Refusal{"InlineTable", "\nmodel = { name = \"x\" }\n", "line 2: can't set model.name"},
        Refusal{"InlineTableWithoutTheKey", "model = {}\n", "\"model\" is an inline table"},
        Refusal{"ModelIsText", "model = \"gemma\"\n", "\"model\" is not a table"},
        Refusal{"ModelIsAnArrayOfTables", "[[model]]\nname = 'x'\n", "\"model\" is not a table"},
        Refusal{"RuntimeIsANumber", kModel + "[x]\n\n[y]\n" + "[runtime]\nbatch = {}\n",
                "can't set runtime.batch"},
        Refusal{"RuntimeIsText", "runtime = 1\n" + kModel, "line 1: can't set runtime.batch"},
        Refusal{"NameIsAnArray", "[model]\nname = [\n'a',\n'b']\n", "line 2: can't set model.name"},
        Refusal{"NameIsATable", "[model.name]\nx = 1\n", "line 1: can't set model.name"},
        Refusal{"TooLarge", std::string((1 << 20) + 1, '\n'), "1 MiB"},
        Refusal{"EndlessKey", "a" + std::string(100, '.') + "b = 1\n", "parts"}),
    [](const auto& test) { return std::string(test.param.name); });

TEST(EditConfigTomlTest, ErrorsOfTheParserDontCarryEscapeSequences) {
  const Result<ConfigEdit> edit = EditConfigToml("a = \x1b[31m\n", Wanted());
  ASSERT_FALSE(edit.ok());
  EXPECT_EQ(edit.error().what.find('\x1b'), std::string::npos);
}

TEST(EditConfigTomlTest, AKeyOfAMegabyteDoesNotOverflowTheStack) {
  std::string text = "a";
  while (text.size() < (1 << 20) - 10) text += " .\"b\" . a";
  EXPECT_FALSE(EditConfigToml("[" + text + "]\n", Wanted()).ok());
  EXPECT_FALSE(EditConfigToml(text + " = 1\n", Wanted()).ok());
}

TEST(EditConfigTomlTest, ManyDotsInStringsCommentsAndNumbersAreFine) {
  const std::string dots(200, '.');
  std::string text =
      "a = \"" + dots + "\"\nb = '" + dots + "' # " + dots + "\nc = '''\n" + dots + "\n'''\nd = [";
  for (int i = 0; i < 200; ++i) text += "0.5, ";
  text += "]\n";
  const Result<ConfigEdit> edit = EditConfigToml(text, Wanted());
  ASSERT_TRUE(edit.ok()) << edit.error().what;
  EXPECT_EQ(edit->text, text + "\n" + kModel + "\n" + kRuntime);
}

TEST(EditConfigTomlTest, ChangesSayBeforeAndAfterAsWritten) {
  const Result<ConfigEdit> edit = EditConfigToml(
      "[model]\nname = 'old' # x\ncontext_length = 8_192\ntemperature = 7e-1\n" + kRuntime,
      Wanted());
  ASSERT_TRUE(edit.ok());
  ASSERT_EQ(edit->changes.size(), 3U);
  EXPECT_EQ(edit->changes[0].key, "model.name");
  EXPECT_EQ(edit->changes[0].before, "'old'");
  EXPECT_EQ(edit->changes[0].after, "\"gemma3:4b\"");
  EXPECT_EQ(edit->changes[1].before, "7e-1");
  EXPECT_EQ(edit->changes[2].key, "model.top_p");
  EXPECT_EQ(edit->changes[2].before, "");
  EXPECT_EQ(edit->changes[2].after, "0.8");
}

TEST(EditConfigTomlTest, WritesOnlyOptionalKeysThatHaveAValue) {
  Applied applied = Wanted();
  applied.settings.threads = 6;
  applied.settings.threads_batch = 12;
  applied.settings.flash_attention = FlashAttention::kOn;
  applied.settings.kv_k = "q8_0";
  applied.settings.gpu_layers = 0;
  applied.sampling.temperature = 1;
  const Result<ConfigEdit> edit = EditConfigToml("", applied);
  ASSERT_TRUE(edit.ok());
  EXPECT_EQ(edit->text,
            "[model]\nname = \"gemma3:4b\"\ncontext_length = 8192\ntemperature = 1.0\ntop_p = 0.8\n"
            "\n[runtime]\nthreads = 6\nthreads_batch = 12\nbatch = 2048\nubatch = 512\n"
            "flash_attention = \"on\"\nkv_k = \"q8_0\"\nkv_v = \"f16\"\ngpu_layers = 0\n");
}

TEST(EditConfigTomlTest, ACardThatIsLeftOutGetsNoLayers) {
  Applied applied = Wanted();
  applied.settings.gpu_layers = 35;
  applied.settings.use_gpu = false;
  const Result<ConfigEdit> edit = EditConfigToml("", applied);
  ASSERT_TRUE(edit.ok());
  EXPECT_TRUE(edit->text.ends_with("gpu_layers = 0\n")) << edit->text;
}

TEST(EditConfigTomlTest, RefusesValuesThatNoFileCanHold) {
  Applied applied = Wanted();
  applied.sampling.temperature = std::numeric_limits<double>::quiet_NaN();
  EXPECT_EQ(EditConfigToml("", applied).error().code, Code::kInvalid);
  applied = Wanted();
  applied.name = "\xFF";
  EXPECT_EQ(EditConfigToml("", applied).error().code, Code::kInvalid);
  applied = Wanted();
  applied.model_path = "m.gguf";
  EXPECT_EQ(EditConfigToml("", applied).error().code, Code::kInvalid);
}

TEST(EditConfigTomlTest, HostileNamesComeBackAsTheyWere) {
  for (const std::string& name :
       {std::string("<script>alert(1)</script>"), std::string("a\"b\\c"), std::string("\"\"\""),
        std::string("'''\n[model]\nname = \"x\"\r\n# "), std::string("\x01\x1b[31m\x7f\b\f"),
        std::string("a\0b", 3), std::string(10240, 'x'), std::string(),
        std::string("\u202Eevil\u2069\u200B\uFEFF"), std::string("\U0001F600 \u00E5\u6F22")}) {
    Applied applied = Wanted();
    applied.name = name;
    const std::string before = "# keep\n[model]\nname = 'x' # c\n[z]\nq = 1\n";
    const Result<ConfigEdit> edit = EditConfigToml(before, applied);
    ASSERT_TRUE(edit.ok()) << edit.error().what;
    EXPECT_EQ(toml::parse(edit->text)["model"]["name"].value<std::string>(), name);
    EXPECT_TRUE(edit->text.starts_with("# keep\n[model]\nname = \""));
    EXPECT_EQ(edit->text.find("\u202E"), std::string::npos);
    EXPECT_NE(edit->text.find("\" # c\n"), std::string::npos);
  }
}

}  // namespace
}  // namespace trimma::config_toml_test
