#!/usr/bin/env python3
"""The quantiser's kernels beside ggml's: ./dev bench kernels [MODEL.gguf] [--types Q4_K,Q6_K]

Weights per second on one thread, and the weighted errors as shares of ggml's, both in this run.
Rows are drawn (Gaussian, Laplace, Student's t) or those of a model's F16 tensors; importance is
log-normal. Also compares every block that the exact mode makes with ggml's. Ends with 5 if a goal
is missed: Q4_K and IQ4_XS 6 times ggml's speed, Q8_0 and Q6_K 2 times; no error above ggml's; all
blocks of the exact mode the same.
"""

import argparse
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
BUILD = ROOT / "build" / "release"


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", nargs="?", default="-")
    parser.add_argument("--types", default="", help="those to take, with commas; default all")
    wishes = parser.parse_args()
    # `./dev bench` has configured and built all but this target.
    subprocess.run(["cmake", "--build", BUILD, "--target", "trimma_kernels_bench"], check=True,
                   stdout=sys.stderr)
    types = [name for name in wishes.types.split(",") if name]
    program = BUILD / "trimma_kernels_bench"
    return subprocess.run([program, wishes.model, *types], check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
