// Facts from a made-up root, and from made-up Ollamas.
#include "doctor/gather.h"

#include <cpp-httplib/httplib.h>
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <thread>

#include "doctor/nvidia_smi.h"
#include "doctor/rules.h"
#include "doctor/variables.h"
#include "gguf/raw_gguf.h"
#include "models/test_stores.h"

namespace trimma::gather_test {
namespace {

namespace fs = std::filesystem;

std::string SmallModel(const std::string& name) {
  return RawGguf(1, 4)
      .Entry("general.architecture", "llama")
      .Entry("general.name", name)
      .Entry("llama.block_count", 12)
      .Entry("llama.context_length", 8192)
      .Tensor("t", {32}, 0)
      .Data(128)
      .bytes();
}

class DoctorGatherTest : public testing::Test {
 protected:
  DoctorGatherTest() {
    around_.root = tree_ / "root";
    around_.home = tree_ / "root/home/u";
    around_.working_directory = tree_ / "root/www";
    around_.models = RootsIn(tree_);
    tree_.Write({{"root/proc/cpuinfo", "processor : 0\nflags : avx avx2\n"},
                 {"root/proc/meminfo",
                  "MemTotal: 16000000 kB\nMemAvailable: 9000000 kB\nSwapTotal: 0 kB\n"},
                 {"root/proc/net/tcp", "  sl  local_address\n"},
                 {"root/sys/devices/system/cpu/online", "0\n"},
                 {"root/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", "performance\n"},
                 {"root/sys/devices/system/cpu/cpu0/cpufreq/scaling_driver", "acpi-cpufreq\n"}});
  }

  void WriteProcess(int pid, const std::string& command, const std::string& environment) const {
    const std::string folder = fmt::format("root/proc/{}/", pid);
    tree_.Write(folder + "cmdline", command);
    tree_.Write(folder + "environ", environment);
    tree_.Write(folder + "status", "Name: ollama\nVmSwap:    2048 kB\n");
    tree_.Write(folder + "cgroup", "0::/system.slice/ollama.service\n");
    tree_.Link(folder + "exe", "/usr/local/bin/ollama");
  }

  // "where name=value" of every variable, a line each.
  static std::string Variables(const DoctorFacts& facts) {
    std::string text;
    for (const Variable& v : facts.variables)
      text +=
          fmt::format("{} {}={}{}\n", v.where, v.name, v.value, v.serves_ollama ? " ollama" : "");
    return text;
  }

