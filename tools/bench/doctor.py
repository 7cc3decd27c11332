#!/usr/bin/env python3
"""doctor: ./dev bench doctor [--rounds N]

time   Wall time of `trimma doctor` on this machine, its models and an empty home; with a running
       Ollama, that is asked too. Goal: 0.5 s without a GPU backend in trimma's engine, 2 s with one.
sound  A home with usual profiles and nothing wrong in them: no finding about them.
fault  The same home with one ineffective variable in every place of the user's: all are found, --fix
       takes them out, and a second run finds none.

Findings about this machine itself (its disk, its Ollama) are its own; `sound` and `fault` count those
that name the made-up home. Ends with 5 if a goal is missed.
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
from lib.figures import ROOT, BenchError, Figures, met  # noqa: E402

SECONDS_WITHOUT_GPU, SECONDS_WITH_GPU = 0.5, 2.0
PROFILES = {
    ".bashrc": "case $- in *i*) ;; *) return ;; esac\nHISTSIZE=1000\nalias ll='ls -l'\n"
               "# export OLLAMA_NUM_GPU=1\nexport EDITOR=vi\n",
    ".profile": "if [ -f ~/.bashrc ]; then\n  . ~/.bashrc\nfi\n",
    ".zshrc": "autoload -U compinit\ncompinit\n",
    ".config/fish/config.fish": "set -gx EDITOR vi\n",
    ".config/environment.d/10-editor.conf": "EDITOR=vi\n",
    "compose.yaml": "services:\n  ollama:\n    image: ollama/ollama\n    ports:\n"
                    "      - 127.0.0.1:11434:11434\n    environment:\n      - OLLAMA_HOST=0.0.0.0\n",
}
FAULTS = {
    ".bashrc": "export OLLAMA_NUM_GPU=1\n",
    ".profile": "export OLLAMA_NUM_CTX=8192\n",
    ".zshrc": "export OLLAMA_NUM_THREAD=8\n",
    ".config/fish/config.fish": "set -gx OLLAMA_GPU_LAYERS 35\n",
    ".config/environment.d/10-editor.conf": "OLLAMA_NUM_BATCH=512\n",
    "compose.yaml": "      - OLLAMA_NUM_GPU=1\n",
}


def doctor(trimma, home, *words):
    """The document, and the seconds that it took."""
    keep = {k: v for k, v in os.environ.items() if not k.startswith(("OLLAMA_", "LLAMA_ARG_"))}
    keep.update(HOME=str(home), XDG_STATE_HOME=str(home / "state"))
    for name in ("XDG_CACHE_HOME", "HF_HOME", "HF_HUB_CACHE", "LLAMA_CACHE"):
        keep.pop(name, None)
    began = time.monotonic()
    done = subprocess.run([trimma, "doctor", "--json", *words], cwd=home, env=keep, text=True,
                          capture_output=True, stdin=subprocess.DEVNULL)
    seconds = time.monotonic() - began
    if done.returncode not in (0, 1) or not done.stdout:
        raise BenchError(f"trimma doctor: status {done.returncode}: {done.stderr.strip()}")
    return json.loads(done.stdout), seconds


def about_home(document):
    return [f for f in document["findings"] if f["where"].startswith("~")]


def make_home(folder, faults):
    for name, text in PROFILES.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + (FAULTS[name] if faults else ""))
    return folder


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--trimma", type=Path, default=ROOT / "build/release/trimma")
    wishes = parser.parse_args()
    figures = Figures()
    scan = json.loads(subprocess.run([wishes.trimma, "scan", "--json"], check=True, text=True,
                                     capture_output=True).stdout)
    has_gpu = scan["engine"]["backends"] != ["CPU"]
    with tempfile.TemporaryDirectory(prefix="trimma-bench-") as name:
        folder = Path(name)
        sound, faulty = make_home(folder / "sound", False), make_home(folder / "faulty", True)
        times = [doctor(wishes.trimma, sound)[1] for _ in range(wishes.rounds)]
        goal = SECONDS_WITH_GPU if has_gpu else SECONDS_WITHOUT_GPU
        middle = statistics.median(times)
        figures.add(figure=f"doctor, median of {len(times)} ({min(times):.3f} to {max(times):.3f} s)",
                    ours=f"{middle:.3f} s", goal=f"{goal} s", verdict=met(middle <= goal))
        false = about_home(doctor(wishes.trimma, sound)[0])
        figures.add(figure="false findings in a sound home", ours=f"{len(false)}", goal="0",
                    verdict=met(not false))
        found = about_home(doctor(wishes.trimma, faulty)[0])
        dead = {f["where"].split(":")[0].removeprefix("~/") for f in found if f["id"] == "dead-variable"}
        figures.add(figure="places with a planted variable, found", ours=f"{len(dead & set(FAULTS))}",
                    goal=f"{len(FAULTS)}", verdict=met(dead == set(FAULTS)))
        doctor(wishes.trimma, faulty, "--fix")
        left = about_home(doctor(wishes.trimma, faulty)[0])
        figures.add(figure="findings left after --fix", ours=f"{len(left)}", goal="0",
                    verdict=met(not left))
        kept = sum((faulty / f"{n}.bak").read_text() == text + FAULTS[n] for n, text in PROFILES.items())
        figures.add(figure="old files kept as FILE.bak", ours=f"{kept}", goal=f"{len(PROFILES)}",
                    verdict=met(kept == len(PROFILES)))
    figures.print()
    return figures.status()


if __name__ == "__main__":
    try:
        sys.exit(main())
    except BenchError as error:
        sys.exit(f"doctor: {error}")
