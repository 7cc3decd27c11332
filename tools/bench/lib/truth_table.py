"""What a card's own driver and the engine's own tool said (tools/truth.py), and what we say."""

import csv
from dataclasses import dataclass

REFUSED = "refused"


@dataclass(frozen=True)
class Truth:
    model: str
    layers: str
    context: int
    flash_attention: str
    kv: str
    ubatch: str
    devices: object  # ((weights, KV, compute MiB) of each device, the host last), or REFUSED

    def __str__(self):
        return (f"{self.model} -ngl {self.layers} -c {self.context} -fa {self.flash_attention}"
                f" KV {self.kv} -ub {self.ubatch}")


def devices_of(text):
    """"CUDA0 2368 254 517  Host 525 0 15" as figures."""
    if text == REFUSED:
        return REFUSED
    words = text.split()
    return tuple(tuple(map(int, words[i + 1:i + 4])) for i in range(0, len(words), 4))


def read(path):
    with open(path, newline="") as file:
        rows = [row for row in csv.reader(file) if row and row[0] != "model"]
    return [Truth(row[0], row[1], int(row[2]), *row[3:6], devices_of(row[6])) for row in rows]


def together(truths):
    """Truths that one call of trimma answers: its contexts and types of KV cache may differ."""
    groups = {}
    for truth in truths:
        key = truth.model, truth.layers, truth.flash_attention, truth.ubatch
        groups.setdefault(key, []).append(truth)
    return groups.values()


def priced(planner, folder, gpu, truths):
    """Each truth of one group beside our figures of it."""
    first = truths[0]

    def ask(some):
        return planner.plan(folder / f"{first.model}.gguf", gpu=gpu, runtime="bench",
                            contexts=sorted({truth.context for truth in some}),
                            kv=list(dict.fromkeys(truth.kv for truth in some)),
                            gpu_layers=first.layers, ubatch=first.ubatch,
                            flash_attention=first.flash_attention)

    cells = ask(truths)
    for truth in truths:
        # One cell that can't be ends the call; the others are asked for alone.
        mine = cells if cells is not None else ask([truth])
        if mine is None:
            yield truth, REFUSED
        else:
            devices = mine[truth.context, truth.kv]
            yield truth, tuple(memory.whole_mib() for memory in devices)
