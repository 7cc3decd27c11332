"""The GGUF container: tensor types, sizes, and a header from keys and tensors."""

import math
import struct
from dataclasses import dataclass

ALIGNMENT = 32


@dataclass(frozen=True)
class Type:
    number: int
    block: int  # elements
    bytes: int  # of one block


TYPES = {
    "F32": Type(0, 1, 4),
    "F16": Type(1, 1, 2),
    "Q4_0": Type(2, 32, 18),
    "Q4_1": Type(3, 32, 20),
    "Q5_0": Type(6, 32, 22),
    "Q5_1": Type(7, 32, 24),
    "Q8_0": Type(8, 32, 34),
    "Q2_K": Type(10, 256, 84),
    "Q3_K": Type(11, 256, 110),
    "Q4_K": Type(12, 256, 144),
    "Q5_K": Type(13, 256, 176),
    "Q6_K": Type(14, 256, 210),
    "IQ4_NL": Type(20, 32, 18),
    "IQ4_XS": Type(23, 256, 136),
    "BF16": Type(30, 1, 2),
    "MXFP4": Type(39, 32, 17),
}


@dataclass(frozen=True)
class Tensor:
    name: str
    dims: tuple  # innermost first
    type: str

    @property
    def elements(self):
        return math.prod(self.dims)

    @property
    def bytes(self):
        kind = TYPES[self.type]
        if self.dims[0] % kind.block:
            raise ValueError(f"{self.name}: rows of {self.dims[0]} cannot be {self.type}")
        return self.elements // kind.block * kind.bytes


def padded(size):
    return -(-size // ALIGNMENT) * ALIGNMENT


def data_bytes(tensors):
    return sum(padded(tensor.bytes) for tensor in tensors)


def _string(text):
    raw = text.encode()
    return struct.pack("<Q", len(raw)) + raw


# Python's type says which of the format's types a value gets.
_SCALARS = {bool: (7, "<?"), int: (4, "<I"), float: (6, "<f")}
_ELEMENTS = {bool: (7, "?"), int: (5, "i"), float: (6, "f")}


def _value(value):
    if isinstance(value, str):
        return struct.pack("<I", 8) + _string(value)
    if not isinstance(value, list):
        number, layout = _SCALARS[type(value)]
        return struct.pack("<I", number) + struct.pack(layout, value)
    if isinstance(value[0], str):
        return struct.pack("<IIQ", 9, 8, len(value)) + b"".join(map(_string, value))
    number, layout = _ELEMENTS[type(value[0])]
    return struct.pack(f"<IIQ{len(value)}{layout}", 9, number, len(value), *value)


def header(keys, tensors):
    """The bytes of a file up to its first tensor; tensors follow in this order."""
    return header_of(len(keys), b"".join(_string(key) + _value(value) for key, value in keys.items()), tensors)


def header_of(count, keys, tensors):
    """The same, so many keys being bytes already."""
    parts = [b"GGUF" + struct.pack("<IQQ", 3, len(tensors), count), keys]
    offset = 0
    for tensor in tensors:
        parts.append(_string(tensor.name))
        parts.append(struct.pack(f"<I{len(tensor.dims)}Q", len(tensor.dims), *tensor.dims))
        parts.append(struct.pack("<IQ", TYPES[tensor.type].number, offset))
        offset += padded(tensor.bytes)
    raw = b"".join(parts)
    return raw.ljust(padded(len(raw)), b"\0")
