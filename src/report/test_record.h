// For tests: a record with every part filled in.
#pragma once

#include "report/record.h"

namespace trimma {

inline OptimizeRecord FullRecord() {
  OptimizeRecord r;
  r.created = "2026-01-02T03:04:05+01:00";
  r.trimma_version = "0.1.0";
  r.engine_version = "llama.cpp v0.5.0";
  r.engine_commit = "de3ff815ea7d";
  r.engine_backends = "CPU";
  r.model_name = "tiny";
  r.model_argument = "tiny.gguf";
  r.model_path = "/models/tiny.gguf";
  r.architecture = "llama";
  r.parameters = 26'345'984;
  r.machine.cpu.name = "A Processor";
  r.machine.cpu.isa = {"avx2"};
  r.machine.cpu.caches = {{1, "data", 32768, 1}};
  r.machine.memory.total_bytes = 8'000'000'000;
  r.machine.memory.available_bytes = 6'000'000'000;
  r.machine.gpus = {{"A Card", "CUDA", 6'000'000'000, 5'000'000'000}};
  r.before.label = "F16, defaults";
  r.before.type = "F16";
  r.before.file_bytes = 52'700'000;
  r.before.bits_per_weight = 16;
  r.before.memory_bytes = 74'000'000;
  r.before.speed.prefill_tps = {1480, 1440, 1510, 12};
  r.before.speed.decode_tps = {250, 244, 257, 12};
  r.before.speed.ttft_ms = {346, 338, 355, 12};
  r.before.speed.load_ms = {41, 38, 47, 6};
  r.after = r.before;
  r.after.label = "Q5_K_M, tuned";
  r.after.type = "Q5_K_M";
  r.after.file_bytes = 19'300'000;
  r.after.bits_per_weight = 5.86;
  r.after.memory_bytes = 40'600'000;
  r.after.speed.prefill_tps = {1495, 1462, 1523, 12};
  r.after.speed.decode_tps = {410, 402, 418, 12};
  r.after.speed.ttft_ms = {291, 285, 299, 12};
  r.after.settings.threads = 2;
  Quality quality;
  quality.tokens = 24'576;
  quality.mean_kld = 0.0169;
  quality.mean_kld_low = 0.0160;
  quality.mean_kld_high = 0.0178;
  quality.same_top = 0.931;
  quality.ppl = 12.84;
  quality.reference_ppl = 12.71;
  quality.chunks = 96;
  r.after.quality = quality;
  r.points = {{"F16", 52'700'000, 250, 1480, std::nullopt, 0, 0, false},
              {"Q8_0", 28'200'000, 352, 1502, 0.0014, 0.0013, 0.0015, false},
              {"Q5_K_M", 19'300'000, 410, 1495, 0.0169, 0.0160, 0.0178, true}};
  r.memory = {{4096, "f16", "f16", 19'300'000, 8'000'000, 13'000'000, true},
              {131'072, "q8_0", "q4_0", 19'300'000, 900'000'000, 13'000'000, false}};
  r.trials = {{"threads 2", {}, 410, 402, 418, 1495, 1462, 1523, "faster"},
              {"KV q4_0", {}, 0, 0, 0, 0, 0, 0, "failed: needs flash attention"}};
  r.weights_verdict = "Quantised to Q5_K_M.";
  r.tuning_verdict = "Two threads are faster.";
  r.quality_text = "selection.txt";
  r.notes = {"One tensor was kept at Q8_0."};
  r.sampling.profile = "precise";
  r.files = {"/out/tiny-Q5_K_M.gguf", "/out/config.toml", "/out/Modelfile",   "/out/env",
             "/out/preset.ini",       "/out/report.html", "/out/record.json", {"rm -r /out"}};
  r.steps = {{"quantise", 11.8}, {"tune", 71.3}};
  r.seconds = 84;
  return r;
}

}  // namespace trimma
