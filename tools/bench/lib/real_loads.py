"""Loads models for real with the engine's own programs, and reads what they say they took."""

import re
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from dataclasses import dataclass

from .figures import BenchError

BUFFER = re.compile(r"(\S+)\s+(model|KV|RS|compute|output|DSV4 \w+ state) buffer size = +([0-9.]+) MiB")
LOAD_SECONDS = 600
# Threads wait for each other by spinning, which takes forever where others have the processors.
THREADS = ["-t", 1]
DIRECTLY = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@dataclass(frozen=True)
class Settings:
    context: int
    flash_attention: str
    kv: str
    ubatch: int

    def __str__(self):
        return f"-c {self.context} -fa {self.flash_attention} KV {self.kv} -ub {self.ubatch}"

    def options(self):
        key, _, value = self.kv.partition("/")
        return ["-fa", self.flash_attention, "-ub", self.ubatch, "-ctk", key, "-ctv", value or key]


@dataclass(frozen=True)
class Taken:
    """MiB, to the hundredth, as the log has them."""

    weights: float
    context: float
    compute: float
    output: float

    @property
    def total(self):
        return self.weights + self.context + self.compute + self.output


def taken(log):
    sums = {"model": 0.0, "context": 0.0}
    last = {"compute": {}, "output": {}}  # said again where they are made anew
    for buffer, kind, mib in BUFFER.findall(log):
        if kind in last:
            last[kind][buffer] = float(mib)
        else:
            sums["model" if kind == "model" else "context"] += float(mib)
    return Taken(sums["model"], sums["context"],
                 sum(last["compute"].values()), sum(last["output"].values()))


def by_llama_bench(program, model, settings):
    """Also computes a prompt that fills the context; logits of every token are reserved."""
    command = [program, "-v", "-m", model, "-lm", "none", "-r", 1, "--no-warmup", "-n", 0,
               "-p", settings.context, *THREADS, *settings.options()]
    done = subprocess.run([str(word) for word in command], stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, timeout=LOAD_SECONDS)
    if done.returncode != 0:
        raise BenchError(f"llama-bench {model.name} {settings}: {done.stderr[-300:]}")
    return taken(done.stderr + done.stdout)


def by_llama_server(program, model, settings):
    """One slot; logits of one token are reserved."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [program, "-m", model, "-lm", "none", "-np", 1, "--fit", "off", "--no-warmup",
               "--offline", "-lv", 4, "--host", "127.0.0.1", "--port", port,
               "-c", settings.context, *THREADS, *settings.options()]
    with tempfile.TemporaryFile("w+", errors="replace") as log:
        server = subprocess.Popen([str(word) for word in command], stdin=subprocess.DEVNULL,
                                  stdout=log, stderr=subprocess.STDOUT)
        try:
            is_ready = _wait_for(server, f"http://127.0.0.1:{port}/health")
        finally:
            server.terminate()
            try:
                server.wait(timeout=20)
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait()
        log.seek(0)
        words = log.read()
    if not is_ready:
        raise BenchError(f"llama-server {model.name} {settings}: {words[-300:]}")
    return taken(words)


def _wait_for(server, address):
    end = time.monotonic() + LOAD_SECONDS
    while server.poll() is None and time.monotonic() < end:
        try:
            with DIRECTLY.open(address, timeout=5) as answer:
                if answer.status == 200:
                    return True
        except (urllib.error.URLError, OSError):
            pass
        time.sleep(0.05)
    return False
