"""Random tensor data that is valid for its type and keeps a forward pass finite.

Matrices have zero mean and a standard deviation near SPREAD. A pattern of about 1 MiB is repeated;
its number of blocks is a prime, so that the rows of a matrix differ.
"""

import random
import re
import struct
import zlib
from array import array

from .gguf import TYPES, padded

SPREAD = 0.02
PATTERN_BYTES = 1 << 20
REPEATS = 8

# Half-precision fields of a block, (offset, factor of the scale), and the standard deviation of
# the weights where the scale is 1 and all other bits are random.
SCALES = {
    "Q4_0": (((0, 1),), 4.6),
    "Q4_1": (((0, 1), (2, -7.5)), 4.6),
    "Q5_0": (((0, 1),), 9.2),
    "Q5_1": (((0, 1), (2, -15.5)), 9.2),
    "Q8_0": (((0, 1),), 74),
    "Q2_K": (((80, 1), (82, 1.5)), 14),
    "Q3_K": (((108, 1),), 43),
    "Q4_K": (((0, 1), (2, 7.5)), 258),
    "Q5_K": (((0, 1), (2, 15.5)), 527),
    "Q6_K": (((208, 1),), 1369),
    "IQ4_NL": (((0, 1),), 70),
    "IQ4_XS": (((0, 1),), 1295),
}
MXFP4_EXPONENT = 120  # 2^(120-128) by values of up to 12

# Centre and half width of vectors and other tensors that must stay whole, by name.
RANGES = (
    (re.compile(r"ssm_a$"), -4.0, 3.0),
    (re.compile(r"ssm_d$|ssm_dt_norm|time_mix_k_[ka]\.|layer_output_scale"), 1.0, 0.1),
    (re.compile(r"ssm_dt\.bias|time_mix_w0\."), -4.0, 1.0),
    (re.compile(r"ssm_conv1d|shortconv\.conv|altup_.*_coef"), 0.0, 0.3),
    (re.compile(r"rope_fact|rope_freqs"), 2.0, 1.0),
    (re.compile(r"lerp"), 0.5, 0.5),
    (re.compile(r"(norm(_\d)?|time_mix_ln|correct_scale)(\.weight)?$"), 1.0, 0.05),
)


def _prime_below(limit):
    return next(n for n in range(limit, 1, -1) if all(n % d for d in range(2, int(n**0.5) + 1)))


def _range_of(name):
    for pattern, centre, width in RANGES:
        if pattern.search(name):
            return centre, width
    return 0.0, SPREAD * 3**0.5


class Filler:
    """Writes tensors' data. The same seed gives the same file."""

    def __init__(self, seed):
        self.seed = seed
        self.patterns = {}

    def write(self, file, tensor):
        """All of the tensor's bytes, and zeros up to the alignment."""
        pattern, repeated = self._pattern(tensor)
        block = TYPES[tensor.type].bytes
        start = zlib.crc32(tensor.name.encode()) % (len(pattern) // block) * block
        left = tensor.bytes
        while left:
            part = repeated[start : start + min(left, len(repeated) - len(pattern))]
            file.write(part)
            left -= len(part)
            start = (start + len(part)) % len(pattern)
        file.write(bytes(padded(tensor.bytes) - tensor.bytes))

    def _pattern(self, tensor):
        centred = _range_of(tensor.name) if tensor.type in ("F32", "F16", "BF16") else None
        key = tensor.type, centred
        if key not in self.patterns:
            chance = random.Random(f"{self.seed} {key}")
            blocks = _prime_below(PATTERN_BYTES // TYPES[tensor.type].bytes)
            if centred:
                pattern = _numbers(chance, tensor.type, blocks, *centred)
            else:
                pattern = _blocks(chance, tensor.type, blocks)
            self.patterns[key] = pattern, memoryview(pattern * REPEATS)
        return self.patterns[key]


def _numbers(chance, kind, count, centre, width):
    low, span = centre - width, 2 * width
    values = array("f", [low + span * chance.random() for _ in range(count)])
    if kind == "F16":
        return struct.pack(f"<{count}e", *values)
    raw = values.tobytes()
    if kind == "BF16":  # the upper half of each
        upper = bytearray(2 * count)
        upper[0::2], upper[1::2] = raw[2::4], raw[3::4]
        return bytes(upper)
    return raw


def _blocks(chance, kind, count):
    size = TYPES[kind].bytes
    data = bytearray(chance.randbytes(count * size))
    if kind == "MXFP4":
        data[0::size] = bytes([MXFP4_EXPONENT]) * count
        return bytes(data)
    fields, deviation = SCALES[kind]
    for offset, factor in fields:
        low, high = struct.pack("<e", factor * SPREAD / deviation)
        data[offset::size] = bytes([low]) * count
        data[offset + 1 :: size] = bytes([high]) * count
    return bytes(data)
