#!/usr/bin/env python3
"""Makes a full-precision reference out of a model that is there quantised only.

  tools/noised_reference.py MODEL OUT [--seed N]

The weights are turned back into numbers, and every weight of a quantised tensor gets uniform noise of at
most half its old step: codes that were rounded once stand on their lattice, and quantising them once more
would be too easy. Tensors of 8 bits become F32, as half precision can't hold noise that small beside their
largest weights; the others become F16. What was not quantised is copied. The same seed gives the same file.
The result is another model than the first: ./dev bench quantize prints how far its answers are from it.
"""

import argparse
import os
import struct
import sys
import zlib
from dataclasses import dataclass
from pathlib import Path

try:
    import numpy as np
except ImportError:
    sys.exit("noised_reference: Python's numpy is missing: apt-get install python3-numpy, or pip install numpy")

sys.dont_write_bytecode = True
from shapes import gguf  # noqa: E402

SLAB = 1 << 14  # blocks at once
MOSTLY_F16 = 1
NAMES = {kind.number: name for name, kind in gguf.TYPES.items()}
SCALAR_BYTES = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}
STRING, ARRAY = 8, 9


class SourceError(Exception):
    pass


# ---- blocks: bytes of shape (blocks, bytes of one) to weights and steps, each (blocks, weights of one)


def _half(blocks, at):
    return blocks[:, at:at + 2].copy().view("<f2").astype(np.float32)


def _nibbles(raw):
    return np.concatenate([raw & 15, raw >> 4], axis=-1)


def _fifth_bits(blocks, at):
    return np.unpackbits(blocks[:, at:at + 4], axis=1, bitorder="little") << 4


def _q4_0(b):
    d = _half(b, 0)
    return d * (_nibbles(b[:, 2:]).astype(np.float32) - 8), d


def _q4_1(b):
    d = _half(b, 0)
    return d * _nibbles(b[:, 4:]).astype(np.float32) + _half(b, 2), d


def _q5_0(b):
    d = _half(b, 0)
    return d * ((_nibbles(b[:, 6:]) | _fifth_bits(b, 2)).astype(np.float32) - 16), d


def _q5_1(b):
    d = _half(b, 0)
    return d * (_nibbles(b[:, 8:]) | _fifth_bits(b, 4)).astype(np.float32) + _half(b, 2), d


def _q8_0(b):
    d = _half(b, 0)
    return d * b[:, 2:].view(np.int8).astype(np.float32), d


def _six_bit_scales(raw):
    """Scales and minima of the eight groups of Q4_K and Q5_K, packed into twelve bytes."""
    low, mid, high = raw[:, 0:4], raw[:, 4:8], raw[:, 8:12]
    scales = np.concatenate([low & 63, (high & 15) | (low >> 6 << 4)], axis=1)
    minima = np.concatenate([mid & 63, (high >> 4) | (mid >> 6 << 4)], axis=1)
    return scales.astype(np.float32), minima.astype(np.float32)


def _super_affine(b, codes):
    scales, minima = _six_bit_scales(b[:, 4:16])
    step = (_half(b, 0) * scales)[:, :, None]
    weights = step * codes.astype(np.float32) - (_half(b, 2) * minima)[:, :, None]
    return weights.reshape(len(b), 256), np.broadcast_to(step, codes.shape).reshape(len(b), 256)


def _super_nibbles(raw):
    """Eight groups of 32: two to every 32 bytes, the low halves first."""
    return _nibbles(raw.reshape(len(raw), 4, 32)).reshape(len(raw), 8, 32)


def _q4_k(b):
    return _super_affine(b, _super_nibbles(b[:, 16:]))


def _q5_k(b):
    bits = (b[:, None, 16:48] >> np.arange(8, dtype=np.uint8)[None, :, None]) & 1
    return _super_affine(b, _super_nibbles(b[:, 48:]) | (bits << 4))


def _q6_k(b):
    low = b[:, :128].reshape(-1, 2, 64)
    low = np.concatenate([low & 15, low >> 4], axis=2).reshape(-1, 2, 4, 32)
    high = b[:, 128:192].reshape(-1, 2, 1, 32) >> np.array([0, 2, 4, 6], np.uint8)[None, None, :, None]
    codes = (low | ((high & 3) << 4)).astype(np.float32) - 32
    scales = b[:, 192:208].view(np.int8).astype(np.float32)
    step = np.repeat(_half(b, 208) * scales, 16, axis=1)
    return step * codes.reshape(len(b), 256), step


READERS = {"Q4_0": _q4_0, "Q4_1": _q4_1, "Q5_0": _q5_0, "Q5_1": _q5_1, "Q8_0": _q8_0,
           "Q4_K": _q4_k, "Q5_K": _q5_k, "Q6_K": _q6_k}
COPIED = ("F32", "F16", "BF16")


# ---- the container


