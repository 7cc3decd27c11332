#!/usr/bin/env python3
"""Tuning's figures: ./dev bench tune [--only regret,coverage,false_gain,peers] [--seeds N]

regret      tune with N seeds against an exhaustive grid (threads x ubatch x flash attention and
            KV-cache type x load mode), prefill and decode apart; the grid's five best of each and
            every chosen setting are measured again, interleaved
coverage    how many short runs' 95 % intervals hold the median of all runs, and of the ten around each
false_gain  tune again on what it chose before: every claim is measured again, interleaved
            (true: faster for sure; false: less than a percent for sure; a tuning is its worst claim)
peers       the gain of the chosen settings by llama-bench's measure; FiTuna end to end: the time of
            both, and both answers measured again in turns. Without a network: --fituna with its
            wheel, a folder of packages or a virtual environment, --peers with llama.cpp's programs

card        only when named, with --gpu auto: a CUDA card of which all but --free-gib is held; 3 seeds
            of tune against a grid of layers near what fits, feed-forward matrices on the host, ubatch,
            flash attention and types of the cache
card_fit    the same for a row of free sizes: tune's choice beside placements near what fits, and
            beside the placement that llama-server takes by itself

regret, coverage, card and card_fit keep what they measured in --work and go on from there, as long as the
program, the machine, the model and the prompt are the same: --seconds may cut them. To measure anew, name
another folder.

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
from pathlib import Path

sys.dont_write_bytecode = True
from lib.figures import MISSED, OK, ROOT, UNCLEAR, chosen_of, met, say  # noqa: E402
from lib.rates import LEAST_ROUNDS, against_best, options_of, ratio_interval, wilson  # noqa: E402
from lib.regret import claim_of, false_gain_verdict, regret_row, too_few, tuning_of  # noqa: E402
from lib.tune_card import CardFigures  # noqa: E402
from lib.tune_peers import PeerFigures  # noqa: E402
from lib.tuning import PHASES, PROMPT  # noqa: E402

CPU_SHARE, COVERAGE = 0.05, 0.93
LEAST_BUDGET = 10  # seconds
NEAR = 5  # runs before and after one


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
        for load, cache, ubatch, threads in itertools.product(loads, caches, (32, 1024, 2048), counts):
            yield [*cache, "--load-mode", load, "--ubatch", str(ubatch), "--threads", str(threads)]


class Bench(PeerFigures, CardFigures):
    def regret(self):
        for name, model in self.models.items():
            figure = f"regret {name}"
            self.attempt(figure, self.unless_over, figure, self.regret_of, name, model)

    def grid_of_settings(self, kept, name, model):
        """A grid's settings, the rates of each, and the seconds that the whole of it takes."""
        grid = list(whole_grid(self.cores))
        size = len(grid)
        if self.wishes.grid and self.wishes.grid < size:
            grid = random.Random(3).sample(grid, self.wishes.grid)
        measured = []
        for done, options in enumerate(grid):
            if done % 20 == 0:
                say(f"grid of {name}: {done} of {len(grid)}")
            measured.append(kept(["grid", self.wishes.rounds, options],
                                 lambda o=options: self.timed(self.rate, model, o, self.wishes.rounds), self.left()))
        return grid, measured, sum(one["seconds"] for one in measured) * size / len(grid)

    def regret_of(self, name, model):
        kept = self.kept("regret", model)
        grid, measured, grid_seconds = self.grid_of_settings(kept, name, model)
        size = len(list(whole_grid(self.cores)))
        # What the goal allows: with more time the answer would be better, and the goal missed.
        self.budgets[name] = self.wishes.budget or max(LEAST_BUDGET, int(CPU_SHARE * grid_seconds))
        tunings = self.tune_each(name, model, range(1, self.wishes.seeds + 1), kept=kept)
        for tuned, _ in tunings:
            say(f"{name}: {tuned['verdict']}; " + "; ".join(tuned["notes"]))
        chosen = [options_of(tuned["best"]["settings"]) for tuned, _ in tunings]
        self.chosen[name] = [tuned["best"]["settings"] for tuned, _ in tunings]
        rivals = []
        for phase in PHASES:
            best = sorted(range(len(grid)), key=lambda i, p=phase: -measured[i][p])[:5]
            rivals += [grid[i] for i in best]
        default = options_of(tunings[0][0]["default"]["settings"])
        settings = []
        for words in [default, *rivals, *chosen]:
            if words not in settings:
                settings.append(words)
        rates, _ = self.interleaved(settings, lambda options: self.rate(model, options), kept)
        for phase in PHASES:
            medians = [statistics.median(one) for one in rates[phase]]
            for words, median in sorted(zip(settings, medians), key=lambda pair: -pair[1]):
                say(f"{phase} {median:.1f} t/s: {'default: ' if words == default else ''}{' '.join(words)}")
            peer = f"best of {len(grid)}"
            if len(rates[phase][0]) >= LEAST_ROUNDS:
                # What the grid by itself would have led to: the first by its own figures.
                first = max(range(len(grid)), key=lambda i, p=phase: measured[i][p])
                its = 1 - ratio_interval(*against_best(rates[phase], settings.index(grid[first])))[0]
                peer += f"; the grid's own first {its:.1%}"
            self.add(figure=f"worst regret, {phase}, {name}, {len(chosen)} seeds", peer=peer,
                     **regret_row(rates[phase], [settings.index(words) for words in chosen]))
        seconds = statistics.median(seconds for _, seconds in tunings)
        share = seconds / grid_seconds
        self.add(figure=f"time, {name}", ours=f"{seconds:.1f} s",
                 peer=f"grid of {size}: {grid_seconds:.0f} s", ratio=f"{share:.1%}",
                 goal=f"<= {CPU_SHARE:.0%}", verdict=met(share <= CPU_SHARE))

    def coverage(self):
        for name, model in self.models.items():
            figure = f"coverage {name}"
            self.attempt(figure, self.unless_over, figure, self.coverage_of, name, model)

    def coverage_of(self, name, model):
        """Runs of their own processes, as a user's; the truth is the median of all their samples."""
        kept = self.kept("coverage", model)

        def measured():
            speed = self.measure(model, [], rounds=10, processes=8, prompt=64, decode=16)
            return {phase: {"low": speed[f"{phase}_tps"]["low"], "high": speed[f"{phase}_tps"]["high"],
                            "samples": speed["samples"][f"{phase}_tps"]} for phase in PHASES}

        runs = []
        for done in range(self.wishes.runs):
            if done % 50 == 0:
                say(f"coverage of {name}: run {done} of {self.wishes.runs}")
            runs.append(kept(["run", done], measured, self.left()))
        for phase in PHASES:
            truth = statistics.median(rate for run in runs for rate in run[phase]["samples"])
            hits = sum(run[phase]["low"] <= truth <= run[phase]["high"] for run in runs)
            low, high = wilson(hits, len(runs))
            says = OK if hits / len(runs) >= COVERAGE else MISSED if high < COVERAGE else UNCLEAR
            medians = [statistics.median(run[phase]["samples"]) for run in runs]
            wander = statistics.pstdev(medians) / statistics.fmean(medians)
            self.add(figure=f"coverage of 95 %, {phase}, {name}",
                     ours=f"{hits / len(runs):.1%} [{low:.1%}, {high:.1%}]",
                     ratio=f"{len(runs)} runs, {wander:.0%} apart", goal=f">= {COVERAGE:.0%}", verdict=says)
            # A machine whose speed wanders has no one median: beside it, that of the minute around each run.
            near = sum(self.holds_near(runs, i, phase) for i in range(len(runs)))
            low, high = wilson(near, len(runs))
            self.add(figure=f"the same of the {2 * NEAR} runs around, {phase}, {name}",
                     ours=f"{near / len(runs):.1%} [{low:.1%}, {high:.1%}]", ratio=f"{len(runs)} runs",
                     verdict="-")

    @staticmethod
    def holds_near(runs, place, phase):
        """Whether a run's interval holds the median of those before and after it."""
        around = runs[max(0, place - NEAR):place] + runs[place + 1:place + 1 + NEAR]
        if not around:
            return False
        median = statistics.median(rate for run in around for rate in run[phase]["samples"])
        return runs[place][phase]["low"] <= median <= runs[place][phase]["high"]

    def false_gain(self):
        for name, model in self.models.items():
            self.attempt(f"false gains {name}", self.false_gain_of, name, model)

    def false_gain_of(self, name, model):
        budget = self.budget_of(name)
        chosen = self.chosen[name] or [self.tune(model, 1, budget)[0]["best"]["settings"]]
        defaults = options_of(chosen[0])
        seeds = range(101, 101 + self.wishes.seeds)
        tunings = self.tune_each(name, model, seeds, *defaults)
        slowest = max(seconds for _, seconds in tunings)
        self.add(figure=f"within the budget, {name}", ours=f"{slowest:.1f} s",
                 goal=f"<= {budget} s", verdict=met(slowest <= budget))
        claims = [tuned for tuned, _ in tunings if any(tuned[f"{phase}_gain"] > 1 for phase in PHASES)]
        words = ["unclaimed"] * (len(tunings) - len(claims))
        if claims and self.wishes.repeats < LEAST_ROUNDS:
            self.add(figure=f"no false gain, {name}", verdict=too_few(self.wishes.repeats))
            return
        if claims:
            settings = [defaults, *(options_of(tuned["best"]["settings"]) for tuned in claims)]
            rates, _ = self.interleaved(settings, lambda options: self.rate(model, options))
            words += [self.claims_of(tuned, rates, i + 1) for i, tuned in enumerate(claims)]
        kept = len(words) - words.count("false") - words.count("unclear")
        self.add(figure=f"no false gain, {name}", ours=f"{kept} of {len(words)}",
                 ratio=f"{len(claims)} claim: " + ", ".join(
                     f"{words.count(word)} {word}" for word in ("true", "false", "unclear")),
                 goal="9 of 10", verdict=false_gain_verdict(words))

    @staticmethod
    def claims_of(tuned, rates, place):
        """What measuring again says of a tuning's claims; its settings are at `place`, the former ones at 0."""
        found = []
        for phase in PHASES:
            gain = tuned[f"{phase}_gain"]
            if gain > 1:
                ratio, low, high = ratio_interval(rates[phase][place], rates[phase][0])
                found.append(claim_of(low, high))
                say(f"claimed {phase} {gain:.3f}, measured again {ratio:.3f} [{low:.3f}, {high:.3f}]: {found[-1]}")
        return tuning_of(found)


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
    parser.add_argument("--work", type=Path, default=ROOT / "build/bench/tune",
                        help="where regret, coverage, card and card_fit keep what they measured, and go on from")
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
