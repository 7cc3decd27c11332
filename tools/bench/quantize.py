#!/usr/bin/env python3
"""The quantiser's figures: ./dev bench quantize [--only loss,ablation,...] [--sizes Q4_K_M,...]

loss      divergence from the source at no more bytes than llama-quantize's file of the same type, on text
          used for nothing else; both learn from the same calibration text
languages the same on the manuals' translations, and which of them does worst
ablation  each part alone, and both together
weights   the loss of the weights alone: both files turned back into F16, which leaves out the activations
          that the processor's kernels round too
time      seconds for a file by plain rounding, beside llama-quantize; and of the whole
speed     decode and prefill of our file made with --types fast beside the peer's, and what it then loses
memory    peak of plain rounding and of full mode on a file with a 4B model's shapes (only when named)

Models: manpage-26m; whatever --model names (an F16 or BF16 GGUF); and, for --quantised (a file, or a name of
tools/fetch_model.py), a reference made by tools/noised_reference.py, whose divergence from its original is
printed. A part that fails is a row, and the others go on. Prints a table; ends with 5 if a goal is missed,
with 1 if a part failed.

On a machine without a network: --folder with what a run elsewhere left in its texts/ and references, and
llama.cpp's programs in --peers.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.dont_write_bytecode = True
from lib.figures import ROOT, SKIPPED, BenchError, Figures, Peers, chosen_of, met, run, say  # noqa: E402
from lib.process_memory import peak_of  # noqa: E402

import fetch_model  # noqa: E402
import judging_text  # noqa: E402

# Mean KL divergence at most this share of the peer's: manpage-26m, and any other model.
GOALS = {"Q4_K_M": (0.52, 0.65), "IQ4_XS": (0.60, 0.65), "Q3_K_M": (0.39, 0.60),
         "IQ3_S": (0.44, 0.60), "Q6_K": (0.85, 1.0)}
CHUNKS = 48
IMATRIX_CHUNKS = 320  # as many as trimma reads at most
PLAIN_TYPES = ("Q4_K_M", "IQ4_XS", "Q8_0", "Q6_K")
PLAIN_GOALS = {"Q4_K_M": 6, "IQ4_XS": 6, "Q8_0": 2, "Q6_K": 2}
SPEED_GOAL = 0.98
SPEED_ROUNDS = 5
LANGUAGE_CHUNKS = 16
MEMORY_SHAPE = "g4b"
MEMORY_GOAL = 2 << 30
FULL_MEMORY = 4 << 30
FULL_LAYERS = 2  # the embedding, the widest tensor, stays whole


class Bench(Figures):
    def __init__(self, wishes):
        super().__init__()
        self.wishes = wishes
        self.file = wishes.json
        self.trimma = wishes.trimma
        self.sizes = wishes.sizes.split(",")
        self.chunks = wishes.chunks
        self.directory = wishes.folder or Path(tempfile.mkdtemp(prefix="trimma-bench-"))
        (self.directory / "texts").mkdir(parents=True, exist_ok=True)
        self.peer = (lambda program: wishes.peers / program) if wishes.peers else Peers()
        self.seconds = {}
        self.judged = {}
        folder = Path(os.environ.get("TRIMMA_TEST_MODELS") or ROOT.parent / "shared" / "models")
        self.models = [path for path in (folder / "manpage-26m-f16.gguf",)
                       if path.is_file() and not wishes.no_manpage]
        self.models += wishes.model
        calibration = wishes.calibration or folder.parent / "corpus/calibration.txt"
        if not (self.models or wishes.quantised) or not calibration.is_file():
            raise BenchError("a model (--model) and a calibration text (--calibration) are needed")
        self.draws = [self.drawn(calibration, draw, wishes.draws) for draw in range(wishes.draws)]
        self.texts = self.judging_texts(calibration)
        for name in wishes.quantised:
            if reference := self.attempt(f"reference of {name}", self.reference, name):
                self.models.append(reference)

    # ---- texts and references --------------------------------------------------------------

    def judging_texts(self, calibration):
        """The path by language; English is always there."""
        kept = self.directory / "texts"
        if not (kept / "en.txt").is_file():
            subprocess.run([str(ROOT / "dev"), "setup", "judging"], stdout=sys.stderr)
            for language in judging_text.PACKAGES:
                made = judging_text.judging_text(fetch_model.cache_directory() / "bench", calibration,
                                                 language)
                if made is not None:
                    shutil.copyfile(made, kept / f"{language}.txt")
        texts = {path.stem: path for path in sorted(kept.glob("[a-z][a-z].txt"))}
        if "en" not in texts:
            raise BenchError(f"no text to judge on: {', '.join(judging_text.PACKAGES['en'])}")
        return texts

    def drawn(self, calibration, draw, draws):
        """The text from another line on, its beginning put behind its end: both sides read from the start
        and stop at IMATRIX_CHUNKS. Draws overlap where the text is shorter than all of them together."""
        if draw == 0:
            return calibration
        lines = calibration.read_text(errors="replace").splitlines(keepends=True)
        first = len(lines) * draw // draws
        out = self.directory / "texts" / f"calibration-{draw}-of-{draws}.txt"
        out.write_text("".join(lines[first:] + lines[:first]))
        return out

    def reference(self, name):
        original = Path(name)
        if name in fetch_model.MODELS:
            original = Path(run([sys.executable, ROOT / "tools/fetch_model.py", name]).strip())
        out = self.directory / f"{original.stem}-ref.gguf"
        if not out.exists():
            # Where the developers' Python has no numpy, the distribution's may.
            tool = [ROOT / "tools/noised_reference.py", original, out]
            try:
                run([sys.executable, *tool])
            except BenchError:
                run(["/usr/bin/python3", *tool])
        if not self.wishes.no_divergence:
            self.attempt(f"{out.stem} against its original", self.divergence, out, original)
        return out

    def divergence(self, reference, original):
        said = json.loads(self.run_trimma("measure", reference, "--against", original, "--quality", "--text",
                                          self.texts["en"], "--chunks", LANGUAGE_CHUNKS, "--json"))["quality"]
        self.add(figure=f"mean KLD of the reference from its original, {reference.stem}",
                 ours=f"{said['mean_kld']:.4f}", goal="(shown)", verdict="-")

    def run_trimma(self, *words):
        state = {"XDG_STATE_HOME": str(self.directory / "state")}
        return run([self.trimma, *words], env={**os.environ, **state})

    def timed(self, name, action):
        started = time.perf_counter()
        action()
        self.seconds[name] = time.perf_counter() - started

    # ---- files -----------------------------------------------------------------------------

    def importance(self, model, draw=0):
        out = self.directory / f"{model.stem}-{draw}.imatrix.gguf"
        if not out.exists():
            say(f"llama-imatrix of {model.name}, draw {draw}")
            self.timed(f"imatrix {model.stem}", lambda: self.whole(out, lambda part: run(
                [self.peer("llama-imatrix"), "-m", model, "-f", self.draws[draw], "-o", part,
                 "-c", 512, "--chunks", IMATRIX_CHUNKS])))
        return out

    def theirs(self, model, kind, draw=0):
        out = self.directory / f"{model.stem}-{draw}-theirs-{kind}.gguf"
        if not out.exists():
            importance = self.importance(model, draw)
            say(f"llama-quantize {kind} of {model.name}, draw {draw}")
            self.timed(f"theirs {model.stem} {kind}", lambda: self.whole(out, lambda part: run(
                [self.peer("llama-quantize"), "--imatrix", importance, model, part, kind])))
        return out

    def learned(self, model, draw):
        """Moments and sensitivities are measured once for a model and a draw, and kept there."""
        return ("--calibration", self.draws[draw], "--work", self.directory / f"{model.stem}-{draw}-work")

    def ours(self, model, kind, draw=0, types="all"):
        name = "ours" if types == "all" else f"ours-{types}"
        out = self.directory / f"{model.stem}-{draw}-{name}-{kind}.gguf"
        if not out.exists():
            size = self.theirs(model, kind, draw).stat().st_size
            say(f"trimma quantize --size {size} --types {types} of {model.name}, draw {draw}")
            self.timed(f"{name} {model.stem} {kind}", lambda: self.run_trimma(
                "quantize", model, "-o", out, "--size", size, "--types", types, *self.learned(model, draw)))
        return out

    @staticmethod
    def whole(out, make):
        """A file under its name is a whole one, whatever ends the run."""
        part = out.with_name(f"part-{out.name}")
        part.unlink(missing_ok=True)
        make(part)
        part.replace(out)

    def as_f16(self, path):
        out = path.with_name(path.stem + "-f16.gguf")
        if not out.exists():
            self.whole(out, lambda part: run(
                [self.peer("llama-quantize"), "--allow-requantize", path, part, "F16"]))
        return out

    def quality(self, path, model, language="en"):
        key = path, model, language
        if key not in self.judged or path.stem == "ablation":
            say(f"divergence of {path.name}, {language}")
            chunks = self.chunks if language == "en" else min(self.chunks, LANGUAGE_CHUNKS)
            self.judged[key] = json.loads(self.run_trimma(
                "measure", path, "--against", model, "--quality", "--text", self.texts[language],
                "--chunks", chunks, "--json"))["quality"]
        return self.judged[key]

    def each(self, what, action, *more):
        """For every model and size: one that fails leaves the others."""
        for model in self.models:
            for kind in self.sizes:
                self.attempt(f"{what}, {model.stem} {kind}", action, model, kind, *more)

    # ---- the figures -----------------------------------------------------------------------

    def compare(self, model, kind, ours, theirs, what, limit=None):
        a, b = self.quality(ours, model), self.quality(theirs, model)
        ratio = a["mean_kld"] / b["mean_kld"]
        if limit is None:
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
        for draw in range(len(self.draws)):
            self.each(f"loss, draw {draw}", self.loss_of, draw)

    def loss_of(self, model, kind, draw):
        ours, theirs = self.ours(model, kind, draw), self.theirs(model, kind, draw)
        sizes = ours.stat().st_size, theirs.stat().st_size
        self.add(figure=f"bytes, draw {draw}, {model.stem} {kind}", ours=str(sizes[0]), peer=str(sizes[1]),
                 ratio=f"{sizes[0] / sizes[1]:.4f}", goal="<= 1", verdict=met(sizes[0] <= sizes[1]))
        self.compare(model, kind, ours, theirs, f"as it runs, draw {draw}")

    def languages(self):
        self.each("languages", self.languages_of)

    def languages_of(self, model, kind):
        ours, theirs = self.ours(model, kind), self.theirs(model, kind)
        ratios = {}
        for language in self.texts:
            a, b = (self.quality(path, model, language)["mean_kld"] for path in (ours, theirs))
            ratios[language] = a / b
            self.add(figure=f"mean KLD, {language}, {model.stem} {kind}", ours=f"{a:.4f}", peer=f"{b:.4f}",
                     ratio=f"{a / b:.3f}", goal="(shown)", verdict="-")
        worst = max(ratios, key=ratios.get)
        self.add(figure=f"worst language, {model.stem} {kind}", ours=worst, ratio=f"{ratios[worst]:.3f}",
                 goal="<= 1", verdict=met(ratios[worst] <= 1))

    def ablation(self):
        for model in self.models:
            self.attempt(f"ablation, {model.stem}", self.ablation_of, model)

    def ablation_of(self, model):
        """Each part alone and both together, at the bytes of one recipe."""
        kind = self.sizes[0]
        theirs = self.theirs(model, kind)
        before = self.quality(theirs, model)
        work = self.learned(model, 0)
        size = ("--size", theirs.stat().st_size)
        for what, words in (
                ("our plain rounding", ("--type", kind, "--calibration", self.draws[0])),
                ("compensation", ("--type", kind, "--mode", "full", *work)),
                ("allocation", (*size, "--mode", "plain", *work)),
                ("allocation and compensation", (*size, *work)),
                ("and 32 exchanges", (*size, *work, "--exchanges", 32))):
            out = self.directory / "ablation.gguf"
            self.run_trimma("quantize", model, "-o", out, "--force", *words)
            after = self.quality(out, model)
            self.add(figure=f"{what}, {model.stem} {kind}", ours=f"{after['mean_kld']:.4f}",
                     peer=f"{before['mean_kld']:.4f}",
                     ratio=f"{after['mean_kld'] / before['mean_kld']:.3f}", goal="(shown)", verdict="-")

    def weights(self):
        self.each("weights alone", lambda model, kind: self.compare(
            model, kind, self.as_f16(self.ours(model, kind)), self.as_f16(self.theirs(model, kind)),
            "weights alone"))

    def time(self):
        for model in self.models:
            for kind in PLAIN_TYPES:
                self.attempt(f"plain file, {model.stem} {kind}", self.plain_time, model, kind)
        self.each("whole file", self.whole_time)

    def plain_time(self, model, kind):
        importance = self.importance(model)
        ours, theirs = [], []
        out = self.directory / "plain.gguf"
        for done in range(3):
            for seconds, command in (
                    (ours, [self.trimma, "quantize", model, "-o", out, "--type", kind, "--imatrix",
                            importance, "--force", "-q"]),
                    (theirs, [self.peer("llama-quantize"), "--imatrix", importance, model, out, kind])):
                out.unlink(missing_ok=True)
                started = time.perf_counter()
                run(command)
                seconds.append(time.perf_counter() - started)
        ratio = min(theirs) / min(ours)
        self.add(figure=f"plain file, {model.stem} {kind}", ours=f"{min(ours):.2f} s",
                 peer=f"{min(theirs):.2f} s", ratio=f"{ratio:.2f} x",
                 goal=f">= {PLAIN_GOALS[kind]} x", verdict=met(ratio >= PLAIN_GOALS[kind]))

    def whole_time(self, model, kind):
        ours, theirs, gathering = (self.seconds.get(name) for name in (
            f"ours {model.stem} {kind}", f"theirs {model.stem} {kind}", f"imatrix {model.stem}"))
        if None in (ours, theirs, gathering):
            return  # made by an earlier run, or not at all
        self.add(figure=f"whole file, {model.stem} {kind}", ours=f"{ours:.1f} s",
                 peer=f"{theirs:.1f} s + imatrix {gathering:.1f} s", ratio=f"{ours / theirs:.1f}",
                 goal="(passes shared by the sizes)", verdict="-")

    def speed(self):
        self.each("speed", self.speed_of)

    def speed_of(self, model, kind):
        rates = {"decode_tps": ([], []), "prefill_tps": ([], [])}
        files = self.ours(model, kind, types="fast"), self.theirs(model, kind)
        for done in range(SPEED_ROUNDS):
            for side in (0, 1) if done % 2 == 0 else (1, 0):
                said = json.loads(self.run_trimma("measure", files[side], "--speed", "--rounds", 3,
                                                  "--json"))["speed"]
                for what, both in rates.items():
                    both[side].append(said[what]["median"])
        for what, (ours, theirs) in rates.items():
            ratio = statistics.median(a / b for a, b in zip(ours, theirs))
            self.add(figure=f"{what[:-4]}, --types fast, {model.stem} {kind}", ours=f"{statistics.median(ours):.0f} t/s",
                     peer=f"{statistics.median(theirs):.0f} t/s", ratio=f"{ratio:.3f}",
                     goal=f">= {SPEED_GOAL}", verdict=met(ratio >= SPEED_GOAL))
        self.compare(model, kind, *files, "--types fast", limit=1)  # it pays for speed

    def memory(self):
        """Peaks of the process tree; the files are made here and removed again."""
        for what, shape, words, goal in (
                (f"plain Q4_K_M, {MEMORY_SHAPE} F16", (), ("--type", "Q4_K_M"), MEMORY_GOAL),
                (f"full, {FULL_LAYERS} layers of {MEMORY_SHAPE} F16", ("--layers", FULL_LAYERS, "--vocabulary"),
                 ("--type", "Q4_K_M", "--mode", "full", "--calibration", self.draws[0]), FULL_MEMORY)):
            self.attempt(f"peak memory, {what}", self.memory_of, what, shape, words, goal)

    def memory_of(self, what, shape, words, goal):
        model, out = self.directory / "shape.gguf", self.directory / "shape-out.gguf"
        try:
            run([sys.executable, ROOT / "tools/shapes.py", MEMORY_SHAPE, model, "--type", "F16",
                 "--random", 1, *shape])
            peak = peak_of([self.trimma, "quantize", model, "-o", out, "--force", "-q", *words,
                            "--memory", goal])
            self.add(figure=f"peak memory, {what}", ours=f"{peak.resident >> 20} MiB "
                     f"(anonymous {peak.anonymous >> 20})", peer=f"file {model.stat().st_size >> 20} MiB",
                     goal=f"<= {goal >> 20} MiB", verdict=met(peak.resident <= goal))
        finally:
            model.unlink(missing_ok=True)
            out.unlink(missing_ok=True)
            shutil.rmtree(f"{out}.trimma-work", ignore_errors=True)


FIGURES = ("loss", "languages", "ablation", "weights", "time", "speed", "memory")
USUAL = FIGURES[:-1]


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    add = parser.add_argument
    add("--only", default=",".join(USUAL), metavar="FIGURES")
    add("--sizes", default=",".join(GOALS), metavar="TYPES")
    add("--model", type=Path, action="append", default=[], help="one more F16 model")
    add("--quantised", action="append", default=[], metavar="MODEL", help="one more, through a reference")
    add("--no-manpage", action="store_true", help="leave manpage-26m out")
    add("--no-divergence", action="store_true", help="don't measure a reference against its original")
    add("--calibration", type=Path, help="the text that both learn from")
    add("--draws", type=int, default=1, help="times to learn, each from another place of it on (default 1); they may overlap")
    add("--chunks", type=int, default=CHUNKS, help="judged, of 512 tokens")
    add("--folder", type=Path, help="keeps all files, and goes on with those there")
    add("--peers", type=Path, metavar="DIR", help="llama.cpp's programs; default: built where missing")
    add("--json", type=Path, metavar="FILE", help="writes the rows there too, as they come")
    add("--merge", type=Path, nargs="+", metavar="FILE", help="only print the rows of such files")
    add("--trimma", type=Path, default=ROOT / "build/release/trimma")
    wishes = parser.parse_args()
    if wishes.draws < 1:
        parser.error("--draws is at least 1")
    return wishes, chosen_of(parser, wishes.only, FIGURES)


def main():
    wishes, chosen = parse()
    if wishes.merge:
        merged = Figures()
        merged.merge(wishes.merge)
        merged.print()
        return merged.status()
    try:
        bench = Bench(wishes)
    except BenchError as error:
        say(f"{SKIPPED}: {error}")
        return 1
    bench.collect(chosen, lambda name: getattr(bench, name))
    if wishes.folder is None:
        shutil.rmtree(bench.directory)
    bench.print()
    return bench.status()


if __name__ == "__main__":
    sys.exit(main())