@dataclass
class Source:
    count_of_keys: int
    keys: bytes  # as they stand in the file
    tensors: list  # (gguf.Tensor, offset in the file)


class _Cursor:
    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, layout):
        values = struct.unpack_from("<" + layout, self.data, self.at)
        self.at += struct.calcsize("<" + layout)
        return values if len(values) > 1 else values[0]

    def string(self):
        size = self.take("Q")
        self.at += size
        return bytes(self.data[self.at - size:self.at]).decode()

    def skip(self, kind):
        if kind == STRING:
            self.string()
        elif kind == ARRAY:
            inner, count = self.take("IQ")
            if inner in SCALAR_BYTES:
                self.at += count * SCALAR_BYTES[inner]
            else:
                for _ in range(count):
                    self.skip(inner)
        else:
            self.at += SCALAR_BYTES[kind]


def read_header(data):
    cursor = _Cursor(data)
    magic, version, tensors, keys = cursor.take("4sIQQ")
    if magic != b"GGUF" or version not in (2, 3):
        raise SourceError("it is not a GGUF file of version 2 or 3")
    begin, file_type, alignment = cursor.at, None, gguf.ALIGNMENT
    for _ in range(keys):
        name, kind = cursor.string(), cursor.take("I")
        if name == "general.file_type":
            file_type = cursor.at - begin
        if name == "general.alignment":
            alignment = struct.unpack_from("<I", data, cursor.at)[0]
        cursor.skip(kind)
    raw = bytearray(data[begin:cursor.at])
    if file_type is not None:
        struct.pack_into("<I", raw, file_type, MOSTLY_F16)
    if alignment != gguf.ALIGNMENT:
        raise SourceError(f"its alignment is {alignment}, and only {gguf.ALIGNMENT} is written here")
    listed = []
    for _ in range(tensors):
        name, dims = cursor.string(), cursor.take("I")
        dims = struct.unpack_from(f"<{dims}Q", data, cursor.at)
        cursor.at += 8 * len(dims)
        kind, offset = cursor.take("IQ")
        if NAMES.get(kind) not in (*READERS, *COPIED):
            raise SourceError(f"{name} has type {NAMES.get(kind, kind)}, which is not read here")
        listed.append((gguf.Tensor(name, dims, NAMES[kind]), offset))
    start = gguf.padded(cursor.at)
    return Source(keys, bytes(raw), [(tensor, start + offset) for tensor, offset in listed])


def type_of_reference(kind):
    if kind in COPIED:
        return kind
    return "F32" if kind == "Q8_0" else "F16"


def write_tensor(file, data, old, new, seed):
    """Slab by slab; each tensor has its own stream of random bits, so their order is no matter."""
    if old.type == new.type:
        file.write(data[:old.bytes])
    else:
        kind = gguf.TYPES[old.type]
        blocks = np.frombuffer(data, np.uint8, old.bytes).reshape(-1, kind.bytes)
        bits = np.random.PCG64([seed or 0, zlib.crc32(old.name.encode())])
        for begin in range(0, len(blocks), SLAB):
            weights, step = READERS[old.type](blocks[begin:begin + SLAB])
            # The upper 24 bits of each half word: what a float holds exactly.
            drawn = bits.random_raw(weights.size // 2).astype("<u8").view("<u4") >> 8
            noise = (drawn.astype(np.float32) / (1 << 24) - 0.5).reshape(weights.shape)
            noised = weights + noise * np.abs(step) if seed is not None else weights
            file.write(noised.astype("<f4" if new.type == "F32" else "<f2").tobytes())
    file.write(bytes(gguf.padded(new.bytes) - new.bytes))


def make_reference(model, out, seed):
    data = np.memmap(model, np.uint8, "r")
    source = read_header(memoryview(data))
    if all(tensor.type in COPIED for tensor, _ in source.tensors):
        raise SourceError("nothing in it is quantised; it is its own reference")
    new = [gguf.Tensor(old.name, old.dims, type_of_reference(old.type)) for old, _ in source.tensors]
    unfinished = out.with_name(out.name + ".part")
    try:
        with open(unfinished, "wb") as file:
            file.write(gguf.header_of(source.count_of_keys, source.keys, new))
            for (old, offset), tensor in zip(source.tensors, new):
                write_tensor(file, memoryview(data)[offset:offset + old.bytes], old, tensor, seed)
        os.replace(unfinished, out)
    finally:
        unfinished.unlink(missing_ok=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--seed", type=int, default=1, help="of the noise (default 1)")
    parser.add_argument("--no-noise", action="store_true", help="only turn the weights back into numbers")
    wishes = parser.parse_args()
    if wishes.seed < 0:
        parser.error("--seed is a whole number of at least 0")
    try:
        make_reference(wishes.model, wishes.out, None if wishes.no_noise else wishes.seed)
    except (SourceError, OSError, struct.error) as error:
        print(f"noised_reference: {wishes.model}: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
