#!/usr/bin/env python3
"""Predicted speed beside measured: ./dev bench plan_speed [--passes N] [--only WORD] [--keep DIR]

The kernels of this machine are measured once (`trimma scan --bench`), then every cell is planned
and measured in random order, in two passes: prompts by `trimma measure --prompt-tokens`, decoding
over so many tokens that half of them is the depth which the plan assumes. None of these models was
used to fit the predictor's constants. Afterwards the kernels are measured again: where the
predictions themselves moved by more than a goal in between, the machine is too noisy to judge.

Ends with 5 if a goal is missed: median error of decode 10 %, of prefill 15 %, 90 % of cells inside
the stated interval.
"""

import argparse
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

sys.dont_write_bytecode = True
from lib.figures import OK, ROOT, UNCLEAR, BenchError, Figures, met, print_columns, run, say  # noqa: E402

import fetch_model  # noqa: E402

GOALS = {"decode": 0.10, "prefill": 0.15}
INSIDE = 0.90
ROUNDS = 3  # of each pass


@dataclass
class Cell:
    model: str       # of MANPAGE, fetch_model's, or of tools/shapes.py with a number of layers
    recipe: str      # what it is quantised to; "" as it is
    prompt: int
    decode: int
    kv: str = "f16"
    layers: int = 0
    path: Path = None
    gpu_layers: int = 0  # as the plan places it
    planned: dict = field(default_factory=dict)   # {"decode": {"value", "low", "high"}, "prefill": ...}
    measured: dict = field(default_factory=dict)  # {"decode": [medians], "prefill": [medians]}

    @property
    def name(self):
        parts = [self.model, self.recipe or "as it is", f"{self.layers} layers" if self.layers else "",
                 "" if self.kv == "f16" else f"KV {self.kv}", f"{self.prompt} / {self.decode}"]
        return " ".join(part for part in parts if part)


MANPAGE = "manpage-26m-f16"
CELLS = [
    Cell(MANPAGE, "", 256, 256),  # trained for 1024 tokens: no longer prompt has a plan
    Cell(MANPAGE, "", 128, 1024),
    Cell(MANPAGE, "Q8_0", 256, 256),
    Cell(MANPAGE, "Q6_K", 256, 1024),
    Cell(MANPAGE, "Q5_K_M", 256, 256, "q8_0"),
    Cell(MANPAGE, "Q4_K_M", 256, 256),
    Cell(MANPAGE, "Q4_K_M", 128, 1024, "q8_0"),
    Cell(MANPAGE, "IQ4_XS", 256, 256),
    Cell(MANPAGE, "Q3_K_M", 128, 512),
    Cell("smollm2-135m", "", 512, 128),
    Cell("smollm2-135m", "", 256, 1024),
    Cell("gemma3-270m", "", 512, 512),
    Cell("gemma3-1b", "Q4_K_M", 256, 64, layers=8),
    Cell("gemma3-1b", "Q8_0", 512, 64, layers=8),
    Cell("llama3.2-3b", "Q4_K_M", 512, 64, layers=4),
    Cell("llama3.2-3b", "Q5_K_M", 256, 64, "q8_0", layers=4),
    Cell("qwen2.5-7b", "IQ4_XS", 256, 64, layers=2),
    Cell("qwen1.5-moe-a2.7b", "Q4_K_M", 256, 64, layers=3),
]


class Bench:
    def __init__(self, trimma, folder):
        self.trimma = trimma
        self.folder = folder
        self.environment = {**os.environ, "XDG_STATE_HOME": str(folder / "state")}
        models = Path(os.environ.get("TRIMMA_TEST_MODELS") or ROOT.parent / "shared" / "models")
        self.manpage = models / f"{MANPAGE}.gguf"

    def ask(self, *words):
        return json.loads(run([self.trimma, *words, "--json", "--quiet"], env=self.environment))

    def make(self, cell):
        """The cell's file; False where its model is not here."""
        if cell.layers:
            cell.path = self.folder / f"{cell.model}-{cell.recipe}-{cell.layers}.gguf"
            if not cell.path.exists():
                run([sys.executable, ROOT / "tools/shapes.py", cell.model, cell.path, "--type", cell.recipe,
                     "--layers", cell.layers, "--random", 1])
            return True
        if cell.model == MANPAGE:
            source = self.manpage if self.manpage.exists() else None
        else:
            found = subprocess.run([sys.executable, ROOT / "tools/fetch_model.py", "--cached", cell.model],
                                   capture_output=True, text=True)
            source = Path(found.stdout.strip()) if found.returncode == 0 else None
        if source is None:
            return False
        cell.path = source
        if cell.recipe:
            cell.path = self.folder / f"{cell.model}-{cell.recipe}.gguf"
            if not cell.path.exists():
                run([self.trimma, "quantize", source, "-o", cell.path, "--type", cell.recipe, "--quiet"],
                    env=self.environment)
        return True

    def plan(self, cell):
        """The plan's figures at half the context filled, and for a quarter of it as a prompt."""
        found = {}
        for what, context in (("decode", cell.decode), ("prefill", 4 * cell.prompt)):
            document = self.ask("plan", cell.path, "--context", str(context), "--kv", cell.kv,
                                "--types", "as-is")
            planned = document["cells"][0]
            if planned[f"{what}_tps"] is not None:
                found[what] = {"value": planned[f"{what}_tps"], **planned[f"{what}_tps_interval"]}
                cell.gpu_layers = planned["gpu_layers"]
        return found

    def measure(self, cell):
        speed = self.ask("measure", cell.path, "--speed", "--rounds", str(ROUNDS), "--kv", cell.kv,
                         "--prompt-tokens", str(cell.prompt), "--decode-tokens", str(cell.decode),
                         "--gpu-layers", str(cell.gpu_layers))["speed"]
        for what in GOALS:
            cell.measured.setdefault(what, []).append(speed[f"{what}_tps"]["median"])


