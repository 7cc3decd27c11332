#include "llama_server/program.h"

#include <gtest/gtest.h>

#include "hardware/temp_tree.h"
#include "support/fake_llama_server.h"

namespace trimma::program_test {
namespace {

using Types = std::vector<std::string>;

// As v0.5.0-dev prints it.
constexpr const char* kNewHelp = R"(----- common params -----

-h,    --help, --usage                  print usage and exit
--version                               show version and build info
-tb,   --threads-batch N                number of threads to use during batch and prompt processing (default:
                                        same as --threads)
-fa,   --flash-attn [on|off|auto]       set Flash Attention use ('on', 'off', or 'auto', default: 'auto')
                                        (env: LLAMA_ARG_FLASH_ATTN)
--repack, -nr, --no-repack              whether to enable weight repacking (default: enabled)
-lm,   --load-mode MODE                 model loading mode (default: auto)
                                        - auto: mmap, unless a device does not support it


----- speculative params -----

--spec-draft-hf, -hfd, -hfrd, --hf-repo-draft <user>/<model>[:quant]
                                        Same as --hf-repo, but for the draft model (default: unused)
--draft, --draft-n, --draft-max N       the argument has been removed. use --spec-draft-n-max or
                                        --spec-ngram-mod-n-max
--spec-ngram-min-hits N                 the argument has been
                                        removed. use the respective --spec-ngram-*-min-hits
)";

TEST(ServerHelpTest, ReadsNamesAndWhatTheyTake) {
  const auto options = ParseServerHelp(kNewHelp);
  EXPECT_EQ(options.at("--threads-batch").value, "N");
  EXPECT_EQ(options.at("-tb").value, "N");
  EXPECT_EQ(options.at("--flash-attn").value, "[on|off|auto]");
  EXPECT_EQ(options.at("--no-repack").value, "");
  EXPECT_EQ(options.at("--load-mode").value, "MODE");
  EXPECT_EQ(options.at("--hf-repo-draft").value, "<user>/<model>[:quant]");
  EXPECT_TRUE(options.contains("--version"));
  EXPECT_FALSE(options.contains("--threads")) << "only mentioned";
}

TEST(ServerHelpTest, WhatWasRemovedIsNotThere) {
  const auto options = ParseServerHelp(kNewHelp);
  EXPECT_FALSE(options.contains("--draft-max"));
  EXPECT_FALSE(options.contains("--spec-ngram-min-hits")) << "said over two lines";
}

TEST(ServerHelpTest, AnOlderVersionHasSwitches) {
  const auto options = ParseServerHelp(
      "-fa,   --flash-attn                     enable Flash Attention (default: disabled)\n"
      "--no-mmap                               do not memory-map model\n"
      "-md,   --model-draft FNAME              draft model for speculative decoding\n"
      "--draft-max, --draft, --draft-n N       number of tokens to draft\n");
  EXPECT_EQ(options.at("--flash-attn").value, "");
  EXPECT_EQ(options.at("--draft-max").value, "N");
  EXPECT_EQ(options.at("--model-draft").value, "FNAME");
  EXPECT_TRUE(options.contains("--no-mmap"));
  EXPECT_TRUE(ParseServerHelp("").empty());
  EXPECT_TRUE(ParseServerHelp("\x1b[31mno help\n  -m\n").empty());
}

TEST(ServerVersionTest, IsWhatItSays) {
  EXPECT_EQ(ParseServerVersion("ggml_cuda_init: found 1 device\nversion: 4567 (3e0ba0e6)\nbuilt"),
            "4567 (3e0ba0e6)");
  EXPECT_EQ(ParseServerVersion("nothing"), "");
}

TEST(ServerDevicesTest, AreListedWithTheirNames) {
  const auto devices = ParseServerDevices(
      "ggml_cuda_init: found 1 CUDA devices:\n  Device 0: NVIDIA GeForce RTX 2060, compute 7.5\n"
      "Available devices:\n"
      "  CUDA0: NVIDIA GeForce RTX 2060 (5926 MiB, 5800 MiB free)\n"
      "  Vulkan0: AMD Radeon RX 6600 (RADV NAVI23) (8176 MiB, 8000 MiB free)\n");
  const std::vector<ServerDevice> expected = {{"CUDA0", "NVIDIA GeForce RTX 2060"},
                                              {"Vulkan0", "AMD Radeon RX 6600 (RADV NAVI23)"}};
  EXPECT_EQ(devices, expected);
  EXPECT_TRUE(ParseServerDevices("Available devices:\n  (none)\n").empty());
  EXPECT_TRUE(ParseServerDevices("error: invalid argument\n").empty());
}

TEST(SpeculationTypesTest, AreReadInBothForms) {
  EXPECT_EQ(ParseSpeculationTypes("none,draft-simple,ngram-mod"),
            (Types{"draft-simple", "ngram-mod"}));
  EXPECT_EQ(ParseSpeculationTypes("[none|ngram-map-k4v]"), (Types{"ngram-map-k4v"}));
  EXPECT_TRUE(ParseSpeculationTypes("").empty());
}

TEST(FindLlamaServerTest, AsksTheProgramItself) {
  const TempTree tree;
  const LlamaServerProgram program = FakeLlamaServer(tree / "llama-server", "card");
  EXPECT_EQ(program.version, "4567 (3e0ba0e6)");
  EXPECT_EQ(program.devices, (std::vector<ServerDevice>{{"CUDA0", "NVIDIA GeForce RTX 2060"}}));
  EXPECT_EQ(program.speculation_types, (Types{"draft-simple", "ngram-simple"}));
  EXPECT_TRUE(program.Knows("--ubatch-size"));
  EXPECT_FALSE(program.Knows("--draft-max"));
}

TEST(FindLlamaServerTest, SaysWhatIsNone) {
  const auto absent = FindLlamaServer("/no/such/llama-server");
  ASSERT_FALSE(absent.ok());
  EXPECT_EQ(absent.error().code, Code::kNotFound);
  const auto other = FindLlamaServer("/bin/true");
  ASSERT_FALSE(other.ok());
  EXPECT_EQ(other.error().code, Code::kInvalid);
  const auto broken = FindLlamaServer("/bin/false");
  ASSERT_FALSE(broken.ok());
  EXPECT_EQ(broken.error().code, Code::kInvalid);
}

TEST(FindLlamaServerTest, ReadsTheRealOne) {
  if (RealLlamaServer().empty()) GTEST_SKIP() << "TRIMMA_TEST_LLAMA_SERVER names none";
  const auto program = FindLlamaServer(RealLlamaServer());
  ASSERT_TRUE(program.ok()) << program.error().what;
  EXPECT_NE(program->version, "");
  for (const char* option : {"--model", "--ctx-size", "--batch-size", "--ubatch-size", "--threads",
                             "--cache-type-k", "--host", "--port"}) {
    EXPECT_TRUE(program->Knows(option)) << option;
  }
}

}  // namespace
}  // namespace trimma::program_test
