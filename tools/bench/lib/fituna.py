"""FiTuna, a peer of tune: installed or found, asked its own question end to end, its answer read.

It asks for an F16 file, a speed and a loss of perplexity; quantises the file to each of its types, measures
the perplexity of each, and looks for the first whose decoding at a context of 4096 reaches the speed,
with as few layers on the card as that needs. What it runs are llama.cpp's own programs.
"""

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from .figures import BenchError, say

import fetch_model

PACKAGE, VERSION = "fituna", "0.3.6"
SHA256 = "733fe89e25b61af682e330fb8290937d59c4ecc91c481de771244d5d5ab413b7"
PROGRAMS = ("llama-quantize", "llama-bench", "llama-perplexity")
# Its defaults, which its answers hold for: a context of 4096 that is filled, but for these tokens.
CONTEXT, PROMPT, ANSWER = 4096, 512, 128
NOTHING_REACHES_IT = 3  # its exit status
NEAREST = re.compile(r"BEST EFFORT.*?quant +: (\S+).*?ngl +: (\d+).*?\(tg\): ([0-9.]+).*?"
                     r"artifact: (.+?\.gguf)  ?\(", re.DOTALL)


@dataclass(frozen=True)
class Question:
    model: Path
    text: Path
    decode_tps: float  # that it has to reach
    loss_percent: float = 5.0  # of perplexity, as in its own examples
    types: str = ""  # with commas; "": its own six
    context: int = CONTEXT
    gpu: str = ""  # "none", or as it finds

    @property
    def depth(self):
        """What lies in the context before its prompt."""
        return max(0, self.context - PROMPT - ANSWER)


@dataclass(frozen=True)
class Answer:
    file: Path
    type: str
    gpu_layers: int
    decode_tps: float
    seconds: float
    is_met: bool


def _installed():
    """Its folder in the cache, made by pip and held to the hash above."""
    folder = fetch_model.cache_directory() / "bench" / f"{PACKAGE}-{VERSION}"
    if (folder / PACKAGE).is_dir():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".fituna-", dir=folder.parent) as here:
        wanted = Path(here) / "requirements.txt"
        wanted.write_text(f"{PACKAGE}=={VERSION} --hash=sha256:{SHA256}\n")
        say(f"installing {PACKAGE} {VERSION} into {folder}")
        done = subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--require-hashes",
                               "--only-binary", ":all:", "--target", f"{here}/site", "-r", wanted],
                              stdin=subprocess.DEVNULL, capture_output=True, text=True)
        if done.returncode != 0:
            words = done.stderr.strip().splitlines() or ["no reason given"]
            raise BenchError(f"pip can't install {PACKAGE}=={VERSION}: {words[-1]}")
        os.replace(f"{here}/site", folder)
    return folder


def _started_from(path):
    """The command that starts it and the environment for that: out of a virtual environment, a folder of
    packages, or its wheel as it was downloaded; None: installed into the cache first."""
    if path is not None and (path / "bin/python").exists():
        return [path / "bin/python", "-m", PACKAGE], {}
    where = path or _installed()
    if where.suffix != ".whl" and not (where / PACKAGE).is_dir():
        raise BenchError(f"{where}: no virtual environment, folder of packages or wheel that holds {PACKAGE}")
    return [sys.executable, "-m", PACKAGE], {"PYTHONPATH": str(where.resolve())}


def _folder_of(programs, peers, work):
    """It takes one folder of programs: links to them, wherever they lie."""
    folder = work / "programs"
    folder.mkdir(parents=True, exist_ok=True)
    for program in programs:
        link = folder / program
        link.unlink(missing_ok=True)
        link.symlink_to(Path(peers(program)).resolve())
    return folder


def ask(question, path, peers, work, limit):
    """Its answer. `peers` gives a program's path; `work` keeps the files that it makes. BenchError with its
    own last words where it has none, or none within `limit` seconds."""
    command, environment = _started_from(path)
    programs = _folder_of(PROGRAMS, peers, work)
    command += ["run", "--model", question.model, "--target-tps", f"{question.decode_tps:.3f}",
                "--max-quality-loss", question.loss_percent, "--quality-corpus", question.text,
                "--llama-bin-dir", programs, "--out", work / "out", "--json"]
    if question.types:
        command += ["--quant", question.types]
    if question.context != CONTEXT:
        command += ["--ctx", question.context]
    if question.gpu:
        command += ["--gpu", question.gpu]
    begun = time.perf_counter()
    # What it runs goes with it when its time is over.
    child = subprocess.Popen([str(word) for word in command], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                             stderr=subprocess.PIPE, text=True, env={**os.environ, **environment},
                             start_new_session=True)
    try:
        out, words = child.communicate(timeout=limit)
    except subprocess.TimeoutExpired as error:
        os.killpg(child.pid, signal.SIGKILL)
        _, words = child.communicate()
        last = (words.strip().splitlines() or ["(no words)"])[-1]
        raise BenchError(f"FiTuna had no answer within {limit:.0f} s; its last words: {last[-200:]}") from error
    seconds = time.perf_counter() - begun
    for line in words.splitlines():
        say(f"FiTuna: {line[:160]}")
    if not out.strip():
        # Where nothing reaches the speed it tells what came nearest, in words alone.
        nearest = NEAREST.search(words)
        if child.returncode == NOTHING_REACHES_IT and nearest:
            return Answer(Path(nearest[4]), nearest[1], int(nearest[2]), float(nearest[3]), seconds, False)
        errors = [line for line in words.splitlines() if " ERROR " in line] or ["(no words)"]
        raise BenchError(f"FiTuna: status {child.returncode} after {seconds:.0f} s: {errors[-1][-300:]}")
    said = json.loads(out)
    return Answer(Path(said["gguf_path"]), said["config"]["quant"], said["config"]["ngl"],
                  said["bench"]["gen_tok_per_sec"], seconds, said["meets_target"])