def error(cell, what):
    return cell.planned[what]["value"] / statistics.median(cell.measured[what]) - 1


def is_inside(cell, what):
    return cell.planned[what]["low"] <= statistics.median(cell.measured[what]) <= cell.planned[what]["high"]


def table(cells):
    lines = [("cell (prompt / decoded tokens)", "decode", "measured", "error", "", "prefill", "measured",
              "error", "")]
    for cell in cells:
        line = [cell.name]
        for what in GOALS:
            if what not in cell.planned:
                line += ["-", "-", "-", ""]
                continue
            line += [f"{cell.planned[what]['value']:.1f}", f"{statistics.median(cell.measured[what]):.1f}",
                     f"{100 * error(cell, what):+.1f} %", "" if is_inside(cell, what) else "outside"]
        lines.append(tuple(line))
    print_columns(lines)


def judge(cells, moved, figures):
    for what, goal in GOALS.items():
        known = [cell for cell in cells if what in cell.planned]
        if not known:
            continue
        median = statistics.median(abs(error(cell, what)) for cell in known)
        inside = sum(is_inside(cell, what) for cell in known) / len(known)
        noisy = moved[what] > goal
        figures.add(figure=f"{what}: median error, {len(known)} cells", ours=f"{100 * median:.1f} %",
                    peer=f"moved {100 * moved[what]:.1f} %", goal=f"<= {100 * goal:.0f} %",
                    verdict=OK if median <= goal else UNCLEAR if noisy else met(False))
        figures.add(figure=f"{what}: inside the interval", ours=f"{100 * inside:.0f} %",
                    goal=f">= {100 * INSIDE:.0f} %",
                    verdict=OK if inside >= INSIDE else UNCLEAR if noisy else met(False))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--passes", type=int, default=2)
    parser.add_argument("--only", default="", help="cells whose name holds this word")
    parser.add_argument("--keep", type=Path, help="a folder for the models made, kept for next time")
    parser.add_argument("--trimma", type=Path, default=ROOT / "build/release/trimma")
    wishes = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="trimma-plan-speed-") as temporary:
        bench = Bench(wishes.trimma, wishes.keep or Path(temporary))
        bench.folder.mkdir(parents=True, exist_ok=True)
        cells = [cell for cell in CELLS if wishes.only in cell.name and bench.make(cell)]
        if not cells:
            raise BenchError("none of the models is here; see tools/fetch_model.py")
        kernels = bench.ask("scan", "--bench")["kernels"]
        say(f"kernels measured in {kernels['seconds']:.1f} s")
        for cell in cells:
            cell.planned = bench.plan(cell)
        dice = random.Random(1)
        for number in range(wishes.passes):
            for cell in dice.sample(cells, len(cells)):
                say(f"pass {number + 1}: {cell.name}")
                try:
                    bench.measure(cell)
                except BenchError as problem:  # of a machine too busy to go on, say
                    say(f"not measured: {problem}")
        bench.ask("scan", "--bench")
        again = [bench.plan(cell) for cell in cells]
        moved = {what: statistics.median([abs(now[what]["value"] / cell.planned[what]["value"] - 1)
                                          for cell, now in zip(cells, again)
                                          if what in cell.planned and what in now] or [0])
                 for what in GOALS}
    measured = [cell for cell in cells if cell.measured]
    table(measured)
    figures = Figures()
    judge(measured, moved, figures)
    figures.add(figure="cells measured", ours=str(len(measured)), goal=str(len(cells)),
                verdict=met(len(measured) == len(cells)))
    figures.add(figure="kernels measured in", ours=f"{kernels['seconds']:.1f} s", goal="<= 20 s",
                verdict=met(kernels["seconds"] <= 20))
    print()
    figures.print()
    return figures.status()


if __name__ == "__main__":
    try:
        sys.exit(main())
    except BenchError as problem:
        print(f"plan_speed: {problem}", file=sys.stderr)
        sys.exit(1)
