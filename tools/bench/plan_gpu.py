#!/usr/bin/env python3
"""The plan against a real NVIDIA card: ./dev bench plan_gpu [--only learn,predict,real,loads,server]

Takes a random model of Gemma 3 4B's shape, fills the card until only so much is free, asks
`trimma plan`, loads what it says with the context filled, and counts. Beside it runs llama-server
of the pinned commit: with its defaults, and with the margin that Ollama gives it (the projector
counted twice). Every load is added to a file, so that runs add up.
"""

import argparse
import json
import os
import random
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

sys.dont_write_bytecode = True
from lib.card import GIB, MIB, Card, shape_of_gemma  # noqa: E402
from lib.figures import ROOT, BenchError, say  # noqa: E402

PROMPT, ANSWER = 16000, 48
FREE_GIB = (3.75, 4.00, 4.25, 4.50, 5.00)
# Ollama 0.30 and later: LLAMA_ARG_FIT_TARGET is the projector (796 MiB) and 1024 MiB, and
# llama-server adds the projector again.
OLLAMA_MARGIN_MIB = 1024 + 2 * 796
SHAPES = ("llama3.2-3b", "gemma3-1b", "qwen3-4b", "qwen3moe", "phi3.5-mini", "deepseek-v2-lite",
          "mamba-2.8b", "granite4-h-tiny", "gpt-oss-20b", "command-r7b")
CELLS = ((512, 512, "f16", 99), (4096, 512, "f16", 99), (4096, 128, "q8_0", 99), (3072, 1024, "f16", 99),
         (4096, 512, "f16", 2), (2048, 512, "q8_0", 3))  # context, ubatch, cache, layers on the card