  TempTree tree_;
  Surroundings around_;
};

using std::string_literals::operator""s;

TEST_F(DoctorGatherTest, FindsVariablesWhereverTheyStand) {
  around_.environment = {{"OLLAMA_NUM_GPU", "1", 0, "", false, "", 0},
                         {"PATH", "/bin", 0, "", false, "", 0}};
  tree_.Write(
      {{"root/home/u/.bashrc", "\nexport OLLAMA_NUM_CTX=1\n"},
       {"root/home/u/.config/fish/conf.d/a.fish", "set -gx OLLAMA_NUM_THREAD 2\n"},
       {"root/etc/environment", "OLLAMA_GPU_LAYERS=3\n"},
       {"root/etc/profile.d/o.sh", "export OLLAMA_NUM_BATCH=4\n"},
       {"root/etc/systemd/system/ollama.service",
        "[Service]\nExecStart=/usr/bin/ollama serve\nEnvironment=OLLAMA_HOST=5\n"
        "EnvironmentFile=-/etc/ollama.env\n"},
       {"root/etc/ollama.env", "OLLAMA_KEEP_ALIVE=6\n"},
       {"root/etc/systemd/system/ollama.service.d/a.conf",
        "[Service]\nEnvironment=OLLAMA_DEBUG=7\n"},
       {"root/etc/systemd/system/other.service",
        "[Service]\nExecStart=/bin/x\n"
        "Environment=OLLAMA_NUM_GPU=9\n"},
       {"root/www/compose.yml",
        "services:\n  o:\n    image: ollama/ollama\n    environment:\n      OLLAMA_ORIGINS: a\n"
        "    ports:\n      - 11434:11434\n    env_file:\n      - o.env\n"},
       {"root/www/o.env", "OLLAMA_VULKAN=1\n"}});
  const DoctorFacts facts = GatherFacts(around_);
  EXPECT_EQ(Variables(facts),
            "this shell OLLAMA_NUM_GPU=1\n"
            "~/.bashrc:2 OLLAMA_NUM_CTX=1\n"
            "~/.config/fish/conf.d/a.fish:1 OLLAMA_NUM_THREAD=2\n"
            "/etc/environment:1 OLLAMA_GPU_LAYERS=3\n"
            "/etc/profile.d/o.sh:1 OLLAMA_NUM_BATCH=4\n"
            "/etc/systemd/system/ollama.service:3 OLLAMA_HOST=5 ollama\n"
            "/etc/systemd/system/ollama.service.d/a.conf:2 OLLAMA_DEBUG=7 ollama\n"
            "/etc/ollama.env:1 OLLAMA_KEEP_ALIVE=6 ollama\n"
            "/www/compose.yml:5 OLLAMA_ORIGINS=a ollama\n"
            "/www/o.env:1 OLLAMA_VULKAN=1 ollama\n");
  ASSERT_EQ(facts.published.size(), 1U);
  EXPECT_EQ(facts.published[0].where, "/www/compose.yml:7");
  EXPECT_EQ(facts.unread, std::vector<std::string>{});
}

TEST_F(DoctorGatherTest, ADropInForgetsWhatCameBefore) {
  tree_.Write({{"root/usr/lib/systemd/system/ollama.service",
                "[Service]\nExecStart=ollama serve\nEnvironment=OLLAMA_DEBUG=1\n"},
               {"root/etc/systemd/system/ollama.service.d/b.conf",
                "[Service]\nEnvironment=\nEnvironment=OLLAMA_DEBUG=2\n"}});
  EXPECT_EQ(Variables(GatherFacts(around_)),
            "/etc/systemd/system/ollama.service.d/b.conf:3 OLLAMA_DEBUG=2 ollama\n");
}

TEST_F(DoctorGatherTest, WhatCanNotBeReadIsUnknownAndSaid) {
  fs::create_directories(tree_ / "root/home/u/.bashrc");  // not a file
  const DoctorFacts facts = GatherFacts(around_);
  ASSERT_EQ(facts.unread.size(), 1U);
  EXPECT_NE(facts.unread[0].find(".bashrc"), std::string::npos);
  const Diagnosis diagnosis = Diagnose(facts);
  EXPECT_TRUE(std::any_of(diagnosis.unknown.begin(), diagnosis.unknown.end(), [](const Unknown& u) {
    return u.id == "dead-variable" && u.why.find(".bashrc") != std::string::npos;
  }));
}

TEST_F(DoctorGatherTest, SeesARunningServerAndWhoMayReachIt) {
  WriteProcess(812, "/usr/local/bin/ollama\0serve\0"s,
               "PATH=/bin\0OLLAMA_HOST=0.0.0.0:9999\0OLLAMA_KV_CACHE_TYPE=q8_0\0"s);
  WriteProcess(900, "/usr/bin/other\0serve\0"s, "OLLAMA_NUM_GPU=1\0"s);
  tree_.Write({{"root/usr/local/lib/ollama/libggml-cpu-sse42.so", ""},
               {"root/usr/local/lib/ollama/libggml-base.so", ""},
               // 0.0.0.0:9999 listens; 127.0.0.1:9999, another port and another state don't count.
               {"root/proc/net/tcp",
                "sl local rem st\n 0: 00000000:270F 00000000:0000 0A\n 1: 0100007F:270F 0 0A\n"
                " 2: 00000000:0050 00000000:0000 0A\n 3: 00000000:270F 00000000:0000 01\n"}});
  fs::create_directories(tree_ / "root/usr/local/bin");
  around_.ollama = std::nullopt;
  const DoctorFacts facts = GatherFacts(around_);
  ASSERT_TRUE(facts.servers && facts.servers->size() == 1);
  const ServerProcess& server = facts.servers->front();
  EXPECT_EQ(server.pid, 812);
  EXPECT_EQ(server.unit, "ollama.service");
  EXPECT_EQ(server.environment->at("OLLAMA_KV_CACHE_TYPE"), "q8_0");
  EXPECT_EQ(server.swapped_bytes, 2048U << 10);
  EXPECT_EQ(server.cpu_libraries, std::vector<std::string>{"sse42"});
  ASSERT_TRUE(facts.listeners && facts.listeners->size() == 1);
  EXPECT_EQ(facts.listeners->front().address, "0.0.0.0");
  EXPECT_EQ(facts.listeners->front().port, 9999);
}

TEST_F(DoctorGatherTest, AServerThatHidesItsPortIsUnknownNotClosed) {
  WriteProcess(812, "ollama\0serve\0"s, "");
  fs::remove(tree_ / "root/proc/812/environ");
  EXPECT_FALSE(GatherFacts(around_).listeners);
  tree_.Write("root/proc/net/tcp", " 0: 0100007F:2CAA 0 0A\n");  // 127.0.0.1:11434, its default
  const DoctorFacts closed = GatherFacts(around_);
  EXPECT_TRUE(closed.listeners && closed.listeners->empty());
  tree_.Write("root/proc/net/tcp6", " 0: 00000000000000000000000000000000:2CAA 0 0A\n");
  const DoctorFacts open = GatherFacts(around_);
  ASSERT_TRUE(open.listeners && open.listeners->size() == 1);
  EXPECT_EQ(open.listeners->front().address, "::");
  tree_.Write("root/proc/net/tcp6", " 0: 0000000000000000FFFF00000100007F:2CAA 0 0A\n");
  EXPECT_TRUE(GatherFacts(around_).listeners->empty());
}

TEST_F(DoctorGatherTest, ReadsModelsWithTheirParametersFromTheStore) {
  const std::string digest(64, 'a');
  tree_.Write("ollama/blobs/sha256-" + digest, SmallModel("one"));
  tree_.Write("ollama/blobs/sha256-" + std::string(64, 'b'), R"({"num_gpu":1,"stop":["x"]})");
  WriteManifest(tree_, "registry.ollama.ai/library/m/latest",
                Manifest(Layer("model", Digest('a')) + "," + Layer("params", Digest('b'))));
  tree_.Write("lms/pub/m/m.gguf", SmallModel("one"));
  const DoctorFacts facts = GatherFacts(around_);
  ASSERT_TRUE(facts.models);
  ASSERT_EQ(facts.models->size(), 2U);
  const DoctorModel& stored = facts.models->at(1);
  EXPECT_EQ(stored.name, "ollama:m:latest");
  EXPECT_EQ(stored.layers, 12U);
  EXPECT_EQ(stored.trained_context, 8192U);
  EXPECT_EQ(stored.sha256, digest);
  ASSERT_TRUE(stored.parameters);
  EXPECT_EQ(stored.parameters->at("num_gpu"), "1");
  // The same bytes under another name, and as a hard link.
  const auto duplicates = [&] {
    const Diagnosis diagnosis = Diagnose(GatherFacts(around_));
    return std::count_if(diagnosis.findings.begin(), diagnosis.findings.end(),
                         [](const Finding& f) { return f.id == "duplicate-models"; });
  };
  EXPECT_EQ(duplicates(), 1);
  fs::remove(tree_ / "lms/pub/m/m.gguf");
  fs::create_hard_link(tree_ / ("ollama/blobs/sha256-" + digest), tree_ / "lms/pub/m/m.gguf");
  EXPECT_EQ(duplicates(), 0);
}

TEST_F(DoctorGatherTest, ASoundMachineHasNoFinding) {
  tree_.Write({{"root/home/u/.bashrc", "# nothing\nexport PATH\n"},
               {"root/home/u/.profile", ". ~/.bashrc\n"},
               {"root/etc/environment", "PATH=/bin\n"}});
  const Diagnosis diagnosis = Diagnose(GatherFacts(around_));
  for (const Finding& f : diagnosis.findings) ADD_FAILURE() << f.id << ": " << f.what;
  for (const Unknown& u : diagnosis.unknown) ADD_FAILURE() << u.id << ": " << u.why;
}

TEST_F(DoctorGatherTest, SeesPowerCardsAndDriver) {
  const std::string cpu = "root/sys/devices/system/cpu/cpu0/cpufreq/";
  tree_.Write({{cpu + "scaling_max_freq", "1000000\n"},
               {cpu + "cpuinfo_max_freq", "4000000\n"},
               {"root/sys/firmware/acpi/platform_profile", "low-power\n"},
               {"root/sys/class/drm/renderD128/device/vendor", "0x10de\n"},
               {"root/sys/class/drm/renderD129/device/vendor", "0x1002\n"},
               {"root/sys/class/drm/renderD129/device/mem_info_vram_total", "536870912\n"},
               {"root/proc/driver/nvidia/version",
                "NVRM version: NVIDIA UNIX x86_64 Kernel Module  470.256.02  Thu May\nGCC 12.2\n"},
               {"root/proc/pressure/memory", "some avg10=0.00 avg60=31.50 avg300=0 total=0\n"}});
  const DoctorFacts facts = GatherFacts(around_);
  EXPECT_EQ(facts.power->allowed_khz, 1000000U);
  EXPECT_EQ(facts.power->profile, "low-power");
  EXPECT_EQ(*facts.nvidia_driver, "470.256.02");
  ASSERT_EQ(facts.cards->size(), 2U);
  EXPECT_EQ(std::count_if(facts.cards->begin(), facts.cards->end(),
                          [](const CardFacts& c) { return c.integrated; }),
            1);
  EXPECT_DOUBLE_EQ(facts.swap->stalled_percent, 31.5);
  EXPECT_FALSE(facts.gpus);  // there are cards, and nobody asked them
}

// A server on a free port that Surroundings points to.
class AskTest : public DoctorGatherTest {
 protected:
  void Answer(const std::string& path, const std::string& text) {
    const auto handler = [text](const httplib::Request&, httplib::Response& response) {
      response.set_content(text, "application/json");
    };
    server_.Get(path, handler);
    server_.Post(path, handler);
  }
  DoctorFacts Gather() {
    const int port = server_.bind_to_any_port("127.0.0.1");
    std::thread thread([this] { server_.listen_after_bind(); });
    server_.wait_until_ready();
    around_.ollama = OllamaAddress{"127.0.0.1", port};
    around_.timeout_s = 5;
    DoctorFacts facts = GatherFacts(around_);
    server_.stop();
    thread.join();
    return facts;
  }
  httplib::Server server_;
};

TEST_F(AskTest, AsksOllamaForWhatNoFileSays) {
  Answer("/api/version", R"({"version":"0.17.4"})");
  Answer("/api/ps",
         R"({"models":[{"name":"m:latest","size":100,"size_vram":40,"context_length":4096}]})");
  Answer("/api/tags", R"({"models":[{"name":"m:latest"}]})");
  Answer("/api/show", R"({"details":{},"parameters":"num_gpu    1\nstop    \"a b\"","model_info":
      {"general.architecture":"llama","llama.block_count":32,"llama.context_length":8192}})");
  const DoctorFacts facts = Gather();
  ASSERT_TRUE(facts.ollama && facts.ollama->loaded);
  EXPECT_EQ(facts.ollama->version, "0.17.4");
  EXPECT_EQ(facts.ollama->loaded->front().gpu_bytes, 40U);
  EXPECT_EQ(facts.ollama->loaded->front().context, 4096U);
  ASSERT_TRUE(facts.models && facts.models->size() == 1);
  EXPECT_EQ(facts.models->front().layers, 32U);
  EXPECT_EQ(facts.models->front().parameters->at("num_gpu"), "1");
}

TEST_F(AskTest, NonsenseIsUnknownNotSound) {
  Answer("/api/version", R"({"version":"0.35.1"})");
  Answer("/api/ps", R"({"models":[{"name":5}]})");
  Answer("/api/tags", "[]");
  const DoctorFacts facts = Gather();
  ASSERT_TRUE(facts.ollama);
  EXPECT_FALSE(facts.ollama->loaded);
  EXPECT_EQ(facts.model_notes.size(), 1U);
  const Diagnosis diagnosis = Diagnose(facts);
  EXPECT_TRUE(std::any_of(diagnosis.unknown.begin(), diagnosis.unknown.end(),
                          [](const Unknown& u) { return u.id == "half-on-cpu"; }));
}

TEST_F(AskTest, AModelLargerOnTheCardsThanItIsIsUnknown) {
  Answer("/api/version", R"({"version":"0.17.4"})");
  Answer("/api/ps", R"({"models":[{"name":"m:latest","size":10,"size_vram":40}]})");
  Answer("/api/tags", R"({"models":null})");
  const DoctorFacts facts = Gather();
  ASSERT_TRUE(facts.ollama);
  EXPECT_FALSE(facts.ollama->loaded);
  EXPECT_NE(facts.ollama->loaded.why().find("m:latest takes 10 bytes"), std::string::npos);
}

TEST_F(AskTest, WhatIsNoOllamaIsNoneAndSaysSo) {
  Answer("/api/version", "<html>");
  const DoctorFacts facts = Gather();
  EXPECT_FALSE(facts.ollama);
  EXPECT_NE(facts.ollama.why().find("is no Ollama"), std::string::npos);
}

TEST_F(DoctorGatherTest, NobodyAnswers) {
  around_.ollama = OllamaAddress{"127.0.0.1", 1};
  const DoctorFacts facts = GatherFacts(around_);
  EXPECT_FALSE(facts.ollama);
  EXPECT_EQ(facts.ollama.why(), "no Ollama answers at 127.0.0.1:1");
}

TEST(NvidiaSmiTest, ReadsItsAnswerAndNoOther) {
  const auto gpus = ParseNvidiaSmi("NVIDIA GeForce RTX 2060, 6144, 5800\nTesla T4, 15360, 15000\n");
  ASSERT_TRUE(gpus && gpus->size() == 2);
  EXPECT_EQ(gpus->front().name, "NVIDIA GeForce RTX 2060");
  EXPECT_EQ(gpus->front().free_bytes, 5800ULL << 20);
  for (const char* text : {"", "a, b, c", "x, 1, 2", "x, [N/A], [N/A]", "No devices were found"})
    EXPECT_FALSE(ParseNvidiaSmi(text)) << text;
}

TEST(ReachTest, WithNoServerRunningOneOwnerIsHeard) {
  DoctorFacts facts;
  facts.servers = std::vector<ServerProcess>{};
  const auto put = [&](Place place, const char* owner, const char* name, const char* value) {
    Variable variable;
    variable.name = name;
    variable.value = value;
    variable.place = place;
    variable.owner = owner;
    variable.serves_ollama = true;
    facts.variables.push_back(variable);
  };
  put(Place::kCompose, "o", "OLLAMA_X", "compose");
  EXPECT_EQ((*ServerSetting(facts, "OLLAMA_X"))->value, "compose");
  put(Place::kUnit, "ollama.service", "OLLAMA_X", "unit");
  put(Place::kUnit, "ollama.service", "OLLAMA_X", "drop-in");
  put(Place::kUnit, "other.service", "OLLAMA_X", "other");
  put(Place::kCompose, "o", "OLLAMA_Y", "compose");
  EXPECT_EQ((*ServerSetting(facts, "OLLAMA_X"))->value, "drop-in");
  EXPECT_FALSE(ServerSetting(facts, "OLLAMA_Y")) << "another owner's";
}

TEST(ReachTest, AVariableGetsAsFarAsItsPlaceReaches) {
  DoctorFacts facts;
  facts.servers = std::vector<ServerProcess>{};
  Variable profile;
  profile.name = "OLLAMA_X";
  profile.value = "1";
  profile.place = Place::kProfile;
  EXPECT_EQ(ReachOf(facts, profile), Reach::kIfStartedThere);
  ServerProcess server;
  server.program = "ollama";
  server.environment = std::map<std::string, std::string>{{"OLLAMA_X", "1"}};
  facts.servers->push_back(server);
  EXPECT_EQ(ReachOf(facts, profile), Reach::kRunning);
  facts.servers->front().unit = "ollama.service";
  EXPECT_EQ(ReachOf(facts, profile), Reach::kNone);
  Variable unit = profile;
  unit.place = Place::kUnit;
  unit.serves_ollama = true;
  EXPECT_EQ(ReachOf(facts, unit), Reach::kRunning);
  unit.value = "2";
  EXPECT_EQ(ReachOf(facts, unit), Reach::kNextStart);
  // Of several servers the one that was asked counts.
  ServerProcess other = server;
  other.environment = std::map<std::string, std::string>{{"OLLAMA_HOST", "127.0.0.1:9"}};
  facts.servers->push_back(other);
  OllamaFacts asked;
  asked.host = "127.0.0.1:9";
  facts.ollama = asked;
  EXPECT_FALSE(ServerSetting(facts, "OLLAMA_X")->has_value());
  asked.host = "127.0.0.1:11434";
  facts.ollama = asked;
  EXPECT_EQ((*ServerSetting(facts, "OLLAMA_X"))->value, "1");
  facts.servers = Fact<std::vector<ServerProcess>>::Unknown("denied");
  EXPECT_EQ(ReachOf(facts, profile), Reach::kUnknown);
}

}  // namespace
}  // namespace trimma::gather_test
