#!/usr/bin/env python3
"""The quantiser's figures: ./dev bench quantize [--only loss,ablation,...] [--sizes Q4_K_M,...]

loss     divergence from the source at no more bytes than llama-quantize's file of the same type, on text
         used for nothing else; both learn from the same calibration text
ablation each part alone, and both together
weights  the same of the weights alone: both files turned back into F16, which leaves the activations
         that the processor's kernels round too
time     seconds for a file by plain rounding, beside llama-quantize; and of the whole
speed    decode and prefill of our file beside the peer's

Models: manpage-26m, and whatever --model names (an F16 or BF16 GGUF). Prints a table; ends with 5 if a
goal is missed.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.dont_write_bytecode = True
from lib.figures import ROOT, SKIPPED, BenchError, Figures, Peers, chosen_of, met, run, say  # noqa: E402

import fetch_model  # noqa: E402
import judging_text  # noqa: E402

# Mean KL divergence at most this share of the peer's: manpage-26m, and any other model.
GOALS = {"Q4_K_M": (0.52, 0.65), "IQ4_XS": (0.60, 0.65), "Q3_K_M": (0.39, 0.60),
         "IQ3_S": (0.44, 0.60), "Q6_K": (0.85, 1.0)}
CHUNKS = 48
IMATRIX_CHUNKS = 160  # as many as trimma reads
PLAIN_TYPES = ("Q4_K_M", "IQ4_XS", "Q8_0", "Q6_K")
PLAIN_GOALS = {"Q4_K_M": 6, "IQ4_XS": 6, "Q8_0": 2, "Q6_K": 2}
SPEED_GOAL = 0.98
SPEED_ROUNDS = 5


class Bench(Figures):
    def __init__(self, wishes):
        super().__init__()
        self.trimma = wishes.trimma
        self.sizes = wishes.sizes.split(",")
        self.chunks = wishes.chunks
        self.calibration = wishes.calibration
        self.directory = Path(tempfile.mkdtemp(prefix="trimma-bench-"))
        self.peer = Peers()
        self.seconds = {}
        folder = Path(os.environ.get("TRIMMA_TEST_MODELS") or ROOT.parent / "shared" / "models")
        self.models = [path for path in (folder / "manpage-26m-f16.gguf",) if path.is_file()]
        self.models += wishes.model
        if self.calibration is None:
            text = folder.parent / "corpus/calibration.txt"
            self.calibration = text if text.is_file() else None
        if not self.models or self.calibration is None:
            raise BenchError("a model (--model) and a calibration text (--calibration) are needed")
        subprocess.run([str(ROOT / "dev"), "setup", "judging"], stdout=sys.stderr)
        self.text = judging_text.judging_text(fetch_model.cache_directory() / "bench",
                                              self.calibration)
        if self.text is None:
            raise BenchError(f"no text to judge on: {', '.join(judging_text.PACKAGES)}")

    def run_trimma(self, *words):
        state = {"XDG_STATE_HOME": str(self.directory / "state")}
        return run([self.trimma, *words], env={**os.environ, **state})

    def timed(self, name, action):
        started = time.perf_counter()
        action()
        self.seconds[name] = time.perf_counter() - started

    # ---- files -----------------------------------------------------------------------------

    def importance(self, model):
        out = self.directory / f"{model.stem}.imatrix.gguf"
        if not out.exists():
            say(f"llama-imatrix of {model.name}")
            self.timed(f"imatrix {model.stem}", lambda: run(
                [self.peer("llama-imatrix"), "-m", model, "-f", self.calibration, "-o", out,
                 "-c", 512, "--chunks", IMATRIX_CHUNKS]))
        return out

    def theirs(self, model, kind):
        out = self.directory / f"{model.stem}-theirs-{kind}.gguf"
        if not out.exists():
            importance = self.importance(model)
            say(f"llama-quantize {kind} of {model.name}")
            self.timed(f"theirs {model.stem} {kind}", lambda: run(
                [self.peer("llama-quantize"), "--imatrix", importance, model, out, kind]))
        return out

    def ours(self, model, kind):
        out = self.directory / f"{model.stem}-ours-{kind}.gguf"
        if not out.exists():
            size = self.theirs(model, kind).stat().st_size
            say(f"trimma quantize --size {size} of {model.name}")
            self.timed(f"ours {model.stem} {kind}", lambda: self.run_trimma(
                "quantize", model, "-o", out, "--size", size, "--calibration", self.calibration,
                "--work", self.directory / f"{model.stem}-work"))
        return out

    def as_f16(self, path):
        out = path.with_name(path.stem + "-f16.gguf")
        if not out.exists():
            run([self.peer("llama-quantize"), "--allow-requantize", path, out, "F16"])
        return out

    def quality(self, path, model):
        say(f"divergence of {path.name}")
        return json.loads(self.run_trimma(
            "measure", path, "--against", model, "--quality", "--text", self.text,
            "--chunks", self.chunks, "--json"))["quality"]

    # ---- the figures -----------------------------------------------------------------------

    def compare(self, model, kind, ours, theirs, what):
        a, b = self.quality(ours, model), self.quality(theirs, model)
        ratio = a["mean_kld"] / b["mean_kld"]
        limit = GOALS.get(kind, (1.0, 1.0))[0 if model.stem.startswith("manpage") else 1]
        shown = "{mean_kld:.4f} [{mean_kld_ci95[0]:.4f}, {mean_kld_ci95[1]:.4f}]"
        self.add(figure=f"mean KLD, {what}, {model.stem} {kind}", ours=shown.format(**a),
                 peer=shown.format(**b), ratio=f"{ratio:.3f}", goal=f"<= {limit}",
                 verdict=met(ratio <= limit))
        tail = a["p999_kld"] / b["p999_kld"]
        self.add(figure=f"99.9 % KLD, {what}, {model.stem} {kind}", ours=f"{a['p999_kld']:.3f}",
                 peer=f"{b['p999_kld']:.3f}", ratio=f"{tail:.3f}", goal="<= 1", verdict=met(tail <= 1))
        self.add(figure=f"same top, {what}, {model.stem} {kind}", ours=f"{a['same_top']:.4f}",
                 peer=f"{b['same_top']:.4f}", goal=">=", verdict=met(a["same_top"] >= b["same_top"]))

    def loss(self):
        for model in self.models:
            for kind in self.sizes:
                ours, theirs = self.ours(model, kind), self.theirs(model, kind)
                sizes = ours.stat().st_size, theirs.stat().st_size
                self.add(figure=f"bytes, {model.stem} {kind}", ours=str(sizes[0]), peer=str(sizes[1]),
                         ratio=f"{sizes[0] / sizes[1]:.4f}", goal="<= 1", verdict=met(sizes[0] <= sizes[1]))
                self.compare(model, kind, ours, theirs, "as it runs")

    def ablation(self):
        """Each part alone and both together, at the bytes of one recipe."""
        kind = self.sizes[0]
        for model in self.models:
            theirs = self.theirs(model, kind)
            before = self.quality(theirs, model)
            work = ("--calibration", self.calibration, "--work", self.directory / f"{model.stem}-work")
            size = ("--size", theirs.stat().st_size)
            for what, words in (
                    ("our plain rounding", ("--type", kind, "--calibration", self.calibration)),
                    ("compensation", ("--type", kind, "--mode", "full", *work)),
                    ("allocation", (*size, "--mode", "plain", *work)),
                    ("allocation and compensation", (*size, *work))):
                out = self.directory / "ablation.gguf"
                self.run_trimma("quantize", model, "-o", out, "--force", *words)
                after = self.quality(out, model)
                self.add(figure=f"{what}, {model.stem} {kind}", ours=f"{after['mean_kld']:.4f}",
                         peer=f"{before['mean_kld']:.4f}",
                         ratio=f"{after['mean_kld'] / before['mean_kld']:.3f}", goal="(shown)", verdict="-")

    def weights(self):
        for model in self.models:
            for kind in self.sizes:
                self.compare(model, kind, self.as_f16(self.ours(model, kind)),
                             self.as_f16(self.theirs(model, kind)), "weights alone")

    def time(self):
        for model in self.models:
            importance = self.importance(model)
            for kind in PLAIN_TYPES:
                ours, theirs = [], []
                for done in range(3):
                    out = self.directory / "plain.gguf"
                    for seconds, command in (
                            (ours, [self.trimma, "quantize", model, "-o", out, "--type", kind,
                                    "--imatrix", importance, "--force", "-q"]),
                            (theirs, [self.peer("llama-quantize"), "--imatrix", importance, model, out,
                                      kind])):
                        out.unlink(missing_ok=True)
                        started = time.perf_counter()
                        run(command)
                        seconds.append(time.perf_counter() - started)
                ratio = min(theirs) / min(ours)
                self.add(figure=f"plain file, {model.stem} {kind}", ours=f"{min(ours):.2f} s",
                         peer=f"{min(theirs):.2f} s", ratio=f"{ratio:.2f} x",
                         goal=f">= {PLAIN_GOALS[kind]} x", verdict=met(ratio >= PLAIN_GOALS[kind]))
            for kind in self.sizes:
                if f"ours {model.stem} {kind}" not in self.seconds:
                    continue
                ours = self.seconds[f"ours {model.stem} {kind}"]
                theirs = self.seconds[f"theirs {model.stem} {kind}"]
                self.add(figure=f"whole file, {model.stem} {kind}", ours=f"{ours:.1f} s",
                         peer=f"{theirs:.1f} s + imatrix {self.seconds[f'imatrix {model.stem}']:.1f} s",
                         ratio=f"{ours / theirs:.1f}", goal="(passes shared by the sizes)", verdict="-")

    def speed(self):
        for model in self.models:
            for kind in self.sizes:
                rates = {"decode_tps": ([], []), "prefill_tps": ([], [])}
                files = self.ours(model, kind), self.theirs(model, kind)
                for done in range(SPEED_ROUNDS):
                    for side in (0, 1) if done % 2 == 0 else (1, 0):
                        said = json.loads(self.run_trimma("measure", files[side], "--speed", "--rounds", 3,
                                                          "--json"))["speed"]
                        for what, both in rates.items():
                            both[side].append(said[what]["median"])
                for what, (ours, theirs) in rates.items():
                    ratio = statistics.median(a / b for a, b in zip(ours, theirs))
                    self.add(figure=f"{what[:-4]}, {model.stem} {kind}",
                             ours=f"{statistics.median(ours):.0f} t/s",
                             peer=f"{statistics.median(theirs):.0f} t/s", ratio=f"{ratio:.3f}",
                             goal=f">= {SPEED_GOAL}", verdict=met(ratio >= SPEED_GOAL))


FIGURES = ("loss", "ablation", "weights", "time", "speed")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--only", default=",".join(FIGURES), metavar="FIGURES")
    parser.add_argument("--sizes", default=",".join(GOALS), metavar="TYPES")
    parser.add_argument("--model", type=Path, action="append", default=[], help="one more F16 model")
    parser.add_argument("--calibration", type=Path, help="the text that both learn from")
    parser.add_argument("--chunks", type=int, default=CHUNKS, help="judged, of 512 tokens")
    parser.add_argument("--trimma", type=Path, default=ROOT / "build/release/trimma")
    wishes = parser.parse_args()
    chosen = chosen_of(parser, wishes.only, FIGURES)
    try:
        bench = Bench(wishes)
    except BenchError as error:
        say(f"{SKIPPED}: {error}")
        return 1
    bench.collect(chosen, lambda name: getattr(bench, name))
    subprocess.run(["rm", "-rf", "--", str(bench.directory)])
    bench.print()
    return bench.status()


if __name__ == "__main__":
    sys.exit(main())
