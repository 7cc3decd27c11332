#!/usr/bin/env python3
"""A running Ollama's figures: ./dev bench ollama [--only apply,stream,tune] [--ollama PROGRAM]

apply   a model of about 250 MB that Ollama has is applied, loaded, verified and measured: seconds,
        and the bytes that were sent; undone again, the model is as it was
stream  the wall clock of a streamed answer through our client beside curl's: from Ollama, and from a
        server that sends a line every few milliseconds, where nothing else varies
tune    tune --through ollama against the grid of num_thread x num_batch, the chosen setting and the
        grid's best measured again, interleaved

The Ollama is the one named, TRIMMA_TEST_OLLAMA, the one on PATH, or v0.17.4 as `go install` builds
it (10 minutes on 2 cores, once). Without any of these, and without Go, all is "skipped".
"""

import argparse
import hashlib
import http.server
import json
import math
import os
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from pathlib import Path

sys.dont_write_bytecode = True
from lib.figures import (  # noqa: E402
    MISSED, OK, ROOT, SKIPPED, UNCLEAR, BenchError, Figures, chosen_of, met, run, say)
from lib.rates import against_best, ratio_interval  # noqa: E402

MODULE, VERSION = "github.com/ollama/ollama", "0.17.4"
OLDEST_GO = (1, 24)  # of its go.mod
APPLY_SECONDS, STREAM_RATIO, REGRET = 15, 1.01, 0.03
STREAM_LINES, STREAM_PAUSE = 200, 0.005


def go_version():
    if not shutil.which("go"):
        return None
    words = run(["go", "env", "GOVERSION"]).strip().removeprefix("go").split(".")
    return tuple(int(word) for word in words[:2] if word.isdigit())


