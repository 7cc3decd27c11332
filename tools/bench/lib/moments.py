"""How far two files of second moments differ (src/quantize/calibration/moments_file.h)."""

import statistics
import struct
from pathlib import Path

ALIGNMENT = 32
SIZES = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}
STRING, ARRAY = 8, 9


class _Header:
    def __init__(self, data):
        self.data, self.at = data, 0

    def number(self, kind):
        (value,) = struct.unpack_from("<" + kind, self.data, self.at)
        self.at += struct.calcsize("<" + kind)
        return value

    def text(self):
        size = self.number("Q")
        self.at += size
        return self.data[self.at - size:self.at].decode()

    def skip(self, kind):
        if kind == STRING:
            self.text()
        elif kind == ARRAY:
            inner, count = self.number("I"), self.number("Q")
            for _ in range(count):
                self.skip(inner)
        else:
            self.at += SIZES[kind]


def tensors(path):
    """Name to (floats of a block, blocks, all floats) of each tensor, mapped."""
    import numpy
    header = _Header(Path(path).open("rb").read(64 << 20))
    header.at = 8
    count, keys = header.number("Q"), header.number("Q")
    for _ in range(keys):
        header.text()
        header.skip(header.number("I"))
    found = []
    for _ in range(count):
        name = header.text()
        shape = [header.number("Q") for _ in range(header.number("I"))]
        header.number("I")
        triangle, blocks = (*shape, 1)[:2]
        found.append((name, triangle, blocks, header.number("Q")))
    start = -(-header.at // ALIGNMENT) * ALIGNMENT
    return {name: (triangle, blocks, numpy.memmap(path, "<f4", "r", start + offset, triangle * blocks))
            for name, triangle, blocks, offset in found}


def difference(path, reference):
    """Of the sums from the reference's, as a share of its Frobenius norm: the worst and the median over
    the inputs; and the worst of the diagonals' elements, as a share of each."""
    import numpy
    ours, theirs = tensors(path), tensors(reference)
    assert ours.keys() == theirs.keys()
    norms, diagonal = [], 0.0
    for name, (triangle, blocks, b) in theirs.items():
        a = ours[name][2]
        apart = norm = 0.0
        size = int((2 * triangle) ** 0.5)
        ends = numpy.cumsum(numpy.arange(1, size + 1)) - 1
        for block in range(blocks):
            x = numpy.asarray(a[block * triangle:(block + 1) * triangle], "f8")
            y = numpy.asarray(b[block * triangle:(block + 1) * triangle], "f8")
            d = x - y
            # Each element off the diagonal is there twice.
            apart += 2 * numpy.dot(d, d) - numpy.dot(d[ends], d[ends])
            norm += 2 * numpy.dot(y, y) - numpy.dot(y[ends], y[ends])
            there = y[ends] > 0
            if there.any():
                diagonal = max(diagonal, float(numpy.max(numpy.abs(d[ends][there]) / y[ends][there])))
        norms.append((apart / norm) ** 0.5 if norm else 0.0)
    return max(norms), statistics.median(norms), diagonal
