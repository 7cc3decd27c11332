#include "doctor/rules.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <set>

#include "base/file.h"
#include "base/units.h"
#include "doctor/test_facts.h"

namespace trimma::rules_test {
namespace {

using Change = std::function<void(DoctorFacts&)>;

// A fault, or its sound twin: the same surroundings without the fault.
struct Case {
  const char* rule;
  const char* name;
  Change change;
  enum class Expect { kFound, kSound, kUnknown } expect;
};
constexpr auto kFound = Case::Expect::kFound;
constexpr auto kSound = Case::Expect::kSound;
constexpr auto kUnknown = Case::Expect::kUnknown;

Change Put(Place place, const char* name, const char* value) {
  return [=](DoctorFacts& f) { f.variables.push_back(VariableAt(place, name, value)); };
}
// In the running server's environment.
Change Server(const char* name, const char* value) {
  return [=](DoctorFacts& f) {
    std::map<std::string, std::string> environment = *f.servers->front().environment;
    environment[name] = value;
    f.servers->front().environment = environment;
  };
}
Change Version(const char* version) {
  return [=](DoctorFacts& f) { f.ollama->version = version; };
}
Change Parameter(const char* name, const char* value) {
  return [=](DoctorFacts& f) {
    std::map<std::string, std::string> parameters = *f.models->front().parameters;
    parameters.erase(name);
    if (*value != '\0') parameters[name] = value;
    f.models->front().parameters = parameters;
  };
}
Change Loaded(uint64_t bytes, uint64_t vram, uint64_t free) {
  return [=](DoctorFacts& f) {
    f.ollama->loaded = std::vector<OllamaLoaded>{{"gemma3:4b", "", bytes, vram, 8192}};
    f.gpus->front().free_bytes = free;
  };
}
Change NoContext() {  // neither num_ctx nor the variable
  return [](DoctorFacts& f) {
    Parameter("num_ctx", "")(f);
    f.servers->front().environment = std::map<std::string, std::string>{};
    f.ollama->loaded = std::vector<OllamaLoaded>{};
  };
}
Change All(std::vector<Change> changes) {
  return [=](DoctorFacts& f) {
    for (const Change& change : changes) change(f);
  };
}
Change Remote() {
  return [](DoctorFacts& f) { f.ollama->is_local = false; };
}
template <typename Set>
Change With(Set set) {
  return [=](DoctorFacts& f) { set(f); };
}

std::vector<Case> VariableCases() {
  return {
      {"dead-variable", "in a profile", Put(Place::kProfile, "OLLAMA_NUM_GPU", "1"), kFound},
      {"dead-variable", "in a unit", Put(Place::kUnit, "OLLAMA_NUM_CTX", "8192"), kFound},
      {"dead-variable", "in a compose file", Put(Place::kCompose, "OLLAMA_GPU_LAYERS", "35"),
       kFound},
      {"dead-variable", "removed", Put(Place::kShell, "OLLAMA_NEW_ENGINE", "1"), kFound},
      {"dead-variable", "not yet removed",
       All({Put(Place::kShell, "OLLAMA_NEW_ENGINE", "1"), Version("0.17.4")}), kSound},
      {"dead-variable", "removed in some release between",
       All({Put(Place::kShell, "OLLAMA_NEW_ENGINE", "1"), Version("0.27.0")}), kUnknown},
      {"dead-variable", "removed, of an unknown version",
       All({Put(Place::kShell, "OLLAMA_NEW_ENGINE", "1"), Version("0.0.0")}), kUnknown},
      {"dead-variable", "one that is read", Put(Place::kProfile, "OLLAMA_MODELS", "/m"), kSound},
      {"dead-variable", "an unreadable file",
       With([](DoctorFacts& f) { f.unread = {"/etc/profile: denied"}; }), kUnknown},
      {"misspelt-variable", "two letters swapped", Put(Place::kShell, "OLLAMA_FLASH_ATENTION", "1"),
       kFound},
      {"misspelt-variable", "another program's",
       All({Put(Place::kShell, "OLLAMA_BASE_URL", "http://box"),
            Put(Place::kShell, "OLLAMA_MODEL", "gemma3")}),
       kSound},
      {"variable-out-of-reach", "a service reads no profile",
       All({Put(Place::kProfile, "OLLAMA_NUM_PARALLEL", "4"),
            With([](DoctorFacts& f) { f.servers->front().unit = "ollama.service"; })}),
       kFound},
      {"variable-out-of-reach", "the running server was started without it",
       Put(Place::kProfile, "OLLAMA_NUM_PARALLEL", "4"), kFound},
      {"variable-out-of-reach", "the running server has it",
       All({Put(Place::kProfile, "OLLAMA_NUM_PARALLEL", "4"), Server("OLLAMA_NUM_PARALLEL", "4")}),
       kSound},
      {"variable-out-of-reach", "the client reads it too",
       Put(Place::kProfile, "OLLAMA_HOST", "box"), kSound},
      {"variable-out-of-reach", "another user's server",
       All({Put(Place::kProfile, "OLLAMA_NUM_PARALLEL", "4"), With([](DoctorFacts& f) {
              f.servers->front().environment =
                  Fact<std::map<std::string, std::string>>::Unknown("denied");
            })}),
       kUnknown},
      {"passed-over-variable", "Ollama's flag wins",
       Put(Place::kUnit, "LLAMA_ARG_CTX_SIZE", "8192"), kFound},
      {"passed-over-variable", "handed on", Put(Place::kUnit, "LLAMA_ARG_FIT_TARGET", "512"),
       kSound},
      {"passed-over-variable", "before llama-server",
       All({Put(Place::kUnit, "LLAMA_ARG_FIT_TARGET", "512"), Version("0.17.4")}), kFound},
      {"gpu-overhead", "since 0.30", Put(Place::kUnit, "OLLAMA_GPU_OVERHEAD", "500000000"), kFound},
      {"gpu-overhead", "before",
       All({Put(Place::kUnit, "OLLAMA_GPU_OVERHEAD", "500000000"), Version("0.17.4")}), kSound},
      {"gpu-overhead", "of an unknown version",
       All({Put(Place::kUnit, "OLLAMA_GPU_OVERHEAD", "1"), Version("mine")}), kUnknown},
  };
}

std::vector<Case> ServerCases() {
  const auto no_vision = With([](DoctorFacts& f) { f.models->front().has_projector = false; });
  const auto vision = With([](DoctorFacts& f) { f.models->front().has_projector = true; });
  return {
      {"flash-attention-off", "off", Server("OLLAMA_FLASH_ATTENTION", "0"), kFound},
      {"flash-attention-off", "on", Server("OLLAMA_FLASH_ATTENTION", "1"), kSound},
      {"flash-attention-off", "another machine's server",
       All({Server("OLLAMA_FLASH_ATTENTION", "0"), Remote()}), kUnknown},
      {"flash-attention-off", "not said", Server("OLLAMA_FLASH_ATTENTION", ""), kSound},
      {"flash-attention-off", "another user's server", With([](DoctorFacts& f) {
         f.servers->front().environment =
             Fact<std::map<std::string, std::string>>::Unknown("denied");
       }),
       kUnknown},
      {"kv-type-without-flash", "off",
       All({Server("OLLAMA_KV_CACHE_TYPE", "q8_0"), Server("OLLAMA_FLASH_ATTENTION", "false")}),
       kFound},
      {"kv-type-without-flash", "on",
       All({Server("OLLAMA_KV_CACHE_TYPE", "q8_0"), Server("OLLAMA_FLASH_ATTENTION", "1")}),
       kSound},
      {"kv-type-without-flash", "on by itself since 0.30", Server("OLLAMA_KV_CACHE_TYPE", "q8_0"),
       kSound},
      {"kv-type-without-flash", "on by itself for this family",
       All({Server("OLLAMA_KV_CACHE_TYPE", "q8_0"), Version("0.17.4")}), kSound},
      {"kv-type-without-flash", "not for that one",
       All({Server("OLLAMA_KV_CACHE_TYPE", "q8_0"), Version("0.17.4"),
            With([](DoctorFacts& f) { f.models->front().architecture = "llama"; })}),
       kFound},
      {"kv-type-without-flash", "a version nobody looked at",
       All({Server("OLLAMA_KV_CACHE_TYPE", "q8_0"), Version("0.12.0")}), kUnknown},
      {"kv-type-without-flash", "f16", Server("OLLAMA_KV_CACHE_TYPE", "f16"), kSound},
      {"silent-truncation", "nothing is set", NoContext(), kFound},
      {"silent-truncation", "as /api/ps says",
       All({NoContext(), With([](DoctorFacts& f) {
              f.ollama->loaded = std::vector<OllamaLoaded>{{"gemma3:4b", "", 1, 1, 4096}};
            })}),
       kFound},
      {"silent-truncation", "a large card",
       All({NoContext(), With([](DoctorFacts& f) { f.gpus->front().total_bytes = 24 * kGiB; })}),
       kSound},
      {"silent-truncation", "the cards are not known",
       All({NoContext(),
            With([](DoctorFacts& f) { f.gpus = Fact<std::vector<Gpu>>::Unknown("no backend"); })}),
       kUnknown},
      {"silent-truncation", "the model holds no more",
       All({NoContext(), With([](DoctorFacts& f) { f.models->front().trained_context = 2048; })}),
       kSound},
      {"projector-reserve", "vision since 0.30", vision, kFound},
      {"projector-reserve", "the margin is set",
       All({vision, Server("LLAMA_ARG_FIT_TARGET", "512")}), kSound},
      {"projector-reserve", "before 0.30", All({vision, Version("0.17.4")}), kSound},
      {"projector-reserve", "text only", no_vision, kSound},
      {"half-on-cpu", "with room on the card", Loaded(4 * kGiB, 2 * kGiB, 5 * kGiB), kFound},
      {"half-on-cpu", "on another machine", All({Loaded(4 * kGiB, 2 * kGiB, 5 * kGiB), Remote()}),
       kUnknown},
      {"half-on-cpu", "without room", Loaded(8 * kGiB, 6 * kGiB, kGiB / 2), kSound},
      {"half-on-cpu", "on several cards",
       All({Loaded(4 * kGiB, 2 * kGiB, 2 * kGiB),
            With([](DoctorFacts& f) { f.gpus->push_back(f.gpus->front()); })}),
       kUnknown},
      {"half-on-cpu", "all on the card", Loaded(4 * kGiB, 4 * kGiB, 5 * kGiB), kSound},
      {"half-on-cpu", "the cards are not known",
       All({Loaded(4 * kGiB, 2 * kGiB, 5 * kGiB),
            With([](DoctorFacts& f) { f.gpus = Fact<std::vector<Gpu>>::Unknown("no backend"); })}),
       kUnknown},
      {"half-on-cpu", "there is no card", All({Loaded(4 * kGiB, 0, 0), With([](DoctorFacts& f) {
                                                 f.gpus = std::vector<Gpu>{};
                                                 f.cards = std::vector<CardFacts>{};
                                               })}),
       kSound},
      {"fit-margin", "it would fit without", Loaded(4 * kGiB, 3 * kGiB, 3 * kGiB / 2), kFound},
      {"fit-margin", "the margin is set",
       All({Loaded(4 * kGiB, 3 * kGiB, 3 * kGiB / 2), Server("LLAMA_ARG_FIT_TARGET", "512")}),
       kSound},
      {"fit-margin", "it would not", Loaded(4 * kGiB, 2 * kGiB, kGiB), kSound},
      {"open-to-network", "it listens to all",
       With([](DoctorFacts& f) { f.listeners = std::vector<Listener>{{"0.0.0.0", 11434}}; }),
       kFound},
      {"open-to-network", "it would", Put(Place::kUnit, "OLLAMA_HOST", "0.0.0.0:11434"), kFound},
      {"open-to-network", "IPv6", Put(Place::kUnit, "OLLAMA_HOST", "http://[::]:80/x"), kFound},
      {"open-to-network", "a port alone", Put(Place::kUnit, "OLLAMA_HOST", ":11434"), kFound},
      {"open-to-network", "a default of this machine",
       Put(Place::kUnit, "OLLAMA_HOST", "${BIND:-127.0.0.1}:11434"), kSound},
      {"open-to-network", "llama-server's variable", With([](DoctorFacts& f) {
         ServerProcess server = SoundServer();
         server.program = "llama-server";
         server.arguments = {"llama-server"};
         server.environment = std::map<std::string, std::string>{{"LLAMA_ARG_HOST", "0.0.0.0"}};
         f.servers->push_back(server);
       }),
       kFound},
      {"open-to-network", "loopback", Put(Place::kUnit, "OLLAMA_HOST", "127.0.0.1"), kSound},
      {"open-to-network", "in a container", Put(Place::kCompose, "OLLAMA_HOST", "0.0.0.0"), kSound},
      {"open-to-network", "a running container's",
       All({Put(Place::kServer, "OLLAMA_HOST", "0.0.0.0"),
            With([](DoctorFacts& f) { f.variables.back().in_container = true; })}),
       kSound},
      {"open-to-network", "a published port",
       With([](DoctorFacts& f) { f.published = {{"compose.yaml:7", "11434:11434"}}; }), kFound},
      {"open-to-network", "sockets can't be seen",
       With([](DoctorFacts& f) { f.listeners = Fact<std::vector<Listener>>::Unknown("denied"); }),
       kUnknown},
      {"any-origin", "a star", Put(Place::kUnit, "OLLAMA_ORIGINS", "http://a, *"), kFound},
      {"any-origin", "named", Put(Place::kUnit, "OLLAMA_ORIGINS", "http://a,app://*"), kSound},
      {"vulnerable-version", "0.17.0", Version("0.17.0"), kFound},
      {"vulnerable-version", "another machine's", All({Version("0.17.0"), Remote()}), kFound},
      {"vulnerable-version", "0.34.5", Version("0.34.5"), kFound},
      {"vulnerable-version", "0.17.4", Version("0.17.4"), kSound},
      {"vulnerable-version", "0.35.0", Version("0.35.0"), kSound},
      {"vulnerable-version", "a candidate for the fix", Version("0.35.0-rc1"), kFound},
      {"vulnerable-version", "a build of one's own", Version("0.0.0"), kUnknown},
  };
}

std::vector<Case> ModelCases() {
  const auto twin = [](uint64_t inode, const char* sha) {
    return With([=](DoctorFacts& f) {
      std::vector<DoctorModel> models = *f.models;
      DoctorModel copy = models[0];
      copy.name = "lmstudio:x";
      copy.path = "/other/x.gguf";
      copy.inode = inode;
      copy.sha256 = sha;
      copy.quick_hash = models[0].quick_hash = "q";
      models.push_back(copy);
      f.models = models;
    });
  };
  return {
      {"num-gpu-cards", "one", Parameter("num_gpu", "1"), kFound},
      {"num-gpu-cards", "all layers", Parameter("num_gpu", "35"), kSound},
      {"num-gpu-cards", "none on purpose", Parameter("num_gpu", "0"), kSound},
      {"num-gpu-cards", "a tiny model",
       All({Parameter("num_gpu", "1"), With([](DoctorFacts& f) { f.models->front().layers = 4; })}),
       kSound},
      {"num-gpu-cards", "parameters that can't be read", With([](DoctorFacts& f) {
         f.models->front().parameters = Fact<std::map<std::string, std::string>>::Unknown("denied");
       }),
       kUnknown},
      {"beyond-training", "twice", Parameter("num_ctx", "262144"), kFound},
      {"beyond-training", "all of it", Parameter("num_ctx", "131072"), kSound},
      {"threads-above-cores", "logical ones", Parameter("num_thread", "8"), kFound},
      {"threads-above-cores", "another machine's",
       All({Parameter("num_thread", "64"), Remote(),
            With([](DoctorFacts& f) { f.models->front().path = ""; })}),
       kUnknown},
      {"threads-above-cores", "physical ones", Parameter("num_thread", "4"), kSound},
      {"threads-above-cores", "llama-server's", With([](DoctorFacts& f) {
         ServerProcess server = SoundServer();
         server.program = "llama-server";
         server.arguments = {"llama-server", "-t", "8"};
         f.servers->push_back(server);
       }),
       kFound},
      {"threads-above-cores", "a variable", Put(Place::kUnit, "LLAMA_ARG_THREADS", "16"), kFound},
      {"requantised", "from a quantised file",
       With([](DoctorFacts& f) { f.models->back().quantised = true; }), kFound},
      {"requantised", "from an F16 file", With([](DoctorFacts&) {}), kSound},
      {"requantised", "it does not say",
       With([](DoctorFacts& f) { f.models->front().source_sha256 = ""; }), kUnknown},
      {"duplicate-models", "by digest", twin(9, "aa"), kFound},
      {"duplicate-models", "by content", twin(9, ""), kFound},
      {"duplicate-models", "a hard link", twin(1, "aa"), kSound},
      {"duplicate-models", "another file", twin(9, "bb"), kSound},
      {"stale-tuning", "a new driver", With([](DoctorFacts& f) {
         f.stale = std::vector<StaleTuning>{{"/m.gguf", "tune", "2026-01-01", "the driver"}};
       }),
       kFound},
      {"stale-tuning", "a history that can't be read",
       With([](DoctorFacts& f) { f.stale = Fact<std::vector<StaleTuning>>::Unknown("locked"); }),
       kUnknown},
  };
}

std::vector<Case> MachineCases() {
  const auto power = [](PowerFacts facts) {
    return With([=](DoctorFacts& f) { f.power = facts; });
  };
  const auto swap = [](SwapFacts facts, uint64_t available) {
    return With([=](DoctorFacts& f) {
      f.swap = facts;
      f.machine.memory.available_bytes = available;
    });
  };
  const auto both = With([](DoctorFacts& f) {
    f.cards = std::vector<CardFacts>{{"Intel graphics in the processor", true},
                                     {"an NVIDIA card", false}};
  });
  const auto libraries = [](std::vector<std::string> names) {
    return With([=](DoctorFacts& f) { f.servers->front().cpu_libraries = names; });
  };
  return {
      {"cpu-without-avx2", "old variants alone", libraries({"sse42", "x64"}), kFound},
      {"cpu-without-avx2", "one that has it", libraries({"sse42", "haswell"}), kSound},
      {"cpu-without-avx2", "nothing to see", libraries({}), kUnknown},
      {"cpu-without-avx2", "a processor without",
       All({libraries({"sse42"}), With([](DoctorFacts& f) { f.machine.cpu.isa = {"avx"}; })}),
       kSound},
      {"power-saving", "the lowest frequency",
       power({"acpi-cpufreq", "powersave", "", 3000000, 3000000, "", false}), kFound},
      {"power-saving", "intel_pstate scales under that name",
       power({"intel_pstate", "powersave", "balance_performance", 1, 1, "", false}), kSound},
      {"power-saving", "intel_pstate without preferences",
       power({"intel_pstate", "powersave", "", 1, 1, "", false}), kSound},
      {"power-saving", "amd-pstate without preferences",
       power({"amd-pstate", "powersave", "", 1, 1, "", false}), kFound},
      {"power-saving", "the preference",
       power({"amd-pstate-epp", "powersave", "power", 1, 1, "", false}), kFound},
      {"power-saving", "a cap",
       power({"acpi-cpufreq", "schedutil", "", 2000000, 4000000, "", false}), kFound},
      {"power-saving", "the firmware",
       power({"acpi-cpufreq", "schedutil", "", 1, 1, "low-power", false}), kFound},
      {"power-saving", "the battery",
       power({"acpi-cpufreq", "schedutil", "", 1, 1, "balanced", true}), kFound},
      {"power-saving", "no cpufreq",
       With([](DoctorFacts& f) { f.power = Fact<PowerFacts>::Unknown("a virtual machine"); }),
       kUnknown},
      {"swap-in-use", "the server's own memory",
       With([](DoctorFacts& f) { f.servers->front().swapped_bytes = 2 * kGiB; }), kFound},
      {"swap-in-use", "pressure", swap({8 * kGiB, kGiB, 25}, 4 * kGiB), kFound},
      {"swap-in-use", "memory is full", swap({8 * kGiB, 2 * kGiB, 0}, kGiB / 2), kFound},
      {"swap-in-use", "old pages, and memory to spare", swap({8 * kGiB, 2 * kGiB, 0}, 4 * kGiB),
       kSound},
      {"low-disk", "nearly full", With([](DoctorFacts& f) { f.disks->front().free_bytes = kGiB; }),
       kFound},
      {"low-disk", "less than its largest model",
       With([](DoctorFacts& f) { f.disks->front().free_bytes = 5 * kGiB; }), kFound},
      {"low-disk", "room", With([](DoctorFacts&) {}), kSound},
      {"integrated-gpu", "the engine's first",
       All({both,
            With([](DoctorFacts& f) { f.gpus->front().name = "Intel(R) UHD Graphics 630"; })}),
       kFound},
      {"integrated-gpu", "the card is hidden", All({both, Server("CUDA_VISIBLE_DEVICES", "-1")}),
       kFound},
      {"integrated-gpu", "another maker's are hidden",
       All({both, Server("HIP_VISIBLE_DEVICES", "-1")}), kSound},
      {"integrated-gpu", "the engine's first is the card", both, kSound},
      {"integrated-gpu", "what a server takes is not known",
       All({both,
            With([](DoctorFacts& f) { f.gpus = Fact<std::vector<Gpu>>::Unknown("no backend"); })}),
       kUnknown},
      {"old-driver", "before 531",
       With([](DoctorFacts& f) { f.nvidia_driver = std::string("470.256.02"); }), kFound},
      {"old-driver", "531", With([](DoctorFacts& f) { f.nvidia_driver = std::string("531.0"); }),
       kSound},
      {"old-driver", "no NVIDIA's", With([](DoctorFacts& f) { f.nvidia_driver = std::string(); }),
       kSound},
      {"old-driver", "a card without",
       With([](DoctorFacts& f) { f.nvidia_driver = Fact<std::string>::Unknown("nouveau"); }),
       kUnknown},
  };
}

std::vector<Case> AllCases() {
  std::vector<Case> all;
  for (const auto& part : {VariableCases(), ServerCases(), ModelCases(), MachineCases()})
    all.insert(all.end(), part.begin(), part.end());
  return all;
}

TEST(DoctorRulesTest, ASoundMachineHasNoFindingAndNothingUnknown) {
  const Diagnosis diagnosis = Diagnose(SoundFacts());
  for (const Finding& f : diagnosis.findings) ADD_FAILURE() << f.id << ": " << f.what;
  for (const Unknown& u : diagnosis.unknown) ADD_FAILURE() << u.id << ": " << u.why;
  EXPECT_TRUE(diagnosis.sound());
  EXPECT_EQ(diagnosis.rules, static_cast<int>(Rules().size()));
}

TEST(DoctorRulesTest, EveryPlantedFaultIsFoundAndItsTwinIsNot) {
  for (const Case& one : AllCases()) {
    SCOPED_TRACE(fmt::format("{}: {}", one.rule, one.name));
    DoctorFacts facts = SoundFacts();
    one.change(facts);
    const Diagnosis diagnosis = Diagnose(facts);
    const auto found = std::find_if(diagnosis.findings.begin(), diagnosis.findings.end(),
                                    [&](const Finding& f) { return f.id == one.rule; });
    const bool unknown =
        std::any_of(diagnosis.unknown.begin(), diagnosis.unknown.end(),
                    [&](const Unknown& u) { return u.id == one.rule && !u.why.empty(); });
    EXPECT_EQ(found != diagnosis.findings.end(), one.expect == kFound);
    // Beside a finding, something else may be left open.
    if (one.expect != kFound) {
      EXPECT_EQ(unknown, one.expect == kUnknown);
    }
    if (found == diagnosis.findings.end()) continue;
    for (const std::string* text :
         {&found->where, &found->what, &found->evidence, &found->source, &found->fix})
      EXPECT_FALSE(text->empty());
  }
}

TEST(DoctorRulesTest, EveryRuleHasAFaultAndATwin) {
  std::set<std::string> with_fault;
  std::set<std::string> with_twin;
  for (const Case& one : AllCases()) {
    if (one.expect == kFound)
      with_fault.insert(one.rule);
    else
      with_twin.insert(one.rule);
  }
  std::set<std::string> ids;
  for (const Rule& rule : Rules()) {
    EXPECT_TRUE(ids.insert(rule.id).second) << rule.id << " is there twice";
    EXPECT_TRUE(with_fault.contains(rule.id)) << rule.id;
    EXPECT_TRUE(with_twin.contains(rule.id)) << rule.id;
  }
}

TEST(DoctorRulesTest, EveryRuleIsInTheDocument) {
  const auto document = ReadSmallFile(TRIMMA_SOURCE_DIR "/docs/doctor.md");
  ASSERT_TRUE(document.ok());
  for (const Rule& rule : Rules())
    EXPECT_NE(document->find(fmt::format("| `{}` |", rule.id)), std::string::npos) << rule.id;
}

}  // namespace
}  // namespace trimma::rules_test
