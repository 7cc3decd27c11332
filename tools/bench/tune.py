#!/usr/bin/env python3
"""Tuning's figures: ./dev bench tune [--only regret,coverage,false_gain,peers] [--seeds N]

regret      tune with N seeds against an exhaustive grid (threads x ubatch x flash attention and
            KV-cache type x load mode), prefill and decode apart; the grid's five best of each and
            every chosen setting are measured again, interleaved
coverage    how many short runs' 95 % intervals hold the median of all runs
false_gain  tune again on what it chose before: every claim is measured again, interleaved
peers       the gain of the chosen settings by llama-bench's measure; FiTuna end to end: the time of
            both, and both answers measured again in turns. Without a network: --fituna with its
            wheel, a folder of packages or a virtual environment, --peers with llama.cpp's programs

card        only when named, with --gpu auto: a CUDA card of which all but --free-gib is held; 3 seeds
            of tune against a grid of layers near what fits, feed-forward matrices on the host, ubatch,
            flash attention and types of the cache
card_fit    the same for a row of free sizes: tune's choice beside placements near what fits, and
            beside the placement that llama-server takes by itself
            Both keep what they measured in --work and go on from there: --seconds may cut them.

All ratios come from one run on one machine, its graphics cards left out unless --gpu auto. On a
machine that does other work they mean nothing: what others took of its processors is printed.
--grid N draws N settings of the grid. --seconds ends rounds of measuring again in time.
"""

import argparse
import itertools
import random
import shutil
import statistics
import sys
import time
from pathlib import Path

sys.dont_write_bytecode = True
from lib.figures import MISSED, OK, ROOT, UNCLEAR, chosen_of, met, say  # noqa: E402
from lib.rates import against_best, options_of, ratio_interval, wilson  # noqa: E402
from lib.tune_card import CardFigures  # noqa: E402
from lib.tune_peers import PeerFigures  # noqa: E402
from lib.tuning import PHASES, PROMPT  # noqa: E402

REGRET, CPU_SHARE, COVERAGE = 0.02, 0.05, 0.93
LEAST_BUDGET = 10  # seconds


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


class Bench(PeerFigures, CardFigures):
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
        # What the goal allows: with more time the answer would be better, and the goal missed.
        self.budget = self.wishes.budget or max(LEAST_BUDGET, int(CPU_SHARE * grid_seconds))
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
        rates = self.interleaved(settings, lambda options: self.rate(model, options))
        for phase in PHASES:
            medians = [statistics.median(one) for one in rates[phase]]
            best = max(range(len(settings)), key=lambda i, m=medians: m[i])
            for words, median in sorted(zip(settings, medians), key=lambda pair: -pair[1]):
                say(f"{phase} {median:.1f} t/s: {'default: ' if words == default else ''}{' '.join(words)}")
            regrets = []
            for words in chosen:
                ratio, low, high = ratio_interval(*against_best(rates[phase], settings.index(words)))
                regrets.append((1 - ratio, 1 - high, 1 - low))
            worst = max(regrets)
            says = OK if worst[0] <= REGRET else MISSED if worst[1] > REGRET else UNCLEAR
            # What the grid by itself would have led to: the first by its own figures.
            first = max(range(len(grid)), key=lambda i, p=phase: measured[i][f"{p}_tps"]["median"])
            its = 1 - ratio_interval(*against_best(rates[phase], settings.index(grid[first])))[0]
            self.add(figure=f"worst regret, {phase}, {name}, {len(chosen)} seeds",
                     ours=f"{worst[0]:.1%} [{worst[1]:.1%}, {worst[2]:.1%}]",
                     peer=f"best of {len(grid)}; the grid's own first {its:.1%}",
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
            rates = self.interleaved([defaults, *(words for words, _ in claims)],
                                     lambda options: self.rate(model, options))
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


def main():
    usual = ("regret", "coverage", "false_gain", "peers")
    known = (*usual, "card", "card_fit")
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default=",".join(usual))
    parser.add_argument("--models", default="manpage-26m-f16,smollm2-135m",
                        help="names, or NAME=PATH, with commas")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--budget", type=int, default=0,
                        help="seconds of each tune (0: 5 %% of the grid's time, where it is measured)")
    parser.add_argument("--prompt", type=int, default=PROMPT, help="tokens of the prompt")
    parser.add_argument("--rounds", type=int, default=5, help="of each setting of the grid")
    parser.add_argument("--grid", type=int, default=0, help="draw so many settings (0: all)")
    parser.add_argument("--repeats", type=int, default=30, help="rounds of measuring again")
    parser.add_argument("--runs", type=int, default=300, help="short runs for coverage")
    parser.add_argument("--text", type=Path, help="text that a KV cache is judged on")
    parser.add_argument("--gpu", choices=("none", "auto"), default="none", help="auto: with the cards")
    parser.add_argument("--seconds", type=float, help="begin nothing that can be left out after so many")
    parser.add_argument("--fituna", type=Path, help="FiTuna's wheel, folder or virtual environment")
    parser.add_argument("--fituna-seconds", type=float, default=3600, help="for FiTuna at most")
    parser.add_argument("--peers", type=Path, help="the folder of llama.cpp's own programs")
    parser.add_argument("--free-gib", type=lambda words: tuple(map(float, words.split(","))),
                        help="of the card's memory, for card (4.25) and card_fit (3.75 to 5.0)")
    parser.add_argument("--context", type=int, default=32768, help="of card and card_fit")
    parser.add_argument("--depth", type=int, default=2048, help="of card and card_fit")
    parser.add_argument("--card-model", type=Path, help="default: a random one of Gemma 3 4B's shape")
    parser.add_argument("--work", type=Path, default=ROOT / "build/bench/tune_card",
                        help="where card and card_fit keep what they measured, and go on from")
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
