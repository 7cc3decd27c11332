"""Prose to judge models with, English and in other languages, out of Debian's own manuals.

The manuals come as packages (`./dev setup judging`); what they share with the calibration text
is taken out, so that no model is judged on what its quantisation was fitted to.
"""

import hashlib
import re
import subprocess
from html.parser import HTMLParser
from pathlib import Path

PACKAGES = {"en": ("debian-policy", "developers-reference", "debian-reference-en"),
            **{language: (f"debian-reference-{language}",) for language in ("de", "es", "fr", "it", "ja", "pt")}}
# The same words on one page, indexes, and what is about a package instead of its subject.
UNWANTED = re.compile(r"/(README|genindex|search|developers-reference|policy-1)\.html$|/_s")
SHORTEST_TELLING_LINE = 25  # characters; a shorter line overlaps by chance


class _Text(HTMLParser):
    """The words of a page, a line per block."""

    SILENT = {"script", "style", "head", "nav", "footer"}
    BLOCKS = {"p", "div", "li", "dt", "dd", "tr", "pre", "h1", "h2", "h3", "h4", "h5", "br", "table"}

    def __init__(self):
        super().__init__()
        self.pieces = []
        self.silent = 0

    def handle_starttag(self, tag, attrs):
        if tag in self.SILENT:
            self.silent += 1
        elif tag in self.BLOCKS:
            self.pieces.append("\n")

    def handle_endtag(self, tag):
        if tag in self.SILENT:
            self.silent = max(0, self.silent - 1)
        elif tag in self.BLOCKS:
            self.pieces.append("\n")

    def handle_data(self, data):
        if not self.silent:
            self.pieces.append(data)


def plain_text(path):
    parser = _Text()
    parser.feed(path.read_text(encoding="utf-8", errors="replace"))
    parser.close()
    return "".join(parser.pieces)


def _lines(text):
    for line in text.splitlines():
        line = " ".join(line.split())
        if line:
            yield line


def _files_of(package):
    listed = subprocess.run(["dpkg", "-L", package], capture_output=True, text=True)
    paths = [Path(line) for line in listed.stdout.splitlines()]
    return sorted(p for p in paths
                  if p.suffix == ".html" and p.is_file() and not UNWANTED.search(str(p)))


def judging_text(directory, calibration=None, language="en"):
    """The path of the text in `directory`, made where it isn't there; None without the packages."""
    packages = PACKAGES[language]
    versions = subprocess.run(["dpkg-query", "-W", "-f", "${Package} ${Version}\n", *packages],
                              capture_output=True, text=True)
    files = [file for package in packages for file in _files_of(package)]
    if versions.returncode != 0 or not files:
        return None
    known = set()
    if calibration is not None:
        known = {line for line in _lines(calibration.read_text(errors="replace"))
                 if len(line) >= SHORTEST_TELLING_LINE}
    key = hashlib.sha256(versions.stdout.encode() + Path(__file__).read_bytes())
    key.update("\n".join(sorted(known)).encode())
    target = directory / f"judging-{language}-{key.hexdigest()[:12]}.txt"
    if target.exists():
        return target
    kept = []
    for file in files:
        for line in _lines(plain_text(file)):
            if len(line) >= SHORTEST_TELLING_LINE:
                if line in known:
                    continue
                known.add(line)  # headings and notices stand on many pages
            kept.append(line)
    directory.mkdir(parents=True, exist_ok=True)
    part = target.with_suffix(".part")
    part.write_text("\n".join(kept) + "\n")
    part.replace(target)
    return target
