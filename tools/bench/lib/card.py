"""A CUDA card's memory: the driver's own count of what is free, and all but so much of it held."""

import ctypes
import subprocess
import sys
from pathlib import Path

from .figures import BenchError

GIB = 1 << 30
MIB = 1 << 20


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


class NoCard:
    """Stands in for a card where there is none: the script's own way through is tried, nothing measured."""

    def free(self):
        return 0

    def leave(self, wanted):
        pass