def build_ollama():
    """The program, from the module proxy; None where Go is missing or too old."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "trimma"
    program = cache / f"ollama-{VERSION}" / "ollama"
    if program.exists():
        return program
    found = go_version()
    if found is None or found < OLDEST_GO:
        return None
    vendor = next(cache.glob("engine/llama.cpp-*/vendor"), None)
    if vendor is None:
        return None
    # GCC 12 has no AMX intrinsics that ggml's sources of this version ask for.
    flags = "-O3 -march=native"
    if "amx_int8" in Path("/proc/cpuinfo").read_text():
        flags += " -U__AMX_INT8__"
    say(f"go install {MODULE}@v{VERSION}, once")
    with tempfile.TemporaryDirectory(prefix="trimma-go-", dir=cache) as folder:
        environment = dict(os.environ, GOPATH=folder, GOFLAGS="-modcacherw", CGO_CFLAGS=flags,
                           CGO_CXXFLAGS=flags, CGO_CPPFLAGS=f"-I{vendor} -I{vendor}/stb")
        run(["go", "install", "-ldflags", f"-X={MODULE}/version.Version={VERSION}",
             f"{MODULE}@v{VERSION}"], env=environment)
        program.parent.mkdir(exist_ok=True)
        shutil.move(Path(folder) / "bin/ollama", program)
    return program


def find_ollama(named, may_build=True):
    for candidate in (named, os.environ.get("TRIMMA_TEST_OLLAMA"), shutil.which("ollama")):
        if candidate:
            return Path(candidate)
    return build_ollama() if may_build else None


def free_port():
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        return server.getsockname()[1]


def median_of_pairs(ours, theirs):
    """The median of the pairs' ratios and its interval by order statistics: at least 95 %, or all of
    them where there are fewer than 6."""
    ratios = sorted(a / b for a, b in zip(ours, theirs))
    n, k, outside = len(ratios), 0, 0.0
    while outside + math.comb(n, k) / 2**n <= 0.025:
        outside += math.comb(n, k) / 2**n
        k += 1
    k = max(k, 1)
    return statistics.median(ratios), ratios[k - 1], ratios[n - k]


class Server:
    """`ollama serve` on a free port, with a store and a home of its own."""

    def __init__(self, program, directory):
        directory.mkdir(exist_ok=True)
        self.host = f"127.0.0.1:{free_port()}"
        self.environment = dict(os.environ, HOME=str(directory), OLLAMA_HOST=self.host,
                                OLLAMA_MODELS=str(directory / "models"))
        self.log = open(directory / "log", "wb")
        self.process = subprocess.Popen([program, "serve"], env=self.environment, stdout=self.log,
                                        stderr=self.log, start_new_session=True)
        for _ in range(200):
            try:
                self.version = self.ask("GET", "version")["version"]
                return
            except OSError:
                time.sleep(0.1)
        self.close()
        raise BenchError(f"ollama serve does not answer; see {directory}/log")

    def ask(self, method, path, body=None):
        request = urllib.request.Request(f"http://{self.host}/api/{path}", method=method,
                                         data=None if body is None else json.dumps(body).encode())
        with urllib.request.urlopen(request, timeout=600) as answer:
            text = answer.read()
        return json.loads(text.splitlines()[-1]) if text else {}

    def add(self, name, path, **more):
        digest = "sha256:" + hashlib.sha256(path.read_bytes()).hexdigest()
        run(["curl", "-sf", "-X", "POST", "-T", path, f"http://{self.host}/api/blobs/{digest}"])
        self.ask("POST", "create", {"model": name, "files": {"m.gguf": digest}, "stream": False, **more})
        return digest

    def close(self):
        os.killpg(self.process.pid, signal.SIGTERM)
        self.process.wait()
        self.log.close()


class PacedServer(threading.Thread):
    """Speaks like Ollama, a line every STREAM_PAUSE seconds."""

    def __init__(self):
        super().__init__(daemon=True)

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def do_GET(self):
                body = b'{"version":"0.17.4"}'
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def do_POST(self):
                self.rfile.read(int(self.headers["Content-Length"]))
                self.send_response(200)
                self.send_header("Content-Type", "application/x-ndjson")
                self.send_header("Transfer-Encoding", "chunked")
                self.end_headers()
                for i in range(STREAM_LINES + 1):
                    time.sleep(STREAM_PAUSE)
                    line = json.dumps({"response": f" word{i}", "done": i == STREAM_LINES}).encode() + b"\n"
                    self.wfile.write(b"%x\r\n%s\r\n" % (len(line), line))
                self.wfile.write(b"0\r\n\r\n")

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.host = f"127.0.0.1:{self.server.server_address[1]}"

    def run(self):
        self.server.serve_forever()


class Bench(Figures):
    def __init__(self, wishes):
        super().__init__()
        self.trimma, self.rounds = wishes.trimma, wishes.rounds
        self.directory = Path(tempfile.mkdtemp(prefix="trimma-bench-ollama-"))
        self.program = find_ollama(wishes.ollama)
        self.server = None

    def started(self):
        if self.server is None:
            self.server = Server(self.program, self.directory)
            model = Path(run([sys.executable, ROOT / "tools/fetch_model.py", "gemma3-270m"]).strip())
            self.server.add("gemma", model, parameters={"num_ctx": 2048})
            self.environment = dict(self.server.environment,
                                    XDG_STATE_HOME=str(self.directory / "state"))
        return self.server

    def json(self, *words):
        return json.loads(run([self.trimma, *words, "--json", "-q"], env=self.environment))

    def apply(self):
        server = self.started()
        blob = max((self.directory / "models/blobs").glob("sha256-*"), key=lambda b: b.stat().st_size)
        record = self.directory / "record.json"
        record.write_text(json.dumps(record_of(str(blob))))
        start = time.monotonic()
        made = self.json("apply", record, "--ollama", "gemma-tuned")
        seconds = time.monotonic() - start
        said = made["ollama"]["made"]
        self.add(figure=f"apply {blob.stat().st_size / 1e6:.0f} MB: bytes sent", ours=str(said["sent_bytes"]),
                 goal="0", verdict=met(said["sent_bytes"] == 0))
        self.add(figure="  applied, loaded, verified, measured", ours=f"{seconds:.1f} s",
                 goal=f"{APPLY_SECONDS} s", verdict=met(seconds <= APPLY_SECONDS))
        loaded = said["loaded"] or {}
        self.add(figure="  runs with the context that was asked for", ours=str(loaded.get("context")),
                 goal="1024", verdict=met(loaded.get("context") == 1024))
        self.json("apply", "--undo")
        names = [model["name"] for model in server.ask("GET", "tags")["models"]]
        self.add(figure="  undone", ours=", ".join(names), goal="gemma:latest",
                 verdict=met(names == ["gemma:latest"]))

    def stream(self):
        paced = PacedServer()
        paced.start()
        self.compare("a line each 5 ms", paced.host, {"model": "m", "prompt": "x"})
        paced.server.shutdown()
        server = self.started()
        self.compare(f"Ollama {server.version}", server.host, {
            "model": "gemma", "prompt": "Once upon a time", "raw": True,
            "options": {"num_predict": 64, "temperature": 0, "seed": 1}})

    def compare(self, what, host, body):
        ours, theirs = [], []
        text = json.dumps(body)
        environment = dict(os.environ, OLLAMA_HOST=host)
        for i in range(self.rounds + 1):
            for mine in ((True, False) if i % 2 == 0 else (False, True)):
                # Each by its own clock, from the request to the end of the answer.
                command = [self.trimma.parent / "trimma_stream_bench"] if mine else [
                    "curl", "-sN", "-o", self.directory / "answer", "-w", "%{time_total}", "-d", "@-",
                    "-H", "Content-Type: application/json", f"http://{host}/api/generate"]
                done = subprocess.run(command, input=text, env=environment, check=True, text=True,
                                      capture_output=True)
                if i > 0:  # the first warms up
                    (ours if mine else theirs).append(
                        float(done.stderr.split()[1] if mine else done.stdout))
        ratio, low, high = median_of_pairs(ours, theirs)
        verdict = OK if high <= STREAM_RATIO else UNCLEAR if low <= STREAM_RATIO else MISSED
        self.add(figure=f"streamed answer, {what}", ours=f"{statistics.median(ours):.3f} s",
                 peer=f"curl {statistics.median(theirs):.3f} s", ratio=f"{ratio:.4f} ({low:.4f} to {high:.4f})",
                 goal=f"{STREAM_RATIO}", verdict=verdict)

    def tune(self):
        self.started()
        tuned = self.json("tune", "gemma", "--through", "ollama", "--budget", "120s",
                          "--prompt-tokens", "256", "--answer-tokens", "64")
        cores = len(os.sched_getaffinity(0))
        grid = [(threads, batch) for threads in sorted({1, max(1, cores // 2), cores})
                for batch in (128, 256, 512)]
        best = tuned["best"]["settings"]
        chosen = (best["threads"] or 0, best["ubatch"])
        times = {setting: [] for setting in {*grid, chosen}}
        for i in range(max(8, self.rounds)):
            for setting in (list(times) if i % 2 == 0 else reversed(list(times))):
                times[setting].append(self.exchange(setting, i))
        median = {setting: statistics.median(values) for setting, values in times.items()}
        winner = min(grid, key=median.get)
        rates = [[1 / seconds for seconds in values] for values in times.values()]
        ours, best = against_best(rates, list(times).index(chosen))
        slower, low, high = ratio_interval(best, ours)
        self.add(figure=f"tune --through ollama: regret ({tuned['seconds']:.0f} s)",
                 ours=f"{chosen}: {median[chosen]:.2f} s", peer=f"grid {winner}: {median[winner]:.2f} s",
                 ratio=f"{slower:.3f} ({low:.3f} to {high:.3f})", goal=f"{1 + REGRET}",
                 verdict=OK if slower <= 1 + REGRET else UNCLEAR if low <= 1 + REGRET else MISSED)

    def exchange(self, setting, number):
        """Seconds of a prompt of 256 tokens and an answer of 64, by Ollama's clock."""
        options = {"num_thread": setting[0], "num_batch": setting[1], "temperature": 0, "num_predict": 2}
        self.server.ask("POST", "generate", {"model": "gemma", "prompt": "x", "raw": True,
                                             "stream": False, "options": options})
        said = self.server.ask("POST", "generate", {
            "model": "gemma", "raw": True, "stream": False,
            # Nothing of it is in Ollama's cache, not even the first digit of the number.
            "prompt": f"{str(time.monotonic_ns())[::-1]} {number}" + " river mountain" * 115,
            "options": dict(options, num_predict=24)})
        return (256 * said["prompt_eval_duration"] / said["prompt_eval_count"] +
                64 * said["eval_duration"] / said["eval_count"]) / 1e9

    def close(self):
        if self.server is not None:
            self.server.close()
        shutil.rmtree(self.directory, ignore_errors=True)


