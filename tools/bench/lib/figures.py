"""What all benchmarks share: figures and their table, running programs, the peers' own."""

import json
import os
import platform
import re
import subprocess
import sys
import time
from dataclasses import asdict, astuple, dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT / "tools"))

OK, MISSED, UNCLEAR, SKIPPED = "ok", "MISSED", "unclear: too noisy, try more --rounds", "skipped"


@dataclass
class Row:
    figure: str
    ours: str = "-"
    peer: str = "-"
    ratio: str = "-"
    goal: str = "-"
    verdict: str = OK


class BenchError(Exception):
    """`status` is the exit status of the program that failed, where one did."""

    def __init__(self, words, status=None):
        super().__init__(words)
        self.status = status


def say(words):
    print(f"==> {words}", file=sys.stderr, flush=True)


def run(command, **options):
    done = subprocess.run([str(word) for word in command], stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, **options)
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or ["(no words)"])[-1]
        raise BenchError(f"{Path(command[0]).name} {command[1]}: status {done.returncode}: {last}",
                         done.returncode)
    return done.stdout


def met(is_met):
    return OK if is_met else MISSED


def print_columns(lines):
    widths = [max(map(len, column)) for column in zip(*lines)]
    for line in lines:
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip())


def machine():
    cpu = re.search(r"^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    commit = subprocess.run(["git", "-C", str(ROOT), "rev-parse", "HEAD"], capture_output=True, text=True)
    return {"cpu": cpu[1] if cpu else platform.machine(), "cores": len(os.sched_getaffinity(0)),
            "commit": commit.stdout.strip() or None, "utc": time.strftime("%FT%TZ", time.gmtime())}


class Peers:
    """llama.cpp's own programs of the pinned commit, built where they are missing."""

    def __init__(self):
        self._paths = {}

    def __call__(self, program):
        if program not in self._paths:
            words = subprocess.run(["cmake", f"-DTRIMMA_PEER={program}", "-P",
                                    str(ROOT / "cmake/peers.cmake")], text=True,
                                   stdout=subprocess.PIPE)
            found = re.findall(r"^-- peers: (/.*)$", words.stdout, re.MULTILINE)
            if words.returncode != 0 or not found:
                raise BenchError("the peers' programs can't be built; see ./dev peers")
            self._paths[program] = Path(found[-1]) / program
        return self._paths[program]


class Figures:
    """The rows of one benchmark, said as they come and printed at its end."""

    def __init__(self):
        self.rows = []
        self.file = None  # where the rows are written too, as JSON

    def add(self, **fields):
        row = Row(**fields)
        self.rows.append(row)
        say(f"{row.figure}: {row.ours} against {row.peer}, goal {row.goal}: {row.verdict}")
        if self.file is not None:
            # Anew with every row: what was measured outlives whatever ends the run.
            part = self.file.with_name(self.file.name + ".part")
            part.write_text(json.dumps({"machine": machine(), "rows": [asdict(row) for row in self.rows]},
                                       indent=1) + "\n")
            part.replace(self.file)

    def attempt(self, name, action, *words):
        """Runs it; where it breaks, that is a row, and the others go on."""
        try:
            return action(*words)
        except (BenchError, KeyError, ValueError, OSError, ArithmeticError) as error:
            self.add(figure=name, verdict=f"FAILED: {error}")

    def collect(self, chosen, part_of):
        """Runs the chosen parts; one that breaks is a row too."""
        for name in chosen:
            self.attempt(name, lambda: part_of(name)())

    def merge(self, files):
        """The rows of other runs' files, with the machines that they ran on."""
        for file in files:
            said = json.loads(file.read_text())
            say(f"{file}: {json.dumps(said['machine'])}")
            self.rows += [Row(**row) for row in said["rows"]]

    def print(self):
        print_columns([astuple(row) for row in
                       (Row("figure", "trimma", "peer", "ratio", "goal", "verdict"), *self.rows)])

    def status(self):
        if any(row.verdict.startswith("FAILED") for row in self.rows):
            return 1
        return 5 if any(row.verdict in (MISSED, UNCLEAR) for row in self.rows) else 0


def chosen_of(parser, words, known):
    chosen = words.split(",")
    if unknown := set(chosen) - set(known):
        parser.error(f"no such figure: {', '.join(sorted(unknown))}; there are {', '.join(known)}")
    return chosen
