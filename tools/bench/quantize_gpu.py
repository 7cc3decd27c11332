#!/usr/bin/env python3
"""The quantiser on a card: ./dev bench quantize_gpu [--only moments,host,whole]

moments   a random F16 model of Gemma 3 4B's shape: forward passes and second moments, summed up where the
          inputs lie; goal: at most 4 minutes. Memory taken from the card meanwhile
host      few layers of it, the moments summed up on the card, on the host, and on the card without TF32:
          seconds, and how far the sums differ
whole     `trimma quantize --size Q4_K_M` of few layers (--whole-layers): seconds of each stage, weights a
          second of the rounding, memory of the card

Without a card it says so and measures nothing; --anyway measures all the same (to try the script).
"""

import argparse
import json
import os
import re
import subprocess
import sys
import threading
import time
from pathlib import Path

sys.dont_write_bytecode = True
from lib.figures import ROOT, SKIPPED, BenchError, Figures, chosen_of, met, say  # noqa: E402
from lib.moments import difference  # noqa: E402
from plan_gpu import Card  # noqa: E402

GIB = 1 << 30
SHAPE = "g4b"
MOMENTS_SECONDS = 240
DIFFERENCE_GOAL = 1e-3  # of sums on the card from those on the host, by Frobenius norm
CHUNKS = 160  # of 512 tokens, as `trimma quantize` reads


class NoCard:
    def free(self):
        return 0

    def leave(self, wanted):
        pass


class Watch:
    """The most that was taken from the card while it is open, of what was free before."""

    def __init__(self, card):
        self.card, self.most = card, 0
        self.before = card.free()
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self.look)

    def look(self):
        while not self.ended.wait(0.2):
            self.most = max(self.most, self.before - self.card.free())

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *error):
        self.ended.set()
        self.thread.join()


