"""A CUDA card's memory: the driver's own count of what is free, and all but so much of it held."""

import ctypes
import subprocess
import sys
import threading
import time
from pathlib import Path

from .figures import ROOT, BenchError, say

GIB = 1 << 30
MIB = 1 << 20
PERIOD = 0.005  # seconds


def _runtime():
    names = ["libcudart.so", "/usr/local/cuda/lib64/libcudart.so", "libcudart.so.13", "libcudart.so.12"]
    # Python's own packages of CUDA bring it too.
    for folder in sys.path:
        names += map(str, sorted(Path(folder or ".").glob("nvidia/*/lib/libcudart.so.*")))
    for name in names:
        try:
            return ctypes.CDLL(name)
        except OSError:
            continue
    raise BenchError("the CUDA runtime library is not found; set LD_LIBRARY_PATH")


class Card:
    def __init__(self):
        self.runtime = _runtime()
        self.held = ctypes.c_void_p()
        self.free()

    def free(self):
        free, total = ctypes.c_size_t(), ctypes.c_size_t()
        if self.runtime.cudaMemGetInfo(ctypes.byref(free), ctypes.byref(total)) != 0:
            raise BenchError("there is no CUDA card to measure")
        return free.value

    def leave(self, wanted):
        """Holds all but `wanted` bytes with one plain allocation of this process; 0 holds nothing."""
        if self.held.value:
            self.runtime.cudaFree(self.held)
            self.held = ctypes.c_void_p()
        if not wanted:
            return
        take = self.free() - wanted
        if take > 0 and self.runtime.cudaMalloc(ctypes.byref(self.held), ctypes.c_size_t(take)) != 0:
            raise BenchError(f"the card doesn't give {take} bytes")


def peak_taken(card, command, **options):
    """What the command says, and the most bytes of the card that it takes, the driver's own for it included.
    Only where nobody else takes or gives any meanwhile."""
    before = least = card.free()
    process = subprocess.Popen([str(word) for word in command], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, text=True, **options)
    said = []
    reader = threading.Thread(target=lambda: said.extend(process.communicate()))
    reader.start()
    while reader.is_alive():
        least = min(least, card.free())
        time.sleep(PERIOD)
    if process.returncode != 0:
        last = (said[1].strip().splitlines() or ["(no words)"])[-1]
        raise BenchError(f"{' '.join(map(str, command[:2]))}: status {process.returncode}: {last}", process.returncode)
    return said[0], before - least


def free_by_nvidia_smi():
    """Bytes that are free on the first card by another program than this; None where it isn't there."""
    try:
        said = subprocess.run(["nvidia-smi", "--query-gpu=memory.free", "--format=csv,noheader,nounits"],
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30)
        return int(said.stdout.split()[0]) * MIB
    except (OSError, ValueError, IndexError, subprocess.TimeoutExpired):
        return None


def names_by_nvidia_smi():
    """Names and drivers of the cards; None where it isn't there."""
    try:
        said = subprocess.run(["nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader"],
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30)
        return said.stdout.strip().splitlines() if said.returncode == 0 else None
    except (OSError, subprocess.TimeoutExpired):
        return None


def shape_of_gemma(folder=ROOT / "build/bench/plan_gpu"):
    """A random model of Gemma 3 4B's shape, 2.5 GB, written where it isn't there."""
    model = folder / "gemma3-4b-random.gguf"
    if not model.is_file():
        say("writing a random model of Gemma 3 4B's shape, 2.5 GB")
        model.parent.mkdir(parents=True, exist_ok=True)
        subprocess.run([sys.executable, ROOT / "tools/shapes.py", "g4b", model, "--random", "1",
                        "--vocabulary"], check=True, stdout=subprocess.DEVNULL)
    return model


class NoCard:
    """Stands in for a card where there is none: the script's own way through is tried, nothing measured."""

    def free(self):
        return 0

    def leave(self, wanted):
        pass