class Bench:
    def __init__(self, wishes):
        self.wishes = wishes
        try:
            self.card = Card()
        except BenchError as error:
            sys.exit(str(error))
        self.state = {**os.environ, "XDG_STATE_HOME": str(wishes.work / "state")}
        self.failed = False

    def trimma(self, *words):
        done = subprocess.run([str(self.wishes.trimma), *map(str, words)], env=self.state, text=True,
                              capture_output=True)
        if done.returncode != 0 and not done.stdout.strip():
            raise RuntimeError(f"trimma {' '.join(map(str, words))}: {done.stderr.strip()[-300:]}")
        return done.stdout

    def plan(self, context, ubatch=512, model=None, kv="f16", layers=None):
        words = ["plan", model or self.wishes.model, "--types", "as-is", "--kv", kv, "--context", context,
                 "--ubatch", ubatch, "--json"]
        if layers is not None:
            words += ["--gpu-layers", layers]
        document = json.loads(self.trimma(*words))
        if "cells" not in document:
            raise RuntimeError(f"trimma plan {model}: {document['error']['what']}")
        return document["cells"][0]

    def fill(self, cell, ubatch=512, model=None):
        """Loads exactly this and fills the context: the driver's count meanwhile, the bytes of the
        buffers that were really allocated on the card, and the error if there was one."""
        settings = {"context": cell["context"], "batch": 2048, "ubatch": ubatch, "threads": None,
                    "threads_batch": None, "flash_attention": "auto", "kv_k": cell["kv_k"],
                    "kv_v": cell["kv_v"], "gpu_layers": cell["gpu_layers"], "parallel": 1,
                    "host_tensors": cell["host_tensors"]}
        request = json.dumps({"source": str(model or self.wishes.model), "settings": settings})
        before = self.card.free()
        reader, writer = os.pipe()
        os.set_inheritable(writer, True)
        child = subprocess.Popen(["bash", "-c", f'exec "$0" __child fill 3>&{writer}', str(self.wishes.trimma)],
                                 stdin=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
                                 close_fds=False, env=self.state)
        os.close(writer)
        child.stdin.write(request)
        child.stdin.close()
        used, buffers, error = None, None, "no answer"
        with os.fdopen(reader) as answers:
            for line in answers:
                answer = json.loads(line)
                if "event" in answer:
                    used = before - self.card.free()
                    buffers = answer["event"]["buffers"][0]
                error = answer.get("error", {}).get("what")
        child.wait()
        return used, buffers, error

    def keep(self, row):
        with open(self.wishes.results, "a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")

    def learn(self):
        self.card.leave(0)
        document = json.loads(self.trimma("scan", "--learn", self.wishes.model, "--json"))
        overhead = document["gpus"][0]["overhead"]
        print(f"learned: {overhead['fixed_bytes'] / MIB:.0f} MiB besides buffers, "
              f"{overhead['pool_bytes_per_activation']:.2f} bytes an activation, "
              f"margin {overhead['margin_bytes'] / MIB:.0f} MiB (goal: at most 128)")
        self.failed |= overhead["margin_bytes"] > 128 * MIB
        return overhead

    def predict(self):
        """Predicted total against the driver's count, once learned, with other memory taken."""
        overhead = self.overhead()
        errors = []
        for context, ubatch, free in ((2048, 512, 5.0), (8192, 128, 6.0), (8192, 1024, 6.0),
                                      (32768, 512, 6.0), (32768, 2048, 6.5), (65536, 512, 7.0),
                                      (4096, 512, 3.0), (32768, 512, 3.5)):
            self.card.leave(int(free * GIB))
            cell = self.plan(context, ubatch)
            used, _, error = self.fill(cell, ubatch)
            if used is None:
                self.failed = True
                print(f"predict: context {context} ubatch {ubatch} with {free} GiB: FAILED {error}")
                continue
            gpu = cell["devices"][0]
            predicted = gpu["total_bytes"] + gpu["reserve_bytes"] - overhead["margin_bytes"]
            off = predicted - used
            allowed = max(0.02 * used, 64 * MIB)
            errors.append(abs(off) / MIB)
            self.failed |= abs(off) > allowed
            print(f"predict: context {context:6} ubatch {ubatch:4} layers {cell['gpu_layers']:2}: predicted "
                  f"{predicted / MIB:6.0f} MiB, the driver says {used / MIB:6.0f}, off {off / MIB:+.0f} "
                  f"({'ok' if abs(off) <= allowed else 'MISSED'})")
        print(f"predict: median error {statistics.median(errors):.0f} MiB, worst {max(errors):.0f}")

    def real(self):
        """Small random models of many architectures, really loaded: predicted buffers against those
        that were allocated."""
        self.card.leave(0)
        off = []
        for shape in SHAPES:
            model = self.wishes.work / f"{shape}.gguf"
            subprocess.run([sys.executable, ROOT / "tools/shapes.py", shape, model, "--small", "--random", "1",
                            "--vocabulary"], check=True, stdout=subprocess.DEVNULL)
            for context, ubatch, kv, layers in CELLS:
                cell = self.plan(context, ubatch, model, kv, layers)
                _, buffers, error = self.fill(cell, ubatch, model)
                if buffers is None:
                    self.failed = True
                    print(f"real: {shape} {context} {ubatch} {kv} {layers} layers: FAILED {error}")
                    continue
                predicted = cell["devices"][0]["total_bytes"]
                off.append(abs(predicted - buffers))
                if off[-1] > max(0.01 * buffers, 4 * MIB):
                    self.failed = True
                    print(f"real: {shape} {context} {ubatch} {kv} {layers} layers: predicted {predicted}, "
                          f"allocated {buffers} MISSED")
            model.unlink()
        print(f"real: {len(off)} loads of {len(SHAPES)} architectures: {sum(o == 0 for o in off)} to the byte, "
              f"worst off by {max(off) / MIB:.2f} MiB (goal: 1 % or 4 MiB)")

    def overhead(self):
        return json.loads(self.trimma("scan", "--json"))["gpus"][0]["overhead"]

    def loads(self):
        """Loads at mixed contexts with 3 to 6 GiB free: none may run out of memory."""
        dice = random.Random(self.wishes.seed)
        contexts = [32768] * 10 + [dice.choice((2048, 4096, 8192, 12288, 16384, 24576)) for _ in range(40)]
        dice.shuffle(contexts)
        margin = self.overhead()["margin_bytes"]
        begun = time.monotonic()
        for context in contexts[:self.wishes.loads]:
            if time.monotonic() - begun > self.wishes.seconds:
                say("time is up; run again to add the rest")
                break
            free = dice.uniform(3.0, 6.0)
            self.card.leave(int(free * GIB))
            cell = self.plan(context)
            used, buffers, error = self.fill(cell)
            self.keep({"context": context, "free_gib": round(free, 3), "layers": cell["gpu_layers"],
                       "margin_mib": margin / MIB, "used_mib": used and used / MIB, "error": error,
                       "buffers_off_mib": buffers and (cell["devices"][0]["total_bytes"] - buffers) / MIB})
        rows = [json.loads(line) for line in open(self.wishes.results, encoding="utf-8")]
        bad = [row for row in rows if row["error"] or row["used_mib"] is None]
        worst = max((abs(row["buffers_off_mib"]) for row in rows if row.get("buffers_off_mib") is not None),
                    default=0)
        full = sum(row["context"] == 32768 for row in rows)
        widest = max(row["margin_mib"] for row in rows)
        print(f"loads: {len(rows)} in all, {full} of them at 32768, margin at most {widest:.0f} MiB: "
              f"{len(bad)} out of memory (goal: 0 of 50); buffers off by at most {worst:.2f} MiB")
        for row in bad:
            print(f"loads: FAILED {row}")
        self.failed |= bool(bad)

    def serve(self, *flags):
        """Prefill and decode rates of llama-server with these flags; None where it can't."""
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        with tempfile.TemporaryFile() as log:
            server = subprocess.Popen(
                [str(self.wishes.llama_server), "-m", str(self.wishes.model), "-c", "32768", "-np", "1",
                 "--port", str(port), "--no-warmup", "-t", str(self.wishes.threads), *map(str, flags)],
                stdout=log, stderr=log)
            try:
                return self.ask(server, port)
            finally:
                server.terminate()
                server.wait()

    def ask(self, server, port):
        dice = random.Random(7)
        body = {"prompt": [dice.randrange(1000, 200000) for _ in range(PROMPT)], "n_predict": ANSWER,
                "cache_prompt": False, "ignore_eos": True, "temperature": 0}
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline and server.poll() is None:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=2).read()
                break
            except (urllib.error.URLError, OSError):
                time.sleep(0.2)
        timings = None
        for tokens in (600, PROMPT):  # the first answer loads kernels
            part = {**body, "prompt": body["prompt"][:tokens]}
            request = urllib.request.Request(f"http://127.0.0.1:{port}/completion", json.dumps(part).encode(),
                                             {"Content-Type": "application/json"})
            try:
                timings = json.loads(urllib.request.urlopen(request, timeout=120).read())["timings"]
            except (urllib.error.URLError, OSError, KeyError):
                return None
        return timings["prompt_per_second"], timings["predicted_per_second"]

    def server(self):
        """The plan's layers in llama-server, beside its own choice, Ollama's margin, and all layers."""
        def cell_text(rates):
            return "out of memory" if rates is None else f"{rates[0]:7.0f} / {rates[1]:6.1f}"

        def ratio(ours, theirs):
            return "-" if not ours or not theirs else f"{ours[0] / theirs[0]:.2f} / {ours[1] / theirs[1]:.2f}"
        print("free GiB | layers | the plan's        | llama-server's    | Ollama's margin   | all layers"
              "        | ratio to llama-server | to Ollama  (prefill / decode tok/s)")
        for free in self.wishes.free:
            self.card.leave(int(free * GIB))
            cell = self.plan(32768)
            places = [word for pattern in cell["host_tensors"] for word in ("-ot", f"{pattern}=CPU")]
            ours = self.serve("-fit", "off", "-ngl", cell["gpu_layers"], *places)
            theirs = self.serve()
            ollama = self.serve("-fitt", OLLAMA_MARGIN_MIB)
            whole = ours if cell["whole"] else self.serve("-fit", "off", "-ngl", 99)
            best = whole or ours
            good = ours is not None and (not best or ours[1] >= 0.98 * best[1])
            self.failed |= not good
            print(f"{free:8.2f} | {cell['gpu_layers']:6} | {cell_text(ours)} | {cell_text(theirs)} | "
                  f"{cell_text(ollama)} | {cell_text(whole)} | {ratio(ours, theirs)} | {ratio(ours, ollama)} "
                  f"{'ok' if good else 'MISSED'}", flush=True)


