#!/usr/bin/env python3
"""Figures of `trimma pull`: ./dev bench pull [--only rate,interruptions,hostile,registry] [--rounds N]

rate: from loopback, beside `curl -o f && openssl sha256 f` in the same rounds. trimma's time ends with
the file flushed to the disk; curl's is given without that, and with `sync f`.
interruptions: a pull that is killed (SIGKILL) 50 times at random points, then ends: are the bytes
the same, and how many did the server send twice? What lay in a killed process's socket counts too.
hostile: the table of src/models/pull_hostile_test.cc, where a test program is built.
registry: Debian's docker-registry, filled by `ollama push --insecure` of a real Ollama (TRIMMA_TEST_OLLAMA or
PATH): is what is pulled, and the header that is read through ranges, what Ollama was given?
"""

import argparse
import json
import os
import random
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.dont_write_bytecode = True
from lib.figures import MISSED, OK, ROOT, SKIPPED, BenchError, Figures, chosen_of, met, run, say  # noqa: E402
from lib.model_server import ModelServer, sha256_of  # noqa: E402
from ollama import Server, find_ollama, free_port  # noqa: E402

RATE_GOAL, TWICE_GOAL, HOSTILE_GOAL = 0.9, 0.01, 25
MIB = 1 << 20


class Bench(Figures):
    def __init__(self, wishes):
        super().__init__()
        self.wishes = wishes
        self.directory = Path(tempfile.mkdtemp(prefix="trimma-bench-", dir=wishes.directory))
        self.model = self.directory / "model.gguf"
        say(f"writing {wishes.mib} MiB")
        with open(self.model, "wb") as file:
            file.write(b"GGUF" + os.urandom(MIB - 4))
            for _ in range(wishes.mib - 1):
                file.write(os.urandom(MIB))
        self.size = self.model.stat().st_size
        self.sha256 = sha256_of(self.model)

    def environment(self, store):
        # No server answers at this port, so trimma fills the store itself.
        return {**os.environ, "OLLAMA_MODELS": str(store / "ollama"), "OLLAMA_HOST": "127.0.0.1:1",
                "HF_HUB_CACHE": str(store / "hub"), "HOME": str(store), "HF_TOKEN": "",
                "XDG_STATE_HOME": str(store / "state"), "LLAMA_CACHE": ""}

    def pull(self, server, store, layout):
        environment = self.environment(store)
        name = f"ollama:{server.host}/library/bench"
        if layout == "hf":
            environment["HF_ENDPOINT"] = f"http://{server.host}"
            name = "hf:user/bench"
        return [str(self.wishes.trimma), "pull", name, "--json", "--quiet"], environment

    # ---- the figures -------------------------------------------------------------------------

    def rate(self):
        server = ModelServer(self.model, self.sha256)
        seconds = {"ollama": [], "hf": [], "curl": [], "curl, flushed": []}
        store = self.directory / "store"
        url = f"http://{server.host}/v2/library/bench/blobs/sha256:{self.sha256}"

        def curl():
            file = self.directory / "curled"
            started = time.perf_counter()
            run(["curl", "-sL", "-o", file, url])
            said = run(["openssl", "sha256", file])
            seconds["curl"].append(time.perf_counter() - started)
            run(["sync", file])
            seconds["curl, flushed"].append(time.perf_counter() - started)
            if self.sha256 not in said:
                raise BenchError("curl fetched other bytes")
            file.unlink()

        def ours(layout):
            command, environment = self.pull(server, store, layout)
            store.mkdir()
            started = time.perf_counter()
            said = json.loads(run(command, env=environment))
            seconds[layout].append(time.perf_counter() - started)
            if said["bytes"] < self.size:
                raise BenchError("trimma fetched too little")
            shutil.rmtree(store)

        steps = [curl, lambda: ours("ollama"), lambda: ours("hf")]
        for done in range(self.wishes.rounds):
            say(f"rate: round {done + 1} of {self.wishes.rounds}")
            for step in steps[done % 3:] + steps[:done % 3]:
                os.sync()  # what the step before left to the disk is not this one's to wait for
                step()
        server.close()
        for peer in ("curl", "curl, flushed"):
            theirs = statistics.median(seconds[peer])
            for layout in ("ollama", "hf"):
                mine = statistics.median(seconds[layout])
                self.add(figure=f"rate of a pull, {layout} layout, beside {peer}",
                         ours=f"{self.size / mine / 1e6:.0f} MB/s",
                         peer=f"{self.size / theirs / 1e6:.0f} MB/s", ratio=f"{theirs / mine:.2f}",
                         goal=f">= {RATE_GOAL}", verdict=met(theirs / mine >= RATE_GOAL))

    def interruptions(self):
        dice = random.Random(self.wishes.seed)
        for layout in ("ollama", "hf"):
            server = ModelServer(self.model, self.sha256, rate=self.wishes.throttle * 1e6)
            store = self.directory / f"store-{layout}"
            store.mkdir()
            command, environment = self.pull(server, store, layout)
            killed = 0
            for point in sorted(dice.uniform(0, self.size) for _ in range(self.wishes.kills)):
                running = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL,
                                           stderr=subprocess.DEVNULL)
                while running.poll() is None and server.sent < point:
                    time.sleep(0.001)
                if running.poll() is None:
                    running.send_signal(signal.SIGKILL)
                    killed += 1
                running.wait()
            said = json.loads(run(command, env=environment))
            server.close()
            same = sha256_of(said["path"]) == self.sha256
            twice = (server.sent - self.size) / self.size
            self.add(figure=f"{killed} kills, {layout} layout", ours=f"{twice:.2%} sent twice",
                     peer="same bytes" if same else "OTHER BYTES", goal=f"<= {TWICE_GOAL:.0%}, same bytes",
                     verdict=met(same and twice <= TWICE_GOAL and killed == self.wishes.kills))

    def hostile(self):
        programs = sorted(ROOT.glob("build/*/tests/trimma_test"), key=lambda path: path.stat().st_mtime)
        if not programs:
            self.add(figure="hostile servers", verdict=f"{SKIPPED}: no test program in build/")
            return
        said = run([programs[-1], "--gtest_filter=PullHostileTest.*"])
        counted = re.search(r"hostile servers: (\d+) of (\d+) safe", said)
        if not counted:
            raise BenchError("the test program didn't say how many are safe")
        safe, tried = int(counted[1]), int(counted[2])
        self.add(figure="hostile servers", ours=f"{safe} of {tried} safe", goal=f"all, >= {HOSTILE_GOAL}",
                 verdict=OK if safe == tried >= HOSTILE_GOAL else MISSED)


    def registry(self):
        program = find_ollama(None, may_build=False)
        if not shutil.which("docker-registry") or program is None:
            self.add(figure="a real registry", verdict=f"{SKIPPED}: docker-registry or ollama is not here")
            return
        host = f"127.0.0.1:{free_port()}"
        config = self.directory / "registry.yml"
        config.write_text(f"version: 0.1\nlog: {{level: error}}\nhttp: {{addr: '{host}'}}\n"
                          f"storage: {{filesystem: {{rootdirectory: '{self.directory}/registry'}}}}\n")
        # A shape with random weights: a real header, and bytes that nothing compresses.
        model = self.directory / "pushed.gguf"
        run([sys.executable, ROOT / "tools/shapes.py", "llama3.2-3b", model, "--small", "--random", "1",
             "--vocabulary"])
        registry = subprocess.Popen(["docker-registry", "serve", str(config)], stdout=subprocess.DEVNULL,
                                    stderr=subprocess.DEVNULL)
        server, store = None, self.directory / "pulled"
        try:
            server = Server(program, self.directory / "ollama")
            name = f"{host}/library/pushed:1b"
            digest = server.add(name, model)
            answer = server.ask("POST", "push", {"model": name, "insecure": True, "stream": False})
            if answer.get("status") != "success":
                raise BenchError(f"ollama push: {answer}")
            store.mkdir()
            words = [f"ollama:{name}", "--insecure", "--json", "--quiet"]
            header = json.loads(run([self.wishes.trimma, "inspect", *words], env=self.environment(store)))
            local = json.loads(run([self.wishes.trimma, "inspect", model, "--json", "--quiet"]))
            same = all(header[key] == local[key] for key in ("tensors", "file_bytes", "architecture"))
            self.add(figure=f"header from the registry ({len(local['tensors'])} tensors)",
                     ours="as in the file" if same else "OTHERWISE", goal="as in the file",
                     verdict=met(same and not any(store.rglob("sha256-*"))))
            said = json.loads(run([self.wishes.trimma, "pull", *words], env=self.environment(store)))
            right = f"sha256:{sha256_of(said['path'])}" == digest == f"sha256:{sha256_of(model)}"
            self.add(figure=f"pulled from the registry ({model.stat().st_size / 1e6:.1f} MB)",
                     ours="same bytes" if right else "OTHER BYTES", goal="same bytes", verdict=met(right))
        finally:
            if server is not None:
                server.close()
            registry.kill()
            registry.wait()


def main():
    known = ["rate", "interruptions", "hostile", "registry"]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default=",".join(known))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--mib", type=int, default=1024, help="size of the file")
    parser.add_argument("--throttle", type=float, default=40,
                        help="MB/s of the server that is interrupted: slower than the disk, as networks are")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--directory", type=Path, help="where to work; twice the file's size is needed")
    parser.add_argument("--trimma", type=Path, default=ROOT / "build/release/trimma")
    parser.add_argument("--output", type=Path, help="the rows as JSON")
    wishes = parser.parse_args()
    chosen = chosen_of(parser, wishes.only, known)
    bench = Bench(wishes)
    bench.file = wishes.output
    try:
        bench.collect(chosen, lambda name: getattr(bench, name))
    finally:
        shutil.rmtree(bench.directory, ignore_errors=True)
    bench.print()
    return bench.status()


if __name__ == "__main__":
    sys.exit(main())
