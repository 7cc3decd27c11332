#!/usr/bin/env python3
"""The quantiser's kernels: ./dev bench kernels [MODEL.gguf] [--types Q4_K,Q6_K] [--only native,arm]

native  Beside ggml's, both in this run: weights per second on one thread, and the weighted errors as
        shares of ggml's. Rows are drawn (Gaussian, Laplace, Student's t) or those of a model's F16
        tensors; importance is log-normal. Also compares every block that the exact mode makes with
        ggml's. Goals: Q4_K and IQ4_XS 6 times ggml's speed, Q8_0 and Q6_K 2 times; no error above
        ggml's; all blocks of the exact mode the same.
arm     The same code's tests for 64-bit Arm, run by qemu: NEON kernels equal to the scalar reference
        on adversarial rows, exact mode equal to ggml's bytes, compensated rounding against its
        reference. It says nothing of speed. Skipped where ./dev setup arm has not been run.

Ends with 5 if a goal is missed or a test fails.
"""

import argparse
import subprocess
import sys
from pathlib import Path

sys.dont_write_bytecode = True
from lib import arm  # noqa: E402
from lib.figures import ROOT, SKIPPED, BenchError, Figures, chosen_of, met  # noqa: E402

import fetch_model  # noqa: E402

BUILD = ROOT / "build" / "release"
PARTS = ("native", "arm")


def native(model, types):
    # `./dev bench` has configured and built all but this target.
    subprocess.run(["cmake", "--build", BUILD, "--target", "trimma_kernels_bench"], check=True,
                   stdout=sys.stderr)
    return subprocess.run([BUILD / "trimma_kernels_bench", model, *types], check=False).returncode


def engine_source():
    settings = (BUILD / "CMakeCache.txt").read_text().splitlines()
    chosen = [line.partition("=")[2] for line in settings if line.startswith("TRIMMA_LLAMA_SOURCE:")]
    if chosen and chosen[0]:
        return Path(chosen[0])
    sources = sorted((fetch_model.cache_directory() / "engine").glob("llama.cpp-*/ggml"))
    if not sources:
        raise BenchError("the engine's sources are not in the cache: ./dev build")
    return sources[-1].parent


def on_arm(figures):
    if why := arm.missing():
        figures.add(figure="64-bit Arm under qemu", verdict=f"{SKIPPED}: {why}")
        return
    library = arm.highway(fetch_model.cache_directory() / "bench" / "arm")
    folder = arm.build(engine_source(), library)
    for suite in arm.run_tests(folder, library):
        good = suite.tests - len(suite.failed)
        figures.add(figure=f"64-bit Arm, emulated: {suite.name}", ours=f"{good}",
                    peer=f"{suite.tests}", ratio=f"{good / suite.tests:.3f}", goal="all",
                    verdict=met(not suite.failed))
    for name, (unlike, blocks) in arm.unlike_fused(folder, library).items():
        figures.add(figure=f"  {name}: blocks of llama.cpp's default build for Arm unlike x86-64's",
                    peer=f"{unlike}/{blocks}", ratio=f"{unlike / blocks:.4f}")


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", nargs="?", default="-")
    parser.add_argument("--types", default="", help="those to take, with commas; default all")
    parser.add_argument("--only", default=",".join(PARTS), metavar="PARTS")
    wishes = parser.parse_args()
    chosen = chosen_of(parser, wishes.only, PARTS)
    status = 0
    if "native" in chosen:
        status = native(wishes.model, [name for name in wishes.types.split(",") if name])
    figures = Figures()
    if "arm" in chosen:
        figures.attempt("64-bit Arm under qemu", on_arm, figures)
        figures.print()
    return status or figures.status()


if __name__ == "__main__":
    sys.exit(main())