FIGURES = ("learn", "predict", "real", "loads", "server")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--only", default=",".join(FIGURES), metavar="FIGURES")
    parser.add_argument("--trimma", type=Path, default=ROOT / "build/release/trimma")
    parser.add_argument("--llama-server", type=Path, default="llama-server")
    parser.add_argument("--model", type=Path, help="default: a random one of Gemma 3 4B's shape")
    parser.add_argument("--work", type=Path, default=ROOT / "build/bench/plan_gpu")
    parser.add_argument("--results", type=Path, help="default: loads.jsonl in the work folder")
    parser.add_argument("--free", type=lambda t: tuple(map(float, t.split(","))), default=FREE_GIB)
    parser.add_argument("--loads", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=1800, help="of the loads")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    wishes = parser.parse_args()
    wishes.work.mkdir(parents=True, exist_ok=True)
    wishes.results = wishes.results or wishes.work / "loads.jsonl"
    wishes.model = wishes.model or shape_of_gemma(wishes.work)
    chosen = wishes.only.split(",")
    if unknown := set(chosen) - set(FIGURES):
        parser.error(f"no such figure: {', '.join(sorted(unknown))}; there are {', '.join(FIGURES)}")
    bench = Bench(wishes)
    for name in chosen:
        getattr(bench, name)()
    bench.card.leave(0)
    return 5 if bench.failed else 0


if __name__ == "__main__":
    sys.exit(main())
