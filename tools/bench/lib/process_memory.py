"""The peak memory of a command and all its descendants, sampled from /proc."""

import subprocess
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from .figures import BenchError

PERIOD = 0.01  # seconds
PAGES = ("RssAnon", "RssFile", "RssShmem")


@dataclass
class Peak:
    resident: int = 0  # bytes of anonymous, file and shared pages, summed over the processes
    anonymous: int = 0  # the most of the first alone; mapped files can be dropped, these can't


def _children():
    """Every process's children, in one look at /proc."""
    children = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            # The name in brackets may hold anything; the parent is the second word after it.
            parent = int(stat.read_text().rpartition(")")[2].split()[1])
        except (OSError, ValueError, IndexError):
            continue  # it has just ended
        children.setdefault(parent, []).append(int(stat.parent.name))
    return children


def _tree(root):
    children, found, open_ends = _children(), [], [root]
    while open_ends:
        pid = open_ends.pop()
        found.append(pid)
        open_ends += children.get(pid, [])
    return found


def _pages(pid):
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return [0, 0, 0]
    values = dict(line.split(":", 1) for line in lines if ":" in line)
    return [int(values.get(name, "0 kB").split()[0]) << 10 for name in PAGES]


def peak_of(command, **options):
    process = subprocess.Popen([str(word) for word in command], stdin=subprocess.DEVNULL,
                               stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, **options)
    said = []
    reader = threading.Thread(target=lambda: said.extend(process.stderr))
    reader.start()
    peak = Peak()
    while process.poll() is None:
        pages = [_pages(pid) for pid in _tree(process.pid)]
        peak.resident = max(peak.resident, sum(map(sum, pages)))
        peak.anonymous = max(peak.anonymous, sum(page[0] for page in pages))
        time.sleep(PERIOD)
    reader.join()
    if process.returncode != 0:
        raise BenchError(f"{' '.join(map(str, command[:2]))}: status {process.returncode}: "
                         f"{(said or ['(no words)'])[-1].strip()}")
    return peak
