#!/usr/bin/env python3
"""Quality as it is measured: ./dev bench quality [--only coverage,apart,perplexity,cost,card] [--json FILE]

 coverage    how often the 95 % interval from a tenth of a text's chunks holds the mean of all of them
 apart       two quantisations about 5 % apart in mean KLD, told apart within 60 000 tokens
 perplexity  the same text by llama-perplexity: figures within 2 %, and its time
 cost        a vocabulary of 262 144: lockstep's time beside the forward passes alone, and memory
             beside the two models
 card        only when named: the same memory on a CUDA card that nobody else uses, of a random model of
             Gemma 3 4B's shape (--card-model) and its Q3_K_M

Ends with 5 if a goal is missed. Ratios of times come from one run each, so a busy machine does not
move them much; the models and texts are those of ./dev bench main.
"""

import argparse
import json
import math
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.dont_write_bytecode = True
from lib.card import MIB, Card, peak_taken, shape_of_gemma  # noqa: E402
from lib.figures import ROOT, SKIPPED, BenchError, Figures, Peers, chosen_of, met, run, say  # noqa: E402
from lib.process_memory import peak_of  # noqa: E402

import fetch_model  # noqa: E402
import judging_text  # noqa: E402

BUILD = ROOT / "build/release"
COVERAGE = 0.93
APART_TOKENS = 60_000
APART_RATIO = 1.05
APART_POWER = 0.95  # of the trials
CHUNK = 512
COST = 1.05
MEMORY_MIB, CARD_MEMORY_MIB = 200, 1024
TOLERANCE = 0.02
PEER_CHUNKS = 64
# Variants of one recipe, from which the pair nearest 5 % apart is taken: some layers' larger types
# are lowered.
VARIANTS = {"q4km": [], **{f"q4km-{n}": [f"blk\\.[0-{n}]\\.(ffn_down|attn_v)=Q4_K"] for n in (1, 3, 5, 7, 9)}}


def binomial_interval(share, n):
    """Wilson's 95 % interval."""
    z = 1.96
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    return max(0, centre - half), min(1, centre + half)


def printed(words, pattern):
    """The number that llama-perplexity printed after this."""
    found = re.search(pattern + r"\s*:?\s*(-?[0-9.]+)", words)
    if not found:
        raise BenchError(f"llama-perplexity no longer prints {pattern}")
    return float(found[1])