def record_of(path):
    """As `trimma optimize` leaves one, with what apply reads of it."""
    settings = {"context": 1024, "batch": 2048, "ubatch": 256, "threads": len(os.sched_getaffinity(0)),
                "threads_batch": None, "flash_attention": "auto", "kv_k": "f16", "kv_v": "f16",
                "gpu_layers": None, "use_gpu": True, "parallel": 1, "host_tensors": [],
                "load_mode": "auto", "repack": True}
    return {"schema": "trimma.optimize/1", "model": {"argument": "ollama:gemma", "path": path},
            "files": {"model": path, "projector": None}, "after": {"settings": settings},
            "sampling": {"temperature": 0.7, "top_p": 0.9, "profile": "balanced"}}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parts = ["apply", "stream", "tune"]
    parser.add_argument("--only", default=",".join(parts), metavar=",".join(parts))
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--ollama", help="the program")
    parser.add_argument("--trimma", type=Path, default=ROOT / "build/release/trimma")
    wishes = parser.parse_args()
    chosen = chosen_of(parser, wishes.only, parts)
    bench = Bench(wishes)
    try:
        if bench.program is None:
            bench.add(figure="a real Ollama", verdict=f"{SKIPPED}: Go {OLDEST_GO[0]}.{OLDEST_GO[1]} or later "
                      "builds one, and is not here")
        else:
            if "stream" in chosen:
                run(["cmake", "--build", wishes.trimma.parent, "--target", "trimma_stream_bench"])
            bench.collect(chosen, lambda name: getattr(bench, name))
    finally:
        bench.close()
    bench.print()
    return 5 if any(row.verdict == MISSED or row.verdict.startswith("FAILED") for row in bench.rows) else 0


if __name__ == "__main__":
    sys.exit(main())
