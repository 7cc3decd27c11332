#!/usr/bin/env python3
"""clang-tidy as .clang-tidy says: tools/lint.py BUILD_DIRECTORY [--no-tests]

A file found clean is remembered in the cache under a hash of all that matters to it (the file,
the project headers it reaches, its compile command, .clang-tidy), so only changes cost time, in
a fresh checkout too.
"""

import concurrent.futures
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

sys.dont_write_bytecode = True
from fetch_model import cache_directory  # noqa: E402

ROOT = Path(__file__).resolve().parent.parent
TIDY = "clang-tidy-19"
FORGET_AFTER_DAYS = 30
# What CMake adds for precompiled headers. clang-tidy can't use GCC's, and a file has to name what it needs.
PRECOMPILED = re.compile(r" -Winvalid-pch| -include \S*cmake_pch\.hxx")
INCLUDE = re.compile(rb'^\s*#\s*include\s*"([^"]+)"', re.MULTILINE)


def sources(with_tests):
    found = list((ROOT / "src").rglob("*.cc"))
    if with_tests:
        found += (ROOT / "tests").rglob("*.cc")
    else:
        found = [path for path in found if not path.name.endswith("_test.cc")]
    return sorted(found, key=lambda p: -p.stat().st_size)  # the long ones first


def reached_from(path):
    """The file and the project headers it includes, directly or not."""
    seen, todo = set(), [path]
    while todo:
        here = todo.pop()
        if here in seen:
            continue
        seen.add(here)
        for name in INCLUDE.findall(here.read_bytes()):
            for folder in (here.parent, ROOT / "src", ROOT / "tests"):
                header = folder / os.fsdecode(name)
                if header.is_file():
                    todo.append(header.resolve())
                    break
    return sorted(seen)


def key_of(path, command, common):
    digest = hashlib.sha256(common)
    digest.update(command.replace(str(ROOT), ".").encode())
    for file in reached_from(path):
        digest.update(f"\n{file.relative_to(ROOT)}\n".encode())
        digest.update(file.read_bytes())
    return digest.hexdigest()


def tidy(path, build):
    # GCC's names of warnings mean nothing to clang.
    command = ["nice", "-n", "5", TIDY, "-p", str(build), "--quiet",
               "--extra-arg=-Wno-unknown-warning-option", str(path)]
    done = subprocess.run(command, capture_output=True, text=True)
    findings = [line for line in done.stdout.splitlines() if line.strip()]
    if done.returncode != 0 and not findings:
        findings = done.stderr.splitlines()
    return done.returncode == 0, findings


def main():
    build, *rest = sys.argv[1:] or [""]
    if not build or rest not in ([], ["--no-tests"]):
        print(__doc__, file=sys.stderr)
        return 2
    if shutil.which(TIDY) is None:
        print(f"==> lint: skipped, {TIDY} is not installed", file=sys.stderr)
        return 0
    build = Path(build).resolve()
    database = json.loads((build / "compile_commands.json").read_text())
    for entry in database:
        entry["command"] = PRECOMPILED.sub("", entry["command"])
    commands = {entry["file"]: entry["command"] for entry in database}
    plain = build / "lint"
    plain.mkdir(exist_ok=True)
    (plain / "compile_commands.json").write_text(json.dumps(database))
    version = subprocess.run([TIDY, "--version"], capture_output=True).stdout
    common = version + (ROOT / ".clang-tidy").read_bytes()

    known = cache_directory() / "lint"
    known.mkdir(parents=True, exist_ok=True)
    todo, files = {}, sources(with_tests=not rest)
    for path in files:
        # Fuzzers and benches have no command in this build; clang-tidy takes a neighbour's.
        key = key_of(path, commands.get(str(path), ""), common)
        if (known / key).exists():
            (known / key).touch()
        else:
            todo[path] = key
    for old in known.iterdir():
        if time.time() - old.stat().st_mtime > FORGET_AFTER_DAYS * 86400:
            old.unlink(missing_ok=True)

    started = time.monotonic()
    bad = 0
    workers = len(os.sched_getaffinity(0))
    with concurrent.futures.ThreadPoolExecutor(workers) as pool:
        runs = {pool.submit(tidy, path, plain): path for path in todo}
        try:
            for done, run in enumerate(concurrent.futures.as_completed(runs), 1):
                path = runs[run]
                clean, findings = run.result()
                print(f"[{done}/{len(todo)}] lint {path.relative_to(ROOT)}", file=sys.stderr, flush=True)
                if clean:
                    (known / todo[path]).touch()
                else:
                    bad += 1
                    print("\n".join(findings), file=sys.stderr, flush=True)
        except KeyboardInterrupt:
            pool.shutdown(wait=False, cancel_futures=True)
            return 130
    words = f"{bad} of {len(files)} files have findings" if bad else f"{len(files)} files are clean"
    print(f"==> lint: {words} ({len(todo)} looked at in {time.monotonic() - started:.0f} s)",
          file=sys.stderr)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
