#include "llama_server/process.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <fstream>
#include <functional>
#include <thread>

#include "hardware/temp_tree.h"

namespace trimma::process_test {
namespace {

int Ended(int status) { return status << 8; }

bool Within(double seconds, const std::function<bool()>& is_true) {
  const auto deadline =
      std::chrono::steady_clock::now() + std::chrono::milliseconds(int(seconds * 1000));
  while (!is_true()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  return true;
}

pid_t PidIn(const std::string& path) {
  pid_t pid = 0;
  std::ifstream(path) >> pid;
  return pid;
}
// A zombie has ended.
bool Lives(pid_t pid) {
  std::ifstream stat("/proc/" + std::to_string(pid) + "/stat");
  std::string number;
  std::string name;
  char state = 'X';
  stat >> number >> name >> state;
  return state != 'X' && state != 'Z';
}

TEST(WhyServerEndedTest, MemoryIsAResult) {
  for (const char* words :
       {"ggml_backend_cuda_buffer_type_alloc_buffer: allocating 9000.00 MiB on device 0: "
        "cudaMalloc failed: out of memory\nsrv load_model: failed to load model",
        "ggml_vulkan: Device memory allocation failed\nvk::Device::allocateMemory: "
        "ErrorOutOfDeviceMemory\n",
        "alloc_tensor_range: failed to allocate CPU buffer of size 9\n"}) {
    EXPECT_EQ(WhyServerEnded(Ended(1), words).code, Code::kNoFit) << words;
  }
  EXPECT_EQ(WhyServerEnded(SIGKILL, "loading\n").code, Code::kNoFit);
}

TEST(WhyServerEndedTest, NamesTheLineNearestToTheCause) {
  const Error error = WhyServerEnded(
      Ended(1),
      "0.00.010.546 I srv  llama_server: initializing ...\n"
      "0.00.072.349 E gguf_init_from_file: failed to open GGUF file '/n.gguf' (No such file)\n"
      "0.00.072.523 E srv    load_model: failed to load model, '/n.gguf'\n"
      "0.00.072.525 I srv    operator(): cleaning up before exit...\n");
  EXPECT_EQ(error.code, Code::kFailure);
  EXPECT_EQ(error.what,
            "llama-server ended with status 1: gguf_init_from_file: failed to open GGUF file "
            "'/n.gguf' (No such file)");
  EXPECT_EQ(WhyServerEnded(Ended(2), "").what, "llama-server ended with status 2");
  EXPECT_EQ(WhyServerEnded(SIGSEGV, "one\nlast \x1b[31mline\n").what,
            "llama-server died of Segmentation fault: last ?[31mline");
}

TEST(PortWasTakenTest, KnowsTheSentences) {
  EXPECT_TRUE(PortWasTaken("start: couldn't bind HTTP server socket, hostname: 127.0.0.1"));
  EXPECT_FALSE(PortWasTaken("failed to load model"));
}

TEST(TiedProcessTest, KeepsItsLastWords) {
  auto process =
      TiedProcess::Start({"/bin/sh", "-c", "echo first; echo 'error: the last' >&2; exit 3"});
  ASSERT_TRUE(process.ok());
  ASSERT_TRUE(Within(10, [&] { return !process->IsRunning(); }));
  EXPECT_EQ(process->LastWords(), "first\nerror: the last\n");
  EXPECT_EQ(process->WhyItEnded().what, "llama-server ended with status 3: error: the last");
}

TEST(TiedProcessTest, WhatCannotBeExecutedSaysSo) {
  auto process = TiedProcess::Start({"/no/such/program"});
  ASSERT_TRUE(process.ok());
  ASSERT_TRUE(Within(10, [&] { return !process->IsRunning(); }));
  EXPECT_NE(process->WhyItEnded().what.find("can't be executed"), std::string::npos);
}

TEST(TiedProcessTest, EndsWithTheObjectAndAllItStarted) {
  const TempTree tree;
  const std::string path = tree / "pid";
  pid_t pid = 0;
  {
    // It ignores the polite signal only by its child, which the group's end takes along.
    auto process = TiedProcess::Start(
        {"/bin/sh", "-c",
         "sleep 600 & echo $! > " + path + ".new; mv " + path + ".new " + path + "; wait"});
    ASSERT_TRUE(process.ok());
    ASSERT_TRUE(Within(10, [&] { return PidIn(path) > 0; }));
    pid = PidIn(path);
    EXPECT_TRUE(process->IsRunning());
    EXPECT_TRUE(Lives(pid));
  }
  EXPECT_TRUE(Within(5, [&] { return !Lives(pid); }));
}

TEST(TiedProcessTest, WhatItStartedEndsWithItsOwnEnd) {
  const TempTree tree;
  const std::string path = tree / "pid";
  auto process = TiedProcess::Start(
      {"/bin/sh", "-c", "sleep 600 & echo $! > " + path + ".new; mv " + path + ".new " + path});
  ASSERT_TRUE(process.ok());
  ASSERT_TRUE(Within(10, [&] { return !process->IsRunning(); }));
  const pid_t pid = PidIn(path);
  ASSERT_GT(pid, 0);
  EXPECT_TRUE(Within(5, [&] { return !Lives(pid); }));
}

TEST(TiedProcessTest, WhoeverWritesOnIsNotWaitedFor) {
  // In a session of its own it is out of the group; the closed pipe ends it.
  auto process = TiedProcess::Start(
      {"/bin/sh", "-c", "setsid sh -c 'while echo more; do :; done' & sleep 0.2"});
  ASSERT_TRUE(process.ok());
  EXPECT_TRUE(Within(10, [&] { return !process->IsRunning(); }));
  EXPECT_NE(process->LastWords().find("more"), std::string::npos);
}

TEST(TiedProcessTest, EndsWhenWeAreKilled) {
  const TempTree tree;
  const std::string path = tree / "pid";
  const pid_t us = fork();
  if (us == 0) {
    auto process = TiedProcess::Start(
        {"/bin/sh", "-c",
         "echo $$ > " + path + ".new; mv " + path + ".new " + path + "; exec sleep 600"});
    while (PidIn(path) == 0) usleep(1000);
    raise(SIGKILL);
  }
  ASSERT_EQ(waitpid(us, nullptr, 0), us);
  const pid_t server = PidIn(path);
  ASSERT_GT(server, 0);
  EXPECT_TRUE(Within(5, [&] { return !Lives(server); }));
}

TEST(TiedProcessTest, SettingsOfTheUsersAreNotHandedOn) {
  setenv("LLAMA_ARG_THREADS", "7", 1);
  setenv("LLAMA_CACHE", "/c", 1);
  auto process = TiedProcess::Start({"/bin/sh", "-c", "echo [$LLAMA_ARG_THREADS$LLAMA_CACHE]"});
  unsetenv("LLAMA_ARG_THREADS");
  unsetenv("LLAMA_CACHE");
  ASSERT_TRUE(process.ok());
  ASSERT_TRUE(Within(10, [&] { return !process->IsRunning(); }));
  EXPECT_EQ(process->LastWords(), "[/c]\n");
}

}  // namespace
}  // namespace trimma::process_test
