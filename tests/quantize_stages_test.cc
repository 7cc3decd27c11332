// A file made to measure, interrupted in every stage of its making.
#include <gtest/gtest.h>
#include <signal.h>

#include <chrono>
#include <filesystem>
#include <thread>

#include "support/program.h"
#include "support/tiny_model.h"

namespace trimma::quantize_stages_test {
namespace {

namespace fs = std::filesystem;

// Waits until a file appears; false after 120 seconds, or where the run ends before.
bool Appears(const Sandbox& box, const std::string& name, Running& run) {
  for (int i = 0; i < 120'000; ++i) {
    if (box.Exists(name)) return true;
    if (run.Finished()) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return false;
}

class Stages : public testing::Test {
 protected:
  void SetUp() override {
    WriteTinyModel(box_ / "source.gguf",
                   {.layers = 2, .embedding = 256, .feed_forward = 512, .vocab = 1000});
    box_.Write("text.txt", SomeText(1600));
  }
  static std::vector<std::string> Make(const std::string& output) {
    return {"quantize", "source.gguf",   "-o",       output,      "--size",
            "Q4_K_M",   "--calibration", "text.txt", "--threads", "1"};
  }
  fs::file_time_type WrittenAt(const std::string& name) const {
    return fs::last_write_time(box_ / ("out.gguf.trimma-work/" + name));
  }

  const Sandbox box_;
};

TEST_F(Stages, InterruptedInEachOfThemTheBytesAreThoseOfAnUninterruptedRun) {
  ASSERT_EQ(box_.Run(Make("whole.gguf")).exit_code, 0);
  EXPECT_FALSE(box_.Exists("whole.gguf.trimma-work"));
  // What the end of each stage leaves; the interrupt comes in the next one.
  const std::vector<std::string> left = {
      "out.gguf.trimma-work/tokens.json", "out.gguf.trimma-work/moments.gguf",
      "out.gguf.trimma-work/carrier.gguf", "out.gguf.trimma-work/worths.json"};
  fs::file_time_type tokens_at;
  for (const std::string& file : left) {
    Running run = box_.Start(Make("out.gguf"));
    ASSERT_TRUE(Appears(box_, file, run)) << file << run.Wait().err;
    run.Signal(SIGINT);
    const ProgramEnd end = run.Wait();
    ASSERT_EQ(end.exit_code, 130) << file << ": " << end.err;
    EXPECT_FALSE(box_.Exists("out.gguf")) << file;
    ASSERT_TRUE(box_.Exists(file)) << "a finished stage is kept";
    EXPECT_NE(end.err.find("out.gguf.trimma-work"), std::string::npos)
        << "the user is told what is left: " << end.err;
    if (file == left[0]) tokens_at = WrittenAt("tokens.json");
    EXPECT_EQ(WrittenAt("tokens.json"), tokens_at) << "a finished stage is not done again";
  }
  const ProgramEnd end = box_.Run(Make("out.gguf"));
  ASSERT_EQ(end.exit_code, 0) << end.err;
  EXPECT_TRUE(box_.Read("out.gguf") == box_.Read("whole.gguf")) << "not byte-identical";
  EXPECT_FALSE(box_.Exists("out.gguf.trimma-work"));
}

TEST_F(Stages, TextThatTheModelHasWrittenIsKeptAcrossAnInterrupt) {
  std::vector<std::string> make = {"quantize", "source.gguf", "-o",   "out.gguf", "--type",
                                   "Q4_K_M",   "--mode",      "full", "--memory", "64MiB",
                                   "--json",   "--generate",  "0.5",  "--recipe", "r.json"};
  Running run = box_.Start(make);
  ASSERT_TRUE(Appears(box_, "out.gguf.trimma-work/tokens.json", run));
  const std::string tokens = box_.Read("out.gguf.trimma-work/tokens.json");
  run.Signal(SIGTERM);
  ASSERT_EQ(run.Wait().exit_code, 143);
  Running again = box_.Start(make);
  ASSERT_TRUE(Appears(box_, "out.gguf.trimma-work/moments.gguf", again));
  EXPECT_TRUE(box_.Read("out.gguf.trimma-work/tokens.json") == tokens);
  const ProgramEnd end = again.Wait();
  ASSERT_EQ(end.exit_code, 0) << end.err;
  EXPECT_EQ(end.document()["calibration"]["file_chunks"], 0);
}

TEST_F(Stages, AChangedTextStartsAnew) {
  Running run = box_.Start(Make("out.gguf"));
  ASSERT_TRUE(Appears(box_, "out.gguf.trimma-work/moments.gguf", run));
  run.Signal(SIGINT);
  ASSERT_EQ(run.Wait().exit_code, 130);
  box_.Write("text.txt", SomeText(1400) + "and an end of its own");
  ASSERT_EQ(box_.Run(Make("out.gguf")).exit_code, 0);
  ASSERT_EQ(box_.Run(Make("fresh.gguf")).exit_code, 0);
  EXPECT_TRUE(box_.Read("out.gguf") == box_.Read("fresh.gguf"));
}

}  // namespace
}  // namespace trimma::quantize_stages_test
