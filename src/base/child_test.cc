// Children that misbehave in every way are made here: this program, started by RunChild as
// "__child selftest-...", serves those jobs before main (which knows only the real ones).
#include "base/child.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iostream>
#include <iterator>
#include <new>
#include <stdexcept>
#include <string>
#include <vector>

#include "base/interrupt.h"

namespace trimma::child_test {
namespace {

constexpr int kAnswerFd = 3;

void Say(const std::string& text) {
  size_t said = 0;
  while (said < text.size()) {
    const ssize_t n = write(kAnswerFd, text.data() + said, text.size() - said);
    if (n <= 0) return;
    said += static_cast<size_t>(n);
  }
}

void NoCoreFile() {
  const rlimit none = {0, 0};
  setrlimit(RLIMIT_CORE, &none);
}

// By the default handler: a sanitizer's own would turn the signal into an exit status.
[[noreturn]] void DieOf(int signal) {
  NoCoreFile();
  std::signal(signal, SIG_DFL);
  std::raise(signal);
  _exit(1);
}

// Jobs that answer by the rules.
Result<Json> Behave(const std::string& how, const Json& request, const Emit& emit) {
  if (how == "echo") return request;
  if (how == "count") {
    for (int i = 0; i < request.get<int>(); ++i) emit({{"i", i}});
    return Json("counted");
  }
  if (how == "fail") return Error{Code::kNoFit, "too large\x1b[1m", "take less"};
  if (how == "throw") throw std::runtime_error("a library threw");
  if (how == "exhaust") throw std::bad_alloc();
  if (how == "slow") {
    for (int i = 0; i < 100; ++i) {
      emit({{"i", i}});
      usleep(20'000);
    }
    return Json();
  }
  if (how == "patient") {  // stops when it is asked to
    while (CheckInterrupted().ok()) usleep(10'000);
    return CheckInterrupted().error();
  }
  return Error{Code::kInternal, "no such selftest: " + how, ""};
}

// Jobs that don't.
void Misbehave(const std::string& how) {
  if (how == "segfault") DieOf(SIGSEGV);
  if (how == "kill") DieOf(SIGKILL);
  if (how == "assert") {
    std::cerr << "loading\nggml.c:42: GGML_ASSERT(n > 0) failed\n[New LWP 7]\n#0 somewhere\n";
    std::cerr.flush();
    DieOf(SIGABRT);
  }
  if (how == "card") {
    std::cerr << "ggml-cuda.cu:108: CUDA error: CUDA error: out of memory\n";
    std::cerr.flush();
    DieOf(SIGABRT);
  }
  if (how == "silent") _exit(9);
  if (how == "hang") {
    while (true) pause();
  }
  if (how == "hog") {
    std::vector<char*> hoard;
    while (true) {
      hoard.push_back(new char[1 << 20]);
      std::memset(hoard.back(), 1, 1 << 20);
      usleep(500);
    }
  }
  if (how == "chatter") {
    const std::string line(1000, 'x');
    for (int i = 0; i < 20'000; ++i) std::cerr << line << "\n";
    Say("{\"result\": \"done\"}\n");
    _exit(0);
  }
  if (how == "flood") {
    std::string events;
    for (int i = 0; i < 100'000; ++i) events += "{\"event\": {\"i\": " + std::to_string(i) + "}}\n";
    Say(events);
    Say("{\"result\": \"done\"}\n");
    _exit(0);
  }
  if (how == "endless") {  // one line without an end
    const std::string piece(1 << 16, 'x');
    for (int i = 0; i < 16 * 1024; ++i) Say(piece);
    _exit(0);
  }
  if (how == "garbage") {
    Say("not json\n\n[]\n5\n{}\n{\"event\": {\"n\": 1}}\n{\"event\": 5}\n{\"half\": "
        "\n\xFF\xFE\n{\"result\": \"fine\"}\n");
    _exit(0);
  }
  if (how == "wrongtypes") {
    Say("{\"error\": 5}\n");
    _exit(0);
  }
  if (how == "wrongfields") {
    Say("{\"error\": {\"code\": 7, \"what\": [], \"hint\": null}}\n");
    _exit(0);
  }
  if (how == "unfinished") {
    Say("{\"result\": \"no line feed\"}");
    _exit(0);
  }
  if (how == "afterthought") {
    Say("{\"result\": \"done\"}\n");
    DieOf(SIGSEGV);
  }
}

// Serves this process's selftest, if it was started for one, and ends it.
bool ServeSelftest() {
  std::ifstream in("/proc/self/cmdline", std::ios::binary);
  const std::string line((std::istreambuf_iterator<char>(in)), {});
  const std::string mark =
      std::string(1, '\0') + kChildArgument + std::string(1, '\0') + "selftest-";
  const size_t at = line.find(mark);
  if (at == std::string::npos) return false;
  const std::string how(line.c_str() + at + mark.size());
  InstallInterruptHandlers();
  Misbehave(how);
  _exit(ServeChild(
      [&](const Json& request, const Emit& emit) { return Behave(how, request, emit); }));
}

const bool kServed = ServeSelftest();

class ChildTest : public testing::Test {
 protected:
  ChildTest() { EXPECT_FALSE(kServed); }

  static Result<Json> Run(const std::string& how, const Json& request = Json(),
                          const ChildLimits& limits = {}) {
    return RunChild("selftest-" + how, request, {}, limits);
  }
  static Error FailureOf(const std::string& how, const ChildLimits& limits = {}) {
    const Result<Json> result = Run(how, Json(), limits);
    EXPECT_FALSE(result.ok()) << *result;
    return result.ok() ? Error{} : result.error();
  }
  double Seconds() const {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
  }

 private:
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

TEST_F(ChildTest, WaitsForItsRequestAndAnswersIt) {
  auto child = Child::Start("selftest-echo");
  ASSERT_TRUE(child.ok()) << child.error().what;
  const Result<Json> answer = std::move(*child).Ask("late");
  ASSERT_TRUE(answer.ok()) << answer.error().what;
  EXPECT_EQ(*answer, "late");
}

TEST_F(ChildTest, EndsWithItsOwnerWhenItWasNeverAsked) {
  {
    const auto child = Child::Start("selftest-echo");
    ASSERT_TRUE(child.ok()) << child.error().what;
    EXPECT_EQ(waitpid(-1, nullptr, WNOHANG), 0) << "it waits";
  }
  EXPECT_EQ(waitpid(-1, nullptr, WNOHANG), -1) << "no child is left";
}

TEST_F(ChildTest, AnswersWithWhatTheJobReturns) {
  const Json request = {{"path", "räksmörgås"}, {"numbers", {1, 2.5, -3}}, {"nothing", nullptr}};
  const Result<Json> result = Run("echo", request);
  ASSERT_TRUE(result.ok()) << result.error().what;
  EXPECT_EQ(*result, request);
}

TEST_F(ChildTest, ARequestMayBeLargerThanAPipe) {
  const Json request = std::string(3 << 20, 'x');
  const Result<Json> result = Run("echo", request);
  ASSERT_TRUE(result.ok()) << result.error().what;
  EXPECT_EQ(*result, request);
}

TEST_F(ChildTest, BytesThatAreNoTextAreReplacedNotThrown) {
  const Result<Json> result = Run("echo", "a\xFF");
  ASSERT_TRUE(result.ok());
  EXPECT_EQ(*result, "a\uFFFD");
}

TEST_F(ChildTest, EventsComeInOrder) {
  std::vector<int> seen;
  const Result<Json> result =
      RunChild("selftest-count", 1000, [&](const Json& event) { seen.push_back(event.at("i")); });
  ASSERT_TRUE(result.ok()) << result.error().what;
  EXPECT_EQ(*result, "counted");
  ASSERT_EQ(seen.size(), 1000U);
  for (int i = 0; i < 1000; ++i) EXPECT_EQ(seen[static_cast<size_t>(i)], i);
}

TEST_F(ChildTest, AnErrorArrivesWholeAndCleaned) {
  const Error error = FailureOf("fail");
  EXPECT_EQ(error.code, Code::kNoFit);
  EXPECT_EQ(error.what, "too large?[1m");
  EXPECT_EQ(error.hint, "take less");
}

TEST_F(ChildTest, AnExceptionIsAnError) {
  EXPECT_EQ(FailureOf("throw").code, Code::kInternal);
  EXPECT_NE(FailureOf("throw").what.find("a library threw"), std::string::npos);
  EXPECT_EQ(FailureOf("exhaust").code, Code::kNoFit);
}

TEST_F(ChildTest, ACrashNamesTheSignal) {
  const Error error = FailureOf("segfault");
  EXPECT_EQ(error.code, Code::kInternal);
  EXPECT_NE(error.what.find("Segmentation fault"), std::string::npos) << error.what;
}

TEST_F(ChildTest, AnAssertionOfTheEngineIsQuoted) {
  const Error error = FailureOf("assert");
  EXPECT_EQ(error.code, Code::kInternal);
  EXPECT_NE(error.what.find("GGML_ASSERT(n > 0) failed"), std::string::npos) << error.what;
  EXPECT_EQ(error.what.find("LWP"), std::string::npos) << error.what;
}

TEST_F(ChildTest, ACardThatIsFullDoesNotFit) {
  const Error error = FailureOf("card");
  EXPECT_EQ(error.code, Code::kNoFit);
  EXPECT_NE(error.what.find("ran out of memory"), std::string::npos) << error.what;
}

TEST_F(ChildTest, AKilledChildLackedMemory) { EXPECT_EQ(FailureOf("kill").code, Code::kNoFit); }

TEST_F(ChildTest, AnEndWithoutAnAnswerIsInternal) {
  const Error error = FailureOf("silent");
  EXPECT_EQ(error.code, Code::kInternal);
  EXPECT_NE(error.what.find("status 9"), std::string::npos) << error.what;
  EXPECT_EQ(FailureOf("unfinished").code, Code::kInternal);
}

TEST_F(ChildTest, ACrashAfterTheAnswerDoesNotTakeItBack) {
  const Result<Json> result = Run("afterthought");
  ASSERT_TRUE(result.ok());
  EXPECT_EQ(*result, "done");
}

TEST_F(ChildTest, AHangEndsAfterTheSilenceThatIsAllowed) {
  ChildLimits limits;
  limits.stall_seconds = 0.3;
  const Error error = FailureOf("hang", limits);
  EXPECT_EQ(error.code, Code::kFailure);
  EXPECT_NE(error.what.find("said nothing for 300 ms"), std::string::npos) << error.what;
  EXPECT_LT(Seconds(), 5);
}

TEST_F(ChildTest, WhoSpeaksIsNotHanging) {
  ChildLimits limits;
  limits.stall_seconds = 1;
  EXPECT_TRUE(Run("slow", Json(), limits).ok());
  EXPECT_GT(Seconds(), 1.5);
}

TEST_F(ChildTest, TheTimeLimitCountsThoughItSpeaks) {
  ChildLimits limits;
  limits.timeout_seconds = 0.3;
  const Error error = FailureOf("slow", limits);
  EXPECT_EQ(error.code, Code::kFailure);
  EXPECT_NE(error.what.find("took more than 300 ms"), std::string::npos) << error.what;
}

TEST_F(ChildTest, MoreMemoryThanAllowedDoesNotFit) {
  ChildLimits limits;
  limits.max_memory_bytes = 100 << 20;
  limits.timeout_seconds = 30;
  const Error error = FailureOf("hog", limits);
  EXPECT_EQ(error.code, Code::kNoFit);
  EXPECT_NE(error.what.find("needed more than 100 MiB"), std::string::npos) << error.what;
}

TEST_F(ChildTest, AFloodOnStandardErrorIsReadAndForgotten) {
  const Result<Json> result = Run("chatter");
  ASSERT_TRUE(result.ok()) << result.error().what;
}

TEST_F(ChildTest, AFloodOfEventsArrivesWhole) {
  int64_t sum = 0;
  const Result<Json> result = RunChild(
      "selftest-flood", Json(), [&](const Json& event) { sum += event.at("i").get<int64_t>(); });
  ASSERT_TRUE(result.ok()) << result.error().what;
  EXPECT_EQ(sum, int64_t{100'000} * 99'999 / 2);
}

TEST_F(ChildTest, ALineWithoutAnEndIsNoReasonToFillTheMemory) {
  ChildLimits limits;
  limits.timeout_seconds = 8;  // should never be needed
  EXPECT_EQ(FailureOf("endless", limits).code, Code::kInternal);
}

TEST_F(ChildTest, LinesThatAreNoMessagesAreSkipped) {
  std::vector<Json> events;
  const Result<Json> result =
      RunChild("selftest-garbage", Json(), [&](const Json& event) { events.push_back(event); });
  ASSERT_TRUE(result.ok()) << result.error().what;
  EXPECT_EQ(*result, "fine");
  EXPECT_EQ(events, std::vector<Json>{Json({{"n", 1}})});
}

TEST_F(ChildTest, AnErrorOfAnotherShapeIsStillAnError) {
  EXPECT_NO_THROW(EXPECT_FALSE(Run("wrongtypes").ok()));
  EXPECT_NO_THROW(EXPECT_FALSE(Run("wrongfields").ok()));
}

TEST_F(ChildTest, ErrorsSurviveTheRoundTrip) {
  const Error error = ErrorFromJson(ErrorToJson({Code::kGate, "what", "hint"}));
  EXPECT_EQ(error.code, Code::kGate);
  EXPECT_EQ(error.what, "what");
  EXPECT_EQ(error.hint, "hint");
  EXPECT_EQ(ErrorFromJson({{"code", "unheard-of"}}).code, Code::kFailure);
  EXPECT_EQ(ErrorFromJson(Json::object()).code, Code::kFailure);
}

[[noreturn]] void InterruptWhile(const std::string& how, int signal) {
  InstallInterruptHandlers();
  static int wanted;
  wanted = signal;
  struct sigaction action{};
  action.sa_handler = [](int) { std::raise(wanted); };
  sigaction(SIGALRM, &action, nullptr);
  alarm(1);
  const Result<Json> result = RunChild("selftest-" + how, Json());
  _exit(result.ok() ? 0 : static_cast<int>(result.error().code));
}

TEST_F(ChildTest, AnInterruptStopsTheChildFirst) {
  EXPECT_EXIT(InterruptWhile("patient", SIGINT), testing::ExitedWithCode(130), "");
  EXPECT_EXIT(InterruptWhile("patient", SIGTERM), testing::ExitedWithCode(143), "");
  EXPECT_LT(Seconds(), 9) << "a child that listens must not wait for SIGKILL";
}

}  // namespace
}  // namespace trimma::child_test