class Bench(Figures):
    def __init__(self, wishes, card):
        super().__init__()
        self.wishes = wishes
        self.card = card
        self.file = wishes.json
        self.memory = int(wishes.memory * GIB)

    def model(self, layers=None):
        path = self.wishes.work / f"{SHAPE}-{layers or 'all'}-f16.gguf"
        if not path.is_file():
            say(f"writing {path.name}")
            words = ["--layers", str(layers)] if layers else []
            small = ["--small"] if self.wishes.small else []
            subprocess.run([sys.executable, ROOT / "tools/shapes.py", SHAPE, path, "--type", "F16", "--random", "1",
                            "--vocabulary", *words, *small], check=True, stdout=subprocess.DEVNULL)
        return path

    def child_moments(self, model, name, on_host=False, env=None):
        """One child: its answer, seconds in all and until the first sums, memory of the card."""
        text = {"file": str(self.wishes.calibration), "generate": False, "seconds": 20, "chunks": self.wishes.chunks}
        request = {"model": str(model), "text": text, "memory_bytes": self.memory, "threads": self.wishes.threads,
                   "predicts": False, "moments": str(self.wishes.work / f"{name}.gguf"), "on_host": on_host,
                   "tokens": str(self.wishes.work / f"{name}.json")}
        begun = time.monotonic()
        first, answer = None, {}
        with Watch(self.card) as watch:
            reader, writer = os.pipe()
            os.set_inheritable(writer, True)
            child = subprocess.Popen(["bash", "-c", f'exec "$0" __child moments 3>&{writer}', str(self.wishes.trimma)],
                                     stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True, close_fds=False,
                                     env={**os.environ, **(env or {})})
            os.close(writer)
            child.stdin.write(json.dumps(request))
            child.stdin.close()
            with os.fdopen(reader) as answers:
                for line in answers:
                    answer = json.loads(line)
                    if "event" in answer and first is None:
                        first = time.monotonic() - begun
            words = child.stderr.read()
            child.wait()
        if "error" in answer or child.returncode != 0:
            raise BenchError(f"moments: {answer.get('error', words[-300:])}")
        return answer.get("result", answer), time.monotonic() - begun, first, watch.most

    def moments(self):
        model = self.model()
        self.card.leave(int((self.wishes.free or 0) * GIB))
        said, seconds, first, taken = self.child_moments(model, "moments")
        self.card.leave(0)
        size = (self.wishes.work / "moments.gguf").stat().st_size
        (self.wishes.work / "moments.gguf").unlink()
        say(f"moments: {json.dumps(said)}; loading and a first chunk {first:.1f} s; a file of {size / GIB:.2f} GiB")
        goal = {"goal": f"<= {MOMENTS_SECONDS} s", "verdict": met(seconds <= MOMENTS_SECONDS)}
        where = f", {self.wishes.free} GiB of the card free" if self.wishes.free else ""
        self.add(figure=f"forward passes and moments, {model.stat().st_size / GIB:.2f} GiB F16{where}",
                 ours=f"{seconds:.1f} s", **({} if self.wishes.free else goal))
        self.add(figure="its memory of the card", ours=f"{taken / GIB:.2f} GiB")

    def host(self):
        layers = self.wishes.layers
        model = self.model(layers)
        runs = {"card": {}, "host": {"on_host": True}, "card without TF32": {"env": {"NVIDIA_TF32_OVERRIDE": "0"}}}
        for name, words in runs.items():
            said, seconds, first, _ = self.child_moments(model, name.replace(" ", "-"), **words)
            say(f"{name}: {json.dumps(said)}; loading and a first chunk {first:.1f} s")
            self.add(figure=f"moments of {layers} layers, {name}", ours=f"{seconds:.1f} s")
        for name in ("card", "card without TF32"):
            file = self.wishes.work / f"{name.replace(' ', '-')}.gguf"
            worst, median, diagonal = difference(file, self.wishes.work / "host.gguf")
            self.add(figure=f"sums of the {name} against the host's",
                     ours=f"worst {worst:.2e}, median {median:.2e}, diagonal {diagonal:.2e}",
                     goal=f"<= {DIFFERENCE_GOAL:g}", verdict=met(worst <= DIFFERENCE_GOAL))
        for name in runs:
            (self.wishes.work / f"{name.replace(' ', '-')}.gguf").unlink()

    def whole(self):
        layers = self.wishes.whole_layers
        model = self.model(layers)
        output = self.wishes.work / "whole.gguf"
        output.unlink(missing_ok=True)
        stages = []
        with Watch(self.card) as watch:
            process = subprocess.Popen(
                [str(self.wishes.trimma), "quantize", str(model), "-o", str(output), "--size", "Q4_K_M",
                 "--calibration", str(self.wishes.calibration), "--memory", str(self.memory),
                 "--threads", str(self.wishes.threads), "--json"],
                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            last = []
            for line in process.stderr:
                name = re.sub(r"( \.\.\.|: +[0-9]+ %.*)$", "", line.strip())
                last.append(line.strip())
                if not stages or stages[-1][0] != name:
                    stages.append((name, time.monotonic()))
            said = process.stdout.read()
            process.wait()
        ended = time.monotonic()
        if process.returncode != 0:
            raise BenchError(f"quantize: {said[-300:]} {(last or ['(no words)'])[-1]}")
        weights = json.loads(said)["file_bytes"] * 8 / json.loads(said)["bits_per_weight"]
        for note in json.loads(said).get("notes", []):
            say(f"note: {note}")
        name = f"{layers or 'all'} layers, {weights / 1e9:.2f} G weights"
        for (stage, begun), until in zip(stages, [begun for _, begun in stages[1:]] + [ended]):
            rate = f" ({weights / (until - begun) / 1e6:.2f} M weights/s)" if stage == "quantising" else ""
            self.add(figure=f"{name}: {stage}", ours=f"{until - begun:.1f} s{rate}")
        self.add(figure=f"{name}: most of the card's memory", ours=f"{watch.most / GIB:.2f} GiB")


FIGURES = ("moments", "host", "whole")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--only", default=",".join(FIGURES), metavar="FIGURES")
    parser.add_argument("--trimma", type=Path, default=ROOT / "build/release/trimma")
    parser.add_argument("--work", type=Path, default=ROOT / "build/bench/quantize_gpu",
                        help="models and moments: 30 GiB of room")
    parser.add_argument("--calibration", type=Path, default=ROOT.parent / "shared/corpus/calibration.txt")
    parser.add_argument("--chunks", type=int, default=CHUNKS)
    parser.add_argument("--layers", type=int, default=4, help="of the comparison with the host")
    parser.add_argument("--whole-layers", type=int, default=4, help="of the whole run; 0: all")
    parser.add_argument("--memory", type=float, default=32, help="GiB for --memory")
    parser.add_argument("--free", type=float, help="GiB of the card that moments may take; other memory is held")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--json", type=Path, help="where the rows are written too")
    parser.add_argument("--small", action="store_true", help="a small model, to try the script")
    parser.add_argument("--anyway", action="store_true", help="without a card too")
    wishes = parser.parse_args()
    wishes.work.mkdir(parents=True, exist_ok=True)
    chosen = chosen_of(parser, wishes.only, FIGURES)
    try:
        card = Card()
        card.free()
    except SystemExit as missing:
        if not wishes.anyway:
            print(f"quantize_gpu: {SKIPPED}: {missing}")
            return 0
        card = NoCard()
    bench = Bench(wishes, card)
    bench.collect(chosen, lambda name: getattr(bench, name))
    bench.print()
    return bench.status()


if __name__ == "__main__":
    sys.exit(main())