class Bench(Figures):
    def __init__(self, wishes):
        super().__init__()
        self.file = wishes.json
        self.trimma = wishes.trimma
        self.directory = Path(tempfile.mkdtemp(prefix="trimma-quality-"))
        folder = Path(os.environ.get("TRIMMA_TEST_MODELS") or ROOT.parent / "shared" / "models")
        self.manpage = folder / "manpage-26m-f16.gguf"
        calibration = folder.parent / "corpus/calibration.txt"
        self.calibration = calibration if calibration.is_file() else None
        self.peer = (lambda program: wishes.peers / program) if wishes.peers else Peers()
        self.chunks = wishes.chunks
        self.given_text = wishes.text
        self.card_model = wishes.card_model
        self._judged = None
        # What is learned here must not end up in the user's own records, nor come from them.
        self.environment = {**os.environ, "XDG_STATE_HOME": str(self.directory / "state")}

    def ask(self, *words):
        return json.loads(run([self.trimma, *words, "--json", "--quiet"], env=self.environment))

    def text(self):
        if self.given_text:
            return self.given_text
        subprocess.run([str(ROOT / "dev"), "setup", "judging"], stdout=sys.stderr)
        text = judging_text.judging_text(fetch_model.cache_directory() / "bench", self.calibration)
        if text is None:
            raise BenchError(f"packages {', '.join(judging_text.PACKAGES['en'])} are missing")
        return text

    def quantised(self, name, recipe, patterns):
        made = self.directory / f"{name}.gguf"
        if not made.exists():
            forced = [word for pattern in patterns for word in ("--tensor-type", pattern)]
            self.ask("quantize", self.manpage, "-o", made, "--type", recipe, *forced)
        return made

    def judged(self):
        """Mean divergences of each chunk of the whole text, of all variants and three other types; and
        what the program that trimma's own intervals are in says of them."""
        if self._judged is None:
            files = {name: self.quantised(name, "Q4_K_M", patterns) for name, patterns in VARIANTS.items()}
            files |= {recipe.lower(): self.quantised(recipe.lower(), recipe, [])
                      for recipe in ("Q8_0", "Q6_K", "Q3_K_M")}
            say(f"judging {len(files)} files on all of the text")
            limit = ["--chunks", self.chunks] if self.chunks else []
            said = self.ask("measure", *files.values(), "--against", self.manpage, "--quality", "--text",
                            self.text(), "--chunk", CHUNK, "--budget", 100000, *limit)
            series = {name: model["quality"]["samples"]["mean_kld"]
                      for name, model in zip(files, said["models"])}
            subprocess.run(["cmake", "--build", BUILD, "--target", "trimma_divergence_bench"], check=True,
                           stdout=sys.stderr)
            request = json.dumps({"series": series, "chunks": APART_TOKENS // CHUNK})
            answer = subprocess.run([BUILD / "trimma_divergence_bench"], input=request, capture_output=True,
                                    text=True, check=True)
            self._judged = series, json.loads(answer.stdout)
        return self._judged

    # ---- the figures -------------------------------------------------------------------------

    def coverage(self):
        if not self.manpage.is_file():
            self.add(figure="coverage", verdict=f"{SKIPPED}: no F16 model here")
            return
        series, said = self.judged()
        trials = said["trials"]
        for name in ("q8_0", "q6_k", "q4km", "q3_k_m"):
            n = len(series[name])
            share = said["coverage"][name]["random"]
            low, high = binomial_interval(share, trials)
            self.add(figure=f"coverage {name}, {n // 10} of {n} chunks drawn from all of the text",
                     ours=f"{share:.1%} [{low:.1%}, {high:.1%}]", goal=f">= {COVERAGE:.0%}",
                     verdict=met(share >= COVERAGE))
            # A manual's chapter is another text than the manual; nothing inside it tells how much.
            self.add(figure=f"coverage {name}, {n // 10} neighbouring chunks",
                     ours=f"{said['coverage'][name]['neighbours']:.1%}", verdict="told only")

    def apart(self):
        if not self.manpage.is_file():
            self.add(figure="told apart", verdict=f"{SKIPPED}: no F16 model here")
            return
        _, said = self.judged()
        pairs = {names: pair for names, pair in said["told_apart"].items()
                 if all(name in VARIANTS for name in names.split())}
        if not pairs:
            self.add(figure="told apart", verdict=f"{SKIPPED}: fewer than {APART_TOKENS} tokens were judged")
            return
        names, pair = min(pairs.items(), key=lambda item: abs(abs(math.log(item[1]["ratio"]))
                                                              - math.log(APART_RATIO)))
        distance = math.exp(abs(math.log(pair["ratio"]))) - 1
        self.add(figure=f"{names}: {distance:.1%} apart, told apart in {APART_TOKENS} tokens",
                 ours=f"{pair['right']:.1%} of {said['trials']} (wrongly {pair['wrong']:.1%})",
                 goal=f">= {APART_POWER:.0%}", verdict=met(pair["right"] >= APART_POWER))

    def perplexity(self):
        if not self.manpage.is_file():
            self.add(figure="llama-perplexity", verdict=f"{SKIPPED}: no F16 model here")
            return
        chunks, text = self.chunks or PEER_CHUNKS, self.text()
        quantised = self.quantised("q4km", "Q4_K_M", [])
        program = self.peer("llama-perplexity")
        base = self.directory / "logits.bin"
        started = time.perf_counter()
        ours = self.ask("measure", quantised, "--against", self.manpage, "--quality", "--text", text,
                        "--chunks", chunks)["quality"]
        our_seconds = time.perf_counter() - started
        threads = ["-t", len(os.sched_getaffinity(0))]
        started = time.perf_counter()
        reference = run([program, "-m", self.manpage, "--kl-divergence-base", base, "-f", text, "-c", CHUNK,
                         "--chunks", chunks, *threads])
        said = run([program, "-m", quantised, "--kl-divergence-base", base, "--kl-divergence", *threads])
        their_seconds = time.perf_counter() - started
        written = base.stat().st_size
        base.unlink()
        for name, field, pattern, scale in (
                ("mean KLD", "mean_kld", r"Mean\s+KLD:", 1), ("median KLD", "median_kld", r"Median\s+KLD:", 1),
                ("99.9 % KLD", "p999_kld", r"99\.9%\s+KLD:", 1), ("same top", "same_top", r"Same top p:", 0.01),
                ("perplexity", "ppl", r"Mean PPL\(Q\)", 1)):
            self.add_same(f"{name}, manpage Q4_K_M, {chunks} chunks", ours[field], printed(said, pattern) * scale)
        # The reference's as its own run tells it: in the file between the two runs its probabilities have 16
        # bits and a least one, by which what is printed beside the divergence is too low.
        alone = float(re.findall(r"\[\d+\](-?[0-9.]+)", reference)[-1])
        self.add_same(f"perplexity, the reference, {chunks} chunks", ours["reference_ppl"], alone)
        from_file = printed(said, r"Mean PPL\(base\)")
        self.add(figure="the same out of the file between its two runs", ours=f"{ours['reference_ppl']:.5g}",
                 peer=f"{from_file:.5g}", ratio=f"{ours['reference_ppl'] / from_file:.4f}", verdict="told only")
        self.add(figure="time of it", ours=f"{our_seconds:.1f} s",
                 peer=f"{their_seconds:.1f} s, {written >> 20} MiB written",
                 ratio=f"{our_seconds / their_seconds:.2f}", goal="<= 1", verdict=met(our_seconds <= their_seconds))

    def add_same(self, figure, ours, theirs):
        self.add(figure=figure, ours=f"{ours:.5g}", peer=f"{theirs:.5g}", ratio=f"{ours / theirs:.4f}",
                 goal=f"within {TOLERANCE:.0%}", verdict=met(abs(ours / theirs - 1) <= TOLERANCE))

    def cost(self):
        model = Path(run([sys.executable, ROOT / "tools/fetch_model.py", "gemma3-270m"]).strip())
        other = self.directory / "gemma-q4_0.gguf"
        self.ask("quantize", model, "-o", other, "--type", "Q4_0")
        call = [self.trimma, "measure", other, "--against", model, "--quality", "--text", self.text(),
                "--chunks", 8, "--json", "--quiet"]
        said = json.loads(run(call, env=self.environment))
        seconds = said["seconds"]
        ratio = (seconds["forward"] + seconds["scoring"]) / seconds["forward"]
        self.add(figure="lockstep / its two forward passes, 262 144 tokens of vocabulary",
                 ours=f"{seconds['forward'] + seconds['scoring']:.1f} s", peer=f"{seconds['forward']:.1f} s",
                 ratio=f"{ratio:.3f}", goal=f"<= {COST}", verdict=met(ratio <= COST))
        started = time.perf_counter()
        peak = peak_of(call, env=self.environment)
        ours = time.perf_counter() - started
        models = model.stat().st_size + other.stat().st_size
        beyond = (peak.resident - models) / 2**20
        self.add(figure="memory beyond the two files", ours=f"{beyond:.0f} MiB",
                 peer=f"files {models >> 20} MiB", goal=f"<= {MEMORY_MIB} MiB", verdict=met(beyond <= MEMORY_MIB))
        # By another program: perplexity of either model on the same chunks, with sums of its own.
        program, threads = self.peer("llama-perplexity"), len(os.sched_getaffinity(0))
        started = time.perf_counter()
        for file in (model, other):
            run([program, "-m", file, "-f", self.text(), "-c", CHUNK, "--chunks", 8, "-t", threads])
        theirs = time.perf_counter() - started
        self.add(figure="the whole run / llama-perplexity on both models", ours=f"{ours:.1f} s",
                 peer=f"{theirs:.1f} s", ratio=f"{ours / theirs:.3f}", goal=f"<= {COST}",
                 verdict=met(ours <= COST * theirs))

    def card(self):
        try:
            card = Card()
        except BenchError as error:
            self.add(figure="memory on a card", verdict=f"{SKIPPED}: {error}")
            return
        model = self.card_model or shape_of_gemma()
        other = model.with_name(f"{model.stem}-q3_k_m.gguf")
        if not other.is_file():
            self.ask("quantize", model, "-o", other, "--type", "Q3_K_M", "--mode", "plain")
        said, peak = peak_taken(card, [self.trimma, "measure", other, "--against", model, "--quality", "--text",
                                       self.text(), "--chunks", 8, "--json", "--quiet"], env=self.environment)
        where = json.loads(said)["quality"]["on_host"]
        files = model.stat().st_size + other.stat().st_size
        beyond = (peak - files) / MIB
        self.add(figure="memory on a card beyond the two files, the driver's included", ours=f"{beyond:.0f} MiB",
                 peer=f"files {files // MIB} MiB, on the host: {where}", goal=f"<= {CARD_MEMORY_MIB} MiB",
                 verdict=met(where == "none" and beyond <= CARD_MEMORY_MIB))


FIGURES = ("coverage", "apart", "perplexity", "cost")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--only", default=",".join(FIGURES), metavar="FIGURES")
    parser.add_argument("--chunks", type=int, default=0, help="of the text (0: all for coverage, 64 for perplexity)")
    parser.add_argument("--text", type=Path, help="instead of Debian's manuals")
    parser.add_argument("--card-model", type=Path, help="for card, instead of a random one")
    parser.add_argument("--peers", type=Path, help="the folder of llama.cpp's own programs")
    parser.add_argument("--json", type=Path, help="write the rows here too")
    parser.add_argument("--trimma", type=Path, default=BUILD / "trimma")
    wishes = parser.parse_args()
    chosen = chosen_of(parser, wishes.only, (*FIGURES, "card"))
    bench = Bench(wishes)
    bench.collect(chosen, lambda name: getattr(bench, name))
    subprocess.run(["rm", "-rf", "--", str(bench.directory)])
    bench.print()
    return bench.status()


if __name__ == "__main__":
    sys.exit(main())
