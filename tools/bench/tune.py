#!/usr/bin/env python3
"""Tuning's figures: ./dev bench tune [--only regret,coverage,false_gain,peers] [--seeds N]

regret      tune with N seeds against an exhaustive grid (threads x ubatch x flash attention and
            KV-cache type x load mode), prefill and decode apart; the grid's five best of each and
            every chosen setting are measured again, interleaved
coverage    how many short runs' 95 % intervals hold the median of all runs
false_gain  tune again on what it chose before: every claim is measured again, interleaved
peers       the gain of the chosen settings by llama-bench's measure; FiTuna

All ratios come from one run on one machine, its graphics cards left out. On a machine that does
other work they mean nothing: what others took of its processors is printed. --grid N draws N
settings of the grid.
"""

import argparse
import itertools
import json
import math
import os
import random
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path

sys.dont_write_bytecode = True
from lib.figures import (  # noqa: E402
    MISSED, OK, ROOT, SKIPPED, UNCLEAR, BenchError, Figures, Peers, chosen_of, met, run, say)

REGRET, CPU_SHARE, COVERAGE = 0.02, 0.05, 0.93
PROMPT, ANSWER, DECODE = 512, 128, 48
PHASES = ("prefill", "decode")
CPU_ALONE = ["--gpu", "none"]
DEFAULT_BUDGET = 60


