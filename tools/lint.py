#!/usr/bin/env python3
"""clang-tidy as .clang-tidy says: tools/lint.py BUILD_DIRECTORY [--joined] [--no-tests]

Each file alone, so that one which does not name what it needs is an error. With --joined the files
are looked at as the build joins them (TRIMMA_JOINED in CMakeLists.txt): a fifth of the time.

What was found clean is remembered in the cache under a hash of all that matters to it (the file,
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


def parts_of(path):
    """The sources that a file of the build's joins; itself if it joins none."""
    if path.suffix != ".cxx":  # of CMake's own making
        return [path]
    return [Path(os.fsdecode(name)) for name in INCLUDE.findall(path.read_bytes())]


def commands_of(database, joined, with_tests):
    """What clang-tidy looks at: {file: database entry}."""
    found, any_command = {}, None
    for entry in database:
        path = Path(entry["file"])
        parts = [part for part in parts_of(path) if ROOT / "src" in part.parents or ROOT / "tests" in part.parents]
        if not parts:
            continue
        any_command = any_command or entry
        is_test = "trimma_test.dir" in entry["command"]
        if is_test and not with_tests:
            continue
        for file in [path] if joined else parts:
            found[file] = for_file(entry, file)
    # Fuzzers and benches are no part of this build; they take another's command.
    for path in (ROOT / "src").rglob("*.cc"):
        if path.name.endswith(("_fuzz.cc", "_bench.cc")):
            found[path] = for_file(any_command, path)
    return found


def for_file(entry, path):
    command = PRECOMPILED.sub("", entry["command"]).replace(entry["file"], str(path))
    return {"directory": entry["directory"], "file": str(path), "command": command}


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
        digest.update(file.read_bytes().replace(os.fsencode(ROOT), b"."))
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
    if not build or not set(rest) <= {"--joined", "--no-tests"}:
        print(__doc__, file=sys.stderr)
        return 2
    if shutil.which(TIDY) is None:
        print(f"==> lint: skipped, {TIDY} is not installed", file=sys.stderr)
        return 0
    build = Path(build).resolve()
    database = json.loads((build / "compile_commands.json").read_text())
    commands = commands_of(database, "--joined" in rest, "--no-tests" not in rest)
    plain = build / ("lint-joined" if "--joined" in rest else "lint")  # the two may run at once
    plain.mkdir(exist_ok=True)
    (plain / "compile_commands.json").write_text(json.dumps(list(commands.values())))
    version = subprocess.run([TIDY, "--version"], capture_output=True).stdout
    common = version + (ROOT / ".clang-tidy").read_bytes()

    known = cache_directory() / "lint"
    known.mkdir(parents=True, exist_ok=True)
    todo = {}
    # The long ones first.
    files = sorted(commands, key=lambda path: -sum(part.stat().st_size for part in parts_of(path)))
    for path in files:
        key = key_of(path, commands[path]["command"], common)
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
    count = sum(len(parts_of(path)) for path in files)
    words = f"{bad} of {len(files)} have findings" if bad else f"{count} files are clean"
    print(f"==> lint: {words} ({len(todo)} of {len(files)} looked at in {time.monotonic() - started:.0f} s)",
          file=sys.stderr)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
