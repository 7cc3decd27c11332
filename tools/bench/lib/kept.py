"""What a benchmark measured, kept in a file so that a run that was cut off goes on where it ended."""

import hashlib
import json

from .figures import say

FIRST_BYTES = 1 << 20  # of a model: its header and what follows


class TimeOver(Exception):
    """What --seconds gave is used; what was measured is kept. No BenchError: nothing has failed."""


def digest_of(path, most=-1):
    """A short hash of a file's content, or of its first bytes."""
    with open(path, "rb") as file:
        return hashlib.sha256(file.read(most)).hexdigest()[:16]


def model_identity(path):
    """Its size and its first bytes: gigabytes aren't read for a name."""
    return {"bytes": path.stat().st_size, "begins": digest_of(path, FIRST_BYTES)}


class Kept:
    """What was measured, by what it is of; in a file, a line each. Without a file, in memory alone."""

    def __init__(self, path=None):
        self.path = path
        self.values = {}
        if path is None or not path.is_file():
            return
        text = path.read_text(encoding="utf-8")
        whole, end, cut = text.rpartition("\n")
        if cut:  # in the middle of a line: that was never measured to its end
            path.write_text(whole + end, encoding="utf-8")
        for line in whole.splitlines():
            key, value = json.loads(line)
            self.values[json.dumps(key)] = value

    @classmethod
    def of(cls, folder, name, identity):
        """The file of `name` in `folder` for measurements of `identity`, by its hash: what was measured by
        another program, on another machine or of another prompt lies in another file."""
        folder.mkdir(parents=True, exist_ok=True)
        short = hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:10]
        kept = cls(folder / f"{name}-{short}.jsonl")
        if kept.values:
            say(f"{kept.path}: {len(kept.values) - 1} measurements of before count; without the file all are new")
        kept("of", lambda: identity)
        return kept

    def __call__(self, key, make, left=float("inf")):
        """The value of `key`, made where it isn't there and there is time `left`."""
        word = json.dumps(key)
        if word not in self.values:
            if left <= 0:
                raise TimeOver("the time was over; run again to go on")
            # As it will be read: a list for a tuple.
            value = json.loads(json.dumps(make()))
            if self.path is not None:
                with open(self.path, "a", encoding="utf-8") as file:
                    file.write(json.dumps([key, value]) + "\n")
            self.values[word] = value
        return self.values[word]
