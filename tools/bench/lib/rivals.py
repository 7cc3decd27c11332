"""What others say that a file takes, for ./dev bench plan."""

import json
import shutil
import subprocess
from pathlib import Path

from .figures import BenchError, run, say

SOURCE = Path(__file__).resolve().parent / "gguf_parser"
LIBRARY = "gguf-parser-go v0.28.1"


def gguf_parser(folder):
    """A program of our own around the library, built once; None where there is no Go."""
    program = folder / LIBRARY.replace(" ", "-") / "gguf_parser"
    newest = max(path.stat().st_mtime for path in SOURCE.iterdir())
    if program.is_file() and program.stat().st_mtime >= newest:
        return program
    if shutil.which("go") is None:
        return None
    say(f"building {LIBRARY} (once; a minute or two)")
    program.parent.mkdir(parents=True, exist_ok=True)
    built = subprocess.run(["go", "build", "-o", str(program), "."], cwd=SOURCE,
                           stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if built.returncode != 0:
        say(f"{LIBRARY} can't be built: {built.stderr.strip()[-200:]}")
        return None
    program.touch()
    return program


def by_gguf_parser(program, model, context, ubatch, layers):
    """Bytes on the card, all buffers; flash attention on."""
    devices = json.loads(run([program, model, context, ubatch, "true", layers]))
    if len(devices) < 2:
        raise BenchError(f"{LIBRARY} names no card for {model.name}")
    return sum(devices[1].values())


def by_ollama_formula(shape, file_bytes, context):
    """PredictServerVRAM of Ollama 0.30 and later, by which it sizes a model before loading it: the
    file, and 2 bytes for K and V of every layer at the whole context. It knows no window, no type
    of the cache, no size of a head but width / heads, and no compute buffers."""
    kv_heads = min(shape.kv_heads_per_layer or [shape.kv_heads])
    return file_bytes + 2 * shape.layers * kv_heads * (shape.width // shape.heads) * context * 2
