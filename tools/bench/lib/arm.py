"""The quantiser's tests built for 64-bit Arm and run under qemu: the one way to see NEON code run on
an x86-64 machine. What it gives is right or wrong; its speed is the emulator's."""

import json
import os
import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from .figures import ROOT, BenchError, say

SOURCE = ROOT / "tools/bench/arm"
COMPILER, EMULATOR = "aarch64-linux-gnu-g++", "qemu-aarch64"
GOOGLETEST = Path("/usr/src/googletest/googletest")
C_LIBRARY = "/usr/aarch64-linux-gnu"  # what the cross compiler links with


@dataclass(frozen=True)
class Suite:
    name: str
    tests: int
    failed: tuple  # names


def missing():
    """What has to be installed first, in words; None where nothing."""
    lacking = [name for name in (COMPILER, EMULATOR) if shutil.which(name) is None]
    lacking += [str(path) for path in (GOOGLETEST,) if not path.is_dir()]
    return f"no {', no '.join(lacking)}: ./dev setup arm" if lacking else None


def highway(folder):
    """Highway's library for Arm, of the very version of the headers here: out of Debian's package,
    which is unpacked and not installed. Package lists of our own leave the system's alone."""
    words = subprocess.run(["dpkg-query", "-W", "-f", "${Version} ${Depends}", "libhwy-dev"],
                           capture_output=True, text=True)
    found = re.search(r"^(\S+) .*\b(libhwy[0-9]\w*)", words.stdout)
    if words.returncode != 0 or found is None:
        raise BenchError("Highway's headers are not Debian's, so its library for Arm can't be found")
    version, package = found.groups()
    root = folder / f"{package}-{version}"
    if not root.is_dir():
        say(f"fetching {package} {version} for Arm (once)")
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".fetch-", dir=folder) as here:
            _download(f"{package}={version}", Path(here))
            (archive,) = Path(here).glob("*.deb")
            _run(["dpkg-deb", "-x", archive, Path(here) / "root"], "dpkg-deb")
            os.replace(Path(here) / "root", root)
    (library,) = root.glob("usr/lib/aarch64-linux-gnu/libhwy.so.?")
    return library


def build(engine_source, library):
    """The folder of the programs, built anew where a source has changed."""
    folder = ROOT / "build/arm"
    say("building the kernels and their tests for Arm")
    _run(["cmake", "-G", "Ninja", "-S", SOURCE, "-B", folder, "-DCMAKE_BUILD_TYPE=Release",
          f"-DCMAKE_TOOLCHAIN_FILE={SOURCE / 'toolchain.cmake'}",
          f"-DTRIMMA_LLAMA_SOURCE={engine_source}", f"-DTRIMMA_HIGHWAY_LIBRARY={library}"], "cmake")
    _run(["cmake", "--build", folder], "the build for Arm")
    return folder


def emulated(program, library):
    return [EMULATOR, "-L", C_LIBRARY, "-E", f"LD_LIBRARY_PATH={library.parent}", program]


def run_tests(folder, library):
    """All suites. A crash of the program is a BenchError."""
    say("running the tests for Arm (some minutes)")
    with tempfile.TemporaryDirectory(prefix="trimma-arm-") as here:
        report = Path(here) / "report.json"
        done = subprocess.run([*emulated(folder / "trimma_arm_test", library), "--gtest_brief=1",
                               f"--gtest_output=json:{report}"],
                              stdin=subprocess.DEVNULL, capture_output=True, text=True)
        if not report.is_file():
            raise BenchError(f"the tests on Arm: status {done.returncode}: {done.stderr.strip()[-300:]}")
        print(done.stdout, end="")  # of those that failed
        return [Suite(suite["name"], suite["tests"],
                      tuple(test["name"] for test in suite["testsuite"] if test.get("failures")))
                for suite in json.loads(report.read_text())["testsuites"]]


def unlike_fused(folder, library):
    """{type: (blocks of the exact mode unlike llama.cpp's as it is built for Arm, of how many)}."""
    lines = _run(emulated(folder / "trimma_arm_fused", library), "trimma_arm_fused").splitlines()
    return {name: (int(unlike), int(blocks)) for name, unlike, blocks in map(str.split, lines)}


def _download(package, folder):
    (folder / "lists/partial").mkdir(parents=True)
    (folder / "archives/partial").mkdir(parents=True)
    (folder / "status").touch()
    command = ["apt-get", "-q"]
    for option in ("APT::Architecture=arm64", "APT::Architectures::=arm64", "APT::Sandbox::User=",
                   f"Dir::State={folder}", f"Dir::State::status={folder / 'status'}",
                   f"Dir::Cache={folder}"):
        command += ["-o", option]
    _run([*command, "update"], "apt-get update for arm64")
    _run([*command, "download", package], f"apt-get download {package}", cwd=folder)


def _run(command, what, **options):
    done = subprocess.run([str(word) for word in command], stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, **options)
    if done.returncode != 0:
        raise BenchError(f"{what} failed: {(done.stderr or done.stdout).strip()[-600:]}")
    return done.stdout