def thread_counts(cores):
    wished = {1, 2, cores // 4, cores // 2, 5 * cores // 8, 3 * cores // 4, cores - 1, cores}
    return sorted(count for count in wished if count >= 1)


def whole_grid(cores):
    """Settings as options of `trimma measure`; threads serve both phases, which are judged apart."""
    caches = [["--flash-attention", "auto", "--kv", kv]
              for kv in ("f16", "q8_0", "q8_0/f16", "f16/q8_0")]
    caches.append(["--flash-attention", "off", "--kv", "f16"])
    ubatches = [64, 128, 256, 512]
    loads = ["auto", "none"]
    counts = thread_counts(cores)
    for load, cache, ubatch, threads in itertools.product(loads, caches, ubatches, counts):
        yield [*cache, "--load-mode", load, "--ubatch", str(ubatch), "--threads", str(threads)]
    # Few cores have few thread counts: prefill's own, and repacking, fill the grid.
    if len(counts) < 6:
        for cache, ubatch, threads, batch_threads in itertools.product(
                caches, ubatches, counts, counts):
            yield [*cache, "--no-repack", "--ubatch", str(ubatch), "--threads", str(threads),
                   "--threads-batch", str(batch_threads)]
        for cache, ubatch, threads in itertools.product(caches, (1024, 2048), counts):
            yield [*cache, "--ubatch", str(ubatch), "--threads", str(threads)]


def options_of(settings):
    """The options of `trimma measure` for settings that tune reports."""
    words = ["--flash-attention", settings["flash_attention"],
             "--kv", f"{settings['kv_k']}/{settings['kv_v']}", "--load-mode", settings["load_mode"],
             "--ubatch", str(settings["ubatch"]), "--batch", str(settings["batch"])]
    for key, option in (("threads", "--threads"), ("threads_batch", "--threads-batch")):
        if settings[key] is not None:
            words += [option, str(settings[key])]
    return words + ([] if settings["repack"] else ["--no-repack"])


def wilson(hits, trials):
    """A 95 % interval of a share."""
    z = 1.96
    centre = (hits + z * z / 2) / (trials + z * z)
    half = z * math.sqrt(hits * (trials - hits) / trials + z * z / 4) / (trials + z * z)
    return centre - half, centre + half


def ratio_interval(ours, theirs):
    """Median of the rounds' ratios, and its 95 % interval by order statistics."""
    ratios = sorted(a / b for a, b in zip(ours, theirs))
    count, rank, below, term = len(ratios), 0, 0.0, 0.5 ** len(ratios)
    while below + term <= 0.025:
        below += term
        term *= (count - rank) / (rank + 1)
        rank += 1
    low, high = (ratios[rank - 1], ratios[count - rank]) if rank else (ratios[0], ratios[-1])
    return statistics.median(ratios), low, high


class Bench(Figures):
    def __init__(self, wishes):
        super().__init__()
        self.wishes = wishes
        self.file = wishes.json
        self.trimma = wishes.trimma
        self.directory = Path(tempfile.mkdtemp(prefix="trimma-bench-"))
        self.cores = len(os.sched_getaffinity(0))
        self.models = {}
        for word in wishes.models.split(","):
            name, _, path = word.partition("=")
            found = Path(path) if path else self.find(name)
            if found is None or not found.is_file():
                self.add(figure=f"tune {name}", verdict=f"{SKIPPED}: no such model here")
            else:
                self.models[name] = found
        self.chosen = {name: [] for name in self.models}
        self.budget = wishes.budget or DEFAULT_BUDGET  # seconds

    @staticmethod
    def find(name):
        folder = Path(os.environ.get("TRIMMA_TEST_MODELS") or ROOT.parent / "shared" / "models")
        if (folder / f"{name}.gguf").is_file():
            return folder / f"{name}.gguf"
        try:
            return Path(run([sys.executable, ROOT / "tools/fetch_model.py", name]).strip())
        except BenchError:
            return None

    def call(self, *words):
        state = {"XDG_STATE_HOME": str(self.directory / "state")}
        return json.loads(run([self.trimma, *words, "--json"], env={**os.environ, **state}))

    def measure(self, model, options, rounds=1, processes=1, prompt=None, decode=DECODE):
        return self.call("measure", model, "--speed", "--rounds", rounds, "--processes", processes,
                         "--prompt-tokens", prompt or self.wishes.prompt, "--decode-tokens", decode,
                         *CPU_ALONE, *options)["speed"]

    def tune(self, model, seed, *options):
        started = time.perf_counter()
        words = ["tune", model, "--seed", str(seed), "--budget", f"{self.budget}s",
                 "--prompt-tokens", self.wishes.prompt, "--answer-tokens", ANSWER, "--max-kld", "100",
                 *CPU_ALONE, *options]
        if self.wishes.text:
            words += ["--text", self.wishes.text]
        return self.call(*words), time.perf_counter() - started

    def tune_each(self, name, model, seeds, *options):
        """What each seed's tuning says. One that can't tell is a row; the others go on."""
        tunings = []
        for seed in seeds:
            tuned = self.attempt(f"tune {name}, seed {seed}", self.tune, model, seed, *options)
            if tuned is not None:
                tunings.append(tuned)
        if not tunings:
            raise BenchError("no tuning gave an answer")
        return tunings

    def interleaved(self, model, settings):
        """Rates of each setting in `repeats` rounds of random order: {phase: [per setting: rates]}.
        Each is one sample of a warm process of its own: what differs is between processes."""
        rates = {phase: [[] for _ in settings] for phase in PHASES}
        dice = random.Random(5)
        for done in range(self.wishes.repeats):
            say(f"measuring {len(settings)} settings again: {done + 1} of {self.wishes.repeats}")
            for i in dice.sample(range(len(settings)), len(settings)):
                speed = self.measure(model, settings[i])
                for phase in PHASES:
                    rates[phase][i].append(speed[f"{phase}_tps"]["median"])
        return rates

    # ---- the figures -------------------------------------------------------------------------

    def regret(self):
        for name, model in self.models.items():
            self.attempt(f"regret {name}", self.regret_of, name, model)

    def regret_of(self, name, model):
        grid = list(whole_grid(self.cores))
        size = len(grid)
        if self.wishes.grid and self.wishes.grid < size:
            grid = random.Random(3).sample(grid, self.wishes.grid)
        started = time.perf_counter()
        measured = []
        for done, options in enumerate(grid):
            if done % 20 == 0:
                say(f"grid of {name}: {done} of {len(grid)}")
            measured.append(self.measure(model, options, rounds=self.wishes.rounds))
        grid_seconds = (time.perf_counter() - started) * size / len(grid)
        # What the goal allows: more time would make the answer better, and miss the goal.
        self.budget = self.wishes.budget or max(10, int(CPU_SHARE * grid_seconds))
        tunings = self.tune_each(name, model, range(1, self.wishes.seeds + 1))
        for tuned, _ in tunings:
            say(f"{name}: {tuned['verdict']}; " + "; ".join(tuned["notes"]))
        chosen = [options_of(tuned["best"]["settings"]) for tuned, _ in tunings]
        self.chosen[name] = [tuned["best"]["settings"] for tuned, _ in tunings]
        rivals = []
        for phase in PHASES:
            best = sorted(range(len(grid)),
                          key=lambda i, p=phase: -measured[i][f"{p}_tps"]["median"])[:5]
            rivals += [grid[i] for i in best]
        default = options_of(tunings[0][0]["default"]["settings"])
        settings = []
        for words in [default, *rivals, *chosen]:
            if words not in settings:
                settings.append(words)
        rates = self.interleaved(model, settings)
        for phase in PHASES:
            medians = [statistics.median(one) for one in rates[phase]]
            best = max(range(len(settings)), key=lambda i, m=medians: m[i])
            regrets = []
            for words in chosen:
                i = settings.index(words)
                ratio, low, high = ratio_interval(rates[phase][i], rates[phase][best])
                regrets.append((1 - ratio, 1 - high, 1 - low))
            worst = max(regrets)
            says = OK if worst[0] <= REGRET else MISSED if worst[1] > REGRET else UNCLEAR
            self.add(figure=f"worst regret, {phase}, {name}, {len(chosen)} seeds",
                     ours=f"{worst[0]:.1%} [{worst[1]:.1%}, {worst[2]:.1%}]",
                     peer=f"best of {len(grid)}",
                     ratio=f"default {medians[0] / medians[best]:.3f}",
                     goal=f"<= {REGRET:.0%}", verdict=says)
        seconds = statistics.median(seconds for _, seconds in tunings)
        share = seconds / grid_seconds
        self.add(figure=f"time, {name}", ours=f"{seconds:.1f} s",
                 peer=f"grid of {size}: {grid_seconds:.0f} s", ratio=f"{share:.1%}",
                 goal=f"<= {CPU_SHARE:.0%}", verdict=met(share <= CPU_SHARE))

    def coverage(self):
        """Runs of their own processes, as a user's; the truth is the median of all their samples."""
        for name, model in self.models.items():
            speeds = []
            for done in range(self.wishes.runs):
                if done % 50 == 0:
                    say(f"coverage of {name}: run {done} of {self.wishes.runs}")
                speeds.append(self.measure(model, [], rounds=10, processes=8, prompt=64, decode=16))
            for phase in PHASES:
                truth = statistics.median(
                    rate for speed in speeds for rate in speed["samples"][f"{phase}_tps"])
                spreads = [speed[f"{phase}_tps"] for speed in speeds]
                hits = sum(spread["low"] <= truth <= spread["high"] for spread in spreads)
                low, high = wilson(hits, len(spreads))
                says = (OK if hits / len(spreads) >= COVERAGE else
                        MISSED if high < COVERAGE else UNCLEAR)
                self.add(figure=f"coverage of 95 %, {phase}, {name}",
                         ours=f"{hits / len(spreads):.1%} [{low:.1%}, {high:.1%}]",
                         ratio=f"{len(spreads)} runs", goal=f">= {COVERAGE:.0%}", verdict=says)

    def false_gain(self):
        for name, model in self.models.items():
            self.attempt(f"false gains {name}", self.false_gain_of, name, model)

    def false_gain_of(self, name, model):
        chosen = self.chosen[name] or [self.tune(model, 1)[0]["best"]["settings"]]
        defaults = options_of(chosen[0])
        claims = []
        slowest = 0
        seeds = range(101, 101 + self.wishes.seeds)
        tunings = self.tune_each(name, model, seeds, *defaults)
        for tuned, seconds in tunings:
            slowest = max(slowest, seconds)
            if tuned["best"]["settings"] != tuned["default"]["settings"]:
                claims.append((options_of(tuned["best"]["settings"]), tuned))
        false = 0
        if claims:
            rates = self.interleaved(model, [defaults, *(words for words, _ in claims)])
            for i, (_, tuned) in enumerate(claims):
                for phase in PHASES:
                    if tuned[f"{phase}_gain"] == 1:
                        continue
                    ratio, _, high = ratio_interval(rates[phase][i + 1], rates[phase][0])
                    say(f"claimed {phase} {tuned[f'{phase}_gain']:.3f}, measured again {ratio:.3f}")
                    # Below a percent nobody feels it, and tune claims only what is more.
                    false += high < 1.01
        kept = len(tunings) - false
        self.add(figure=f"no false gain, {name}", ours=f"{kept} of {len(tunings)}",
                 ratio=f"{len(claims)} claims", goal="9 of 10",
                 verdict=met(kept >= 0.9 * len(tunings)))
        self.add(figure=f"within the budget, {name}", ours=f"{slowest:.1f} s",
                 goal=f"<= {self.budget} s", verdict=met(slowest <= self.budget))

    def peers(self):
        bench = Peers()("llama-bench")
        for name, model in self.models.items():
            if not self.chosen[name]:
                self.chosen[name] = [self.tune(model, 1)[0]["best"]["settings"]]
            default = {"threads": self.cores, "threads_batch": None, "ubatch": 512,
                       "flash_attention": "auto", "kv_k": "f16", "kv_v": "f16"}
            rates = {phase: ([], []) for phase in PHASES}
            for _ in range(max(7, self.wishes.repeats // 4)):
                for side, settings in enumerate((default, self.chosen[name][0])):
                    for phase in PHASES:
                        threads = settings["threads"] or self.cores
                        if phase == "prefill":
                            threads = settings["threads_batch"] or threads
                        said = json.loads(run(
                            [bench, "-m", model, "-r", 3, "-o", "json", "-t", threads, "-dev", "none",
                             "-p", self.wishes.prompt if phase == "prefill" else 0,
                             "-n", DECODE if phase == "decode" else 0, "-ub", settings["ubatch"],
                             "-fa", settings["flash_attention"],
                             "-ctk", settings["kv_k"], "-ctv", settings["kv_v"]]))
                        rates[phase][side].append(said[0]["avg_ts"])
            for phase in PHASES:
                ratio, low, high = ratio_interval(rates[phase][1], rates[phase][0])
                self.add(figure=f"chosen / default by llama-bench, {phase}, {name}",
                         ours=f"{statistics.median(rates[phase][1]):.1f} t/s",
                         peer=f"{statistics.median(rates[phase][0]):.1f} t/s",
                         ratio=f"{ratio:.3f} [{low:.3f}, {high:.3f}]", goal=">= 0.98",
                         verdict=OK if ratio >= 0.98 else MISSED if high < 0.98 else UNCLEAR)
        self.add(figure="FiTuna", verdict=f"{SKIPPED}: this script doesn't drive it yet")


def main():
    known = ("regret", "coverage", "false_gain", "peers")
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default=",".join(known))
    parser.add_argument("--models", default="manpage-26m-f16,smollm2-135m",
                        help="names, or NAME=PATH, with commas")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--budget", type=int, default=0,
                        help="seconds of each tune (0: 5 %% of the grid's time, where it is measured)")
    parser.add_argument("--grid", type=int, default=0, help="draw so many settings (0: all)")
    parser.add_argument("--rounds", type=int, default=5, help="of each setting of the grid")
    parser.add_argument("--prompt", type=int, default=PROMPT, help="tokens of the prompt")
    parser.add_argument("--repeats", type=int, default=30, help="rounds of measuring again")
    parser.add_argument("--runs", type=int, default=300, help="short runs for coverage")
    parser.add_argument("--text", type=Path, help="text that a KV cache is judged on")
    parser.add_argument("--trimma", type=Path, default=ROOT / "build/release/trimma")
    parser.add_argument("--json", type=Path, help="also write the rows there")
    wishes = parser.parse_args()
    chosen = chosen_of(parser, wishes.only, known)
    if not wishes.trimma.is_file():
        sys.exit("build first: ./dev build")
    bench = Bench(wishes)
    bench.collect(chosen, lambda name: getattr(bench, name))
    shutil.rmtree(bench.directory, ignore_errors=True)
    bench.print()
    sys.exit(bench.status())


if __name__ == "__main__":
    main()
