#!/usr/bin/env python3
"""The main figures: ./dev bench main [--only optimize,speed,divergence,plan,start] [--rounds N]

Speed and divergence are held against llama.cpp's own programs of the pinned commit (./dev peers),
with the settings that trimma reports, in interleaved rounds. Prints a table; ends with 5 if a
goal is missed. The development models are looked for in TRIMMA_TEST_MODELS.
"""

import argparse
import json
import os
import random
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.dont_write_bytecode = True
from lib.figures import (  # noqa: E402
    MISSED, OK, ROOT, SKIPPED, UNCLEAR, BenchError, Figures, Peers, chosen_of, run, say)

import fetch_model  # noqa: E402
import judging_text  # noqa: E402

SPEED_TOLERANCE = 0.03
DIVERGENCE_TOLERANCE = 0.02
OPTIMIZE_SECONDS = {"gemma3-270m": 180, "smollm2-135m": 180, "manpage-26m-f16": 60}
PLAN_SECONDS, PLAN_CELLS = 0.5, 60
START_SECONDS = 0.020
PROMPT_TOKENS, DECODE_TOKENS = 512, 64  # llama-bench's usual test, a shorter answer
CHUNKS = 16


def ratio_with_interval(ours, theirs):
    """Ratio of medians, and its 95 % interval: rounds resampled, both sides of a round together."""
    def ratio(rounds):
        return statistics.median(ours[i] for i in rounds) / statistics.median(theirs[i] for i in rounds)
    dice = random.Random(1)
    count = len(ours)
    drawn = sorted(ratio([dice.randrange(count) for _ in range(count)]) for _ in range(2000))
    return ratio(range(count)), drawn[49], drawn[1949]


def verdict_on_speed(ratio, low, high):
    """Missed only where the whole interval lies outside the tolerance; a noisy machine proves nothing."""
    if abs(ratio - 1) <= SPEED_TOLERANCE:
        return OK
    return MISSED if low > 1 + SPEED_TOLERANCE or high < 1 - SPEED_TOLERANCE else UNCLEAR


