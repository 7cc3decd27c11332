"""Asks `trimma plan` for cells, and gives their bytes."""

import json
import os
import subprocess
from dataclasses import dataclass

from .figures import BenchError

DOES_NOT_FIT = 4
MIB = 1 << 20


@dataclass(frozen=True)
class Memory:
    weights: int
    kv: int
    compute: int

    @property
    def total(self):
        return self.weights + self.kv + self.compute

    def whole_mib(self):
        """As `llama-fit-params --fit-print` prints it: rounded down."""
        return self.weights // MIB, self.kv // MIB, self.compute // MIB


def kv_name(key, value):
    return key if key == value else f"{key}/{value}"


class Planner:
    """One model at a time; `plan` gives {(context, kv): [Memory of each device, the host last]}."""

    def __init__(self, trimma, state):
        self.trimma = trimma
        # Nothing measured on this machine may enter, nothing of this be kept.
        self.environment = {**os.environ, "XDG_STATE_HOME": str(state)}
        self.calls = 0

    def run(self, model, **options):
        """The whole document, or None where no cell can be."""
        command = [self.trimma, "plan", model, "--json"]
        for name, value in options.items():
            words = ",".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)
            command += [f"--{name.replace('_', '-')}", words]
        self.calls += 1
        done = subprocess.run([str(word) for word in command], env=self.environment,
                              stdin=subprocess.DEVNULL, capture_output=True, text=True)
        if done.returncode == DOES_NOT_FIT and '"cells"' not in done.stdout:
            return None
        if done.returncode not in (0, DOES_NOT_FIT):
            raise BenchError(f"trimma plan {model}: status {done.returncode}: {done.stdout[-200:]}")
        return json.loads(done.stdout)

    def plan(self, model, contexts, kv, **options):
        document = self.run(model, types="as-is", context=contexts, kv=kv, **options)
        if document is None:
            return None
        cells = {}
        for cell in document["cells"]:
            devices = [Memory(device["weights_bytes"], device["kv_bytes"], device["compute_bytes"])
                       for device in cell["devices"]]
            cells[cell["context"], kv_name(cell["kv_k"], cell["kv_v"])] = devices
        return cells
