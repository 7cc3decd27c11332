#!/usr/bin/env python3
"""apply --config: ./dev bench config

Applies one record to every file of tests/data/config, each a config.toml as some application has
it, and holds the result against the original without trimma's own parser: line by line, a line may
differ in the value of an edited key alone; new lines may only hold edited keys or the header of
their table; Python's tomllib must read the same from both, but for those keys. Ends with 5 if a file
fails.
"""

import argparse
import copy
import difflib
import json
import os
import re
import sys
import tempfile
import tomllib
from pathlib import Path

sys.dont_write_bytecode = True
from lib.figures import ROOT, Figures, met, run  # noqa: E402

CONFIGS = ROOT / "tests/data/config"
FILES = 40
VALUES = {"model.name": "bench-model", "model.context_length": 12345, "model.temperature": 0.31,
          "model.top_p": 0.83, "runtime.threads": 7}
USUAL = [name for name in VALUES if name.startswith("model.")]


def record(model):
    return {"schema": "trimma.optimize/1",
            "model": {"argument": "bench-model", "path": model},
            "files": {"model": model},
            "after": {"settings": {"context": VALUES["model.context_length"], "batch": 2048,
                                   "ubatch": 512, "threads": VALUES["runtime.threads"],
                                   "threads_batch": None, "flash_attention": "auto", "kv_k": "f16",
                                   "kv_v": "f16", "gpu_layers": None}},
            "sampling": {"temperature": VALUES["model.temperature"], "top_p": VALUES["model.top_p"],
                         "profile": "precise"}}


def places_of(text):
    """Setting -> key as tomllib has it; a line "# trimma: SETTING=KEY" says another than the usual."""
    places = {name: name.split(".") for name in USUAL}
    options = re.findall(r"^# trimma: (\S+?)=(.*?)\s*$", text, re.MULTILINE)
    for setting, key in options:
        places.pop(setting, None)
        if key:
            path, table = [], tomllib.loads(key + " = 0")
            while isinstance(table, dict):
                (part, table), = table.items()
                path.append(part)
            places[setting] = path
    return places, [word for setting, key in options for word in ("--map", f"{setting}={key}")]


def parsed(raw):
    return tomllib.loads(raw.decode("utf-8-sig").replace("\r\n", "\n"))


def without(document, paths):
    """The document without these keys, and without tables that hold nothing else."""
    document = copy.deepcopy(document)
    for path in paths:
        tables = [document]
        for part in path[:-1]:
            tables.append(tables[-1].get(part, {}) if isinstance(tables[-1], dict) else {})
        tables[-1].pop(path[-1], None)
        for table, part in zip(reversed(tables[:-1]), reversed(path[:-1])):
            if table.get(part) == {}:
                table.pop(part)
    return document


def fault(before, after, places):
    """What is wrong with the edit, or None."""
    lasts = {path[-1] for path in places.values()}
    headers = {part for path in places.values() for part in path[:-1]}
    old, new = before.split(b"\n"), after.split(b"\n")
    for kind, a, b, c, d in difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if kind == "equal":
            continue
        for line in new[c:d]:
            text = line.decode("utf-8-sig").strip()
            is_key = any(last in text.split("=")[0] for last in lasts)
            is_header = text.startswith("[") and any(header in text for header in headers)
            if text and not is_key and not is_header and line not in old[a:b] + [line + b"\r"]:
                return f"a line that is none of the keys: {text!r}"
        # New keys follow their table's last one, so an edited line has its former place in the block.
        for nth, line in enumerate(old[a:b]):
            text = line.decode("utf-8-sig")
            comment = re.search(r"#[^\"']*$", text)
            if comment and not (nth < d - c and new[c + nth].endswith(comment[0].encode())):
                return f"a comment is gone: {text!r}"
    if repr(without(parsed(before), places.values())) != repr(without(parsed(after), places.values())):
        return "another key changed"
    document = parsed(after)
    for setting, path in places.items():
        value = document
        for part in path:
            value = value[part]
        if value != VALUES[setting]:
            return f"{'.'.join(path)} is {value!r}"
    return None


class Bench(Figures):
    def __init__(self, trimma):
        super().__init__()
        self.trimma = trimma

    def one(self, source, folder):
        """What is wrong with the edit of one file, or None."""
        before = source.read_bytes()
        places, options = places_of(before.decode("utf-8-sig"))
        target = folder / source.name
        target.write_bytes(before)
        run([self.trimma, "apply", folder / "record.json", "--config", target, *options])
        wrong = fault(before, target.read_bytes(), places)
        run([self.trimma, "apply", "--undo"])
        return wrong or (None if target.read_bytes() == before else "the undo left another file")

    def files(self):
        with tempfile.TemporaryDirectory(prefix="trimma-bench-") as name:
            folder = Path(name)
            os.environ["XDG_STATE_HOME"] = name
            (folder / "record.json").write_text(json.dumps(record(str(folder / "m.gguf"))))
            sources = sorted(CONFIGS.glob("*.toml"))
            faults = {source.name: self.one(source, folder) for source in sources}
        for source, words in faults.items():
            if words:
                say(f"{source}: {words}")
        kept = sum(words is None for words in faults.values())
        self.add(figure="config.toml kept outside the edited keys, and by --undo", ours=str(kept),
                 goal=f"{FILES} of {FILES}", verdict=met(kept == FILES == len(sources)))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--trimma", default=ROOT / "build/release/trimma", type=Path)
    bench = Bench(parser.parse_args().trimma)
    bench.attempt("config.toml", bench.files)
    bench.print()
    return bench.status()


if __name__ == "__main__":
    sys.exit(main())
