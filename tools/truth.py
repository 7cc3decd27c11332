#!/usr/bin/env python3
"""Reads off a machine with a card what the engine itself says a model takes.

  tools/truth.py --tool PATH/llama-fit-params --ghosts DIR --out truth.csv [--cells FILE]

Runs `llama-fit-params --fit-print on` for each cell of a balanced plan: every shape of
tools/shapes.py that DIR holds, by layers on the card, context, flash attention, types of the
KV cache and micro-batch. --cells runs the cells of a file of that kind instead (its result
column, if any, is not read), --print only prints the plan.

Output: model,ngl,ctx,fa,kv,ub,result, where kv is the type of K and V, or K/V, and the result has
model, context and compute MiB of each device. "refused" is the engine's word for a combination
that it does not run. Ends with 1 if a cell gave neither.
"""

import argparse
import concurrent.futures
import csv
import os
import re
import resource
import subprocess
import sys
import time
from dataclasses import astuple, dataclass, fields
from pathlib import Path

sys.dont_write_bytecode = True
from shapes.catalogue import SHAPES  # noqa: E402

ALL_LAYERS = 99
SECONDS_PER_CELL = 120
FIGURES = re.compile(r"^\S+( \d+){3} $")
REFUSALS = (
    "quantized V cache requires flash_attn",
    "does not support different K",
    "does not divide n_embd_head",
)


@dataclass(frozen=True)
class Cell:
    model: str
    ngl: int
    ctx: int
    fa: str
    kv: str
    ub: int

    @property
    def kv_types(self):
        key, _, value = self.kv.partition("/")
        return key, value or key


# Layers on the card in thirds; context L or H (a low and a high one); the rest as in a Cell.
PLAN = (
    (0, "L", "on", "f16", 512),
    (1, "L", "on", "f16", 512),
    (2, "L", "on", "f16", 512),
    (3, "L", "on", "f16", 512),
    (0, "H", "auto", "f16", 512),
    (1, "H", "auto", "f16", 512),
    (2, "H", "auto", "f16", 512),
    (3, "H", "auto", "f16", 512),
    (0, "L", "off", "f16", 512),
    (2, "L", "off", "f16", 512),
    (3, "H", "off", "f16", 512),
    (0, "H", "on", "q8_0", 512),
    (1, "L", "auto", "q8_0", 512),
    (2, "H", "on", "q8_0", 512),
    (3, "L", "on", "q8_0", 512),
    (2, "L", "on", "q8_0/q4_0", 512),
    (3, "H", "on", "q8_0/q4_0", 512),
    (3, "L", "off", "q8_0/f16", 512),
    (1, "L", "off", "f16", 128),
    (3, "L", "on", "f16", 128),
    (2, "H", "on", "f16", 2048),
    (3, "L", "auto", "q8_0", 2048),
)


def plan(shape):
    high = min(32768, shape.context)
    contexts = {"L": min(4096, high // 2), "H": high}
    layers = (0, round(shape.layers / 3), round(shape.layers * 2 / 3), ALL_LAYERS)
    return [
        Cell(shape.name, layers[third], contexts[level], fa, kv, ub)
        for third, level, fa, kv, ub in PLAN
    ]


def planned(names):
    """The cells of all shapes, taking turns, so that an early end leaves some of each."""
    return [cell for row in zip(*(plan(SHAPES[name]) for name in names)) for cell in row]


def read_cells(path):
    with open(path, newline="") as file:
        rows = [row for row in csv.reader(file) if row and row[0] != "model"]
    return [Cell(row[0], int(row[1]), int(row[2]), row[3], row[4], int(row[5])) for row in rows]


class Reader:
    def __init__(self, tool, ghosts):
        self.tool = tool.resolve()
        self.ghosts = ghosts

    def read(self, cell):
        """The result column and, where there is none, why."""
        key, value = cell.kv_types
        command = [self.tool, "--fit-print", "on", "-m", self.ghosts / f"{cell.model}.gguf"]
        command += ["-ngl", str(cell.ngl), "-c", str(cell.ctx), "-ub", str(cell.ub)]
        command += ["-fa", cell.fa, "-ctk", key, "-ctv", value]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS_PER_CELL)
        except (subprocess.TimeoutExpired, OSError) as error:
            return None, str(error)
        lines = [line for line in done.stdout.splitlines() if FIGURES.match(line)]
        if done.returncode == 0 and lines:
            return "".join(f"{line} " for line in lines), ""
        if any(refusal in done.stderr for refusal in REFUSALS):
            return "refused", ""
        return None, f"status {done.returncode}: {done.stderr.strip()[-500:]}"


def run(reader, cells, out, jobs):
    """Writes each cell as it comes, and at the end all of them in the plan's order."""
    results, failed = {}, 0
    with open(out, "w", newline="") as file:
        rows = csv.writer(file, lineterminator="\n")
        with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
            futures = {pool.submit(reader.read, cell): cell for cell in cells}
            for future in concurrent.futures.as_completed(futures):
                cell = futures[future]
                result, why = future.result()
                if result is None:
                    failed += 1
                    print(f"{cell}: {why}", file=sys.stderr)
                    continue
                results[cell] = result
                rows.writerow((*astuple(cell), result))
                file.flush()
    write(out, [(*astuple(cell), results[cell]) for cell in cells if cell in results])
    return results, failed


def write(out, rows):
    unfinished = out.with_name(out.name + ".part")
    with open(unfinished, "w", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows(rows)
    os.replace(unfinished, out)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tool", type=Path, help="llama-fit-params of the pinned engine")
    parser.add_argument("--ghosts", type=Path, help="folder of NAME.gguf files")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--cells", type=Path, help="cells to read instead of the plan's")
    parser.add_argument("--shapes", help="only these, separated by commas")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="at once")
    parser.add_argument("--print", action="store_true", help="print the cells and run nothing")
    options = parser.parse_args()

    names = options.shapes.split(",") if options.shapes else list(SHAPES)
    if options.ghosts:
        names = [name for name in names if (options.ghosts / f"{name}.gguf").is_file()]
    cells = read_cells(options.cells) if options.cells else planned(names)
    cells = [cell for cell in dict.fromkeys(cells) if cell.model in names]
    if options.print:
        rows = csv.writer(sys.stdout, lineterminator="\n")
        rows.writerow(field.name for field in fields(Cell))
        rows.writerows(map(astuple, cells))
        return 0
    if not (options.tool and options.ghosts and options.out and cells):
        parser.error("give --tool, --ghosts with files of tools/shapes.py, and --out")

    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # the tool aborts where the engine refuses
    began = time.monotonic()
    results, failed = run(Reader(options.tool, options.ghosts), cells, options.out, options.jobs)
    refused = list(results.values()).count("refused")
    print(
        f"{len(results) - refused} cells, {refused} refused, {failed} failed,"
        f" {time.monotonic() - began:.0f} s: {options.out}"
    )
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