class Bench(Figures):
    def __init__(self, wishes):
        super().__init__()
        self.trimma = wishes.trimma
        self.rounds = wishes.rounds
        self.calibration = wishes.calibration
        self.directory = Path(tempfile.mkdtemp(prefix="trimma-bench-"))
        self.models = {}
        for name in ("gemma3-270m", "smollm2-135m"):
            fetched = run([sys.executable, ROOT / "tools/fetch_model.py", name])
            self.models[name] = Path(fetched.strip())
        folder = Path(os.environ.get("TRIMMA_TEST_MODELS") or ROOT.parent / "shared" / "models")
        manpage = folder / "manpage-26m-f16.gguf"
        if manpage.is_file():
            self.models["manpage-26m-f16"] = manpage
        if self.calibration is None and (folder.parent / "corpus/calibration.txt").is_file():
            self.calibration = folder.parent / "corpus/calibration.txt"
        self.peer = Peers()

    def run_trimma(self, *words):
        # Its records go where they can't mix with the user's, nor answer for a measurement.
        state = {"XDG_STATE_HOME": str(self.directory / "state")}
        return run([self.trimma, *words], env={**os.environ, **state})

    def best_seconds(self, repeats, *commands):
        """The quickest of the repeats, each running all commands."""
        best = float("inf")
        for _ in range(repeats):
            started = time.perf_counter()
            for words in commands:
                self.run_trimma(*words)
            best = min(best, time.perf_counter() - started)
        return best

    # ---- the figures -------------------------------------------------------------------------

    def optimize(self):
        for name, goal in OPTIMIZE_SECONDS.items():
            figure = f"optimize {name}"
            if name not in self.models:
                self.add(figure=figure, goal=f"<= {goal} s", verdict=f"{SKIPPED}: no such model here")
                continue
            output = self.directory / f"optimize-{name}"
            started = time.perf_counter()
            try:
                self.run_trimma("optimize", self.models[name], "--output", output)
            except BenchError as error:
                self.add(figure=figure, goal=f"<= {goal} s", verdict=f"FAILED: {error}")
                continue
            seconds = time.perf_counter() - started
            self.add(figure=figure, ours=f"{seconds:.1f} s", goal=f"<= {goal} s",
                     verdict=OK if seconds <= goal else MISSED)

    def speed(self):
        for name, model in self.models.items():
            ours = {"prefill": [], "decode": []}
            theirs = {"prefill": [], "decode": []}
            measured = None

            def measure():
                nonlocal measured
                measured = json.loads(self.run_trimma("measure", model, "--speed", "--json"))
                for what, rates in ours.items():
                    rates.append(measured["speed"][f"{what}_tps"]["median"])

            def measure_peer():
                for test in json.loads(run(self.llama_bench(model, measured), cwd=self.directory)):
                    theirs["decode" if test["n_gen"] else "prefill"].append(test["avg_ts"])

            for done in range(self.rounds):
                say(f"speed of {name}: round {done + 1} of {self.rounds}")
                for step in (measure, measure_peer) if done % 2 == 0 else (measure_peer, measure):
                    step()
            for what in ("prefill", "decode"):
                ratio, low, high = ratio_with_interval(ours[what], theirs[what])
                self.add(figure=f"{what} {name}",
                         ours=f"{statistics.median(ours[what]):.1f} t/s",
                         peer=f"{statistics.median(theirs[what]):.1f} t/s",
                         ratio=f"{ratio:.3f} [{low:.3f}, {high:.3f}]",
                         goal=f"within {SPEED_TOLERANCE:.0%}",
                         verdict=verdict_on_speed(ratio, low, high))

    def llama_bench(self, model, measured):
        """llama-bench's command for the settings that trimma measured with."""
        settings = measured.get("settings", {})
        speed = measured["speed"]
        threads = settings.get("threads") or len(os.sched_getaffinity(0))
        return [self.peer("llama-bench"), "-m", model, "-r", 1, "-o", "json", "-t", threads,
                "-p", speed.get("prompt_tokens", PROMPT_TOKENS),
                "-n", speed.get("decode_tokens", DECODE_TOKENS),
                "-d", speed.get("depth", 0),
                "-b", settings.get("batch", 2048), "-ub", settings.get("ubatch", 512),
                "-fa", settings.get("flash_attention", "auto"),
                "-ctk", settings.get("kv_k", "f16"), "-ctv", settings.get("kv_v", "f16")]

    def divergence(self):
        figure = "divergence manpage Q4_K_M"
        reference = self.models.get("manpage-26m-f16")
        if reference is None:
            self.add(figure=figure, verdict=f"{SKIPPED}: no F16 model here")
            return
        subprocess.run([str(ROOT / "dev"), "setup", "judging"], stdout=sys.stderr)
        text = judging_text.judging_text(fetch_model.cache_directory() / "bench", self.calibration)
        if text is None:
            self.add(figure=figure, verdict=f"{SKIPPED}: packages {', '.join(judging_text.PACKAGES['en'])}")
            return
        quantised = self.directory / "q4_k_m.gguf"
        base = self.directory / "logits.bin"
        self.run_trimma("quantize", reference, "--output", quantised, "--type", "Q4_K_M")
        say(f"divergence over {CHUNKS} chunks of {text.name}")
        ours = json.loads(self.run_trimma(
            "measure", quantised, "--against", reference, "--quality", "--text", text,
            "--chunks", CHUNKS, "--json"))["quality"]
        threads = ["-t", len(os.sched_getaffinity(0))]
        perplexity = self.peer("llama-perplexity")
        run([perplexity, "-m", reference, "--kl-divergence-base", base, "-f", text, "-c", 512,
             "--chunks", CHUNKS, *threads])
        said = run([perplexity, "-m", quantised, "--kl-divergence-base", base, "--kl-divergence", *threads])
        base.unlink()
        number = r"\s*:?\s*(-?[0-9.]+)"
        for name, field, pattern, scale in (
                ("mean KLD", "mean_kld", r"Mean\s+KLD:", 1),
                ("99 % KLD", "p99_kld", r"99\.0%\s+KLD:", 1),
                ("99.9 % KLD", "p999_kld", r"99\.9%\s+KLD:", 1),
                ("same top", "same_top", r"Same top p:", 0.01),
                ("perplexity", "ppl", r"Mean PPL\(Q\)", 1),
                ("its perplexity before", "reference_ppl", r"Mean PPL\(base\)", 1)):
            found = re.search(pattern + number, said)
            if not found:
                raise BenchError(f"llama-perplexity no longer prints {pattern}")
            theirs = float(found[1]) * scale
            ratio = ours[field] / theirs if theirs else float("nan")
            self.add(figure=f"{name}, manpage Q4_K_M", ours=f"{ours[field]:.5g}", peer=f"{theirs:.5g}",
                     ratio=f"{ratio:.4f}", goal=f"within {DIVERGENCE_TOLERANCE:.0%}",
                     verdict=OK if abs(ratio - 1) <= DIVERGENCE_TOLERANCE else MISSED)

    def plan(self):
        model = self.models["gemma3-270m"]
        plan = ("plan", model, "--json")
        cells = len(json.loads(self.run_trimma(*plan))["cells"])
        best = self.best_seconds(5, ("inspect", model, "--json"), plan)
        goal_is_met = best <= PLAN_SECONDS and cells >= PLAN_CELLS
        self.add(figure=f"inspect and plan ({cells} cells)", ours=f"{best * 1000:.0f} ms",
                 goal=f"<= {PLAN_SECONDS * 1000:.0f} ms, >= {PLAN_CELLS} cells",
                 verdict=OK if goal_is_met else MISSED)

    def start(self):
        best = self.best_seconds(20, ("--help",))
        self.add(figure="start (--help)", ours=f"{best * 1000:.1f} ms",
                 goal=f"<= {START_SECONDS * 1000:.0f} ms", verdict=OK if best <= START_SECONDS else MISSED)


FIGURES = ("start", "plan", "divergence", "speed", "optimize")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--only", default=",".join(FIGURES), metavar="FIGURES")
    parser.add_argument("--rounds", type=int, default=7, help="rounds of the speed comparison")
    parser.add_argument("--calibration", type=Path, help="text whose lines must not be judged on")
    parser.add_argument("--trimma", type=Path, default=ROOT / "build/release/trimma")
    wishes = parser.parse_args()
    chosen = chosen_of(parser, wishes.only, FIGURES)
    bench = Bench(wishes)
    bench.collect(chosen, lambda name: getattr(bench, name))
    subprocess.run(["rm", "-rf", "--", str(bench.directory)])
    bench.print()
    return bench.status()


if __name__ == "__main__":
    sys.exit(main())
